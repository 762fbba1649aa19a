"""Cross-entropy difference finds the lines of a domain."""

import gzip
import random

import numpy as np
import pytest

from nmt.augmentation.selection import select
from nmt.cli import main
from nmt.runs.scoring import score_files
from nmt.training.train import train
from nmt.utils.errors import UserError
from tests.helpers import digit_strings, language_model_config

LOW, HIGH = (
    ["".join(str(int(digit) % 5 + offset) if digit != " " else " " for digit in line) for line in lines]
    for offset, lines in ((0, digit_strings(400, range(4, 9), 1)), (5, digit_strings(400, range(4, 9), 2)))
)


@pytest.fixture(scope="module")
def in_domain(trained_run, tmp_path_factory):
    """Knows the digits 0 to 4 alone; the general model, `language_model_run`, has seen all ten."""
    folder = tmp_path_factory.mktemp("domain")
    config = language_model_config(
        folder,
        LOW,
        tokenizer={"model": str(trained_run / "data" / "target.model")},
        training={"max_steps": 60, "validate_every": 60, "learning_rate": 0.01},
    )
    return train(config, folder / "run").path


@pytest.fixture
def corpus(tmp_path):
    lines = [*LOW[:30], "", *HIGH[:70]]
    random.Random(1).shuffle(lines)
    with gzip.open(tmp_path / "corpus.gz", "wt") as file:
        file.writelines(line + "\n" for line in lines)
    (tmp_path / "other.txt").write_text("".join(f"{number}: {line}\n" for number, line in enumerate(lines)))
    return lines


def test_lines_of_the_domain_come_first_and_both_sides_stay_together(
    in_domain, language_model_run, corpus, tmp_path, capsys
):
    outputs = [tmp_path / "selected", tmp_path / "selected-other"]
    command = ["select", tmp_path / "corpus.gz", tmp_path / "other.txt", "--scores", tmp_path / "scores"]
    command += ["--in-domain", in_domain, "--general", language_model_run, "--keep", "0.297"]
    command += [part for output in outputs for part in ("--output", output)]
    with pytest.raises(SystemExit, match="0"):
        main([str(part) for part in command])
    assert capsys.readouterr().err.startswith("30 of 101 lines are in ")
    low = [(number, line) for number, line in enumerate(corpus) if line in LOW]
    assert outputs[0].read_text().splitlines() == [line for _, line in low]
    assert outputs[1].read_text().splitlines() == [f"{number}: {line}" for number, line in low]

    scores = np.array([float(line) for line in (tmp_path / "scores").read_text().splitlines()])
    assert scores[corpus.index("")] == np.inf
    inside, outside = (list(score_files(run, tmp_path / "corpus.gz")) for run in (in_domain, language_model_run))
    for index, line in enumerate(corpus):
        if line:
            per_token = (outside[index][0] - inside[index][0]) / inside[index][1]
            assert scores[index] == pytest.approx(per_token, abs=2e-6)


def test_a_number_of_lines_and_one_file(in_domain, language_model_run, corpus, tmp_path):
    counts = select(in_domain, language_model_run, [tmp_path / "corpus.gz"], [tmp_path / "selected"], keep=7)
    assert counts == (7, 101)
    assert len((tmp_path / "selected").read_text().splitlines()) == 7
    with pytest.raises(UserError, match=r"`keep`: expected to select 1 to 101 lines of .*corpus.gz, got 102"):
        select(in_domain, language_model_run, [tmp_path / "corpus.gz"], [tmp_path / "more"], keep=102)
    (tmp_path / "other.txt").write_text("1\n")
    files = [tmp_path / "corpus.gz", tmp_path / "other.txt"]
    with pytest.raises(UserError, match=r"corpus.gz has 101 lines, .*other.txt has 1"):
        select(in_domain, language_model_run, files, [tmp_path / "one", tmp_path / "two"], keep=7)
    assert not (tmp_path / "one").exists()


def test_invalid_options_print_one_line(in_domain, tmp_path, corpus, capsys):
    for arguments, message in (
        (("--keep", "2.5", "--output", "x"), "--keep: expected a share below 1 or a number of lines, got 2.5"),
        (("--keep", "2", "--output", "x", "--output", "y"), "--output: expected it 1 times"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(["select", str(tmp_path / "corpus.gz"), "--in-domain", "x", "--general", "y", *arguments])
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("outputs", "scores", "message"),
    [
        (["corpus.gz"], None, "corpus.gz: is read and would be overwritten"),
        (["link"], None, "link: is read and would be overwritten"),
        (["new"], "corpus.gz", "corpus.gz: is read and would be overwritten"),
        (["new"], "./new", "new: expected a different file for each output"),
    ],
)
@pytest.mark.usefixtures("corpus")
def test_an_input_is_no_output(outputs, scores, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("corpus.gz")
    before = (tmp_path / "corpus.gz").read_bytes()
    with pytest.raises(UserError, match=message):
        select("domain", "general", ["corpus.gz"], outputs, keep=7, scores=scores)
    assert (tmp_path / "corpus.gz").read_bytes() == before
