"""What is written is read by translate-toolkit, on which the tools of translators are built."""

import pytest

from tests.documents.samples import SAMPLES
from tests.documents.test_in_place import translated

factory = pytest.importorskip("translate.storage.factory")


def units_of(path):
    return [unit for unit in factory.getobject(str(path)).units if not unit.isheader() and unit.source]


@pytest.mark.parametrize("name", ["a.po", "a.xlf", "a.ts"])
def test_files_of_two_languages(tmp_path, name):
    translated(tmp_path, name, SAMPLES[name])
    before, after = (units_of(tmp_path / each) for each in (name, f"out-{name}"))
    filled = 0
    for old, new in zip(before, after, strict=True):
        assert (str(new.source), new.getcontext(), new.getnotes()) == (
            str(old.source),
            old.getcontext(),
            old.getnotes(),
        )
        if str(old.target or ""):
            assert str(new.target) == str(old.target)
        elif str(new.target or ""):
            filled += 1
            assert str(new.target).replace("%n", "").replace("%s", "").replace("%d", "").isupper()
            assert name == "a.xlf" or new.isfuzzy() or not new.istranslated()
    assert filled


def test_a_memory(tmp_path):
    translated(tmp_path, "a.tmx", SAMPLES["a.tmx"].replace('srclang="en-US"', 'srclang="en"'))
    assert [str(unit.target) for unit in units_of(tmp_path / "out-a.tmx")][-1] == "NEW {0} LINE"


@pytest.mark.parametrize("name", ["a.properties", "strings.xml", "a.resx", "a.strings", "a.json"])
def test_files_of_one_language(tmp_path, name):
    from translate.storage import aresource, jsonl10n, properties, resx

    storages = {
        "a.properties": properties.javafile,
        "strings.xml": aresource.AndroidResourceFile,
        "a.resx": resx.RESXFile,
        "a.strings": properties.stringsutf8file,
        "a.json": jsonl10n.JsonNestedFile,
    }
    translated(tmp_path, name, SAMPLES[name])
    before, after = (
        [(unit.getid(), str(unit.source)) for unit in storages[name].parsefile(str(tmp_path / each)).units]
        for each in (name, f"out-{name}")
    )
    assert [key for key, _ in before] == [key for key, _ in after]
    assert [text.casefold() for _, text in before] == [text.casefold() for _, text in after]
    assert before != after
