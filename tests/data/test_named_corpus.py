"""Files and datasets that are named on the command line, and the languages in their names."""

import pytest

from nmt.data.named_corpus import corpus_settings
from nmt.utils.errors import UserError


@pytest.mark.parametrize(
    ("names", "languages", "kind"),
    [
        (["my.en.gz", "my.de.gz"], ("en", "de"), "text"),
        (["train_en.txt", "train_pt_BR.txt"], None, "text"),
        (["a/news.en-zh-Hans.en", "b/news.en-zh-Hans.zh-Hans"], ("en", "zh-Hans"), "text"),
        (["a.en", "a.de", "b.en", "b.de"], ("en", "de"), "text"),
        (["a.en", "a.de", "b.de", "b.en"], None, "text"),
        (["pairs.en-fr.tsv.gz"], ("en", "fr"), "tsv"),
        (["pairs.tsv"], None, "tsv"),
    ],
)
def test_languages_are_in_the_names(names, languages, kind):
    if languages is None:
        with pytest.raises(UserError, match="expected `source` and `target` as well"):
            corpus_settings(names)
        languages = ("xx", "yy")
        data = corpus_settings(names, *languages)
    else:
        data = corpus_settings(names)
    assert (data["source_language"], data["target_language"]) == languages
    assert data["corpus"]["kind"] == kind


def test_given_languages_win():
    assert corpus_settings(["my.en.gz", "my.de.gz"], target="de-AT")["target_language"] == "de-AT"


@pytest.mark.parametrize("names", [["my.txt"], ["a.en", "a.de", "b.en"]])
def test_an_odd_number_of_files(names):
    with pytest.raises(
        UserError, match=r"expected two files whose lines translate each other, or one file source, tab"
    ):
        corpus_settings(names)
