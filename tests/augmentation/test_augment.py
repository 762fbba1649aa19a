"""Augmentation: pairs are the translator's own, none is lost or doubled, and the report says how to train."""

import gzip
import json
import shlex
import shutil

import pytest
import sacrebleu
import yaml

import nmt
from nmt.augmentation import parts as module
from nmt.augmentation.augment import augment
from nmt.cli import main
from nmt.runs.folder import RunFolder
from nmt.utils.errors import UserError
from nmt.utils.folders import locked
from tests.helpers import digit_strings, reversal_config

LINES = sorted(set(digit_strings(30, range(4, 8), seed=7)))
LONG = " ".join("12345" * 30)  # 151 tokens of a model that has seen at most 100


def read(path):
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    return text.splitlines()


def written(path, lines):
    path.write_text("".join(line + "\n" for line in lines))
    return path


def translated(run, lines, **options):
    """The pairs that are no copies, with their scores."""
    found = nmt.load_translator(run, **options).hypotheses(lines)
    pairs = [(line, one[0].text, one[0].score) for line, one in zip(lines, found, strict=True)]
    return [pair for pair in pairs if pair[1] and pair[0] != pair[1]]


def test_back_translation_counts_drops_and_says_how_to_train(trained_run, tmp_path, capsys):
    lines = [*LINES, "", LINES[3], "1 \u200b2 3", LONG, "1" * 1001]
    with gzip.open(tmp_path / "more.gz", "wb") as file:
        file.write("".join(line + "\n" for line in lines).encode() + b"1 \xff\n")
    to = tmp_path / "made"
    command = [
        "augment",
        trained_run,
        tmp_path / "more.gz",
        "--method",
        "back-translation",
        "--to",
        to,
        "--tag",
        "<BT>",
    ]
    with pytest.raises(SystemExit, match="0"):
        main([str(part) for part in command])
    expected = translated(trained_run, [*LINES, "1 2 3"])
    assert read(to / "source.txt.gz") == [f"<BT> {translation}" for _, translation, _ in expected]
    assert read(to / "target.txt.gz") == [line for line, *_ in expected]
    assert {path.name for path in to.iterdir()} == {"source.txt.gz", "target.txt.gz", "report.json"}

    output = capsys.readouterr()
    report = json.loads(output.out)
    assert report == json.loads((to / "report.json").read_text())
    copies = len(LINES) + 1 - len(expected)
    dropped = {"invalid_utf8": 1, "empty": 1, "too_long": 2, "length_ratio": 0, "copy": copies, "duplicate": 1}
    assert report["dropped"] == dropped
    assert (report["read"], report["pairs"], report["below_keep"]) == (len(lines) + 1, len(expected), 0)

    # A model of the other direction is prepared on both, by the setting that is printed.
    tree = reversal_config(tmp_path / "corpus").model_dump(mode="json")
    tree["data"] |= {"source_language": "reversed", "target_language": "digits"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tree))
    setting = shlex.split(output.err.splitlines()[-1])[-1]
    with pytest.raises(SystemExit, match="0"):
        main(["prepare", str(tmp_path / "config.yaml"), "--run", str(tmp_path / "new"), "--set", setting])
    sides = {side: read(tmp_path / "new" / "data" / f"train.{side}.txt") for side in ("source", "target")}
    of_run = {side: read(trained_run / "data" / f"train.{side}.txt") for side in ("source", "target")}
    assert sides["source"] == of_run["target"] + read(to / "source.txt.gz")
    assert sides["target"] == of_run["source"] + read(to / "target.txt.gz")
    for split in ("validation", "test"):
        assert read(tmp_path / f"new/data/{split}.source.txt") == read(trained_run / f"data/{split}.target.txt")


def test_self_training_keeps_the_best_in_their_order(trained_run, second_run, tmp_path):
    overrides = [f"decoding.ensemble=[{second_run}]", "decoding.beam_size=3"]
    files = [written(tmp_path / "one", LINES[:10]), written(tmp_path / "two", LINES[10:])]
    report = augment(trained_run, "self-training", tmp_path / "made", files, keep=0.4, overrides=overrides)
    pairs = translated(trained_run, LINES, overrides=overrides)
    least = sorted((score for *_, score in pairs), reverse=True)[round(0.4 * len(pairs)) - 1]
    kept = [pair for pair in pairs if pair[2] >= least]
    assert 0 < len(kept) == report["pairs"] == len(pairs) - report["below_keep"]
    assert read(tmp_path / "made" / "source.txt") == [line for line, *_ in kept]
    assert read(tmp_path / "made" / "target.txt") == [translation for _, translation, _ in kept]


@pytest.fixture
def small_run(trained_run, tmp_path):
    """A run of forty training pairs, and one further source with two different targets."""
    run = RunFolder(shutil.copytree(trained_run, tmp_path / "run"))
    for side, more in (("source", LINES[0]), ("target", "7 7 7")):
        path = run.data / f"train.{side}.txt"
        written(path, [*read(path)[:40], LINES[0] if side == "source" else LINES[0][::-1], more])
    return run


@pytest.mark.parametrize(("closest", "n_best"), [(False, 1), (True, 1), (False, 2), (True, 3)])
def test_distillation_translates_the_training_split(small_run, closest, n_best, tmp_path):
    report = augment(
        small_run.path,
        "distillation",
        tmp_path / "made",
        closest=closest,
        n_best=n_best,
        overrides=["decoding.beam_size=4"],
    )
    sources, references = (read(small_run.data / f"train.{side}.txt") for side in ("source", "target"))
    translator = nmt.load_translator(small_run.path, overrides=["decoding.beam_size=4"], n_best=4)
    expected, better = [], 0
    for source, reference, found in zip(sources, references, translator.hypotheses(sources), strict=True):
        quality = [sacrebleu.sentence_bleu(one.text, [reference]).score for one in found]
        order = sorted(range(4), key=lambda place: -quality[place]) if closest else range(4)
        better += order[0] > 0
        expected += [(source, found[place].text) for place in order[:n_best]]
    expected = list(dict.fromkeys(pair for pair in expected if pair[1] and pair[0] != pair[1]))
    assert bool(better) == closest
    made = list(zip(*(read(tmp_path / "made" / f"{side}.txt") for side in ("source", "target")), strict=True))
    assert made == expected
    assert report["pairs"] + sum(report["dropped"].values()) == n_best * len(sources) == report["read"]
    own = str(small_run.data / "train.source.txt")
    assert report["corpus"]["train"]["source"] == [own, str(tmp_path / "made" / "source.txt")]


def test_a_killed_call_resumes(trained_run, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PART_LINES", 8)
    file, to = written(tmp_path / "lines", [LINES[0], *LINES]), tmp_path / "made"
    begun, real = [], module._translate

    def killed_in_the_third(lines, *rest):
        begun.append(len(lines))
        for index, row in enumerate(real(lines, *rest)):
            if len(begun) == 3 and index == 5:
                raise KeyboardInterrupt
            yield row

    monkeypatch.setattr(module, "_translate", killed_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        augment(trained_run, "self-training", to, [file])
    assert {path.name for path in to.iterdir()} == {"parts"}
    assert {path.name for path in (to / "parts").iterdir()} == {"arguments.json", "000000.jsonl", "000001.jsonl"}
    with pytest.raises(UserError, match="was begun with other arguments"):
        augment(trained_run, "self-training", to, [file], overrides=["decoding.beam_size=1"])

    report = augment(trained_run, "self-training", to, [file])
    assert begun == [8, 8, 8, 8, len(LINES) - 24]  # the third part anew, the first two not
    expected = translated(trained_run, LINES)
    assert read(to / "source.txt") == [line for line, *_ in expected]
    assert read(to / "target.txt") == [translation for _, translation, _ in expected]
    assert report["dropped"]["duplicate"] == 1
    with pytest.raises(UserError, match="contains augmented data already"):
        augment(trained_run, "self-training", to, [file])

    # Killed in the clean-up: with parts that are left, or with its lock alone.
    whole = {path: path.read_bytes() for path in to.iterdir()}
    for left in ("parts", "parts/000001.jsonl", ".nmt-lock"):
        if left == "parts":
            (to / left).mkdir()
        else:
            (to / left).parent.mkdir(exist_ok=True)
            (to / left).touch()
        with pytest.raises(UserError, match="contains augmented data already"):
            augment(trained_run, "self-training", to, [file], keep=0.5)
        if left == ".nmt-lock":  # which the refused call has taken away
            (to / left).touch()
        assert augment(trained_run, "self-training", to, [file]) == report
        assert {path: path.read_bytes() for path in to.iterdir()} == whole


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("distillation", {"monolingual": ["x"]}, "`monolingual`: expected no file for distillation"),
        ("self-training", {}, "`monolingual`: expected a file to translate for self-training"),
        ("self-training", {"monolingual": ["x"], "closest": True}, "`closest`: expected the method distillation"),
        ("self-training", {"monolingual": ["x"], "tag": "a\nb"}, "`tag`: expected one line"),
        ("self-training", {"monolingual": ["x"], "keep": 1.5}, "`keep`: expected a share between 0 and 1, got 1.5"),
        ("distillation", {"n_best": 9}, "`n_best`: expected 1 to decoding.beam_size 2, got 9"),
        ("self-training", {"monolingual": ["nowhere"]}, "nowhere: no such file"),
        ("self-training", {"monolingual": ["lines"], "keep": 0.0}, r"no pair is left of 3 lines \(empty 1\)"),
    ],
)
def test_invalid_arguments_raise(method, options, message, trained_run, tmp_path):
    written(tmp_path / "lines", ["1 2 3 4", "", "5 6 7 8"])
    options = options | {"monolingual": [tmp_path / name for name in options.get("monolingual", ())]}
    with pytest.raises(UserError, match=message):
        augment(trained_run, method, tmp_path / "made", **options)
    assert not list(tmp_path.glob("made/*.*"))


def tree(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize("foreign", ["source.txt", "notes.txt", "parts/notes.txt", "lines/more.txt", "parts"])
def test_a_folder_of_something_else_is_left_alone(foreign, tmp_path):
    (tmp_path / "made" / foreign).parent.mkdir(parents=True)
    written(tmp_path / "made" / foreign, ["mine"])
    file, before = written(tmp_path / "lines", LINES), tree(tmp_path)
    with pytest.raises(UserError, match=r"made: contains other files; choose a new or an empty folder"):
        augment("run", "self-training", tmp_path / "made", [file])
    assert tree(tmp_path) == before


@pytest.mark.parametrize("linked", [False, True])
def test_an_input_in_the_folder_is_no_output(linked, tmp_path, monkeypatch):
    (tmp_path / "made").mkdir()
    written(tmp_path / "made" / "source.txt", LINES)
    if linked:
        (tmp_path / "link").symlink_to("made")
    before = tree(tmp_path)
    monkeypatch.chdir(tmp_path / "made")
    for to in (".", tmp_path / "made", *([tmp_path / "link"] if linked else [])):
        with pytest.raises(UserError, match=r": contains source.txt, which is read; choose another folder"):
            augment("run", "self-training", to, ["source.txt"])
    assert tree(tmp_path) == before


def test_two_calls_do_not_write_one_folder(tmp_path):
    with (
        locked(tmp_path / "made"),
        pytest.raises(UserError, match="made: is being written by another process"),
    ):
        augment("run", "self-training", tmp_path / "made", [written(tmp_path / "lines", LINES)])
