"""The commands, run on a real if hardly trained run."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import nmt
from nmt.cli import main
from nmt.runs.folder import RunFolder
from nmt.runs.translation import load_translator
from tests.helpers import reversal_config, run_command


@pytest.fixture
def lines(tmp_path) -> Path:
    path = tmp_path / "lines.txt"
    path.write_text("1 2 3\n\n9 8 7 6\n")
    return path


def test_help_needs_no_tensorflow():
    code = "import sys, nmt.cli\ntry: nmt.cli.main(['--help'])\nfinally: print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("False")
    for name in ("prepare", "train", "translate", "score", "evaluate", "average", "sample", "select"):
        assert name in done.stdout


@pytest.mark.parametrize("script", ["train", "translate", "evaluate"])
def test_scripts_are_the_same_doors(script, tmp_path):
    path = Path(__file__).parents[2] / "scripts" / f"{script}.py"
    done = subprocess.run(
        [sys.executable, str(path), "--help"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert f" {script} " in done.stdout


def test_nothing_but_the_validations_and_stages_is_said(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(reversal_config(tmp_path / "corpus", pairs=300).model_dump(mode="json")))
    command = [sys.executable, "-m", "nmt", "train", str(config), "--run", str(tmp_path / "run")]
    command += ["--set", "training.max_steps=2", "--set", "training.initial_embeddings=cooccurrence"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    said = [line.split()[0] for line in done.stderr.splitlines()]
    cleaned = ["train:", "validation:", "test:"]
    stages = ["training", "tokenizing", "choosing"]
    assert said == ["cleaning"] * 3 + stages + cleaned + ["290", "initial", "step", "done;"], done.stderr


def test_prepare_reports_and_train_then_uses_it(tmp_path, capsys):
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(reversal_config(tmp_path / "corpus", pairs=300).model_dump(mode="json")))
    run_command("prepare", config, "--run", tmp_path / "run", "--set", "batches.shapes=1")
    report = json.loads(capsys.readouterr().out)
    assert report["pairs"]["train"] <= 300
    assert 0 <= report["padding_share"] < 1
    assert len(report["shapes"]) == 1
    run_command(
        "train", config, "--run", tmp_path / "run", "--set", "batches.shapes=1", "--set", "training.max_steps=1"
    )
    assert "cleaning" not in capsys.readouterr().err
    assert RunFolder(tmp_path / "run").best.exists()


def test_translates_a_file_and_stdin_alike(trained_run, lines, tmp_path, capsys, monkeypatch):
    run_command("translate", trained_run, "--input", lines, "--output", tmp_path / "out.txt")
    assert capsys.readouterr().out == ""
    run_command("translate", trained_run, "--input", lines)
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "out.txt").read_text()
    assert [bool(line) for line in printed.splitlines()] == [True, False, True]
    stdin = io.TextIOWrapper(io.BytesIO(lines.read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)
    run_command("translate", trained_run)
    assert capsys.readouterr().out == printed


@pytest.mark.slow
def test_a_program_that_writes_a_line_and_waits_gets_its_translation(trained_run):
    command = [sys.executable, "-m", "nmt", "translate", str(trained_run)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        for line in ("1 2 3", "", "9 8 7 6"):
            process.stdin.write(line + "\n")
            process.stdin.flush()
            assert bool(process.stdout.readline().strip()) == bool(line)
        process.stdin.close()
    assert process.returncode == 0


def test_json_lines_hold_hypotheses_scores_and_alignments(trained_run, lines, capsys):
    run_command("translate", trained_run, "--input", lines, "--format", "json", "--n-best", 2, "--alignments")
    first, empty, last = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["line"], first["source"], empty["hypotheses"], last["line"]) == (1, "1 2 3", [], 3)
    for line in (first, last):
        one, two = line["hypotheses"]
        assert one["score"] >= two["score"]
        assert one["text"] != two["text"]
        source, target = len(line["source"].split()), len(one["text"].split())
        pairs = [tuple(map(int, pair.split("-"))) for pair in one["alignment"].split()]
        assert all(0 <= s < source and 0 <= t < target for s, t in pairs)
        assert len(pairs) == target


def test_heat_maps_are_pictures(trained_run, lines, tmp_path, capsys):
    run_command("translate", trained_run, "--input", lines, "--heat-maps", tmp_path / "maps")
    pictures = sorted((tmp_path / "maps").iterdir())
    assert [picture.name for picture in pictures] == ["line-000001.png", "line-000003.png"]
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)


def test_score_gives_the_log_probability_that_search_gave(trained_run, tmp_path, capsys):
    sources = ["1 2 3", "4 5 6 7", "9 9"]
    found = [hypotheses[0] for hypotheses in load_translator(trained_run).hypotheses(sources)]
    (tmp_path / "source.txt").write_text("".join(line + "\n" for line in sources))
    (tmp_path / "target.txt").write_text("".join(hypothesis.text + "\n" for hypothesis in found))
    run_command("score", trained_run, tmp_path / "source.txt", tmp_path / "target.txt")
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    np.testing.assert_allclose([float(row[0]) for row in rows], [h.log_probability for h in found], atol=1e-4)
    for total, tokens, mean in rows:
        assert float(total) / int(tokens) == pytest.approx(float(mean), abs=1e-5)


def test_evaluates_a_run_and_its_saved_translations_alike(trained_run, tmp_path, capsys):
    saved = tmp_path / "saved.txt"
    run_command("evaluate", trained_run, "--json", "--samples", 0, "--save", saved, "--split", "validation")
    of_run = json.loads(capsys.readouterr().out)
    references, sources = (RunFolder(trained_run).data / f"validation.{side}.txt" for side in ("target", "source"))
    files = ("evaluate", "--hypotheses", saved, "--references", references, "--language", "reversed")
    run_command(*files, "--sources", sources, "--json", "--samples", 0)
    assert json.loads(capsys.readouterr().out) == of_run
    assert {"BLEU", "chrF2", "TER", "numbers", "repetition", "by_length"} == of_run.keys()
    run_command(*files, "--baseline", references, "--samples", 20)
    header, bleu = capsys.readouterr().out.splitlines()[:2]
    assert {"Baseline", "Difference", "p-value"} <= set(header.split())
    name, _, value, *_, baseline, difference, _ = bleu.split()
    assert (name, baseline) == ("BLEU", "100.0")
    assert float(difference) == pytest.approx(float(value) - 100, abs=0.11)
    run_command("evaluate", trained_run, "--samples", 0, "--examples", 3)
    printed = capsys.readouterr().out
    assert printed.count("\nreference ") == 3
    assert "BLEU|nrefs:1|case:mixed" in printed


def test_average_is_used_afterwards(tmp_path, trained_run, lines, capsys):
    import shutil

    run = RunFolder(Path(shutil.copytree(trained_run, tmp_path / "run")))
    run_command("average", run.path, "step-00000100", "best")
    assert "the mean of step-00000100, best" in capsys.readouterr().err
    average, best = (next(load_translator(run.path, name).hypotheses(["3 1 4"])) for name in (None, "best"))
    assert average[0].log_probability != best[0].log_probability
    run_command("average", run.path)
    assert "the mean of step-00000100, step-00000200" in capsys.readouterr().err


def test_translations_do_not_depend_on_batch_order_or_padding(trained_run):
    sources = ["1 2 3", "4", "5 6 7 8 9 0 1 2 3", "", "7 7 7 7 7"] * 3
    together = load_translator(trained_run).translate(sources)
    alone = load_translator(trained_run, overrides=["decoding.batch_size=1"])
    assert alone.translate(sources) == together
    backwards = load_translator(trained_run, overrides=["decoding.batch_size=4"])
    assert backwards.translate(sources[::-1]) == together[::-1]


@pytest.mark.parametrize(
    ("arguments", "language_model", "message"),
    [
        (["translate"], True, "expected a run of task translation"),
        (["export", "--to", "x"], True, "expected a run of task translation"),
        (["export", "--to", "x", "--format", "litert"], True, "expected a run of task translation"),
        (["demo", "--port", "0"], True, "expected a run of task translation"),
        (["evaluate", "--baseline", "x"], True, "is a language model, which has no translations to compare"),
        (["score", "x", "y"], True, "which is a language model, got y"),
        (["score", "x"], False, "TARGET: expected the translations of x"),
        (["evaluate", "--text", "x"], False, "--text: expected a language model, but "),
        (["sample"], False, "expected a run of task language_model"),
    ],
)
def test_a_command_tells_which_kind_of_run_it_needs(
    arguments, language_model, message, trained_run, language_model_run, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    command, *rest = arguments
    with pytest.raises(SystemExit) as stop:
        main([command, str(language_model_run if language_model else trained_run), *rest])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_every_public_name_is_there():
    for name in nmt.__all__:
        assert getattr(nmt, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = nmt.nonsense
