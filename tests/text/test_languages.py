"""A language is the same by each of its codes."""

import pytest

from nmt.data.datasets.ui_strings import LANGUAGES
from nmt.text.languages import _TWO_LETTERS, base_language, has_spaces


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("de", "de"), ("deu", "de"), ("ger", "de"), ("DE", "de"), ("de_AT", "de"), ("de-Latn-AT", "de"),
        ("zh-Hans", "zh"), ("ZH_cn", "zh"), ("zho", "zh"), ("chi", "zh"), ("cmn_Hans", "zh"), ("zho_Hant", "zh"),
        ("jpn", "ja"), ("tha", "th"), ("mya", "my"), ("bur", "my"), ("nob", "nb"), ("es-419", "es"), ("sr-Latn", "sr"),
        ("Chinese", "zh"), ("simplified chinese", "zh"), ("Chinese (Traditional)", "zh"), ("Cantonese", "yue"),
        ("JAPANESE", "ja"), ("ja_JP.UTF-8", "ja"), (" ja ", "ja"), ("Thai", "th"), ("Korean", "ko"), ("jp", "ja"),
        ("Burmese", "my"), ("thai-TH", "th"),
        ("yue", "yue"), ("gsw", "gsw"), ("tlh", "tlh"), ("digits", "digits"), ("", ""),
    ],
)  # fmt: skip
def test_one_language_by_each_of_its_codes(code: str, language: str) -> None:
    assert base_language(code) == language


@pytest.mark.parametrize("code", ["ja", "JPN", "zh", "zh_TW", "cmn", "yue", "th", "tha", "lo", "km", "my_MM", "bod"])
def test_languages_without_spaces(code: str) -> None:
    assert not has_spaces(code)


@pytest.mark.parametrize("code", ["en", "deu", "ko", "kor", "vi", "ar", "hi", "ka", "digits", "", "t", "zh2"])
def test_languages_with_spaces(code: str) -> None:
    assert has_spaces(code)


def test_the_table_of_codes_is_whole() -> None:
    assert len(set(_TWO_LETTERS.values())) == 184  # the whole of ISO 639-1
    assert all(len(long) == 3 and len(short) == 2 for long, short in _TWO_LETTERS.items())
    assert {language for language in map(base_language, LANGUAGES) if len(language) > 2} == {"gsw"}
