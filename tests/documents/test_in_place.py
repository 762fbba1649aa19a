"""Files that are translated in place: what is filled, and that all else stays byte for byte."""

import json
import re

import pytest

from nmt.data.formats.registry import check_format
from nmt.data.formats.units import Languages, Unit
from nmt.documents import translate_file
from nmt.documents.journal import journal_path
from nmt.documents.registry import document_format
from nmt.utils.errors import UserError
from tests.documents.samples import SAMPLES

EN_DE = {"source": "en", "target": "de"}
TWO_LANGUAGES = {"a.po", "a.tmx", "a.xlf", "b.xliff", "a.ts", "a.csv", "a.properties"}  # and whose escapes vary
# Words but not what has to be kept.
WORDS = re.compile(r"(<[^<>]*>|\{[^{}]*\}|%\(\w+\)\w|%\d\$\w|%\w|%@)|([^\W\d_]+)")


def shout(texts):
    return [WORDS.sub(lambda found: found[1] or found[2].upper(), text) for text in texts]


def translated(tmp_path, name, content, translator=shout, **options):
    data = content if isinstance(content, bytes) else content.encode()
    (tmp_path / name).write_bytes(data)
    output = tmp_path / f"out-{name}"
    report = translate_file(translator, tmp_path / name, output, **{**EN_DE, **options})
    return output.read_bytes(), report


@pytest.fixture(autouse=True)
def _fixed_date(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


def units_of(path, languages=Languages("en", "de")):  # noqa: B008
    form = document_format(path)
    return [one for one in form.read(path, languages) if isinstance(one, Unit)]


@pytest.mark.parametrize("name", SAMPLES)
def test_what_has_no_translation_is_filled_and_nothing_else_changes(tmp_path, name):
    written, report = translated(tmp_path, name, SAMPLES[name])
    assert report.counts["filled"] > 0
    before, after = SAMPLES[name].split("\n"), written.decode().split("\n")
    if name not in TWO_LANGUAGES - {"a.properties"}:
        return
    for old, new in zip(units_of(tmp_path / name), units_of(tmp_path / f"out-{name}"), strict=True):
        if old.edits is None or old.state in ("locked", "obsolete", "translated", "fuzzy"):
            assert (new.source, new.targets, new.state) == (old.source, old.targets, old.state)
        elif old.targets or new.targets:
            assert new.targets == tuple(shout([old.source]))
    kept = {line for line in before if not re.search(r"[a-z]{2}", line)}
    assert kept <= set(after)


@pytest.mark.parametrize("name", SAMPLES)
def test_line_ends_and_marks_stay(tmp_path, name):
    plain, _ = translated(tmp_path, name, SAMPLES[name])
    windows, _ = translated(tmp_path, name, SAMPLES[name].replace("\n", "\r\n"))
    assert windows.decode() == plain.decode().replace("\n", "\r\n")
    marked, _ = translated(tmp_path, name, b"\xef\xbb\xbf" + SAMPLES[name].encode())
    assert marked == b"\xef\xbb\xbf" + plain
    cut, _ = translated(tmp_path, name, SAMPLES[name].rstrip("\n"))
    assert cut == plain.rstrip(b"\n")


@pytest.mark.parametrize("name", ["a.tmx", "a.xlf", "a.ts", "a.resx", "strings.xml", "a.strings", "a.json", "a.csv"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_stays(tmp_path, name, encoding):
    mark = "\ufeff".encode(encoding)
    text = re.sub("encoding=([\"'])utf-8", r"encoding=\1utf-16", SAMPLES[name], flags=re.IGNORECASE)
    plain, _ = translated(tmp_path, name, SAMPLES[name])
    wide, _ = translated(tmp_path, name, mark + text.encode(encoding))
    expected = re.sub("encoding=([\"'])utf-8", r"encoding=\1utf-16", plain.decode(), flags=re.IGNORECASE)
    assert wide == mark + expected.encode(encoding)


@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in TWO_LANGUAGES])
def test_a_translation_that_is_the_same_changes_nothing_but_the_language(tmp_path, name):
    written, _ = translated(tmp_path, name, SAMPLES[name], list)
    expected = SAMPLES[name].replace('lang="en"', 'lang="de"').replace("\nen:", "\nde:")
    if name == "a.json":
        assert json.loads(written) == json.loads(expected)
    elif name == "a.md":
        assert written.decode().split() == expected.split()
    else:
        assert written.decode() == expected


def test_plurals_of_a_language_with_more_forms_than_the_source(tmp_path):
    template = SAMPLES["a.po"].replace("Language: de", "Language: ").replace("nplurals=2; plural=(n != 1);", "")

    def polish(texts):
        words = {"1": "plik", "2": "pliki", "3": "pliki", "4": "pliki", "5": "plików", "6": "plików", "7": "plików"}
        return [re.sub(r"(\d) files?", lambda found: f"{found[1]} {words[found[1]]}", text) for text in texts]

    written, report = translated(tmp_path, "a.po", template, polish, target="pl")
    text = written.decode()
    assert 'msgstr[1] "%d pliki"\nmsgstr[2] "%d plików"\n' in text
    assert "Language: pl\\n" in text
    assert "nplurals=3" in text
    assert "plural form left empty" not in report.counts


def test_a_form_that_cannot_be_made_is_left_empty_and_counted(tmp_path):
    template = SAMPLES["a.po"].replace("Language: de", "Language: pl").replace("nplurals=2; plural=(n != 1);", "")
    written, report = translated(tmp_path, "a.po", template, shout, target="pl", masked=["tags", "printf", "numbers"])
    assert 'msgstr[0] "%d FILE"\nmsgstr[1] ""\nmsgstr[2] ""\n' in written.decode()
    assert report.counts["plural form left empty"] == 2
    written, _ = translated(tmp_path, "strings.xml", SAMPLES["strings.xml"], shout, target="pl", masked=["numbers"])
    assert b"few" not in written


def test_categories_that_only_the_target_has_are_added(tmp_path):
    written, _ = translated(tmp_path, "strings.xml", SAMPLES["strings.xml"], target="ru")
    assert '\n        <item quantity="few">%d FILES</item>\n        <item quantity="many">' in written.decode()
    written, _ = translated(tmp_path, "a.stringsdict", SAMPLES["a.stringsdict"], target="ru")
    assert "<key>many</key>\n            <string>%d FILES</string>" in written.decode()
    written, _ = translated(tmp_path, "a.json", SAMPLES["a.json"], target="ru")
    assert {"files_few", "files_many"} <= json.loads(written).keys()
    assert "few {# FILES} many {# FILES} other" in json.loads(written)["count"]


def test_categories_that_are_empty_in_the_source_are_filled_where_the_target_has_them(tmp_path):
    items = {"zero": " ", "one": "%d file", "few": "", "many": "", "other": "%d files"}
    android = "".join(f'<item quantity="{name}">{text}</item>' for name, text in items.items())
    apple = "".join(f"<key>{name}</key><string>{text}</string>" for name, text in items.items())
    apple = f"<key>NSStringLocalizedFormatKey</key><string>%#@files@ here</string><key>files</key><dict>{apple}</dict>"
    sources = {
        "strings.xml": f'<resources><plurals name="files">{android}</plurals></resources>',
        "a.stringsdict": f"<plist><dict><key>a</key><dict>{apple}</dict></dict></plist>",
    }
    for name, source in sources.items():
        for target, filled in {"ru": ["few", "many"], "de": []}.items():
            written, report = translated(tmp_path, name, source, target=target)
            expected = source.replace("%d file", "%d FILE").replace("FILEs", "FILES").replace("@ here", "@ HERE")
            for category in filled:
                for before, after in ((f'"{category}">', "<"), (f"<key>{category}</key><string>", "<")):
                    expected = expected.replace(before + after, f"{before}%d FILES{after}")
            assert written.decode() == expected
            assert report.counts["empty"] == 3 - len(filled)
    written, _ = translated(tmp_path, "a.json", json.dumps({f"files_{name}": text for name, text in items.items()}))
    assert json.loads(written)["files_few"] == ""
    for name in ("a.json", "a.yaml"):
        written, _ = translated(tmp_path, name, json.dumps({"files": items}), target="ru")
        assert json.loads(written)["files"] == {
            "zero": " ", "one": "%d FILE", "few": "%d FILES", "many": "%d FILES", "other": "%d FILES"
        }  # fmt: skip


def test_symbols_of_ruby_are_names(tmp_path):
    source = 'en:\n  order:\n    - :year\n    - ":a text"\n  title: :Two words\n'
    written, _ = translated(tmp_path, "a.yaml", source)
    assert written.decode() == 'de:\n  order:\n    - :year\n    - ":A TEXT"\n  title: :TWO WORDS\n'


def test_tags_that_a_translation_loses_are_kept_by_translating_the_pieces(tmp_path):
    source = "<p>Press <b>this <i>key</i></b> at https://example.org/a?b=1 now 🎉, {name}</p>"

    def careless(texts):
        return [re.sub("<[^<>]*>|[{}]", "", text).upper() for text in texts]

    written, report = translated(tmp_path, "a.html", source, careless)
    assert written.decode() == "<p>PRESS <b>THIS <i>KEY</i></b> AT https://example.org/a?b=1 NOW 🎉, {name}</p>"
    assert report.pieces == 1


def test_tags_that_a_translation_crosses_are_not_taken(tmp_path):
    source = "<p><b>one</b> <i>two</i></p>"
    crossing = {"<g1>one</g1> <g2>two</g2>": "<g1>eins <g2>zwei</g1> drei</g2>", "one": "eins", "two": "zwei"}
    written, _ = translated(tmp_path, "a.html", source, lambda texts: [crossing[text] for text in texts])
    assert written.decode() == "<p><b>eins</b> <i>zwei</i></p>"
    moved = {"<g1>one</g1> <g2>two</g2>": "<g2>zwei</g2> und <g1> eins </g1>"}
    written, _ = translated(tmp_path, "a.html", source, lambda texts: [moved[text] for text in texts])
    assert written.decode() == "<p><i>zwei</i> und <b>eins</b></p>"


def test_a_file_of_one_language_keeps_the_translations_that_its_output_has(tmp_path):
    (tmp_path / "en.json").write_text('{"a": "One", "b": "Two"}')
    (tmp_path / "de.json").write_text('{"a": "Eins"}')
    report = translate_file(shout, tmp_path / "en.json", tmp_path / "de.json", **EN_DE)
    assert json.loads((tmp_path / "de.json").read_text()) == {"a": "Eins", "b": "TWO"}
    assert report.counts == {"translated": 1, "filled": 1}
    translate_file(shout, tmp_path / "en.json", tmp_path / "de.json", all_units=True, **EN_DE)
    assert json.loads((tmp_path / "de.json").read_text()) == {"a": "ONE", "b": "TWO"}


def test_an_existing_translation_with_tags_is_kept(tmp_path):
    (tmp_path / "strings.xml").write_text('<resources><string name="a">One <b>two</b></string></resources>')
    german = '<resources><string name="a"><b>Zwei</b> eins</string></resources>'
    (tmp_path / "de.xml").write_text(german)
    translate_file(shout, tmp_path / "strings.xml", tmp_path / "de.xml", **EN_DE)
    assert (tmp_path / "de.xml").read_text() == german


def test_a_killed_call_goes_on_where_it_was(tmp_path):
    units = "\n".join(f'"key{number}" = "Text number {number}";' for number in range(700))
    (tmp_path / "a.strings").write_text(units)
    asked = []

    def dies(texts):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(len(texts))
        return shout(texts)

    with pytest.raises(KeyboardInterrupt):
        translate_file(dies, tmp_path / "a.strings", tmp_path / "out", **EN_DE)
    assert not (tmp_path / "out").exists()
    journal = journal_path(tmp_path / "out")
    journal.write_bytes(journal.read_bytes()[:-7])  # killed in the middle of a line
    rest = []
    translate_file(lambda texts: rest.extend(texts) or shout(texts), tmp_path / "a.strings", tmp_path / "out", **EN_DE)
    assert len(rest) == 700 - sum(asked) + 1
    assert not journal.exists()
    whole, _ = translated(tmp_path, "a.strings", units)
    assert (tmp_path / "out").read_bytes() == whole


def test_a_journal_of_another_file_or_translator_is_not_taken(tmp_path):
    (tmp_path / "a.strings").write_text('"a" = "One";')

    def dies(_):
        raise KeyboardInterrupt

    for identity in ("one", "other"):
        with pytest.raises(KeyboardInterrupt):
            translate_file(dies, tmp_path / "a.strings", tmp_path / "out", identity=identity, **EN_DE)
        digests = [json.loads(line)["digest"] for line in journal_path(tmp_path / "out").read_text().splitlines()]
        assert len(digests) == 1


def test_a_memory_of_what_is_translated(tmp_path):
    for name in ("a.po", "a.xlf", "a.html"):
        written, _ = translated(tmp_path, name, SAMPLES[name], as_tmx=True)
        (tmp_path / "m.tmx").write_bytes(written)
        pairs = {(one.source, target) for one in units_of(tmp_path / "m.tmx") for target in one.targets}
        assert pairs
        states = {one.state for one in units_of(tmp_path / "m.tmx")}
        assert states <= {"machine", "translated"}
    assert ("Some <g1>bold</g1> text & a <g2>link</g2>.", "SOME <g1>BOLD</g1> TEXT & A <g2>LINK</g2>.") in pairs


def test_a_memory_has_sentences_too(tmp_path):
    written, _ = translated(tmp_path, "a.html", "<p>One here. <b>Two</b> there.</p>", as_tmx=True)
    (tmp_path / "m.tmx").write_bytes(written)
    expected = ["One here. <g1>Two</g1> there.", "One here.", "<g1>Two</g1> there."]
    assert [unit.source for unit in units_of(tmp_path / "m.tmx")] == expected
    assert b"&lt;b&gt;" in written


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "x", "cannot be translated in place"),
        ("a.mo", "x", "cannot be translated in place"),
        ("a.po", 'msgid "a"\nmsgstr "b', "a.po:2: expected a string in quotes"),
        ("a.po", 'msgid "a"\n', "the last entry has no msgstr"),
        ("a.po", 'msgid ""\nmsgstr "Language: fr\\n"\n', "translates into 'fr', expected 'de'"),
        ("a.json", '{"a": "b"\n,}', "a.json:2: expected more after the comma|expected a key"),
        ("a.json", '{"a": ', "a.json:1: the JSON is cut off"),
        ("a.json", "[" * 1000, "nested more than"),
        ("a.yaml", "a: [", "a.yaml:1: is no YAML"),
        ("a.tmx", "<tmx>\n<body>\n<tu>", "a.tmx:3: the XML is damaged or cut off near this line"),
        ("a.strings", '"a" = "b"\n"c"', "a.strings:1: expected"),
        ("a.csv", "a,b\n1,2\n", "expected a first row that names the columns"),
        ("a.csv", 'en,de\n"x,y\n', "a.csv:2: expected a cell whose quotes are closed"),
        ("a.srt", "no times", "a.srt:1: has no subtitle's times"),
        ("a.xlf", "<xliff><file source-language='fr'/></xliff>", "source-language is 'fr', expected 'en'"),
        (
            "a.po",
            b'msgid ""\nmsgstr "Content-Type: text/plain; charset=ISO-8859-1\\n"\nmsgid "\xfc\xff"\nmsgstr ""\n',
            "its encoding iso8859-1 has no 'Ÿ' .U.0178.; convert the file to UTF-8 first",
        ),
        ("a.po.gz", "", "is compressed|cannot be"),
        ("a.docx", "no archive", "is damaged, encrypted, or no document of its kind"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, name, content, message):
    with pytest.raises(UserError, match=message):
        translated(tmp_path, name, content)
    assert not (tmp_path / f"out-{name}").exists()


@pytest.mark.parametrize(
    "name", ["a.po", "a.json", "a.yaml", "a.strings", "a.properties", "a.csv", "a.srt", "a.html", "a.md"]
)
def test_an_empty_file_stays_empty(tmp_path, name):
    assert translated(tmp_path, name, b"")[0] == b""


def test_the_same_output_is_made_by_one_process(tmp_path):
    (tmp_path / "a.strings").write_text('"a" = "One";')

    def other(texts):
        with pytest.raises(UserError, match="is being made by another process"):
            translate_file(shout, tmp_path / "a.strings", tmp_path / "out", **EN_DE)
        return shout(texts)

    translate_file(other, tmp_path / "a.strings", tmp_path / "out", **EN_DE)


def test_formats_are_known_by_their_names(tmp_path):
    (tmp_path / "a.xml").write_text("<resources/>")
    assert check_format(tmp_path / "a.xml").name == "Android"
    (tmp_path / "b.xml").write_text("<other/>")
    with pytest.raises(UserError, match="expected a file with one of the ends"):
        check_format(tmp_path / "b.xml")


def test_a_memory_before_version_1_3_names_languages_as_it_does(tmp_path):
    old = SAMPLES["a.tmx"].replace('version="1.4"', 'version="1.1"').replace("xml:lang", "lang")
    written, _ = translated(tmp_path, "a.tmx", old)
    assert b'<tuv lang="de" creationtool=' in written
    assert b"xml:lang" not in written


def test_choices_of_icu_stay_in_every_format(tmp_path):
    choices = "{n, select, a {one} b {two} }", "{n, plural, one {# file} other {# files}}", "{n, plural, one {broken}}"
    units = "".join(f'<trans-unit id="{text[-9]}"><source>{text}</source></trans-unit>' for text in choices)
    start, end = '<xliff version="1.2"><file source-language="en"><body>', "</body></file></xliff>"
    _, report = translated(tmp_path, "a.xlf", start + units + end)
    made = [unit.targets for unit in units_of(tmp_path / "out-a.xlf")]
    assert made == [("{n, select, a {ONE} b {TWO}}",), ("{n, plural, one {# FILE} other {# FILES}}",), ()]
    assert report.counts == {"filled": 2, "left empty": 1}


def test_a_template_without_plurals_gets_the_rule_of_plurals_too(tmp_path):
    header = 'msgid ""\nmsgstr ""\n"Plural-Forms: nplurals=INTEGER; plural=EXPRESSION;\\n"\n\nmsgid "One"\nmsgstr ""\n'
    assert b"nplurals=2; plural=(n != 1)" in translated(tmp_path, "a.po", header)[0]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("a=It's {0}\n", "a=IT'S {0}\n"),
        ("a=It''s {0}\n", "a=IT''S {0}\n"),
        ("a=The {0}\nb=It's {0}\n", "a=L'{0}\nb=IT'S {0}\n"),
        ("a=The {0}\nb=It''s {0}\n", "a=L''{0}\nb=IT''S {0}\n"),
        ("a=The {0}\n", "a=L''{0}\n"),
    ],
)
def test_apostrophes_are_doubled_as_the_file_does(tmp_path, lines, expected):
    def french(texts):
        return [text.replace("THE ", "L'") for text in shout(texts)]

    assert translated(tmp_path, "a.properties", lines, french)[0].decode() == expected


def test_an_accelerator_of_a_text_that_stays_the_same_stays_where_it_is(tmp_path):
    lines = "a=File &Filters...\nb=Select Mat&ch\n"
    assert translated(tmp_path, "a.properties", lines, lambda texts: texts)[0].decode() == lines


def test_names_of_forms_are_no_texts(tmp_path):
    rows = [("$this.Name", "Dialog"), ("label1.Name", "label1"), ("Column.Name", "Name")]
    data = "".join(f'<data name="{key}"><value>{text}</value></data>' for key, text in rows)
    written = translated(tmp_path, "a.resx", f"<root>{data}</root>")[0].decode()
    assert re.findall("<value>(.*?)</value>", written) == ["Dialog", "label1", "NAME"]


def test_a_catalogue_of_the_programs_own_language_is_a_template(tmp_path):
    """As Django's: of English, and nothing is translated in it. One with translations is read backwards."""
    header = 'msgid ""\nmsgstr ""\n"Language: en\\n"\n"Content-Type: text/plain; charset=UTF-8\\n"\n'
    header += '"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n'
    own = header + 'msgid "one day"\nmsgid_plural "days"\nmsgstr[0] ""\nmsgstr[1] ""\n\nmsgid "no day"\nmsgstr ""\n'
    made, report = translated(tmp_path, "en.po", own, target="pl")
    assert re.search(rb'"Language: pl\\n"\n.*\n"Plural-Forms: nplurals=3; ', made)
    assert made.endswith(b'msgid "no day"\nmsgstr "NO DAY"\n')
    assert report.counts["filled"] >= 2
    other = header + 'msgid "kein Tag"\nmsgstr "no day"\n\nmsgid "morgen"\nmsgstr ""\n'
    (tmp_path / "other.po").write_text(other)
    assert [unit.source for unit in units_of(tmp_path / "other.po")] == ["no day", ""]
