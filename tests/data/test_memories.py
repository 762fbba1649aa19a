"""Pairs from the files that translators have."""

import tracemalloc

import pytest

from nmt.config import DataSettings
from nmt.data.cleaning import CleaningReport, clean
from nmt.data.counts import count_corpus
from nmt.data.formats import xml_elements
from nmt.data.named_corpus import corpus_settings
from nmt.data.readers import read_split
from nmt.utils.errors import UserError
from tests.documents.samples import SAMPLES


def settings(*paths, languages=("en", "de"), **options):
    corpus = {"kind": "memory", "train": [str(path) for path in paths], **options}
    return DataSettings(source_language=languages[0], target_language=languages[1], corpus=corpus)


def pairs(*paths, languages=("en", "de"), **options):
    read = list(read_split(settings(*paths, languages=languages, **options), "train"))
    return [(one.source.decode(), one.target.decode()) for one in read if not one.left_out]


@pytest.fixture
def write(tmp_path):
    def write_one(name, content):
        (tmp_path / name).write_text(content, encoding="utf-8")
        return tmp_path / name

    return write_one


@pytest.mark.parametrize("name", ["a.po", "a.xlf", "b.xliff", "a.ts", "a.csv"])
def test_units_that_have_a_translation_are_pairs_and_all_others_are_counted(write, name):
    path = write(name, SAMPLES[name])
    report = CleaningReport()
    kept = list(clean(read_split(settings(path), "train"), settings(path).cleaning, report, training=True))
    assert kept == [("Done", "Fertig")]
    assert report.read == 1 + sum(report.dropped.values())
    assert report.examples["untranslated"][0].startswith(f"{path}:")
    assert "not translated" in report.summary()


def test_states_are_read_that_are_asked_for(write):
    path = write("a.po", SAMPLES["a.po"])
    assert ("Old", "Alt") in pairs(path, include=["fuzzy"])
    assert ("Gone", "Weg") in pairs(path, include=["obsolete"])


def test_a_catalogue_of_the_opposite_direction_is_read_backwards(write):
    assert pairs(write("a.po", SAMPLES["a.po"]), languages=("de", "en")) == [("Fertig", "Done")]


def test_a_memory_has_languages_with_regions_several_translations_and_tags(write):
    more = '<tuv lang="de-AT"><seg>Servus</seg></tuv><tuv xml:lang="DE-de"><seg>Noch eins</seg></tuv></tu><!--'
    path = write("m.tmx", SAMPLES["a.tmx"].replace("</tu>\n  <!--", more))
    source, target = "Press <g1>Enter</g1> & wait.", "<g1>Enter</g1> & warten."
    assert pairs(path) == [(source, target), (source, "Servus"), (source, "Noch eins")]
    assert pairs(path, languages=("en", "de-AT")) == [(source, "Servus")]


def test_elements_of_a_memory_are_tags_that_nest_and_codes_are_no_text(write):
    segment = "A <bpt i='1'>{\\b</bpt>b <hi>c</hi><ept i='1'>}</ept> <it pos='begin'>x</it> <ut>y</ut> &lt;g2&gt;"
    crossed = "<bpt i='1'/>a<bpt i='2'/>b<ept i='1'/>c<ept i='2'/>"
    tuv = "<tuv xml:lang='{}'><seg>{}</seg></tuv>"
    unit = "<tu>{}{}</tu>".format
    body = unit(tuv.format("en", segment), tuv.format("de", "B")) + unit(
        tuv.format("en", crossed), tuv.format("de", "C")
    )
    path = write("m.tmx", f"<tmx><body>{body}</body></tmx>")
    assert pairs(path)[0] == ("A <g1>b <g3>c</g3></g1> <x4/> <x5/> <g2>", "B")
    assert pairs(path)[1] == ("<g1>a<x2/>b</g1>c<x3/>", "C")


def test_what_a_machine_has_translated_is_told_apart(write):
    tu = "<tu {}><tuv xml:lang='en'><seg>a{}</seg></tuv><tuv xml:lang='de'{}><seg>b</seg></tuv></tu>"
    units = [tu.format("creationid='MT!'", 1, ""), tu.format("", 2, " creationtool='gru-nmt'"), tu.format("", 3, "")]
    path = write("m.tmx", f"<tmx><body>{''.join(units)}</body></tmx>")
    assert pairs(path) == [("a3", "b")]
    assert len(pairs(path, include=["machine"])) == 3


@pytest.mark.parametrize(
    ("declaration", "text", "message"),
    [
        ("<!ENTITY a 'x'><!ENTITY b '&a;&a;'>", "&b;", "made of other entities"),
        ("<!ENTITY a SYSTEM 'file:///etc/passwd'>", "&a;", "outside the file"),
        ("<!ENTITY a '<tuv/>'>", "&a;", "made of other entities or elements"),
    ],
)
def test_entities_that_grow_or_lead_outside_are_refused(write, declaration, text, message):
    content = f"<!DOCTYPE tmx [{declaration}]>\n<tmx><tu><tuv xml:lang='en'><seg>{text}</seg></tuv></tu></tmx>"
    with pytest.raises(UserError, match=rf"m.tmx:1: .*{message}.*which is refused"):
        pairs(write("m.tmx", content))


def test_entities_that_are_text_are_read_and_unknown_ones_named(write):
    tu = "<tu><tuv xml:lang='en'><seg>&co; a</seg></tuv><tuv xml:lang='de'><seg>b</seg></tuv></tu>"
    path = write("m.tmx", f"<!DOCTYPE tmx SYSTEM 'tmx14.dtd' [<!ENTITY co 'Co.'>]><tmx>{tu}</tmx>")
    assert pairs(path) == [("Co. a", "b")]
    path = write("m.tmx", f"<!DOCTYPE tmx SYSTEM 'tmx14.dtd'>\n<tmx>{tu}</tmx>")
    with pytest.raises(UserError, match=r"m.tmx:2: the entity &co; is not declared"):
        pairs(path)


def test_a_memory_is_read_in_constant_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(xml_elements, "_CHUNK", 1 << 12)

    def peak(units):
        tuv = "<tuv xml:lang='{}'><seg>Some text of a unit {}</seg></tuv>".format
        body = "".join(f"<tu>{tuv('en', number)}{tuv('de', number)}</tu>\n" for number in range(units))
        (tmp_path / "m.tmx").write_text(f"<tmx><body>{body}</body></tmx>")
        tracemalloc.start()
        assert sum(1 for _ in read_split(settings(tmp_path / "m.tmx"), "train")) == units
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(10)
    assert peak(400) < 2 * peak(100)


def test_plurals_teach_their_forms(write):
    header = (
        'msgid ""\nmsgstr ""\n"Language: pl\\n"\n"Plural-Forms: nplurals=3; plural=(n==1 ? 0 : n<5 ? 1 : 2);\\n"\n\n'
    )
    entry = (
        'msgid "%d file"\nmsgid_plural "%d files"\nmsgstr[0] "%d plik"\nmsgstr[1] "%d pliki"\nmsgstr[2] "%d plików"\n'
    )
    found = pairs(write("pl.po", header + entry), languages=("en", "pl"))
    assert found[0] == ("%d file", "%d plik")
    assert found[1] in {(f"{n} files", f"{n} pliki") for n in (2, 3, 4)}
    assert found[2] in {(f"{n} files", f"{n} plików") for n in (5, 6, 7)}


def test_files_of_one_language_are_joined_by_their_keys(write):
    english = write("en.json", '{"a": {"b": "One"}, "c": "Two", "n": "{n, plural, one {# file} other {# files}}"}')
    german = write("de.json", '{"c": "Zwei", "a": {"b": "Eins"}, "n": "{n, plural, one {# Datei} other {# Dateien}}"}')
    expected = [("One", "Eins"), ("Two", "Zwei"), ("# file", "# Datei"), ("# files", "# Dateien")]
    assert pairs(english, german) == expected
    rails = write("en.yml", "en:\n  a: One\n"), write("de.yml", "de:\n  a: Eins\n")
    assert pairs(*rails) == [("One", "Eins")]
    with pytest.raises(UserError, match="expected the same file in 'de' after it, got nothing"):
        pairs(english)


def test_paragraphs_and_keys_are_as_they_are_translated(write):
    csv = write("a.csv", 'en,de\n"&Open\n\nClose","&Auf\n\nZu"\n')
    assert pairs(csv) == [("Open", "Auf"), ("Close", "Zu")]


def test_files_of_translators_are_known_by_their_names(write):
    path = write("memory.tmx", SAMPLES["a.tmx"])
    data = corpus_settings([str(path)], "en", "de")
    assert data["corpus"] == {"kind": "memory", "train": [str(path)]}
    assert count_corpus(DataSettings(**data)).pairs == 1
    with pytest.raises(UserError, match="expected `source` and `target` as well"):
        corpus_settings([str(path)])
    assert corpus_settings(["en.json", "de.json"])["target_language"] == "de"
