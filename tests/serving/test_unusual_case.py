"""Sentences in unusual case are translated alike by the checkpoint, the SavedModel and LiteRT."""

import json
import shutil
from pathlib import Path

import pytest
import tensorflow as tf

from nmt.data.preparation import TRUECASER
from nmt.runs.translation import load_translator
from nmt.serving.lite.export import export_lite
from nmt.serving.lite.translator import SETTINGS, LiteTranslator
from nmt.serving.saved_model import export_saved_model
from nmt.text.truecaser import Truecaser
from nmt.utils.digests import sealed, write_digests
from nmt.utils.errors import UserError
from tests.helpers import SHIPPED_DECODING

USUAL = "The USB port 12 of Ada 345"
UNUSUAL = ["the usb port 12 of ada 345", "The Usb Port 12 of Ada 345"]
CAPITALS = USUAL.upper()
OVERRIDES = [*SHIPPED_DECODING, "decoding.keep_unreadable=false", "decoding.truecase=true"]


@pytest.fixture(scope="module")
def run(trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained run, as if it had been trained on words."""
    folder = tmp_path_factory.mktemp("cased") / "run"
    shutil.copytree(trained_run, folder)
    truecaser = Truecaser(["the", "USB", "port", "of", "Ada"], fewest_small=3, fewest_titles=3)
    (folder / "data" / TRUECASER).write_text(json.dumps(sealed({"truecaser": truecaser.to_json()})))
    return folder


def test_the_checkpoint(run: Path) -> None:
    found = [one[0] for one in load_translator(run, overrides=OVERRIDES).hypotheses([USUAL, *UNUSUAL, CAPITALS])]
    assert len({tuple(one.source_pieces) for one in found}) == 1
    assert [one.text for one in found] == [found[0].text] * 3 + [found[0].text.upper()]
    off = load_translator(run, overrides=[*OVERRIDES, "decoding.truecase=false"])
    assert len({tuple(one[0].source_pieces) for one in off.hypotheses([USUAL, *UNUSUAL, CAPITALS])}) == 4


def test_the_exports(run: Path, tmp_path: Path) -> None:
    texts = [USUAL, *UNUSUAL, CAPITALS]
    expected = load_translator(run, overrides=OVERRIDES).translate(texts)
    exported = tf.saved_model.load(str(export_saved_model(run, tmp_path / "saved", overrides=OVERRIDES)))
    answer = exported.signatures["serving_default"](text=tf.constant(texts))
    assert [text.decode() for text in answer["translation"].numpy()] == expected
    assert answer["score"].numpy() == pytest.approx(answer["score"].numpy()[0], rel=1e-5)

    export_lite(run, tmp_path / "lite", overrides=OVERRIDES)
    lite = LiteTranslator(tmp_path / "lite")
    assert [lite.translate(text) for text in texts] == expected
    read = json.loads((tmp_path / "lite" / SETTINGS).read_text(encoding="utf-8"))

    def with_settings(**changes: object) -> LiteTranslator:
        (tmp_path / "lite" / SETTINGS).write_text(json.dumps(read | changes), encoding="utf-8")
        write_digests(tmp_path / "lite", "digests.json")
        return LiteTranslator(tmp_path / "lite")

    # Exports of earlier versions know of capitals only.
    del read["truecase"]
    assert with_settings(truecaser=None, lower_capitals=True).translate("AB CD 12") == expected_of_capitals(
        run, "AB CD 12"
    )
    with pytest.raises(UserError, match=r"settings\.json: truecaser: words: expected a list of strings"):
        with_settings(truecase=True, truecaser=read["truecaser"] | {"words": 3})


def expected_of_capitals(run: Path, text: str) -> str:
    """The translation of a text in capitals where no words are known."""
    off = load_translator(run, overrides=[*OVERRIDES, "decoding.truecase=false"])
    return off.translate(text.capitalize()).upper()


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"truecaser": {}}', "\0"])
def test_a_damaged_file_is_named(run: Path, tmp_path: Path, damage: str) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (copy / "data" / TRUECASER).write_text(damage)
    with pytest.raises(UserError, match=r"truecaser\.json: is damaged"):
        load_translator(copy)


def test_a_lost_file_is_named_and_an_earlier_version_has_none(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (copy / "data" / TRUECASER).unlink()
    with pytest.raises(UserError, match=r"truecaser\.json: does not exist"):
        load_translator(copy)
    report = json.loads((copy / "data" / "report.json").read_text(encoding="utf-8"))
    del report["files"][TRUECASER]
    del report["sha256"]
    (copy / "data" / "report.json").write_text(json.dumps(sealed(report)), encoding="utf-8")
    assert load_translator(copy, overrides=OVERRIDES).translate("") == ""
