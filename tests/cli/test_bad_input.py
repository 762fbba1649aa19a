"""The mistakes that docs/errors.md lists, made with the command itself: what the user sees, never a traceback."""

import errno
import gzip
import math
import os
import re
import shutil
from pathlib import Path

import pytest
import yaml

from nmt.cli import main
from nmt.runs.checkpoints import load_arrays, save_arrays
from nmt.runs.folder import RunFolder
from nmt.utils.folders import locked
from tests.helpers import reversal_config

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


class Bench:
    """A folder with a good corpus, a good configuration and a trained run, for a test to spoil."""

    def __init__(self, folder: Path, run: Path, language_model: Path | None = None):
        self.folder = folder
        self.trained = run
        self.language_model = str(language_model)
        self.run = folder / "run"
        self.tree = reversal_config(folder / "corpus").model_dump(mode="json")
        self.file = folder / "corpus" / "train.source.txt"

    def train(self, *arguments: str) -> None:
        config = self.folder / "config.yaml"
        if not config.exists():
            config.write_text(yaml.safe_dump(self.tree))
        main(["train", str(config), "--run", str(self.run), *arguments])

    def copy_of_run(self) -> RunFolder:
        return RunFolder(Path(shutil.copytree(self.trained, self.run)))

    def lines(self, content: bytes) -> str:
        path = self.folder / "lines.txt"
        path.write_bytes(content)
        return str(path)


def unknown_setting(bench):
    bench.train("--set", "model.unit=64")


def too_few_pairs(bench):
    (bench.folder / "few.en-de.tsv").write_text("".join(f"one {n}\teins {n}\n" for n in range(19)))
    main(["train", str(bench.folder / "few.en-de.tsv"), "--run", str(bench.run)])


def no_languages(bench):
    main(["train", bench.lines(b"one\n"), bench.lines(b"one\n"), "--run", str(bench.run)])


def odd_files(bench):
    main(["train", bench.lines(b"one\n"), "--run", str(bench.run)])


def more_than_a_configuration(bench):
    bench.train("--minutes", "3")


def wrong_value(bench):
    bench.train("--set", "model.units=-3")


def not_yaml(bench):
    (bench.folder / "config.yaml").write_text("data: [")
    bench.train()


def absurd_number(bench):
    bench.train("--set", "batches.tokens=2000000000")


def key_that_stands_twice(bench):
    (bench.folder / "config.yaml").write_text("seed: 1\nmodel: {units: 8}\nseed: 2\n")
    bench.train()


def alias_bomb(bench):
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    (bench.folder / "config.yaml").write_text("a0: &a0 [x]\n" + levels)
    bench.train()


def weights_that_are_no_numbers(bench):
    run = bench.copy_of_run()
    arrays, state = load_arrays(run.best)
    save_arrays(run.best, {name: array * math.nan for name, array in arrays.items()}, state)
    main(["translate", str(run.path), "--input", bench.lines(b"\n1 2\n")])


def missing_configuration(bench):
    main(["train", str(bench.folder / "none.yaml"), "--run", str(bench.run)])


def missing_corpus_file(bench):
    bench.file.unlink()
    bench.train()


def unequal_files(bench):
    bench.file.write_text(bench.file.read_text() + "1 2 3\n")
    bench.train()


def broken_gzip(bench):
    packed = bench.file.with_suffix(".gz")
    packed.write_bytes(gzip.compress(bench.file.read_bytes(), mtime=0)[:-20])
    bench.tree["data"]["corpus"]["train"]["source"] = [str(packed)]
    bench.train()


def tsv_without_tab(bench):
    (bench.folder / "pairs.tsv").write_text("one\teins\ntwo zwei\n")
    bench.tree["data"]["corpus"] = {"kind": "tsv", "train": [str(bench.folder / "pairs.tsv")]}
    bench.train()


def unknown_dataset(bench):
    bench.tree["data"]["corpus"] = {"kind": "tfds", "name": "ui_string"}
    bench.train()


def unknown_language(bench):
    bench.tree["data"] |= {"source_language": "en", "target_language": "dee"}
    bench.tree["data"]["corpus"] = {"kind": "tfds", "name": "ui_strings"}
    bench.train()


def too_small_to_hold_out(bench):
    del bench.tree["data"]["corpus"]["test"]
    bench.train()


def vocabulary_too_large(bench):
    # "3 1 4" has ten digits only; written without spaces there are more subwords, but not 8,000
    for split in bench.tree["data"]["corpus"].values():
        for path in (split["source"] + split["target"]) if isinstance(split, dict) else ():
            Path(path).write_text(Path(path).read_text().replace(" ", ""))
    bench.train("--set", "tokenizer.vocabulary_size=8000")


def not_a_run(bench):
    main(["translate", str(bench.folder)])


def newer_run(bench):
    run = bench.copy_of_run()
    run.format.write_text('{"format": 99, "nmt": "9.9"}')
    main(["translate", str(run.path)])


def no_checkpoint(bench):
    run = bench.copy_of_run()
    shutil.rmtree(run.path / "checkpoints")
    main(["translate", str(run.path)])


def truncated_checkpoint(bench):
    run = bench.copy_of_run()
    run.best.write_bytes(run.best.read_bytes()[:-100])
    main(["translate", str(run.path)])


def truncated_store(bench):
    run = bench.copy_of_run()
    run.last.unlink()
    ids = run.data / "train.source.ids.npy"
    ids.write_bytes(ids.read_bytes()[:100])
    shutil.copy(run.config, bench.folder / "config.yaml")
    bench.train()


def other_settings(bench):
    run = bench.copy_of_run()
    shutil.copy(run.config, bench.folder / "config.yaml")
    bench.train("--set", "model.units=24")


def folder_of_something_else(bench):
    bench.run = bench.folder
    bench.train()


def folder_in_use(bench):
    with locked(bench.run):
        bench.train()


def missing_data_of_a_checkpoint(bench):
    run = bench.copy_of_run()
    (run.data / "train.target.ids.npy").unlink()
    shutil.copy(run.config, bench.folder / "config.yaml")
    bench.train("--set", "training.max_steps=300")


def input_to_write(bench):
    lines = bench.lines(b"1 2\n")
    main(["translate", str(bench.trained), "--input", lines, "--output", lines])


def folder_to_write(bench):
    main(["translate", str(bench.trained), "--input", bench.lines(b"1 2\n"), "--output", str(bench.folder)])


def folder_of_something_else_to_augment(bench):
    to = ("--method", "self-training", "--to", str(bench.folder))
    main(["augment", str(bench.trained), bench.lines(b"1 2\n"), *to])


def unequal_pairs_to_score(bench):
    source, target = bench.lines(b"1 2\n3 4\n"), bench.folder / "target.txt"
    target.write_text("2 1\n")
    main(["score", str(bench.trained), source, str(target)])


def unequal_files_to_evaluate(bench):
    references = bench.folder / "references.txt"
    references.write_text("a\nb\n")
    main(["evaluate", "--hypotheses", bench.lines(b"a\n"), "--references", str(references)])


def unequal_sources_to_evaluate(bench):
    sources, lines = bench.folder / "sources.txt", bench.lines(b"a\n")
    sources.write_text("a\nb\n")
    main(["evaluate", "--hypotheses", lines, "--references", lines, "--sources", str(sources), "--samples", "0"])


def invalid_text_to_evaluate(bench):
    lines = bench.lines(b"fine\n\xff\n")
    main(["evaluate", "--hypotheses", lines, "--references", lines])


def missing_input(bench):
    main(["translate", str(bench.trained), "--input", str(bench.folder / "none.txt")])


def more_than_the_beam(bench):
    main(["translate", str(bench.trained), "--n-best", "9", "--format", "json"])


def training_setting_when_translating(bench):
    main(["translate", str(bench.trained), "--set", "model.units=3"])


def language_model_to_translate_with(bench):
    main(["translate", bench.language_model])


def lines_to_translate_from(bench):
    bench.tree["data"]["corpus"] = {"kind": "lines", "train": [str(bench.file)]}
    bench.train()


def no_tokenizer(bench):
    bench.train("--set", f"tokenizer.model={bench.file}")


def start_of_another_shape(bench):
    bench.train("--set", f"training.start_from={bench.trained}", "--set", "model.units=24")


def tokenizer_without_symbols(bench):
    model = bench.trained / "data" / "target.model"
    bench.train("--set", f"tokenizer.model={model}", "--set", "tokenizer.placeholders=[braces]")


def expression_with_an_anchor(bench):
    bench.train("--set", "tokenizer.placeholders=['/^a/']")


def placeholders_of_a_language_model(bench):
    bench.tree |= {"task": "language_model"}
    bench.tree["training"]["monitor"] = "loss"
    bench.train("--set", "tokenizer.placeholders=[braces]")


def fusion_across_tokenizers(bench):
    other = RunFolder(Path(shutil.copytree(bench.language_model, bench.run)))
    (other.data / "target.model").write_bytes(b"another")
    main(["translate", str(bench.trained), "--set", f"decoding.language_model={other.path}"])


def ensemble_across_tokenizers(bench):
    other = bench.copy_of_run()
    (other.data / "source.model").write_bytes(b"another")
    main(["translate", str(bench.trained), "--set", f"decoding.ensemble=[{other.path}]"])


def more_lines_than_there_are(bench):
    models = ("--in-domain", bench.language_model, "--general", bench.language_model)
    output = ("--output", str(bench.folder / "selected"))
    main(["select", bench.lines(b"1 2\n"), *models, "--keep", "9", *output])


def nothing_to_translate_back(bench):
    main(["augment", str(bench.trained), "--method", "back-translation", "--to", str(bench.run)])


def folder_of_another_augmentation(bench):
    parts = bench.folder / "made" / "parts"
    parts.mkdir(parents=True)
    (parts / "arguments.json").write_text("{}")
    to = ("--method", "self-training", "--to", str(parts.parent))
    main(["augment", str(bench.trained), bench.lines(b"1 2\n"), *to])


def three_runs_to_report(bench):
    main(
        ["report", str(bench.trained), str(bench.trained), str(bench.trained), "--output", str(bench.folder / "a.html")]
    )


def damaged_choices_to_report(bench):
    run = bench.copy_of_run()
    run.tuning.write_text("{")
    main(["report", str(run.path), "--output", str(bench.folder / "report.html")])


def gone_text_to_report(bench):
    run = bench.copy_of_run()
    (run.data / "test.target.txt").unlink()
    main(["report", str(run.path), "--output", str(bench.folder / "report.html")])


ERRORS = {
    "a setting that does not exist": (
        unknown_setting,
        r"config.yaml: model.unit: unknown setting; did you mean `units`\?",
    ),
    "a value out of bounds": (wrong_value, r"model.units: should be greater than or equal to 1, got -3"),
    "a configuration that is not YAML": (not_yaml, r"config.yaml: is not valid YAML: .*line 1"),
    "a number that is infinite or absurdly large": (
        absurd_number,
        r"batches.tokens: should be less than or equal to 1000000, got 2000000000",
    ),
    "a setting that stands twice in a file": (key_that_stands_twice, r"found the key `seed` twice .*line 3"),
    "a configuration whose aliases make millions of values of it": (alias_bomb, r"expected at most 10,000 values"),
    "a checkpoint with weights that are NaN or infinite": (
        weights_that_are_no_numbers,
        r"line 2: the model's scores are NaN or infinite",
    ),
    "a configuration that is not there": (missing_configuration, r"none.yaml: cannot be read: No such file"),
    "a corpus file that is not there": (missing_corpus_file, r"train.source.txt: .*(no such file|not exist|No such)"),
    "files of unequal length": (unequal_files, r"train.source.txt.* 2001 lines, .*train.target.txt has 2000"),
    "a truncated .gz file": (broken_gzip, r"train.source.gz.*:\d+"),
    "a TSV line without a tab": (tsv_without_tab, r"pairs.tsv:2: "),
    "a dataset that does not exist": (unknown_dataset, r"ui_string.*ui_strings"),
    "a language that the corpus lacks": (unknown_language, r"dee.*\bde\b"),
    "a corpus too small to hold out a test set": (too_small_to_hold_out, r"data.held_out"),
    "files of less than 20 pairs to learn from": (too_few_pairs, r"19 different sources .* expected at least 20"),
    "files whose names do not say their languages": (no_languages, r"expected --source and --target as well"),
    "a single text file to learn from": (odd_files, r"expected two files whose lines translate each other"),
    "a configuration, and what it says already": (more_than_a_configuration, r"nothing more but --set, got --minutes"),
    "a vocabulary larger than the text allows": (
        vocabulary_too_large,
        r"vocabulary_size 8000 is too large .* at most \d+",
    ),
    "a folder that is not a run": (not_a_run, r"is not a run folder"),
    "a run folder of a newer version of this package": (newer_run, r"run: is a run folder of format 99, .* up to 2"),
    "a run without a checkpoint yet": (no_checkpoint, r"has no checkpoint `best`; it has none yet"),
    "a truncated checkpoint": (truncated_checkpoint, r"best.npz: is not a complete checkpoint"),
    "a truncated token store": (truncated_store, r"train.source.ids.npy: "),
    "other settings for a run that has begun": (
        other_settings,
        r"was started with other settings \(model.units: 16 -> 24\)",
    ),
    "a folder for a run that holds something else": (
        folder_of_something_else,
        r".*: is not a run folder and not empty; choose a new one",
    ),
    "a run folder that another process writes": (folder_in_use, r".*run: is being written by another process"),
    "data that is missing or damaged in a run with a checkpoint": (
        missing_data_of_a_checkpoint,
        r"train.target.ids.npy: does not exist; the checkpoints depend on this data",
    ),
    "a file to write that is read too": (input_to_write, r"lines.txt: is read and would be overwritten"),
    "a folder to write that is no file": (folder_to_write, r".*: cannot be written: Is a directory"),
    "a folder for augmented data that holds something else": (
        folder_of_something_else_to_augment,
        r".*: contains .*lines.txt, which is read; choose another folder",
    ),
    "pairs to score of unequal number": (unequal_pairs_to_score, r"lines.txt has 2 lines, .*target.txt has 1"),
    "hypotheses and references of unequal number": (unequal_files_to_evaluate, r"1 .*2 "),
    "sources and hypotheses of unequal number": (
        unequal_sources_to_evaluate,
        r"expected one source for each of the 1 translations, got 2",
    ),
    "text to evaluate that is not UTF-8": (invalid_text_to_evaluate, r"lines.txt:2: "),
    "an input file that is not there": (missing_input, r"none.txt: cannot be read: No such file"),
    "more translations than the beam is wide": (
        more_than_the_beam,
        r"--n-best: expected at most decoding.beam_size 2, got 9",
    ),
    "a setting that training has fixed": (
        training_setting_when_translating,
        r"only decoding.\* can change after training",
    ),
    "a language model's run where a translation's is expected, or the other way round": (
        language_model_to_translate_with,
        r".*run: expected a run of task translation, got one of task language_model",
    ),
    "lines of one language to learn a translation from": (
        lines_to_translate_from,
        r"data.corpus.kind: 'lines' are of one language: expected 'text', 'tsv', 'memory' or 'tfds'",
    ),
    "a file that is not a tokenizer": (no_tokenizer, r"train.source.txt: is not a tokenizer model"),
    "a run to start from whose model has another shape": (
        start_of_another_shape,
        r"training.start_from: .*run: expected a model of the same shape, got model.units: 16 -> 24",
    ),
    "a tokenizer without symbols for placeholders": (
        tokenizer_without_symbols,
        r"target.model: has no symbols for tokenizer.placeholders",
    ),
    "a regular expression for placeholders that is none, or that not all engines read alike": (
        expression_with_an_anchor,
        r"tokenizer.placeholders.0: cannot be read at character 1: '\^a', got '/\^a/'",
    ),
    "placeholders to mask for a language model, or for one in a translation's search": (
        placeholders_of_a_language_model,
        r"tokenizer.placeholders: expected none of a language model",
    ),
    "a language model with another tokenizer, for a translation": (
        fusion_across_tokenizers,
        r"decoding.language_model: .*run: its tokenizer is not the translation's",
    ),
    "an ensemble of models with different tokenizers": (
        ensemble_across_tokenizers,
        r"decoding.ensemble: .*run: its source tokenizer is not the first model's",
    ),
    "no text to translate back": (
        nothing_to_translate_back,
        r"FILE: expected a file to translate for back-translation, got none",
    ),
    "a folder where other data is being made": (
        folder_of_another_augmentation,
        r".*made: was begun with other arguments \(arguments.json\); choose another folder",
    ),
    "more lines to select than there are": (
        more_lines_than_there_are,
        r"--keep: expected to select 1 to 1 lines of .*lines.txt, got 9",
    ),
    "more than two runs to report on": (three_runs_to_report, r"RUN: expected one or two, got 3"),
    "a damaged `tuning.json` of a run to report on": (damaged_choices_to_report, r".*tuning.json: is damaged: .*"),
    "a run to report on whose prepared text is gone": (gone_text_to_report, r".*test.target.txt: does not exist"),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_is_reported_in_one_line(kind, tmp_path, trained_run, language_model_run, capsys):
    spoil, message = ERRORS[kind]
    with pytest.raises(SystemExit) as stop:
        spoil(Bench(tmp_path, trained_run, language_model_run))
    assert stop.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.match(r"nmt: .*" + message, last), last


def test_full_disk_leaves_the_older_file(tmp_path, trained_run, capsys, monkeypatch):
    output = tmp_path / "translations.txt"
    output.write_text("older")

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SystemExit) as stop:
        main(
            [
                "translate",
                str(trained_run),
                "--input",
                Bench(tmp_path, trained_run).lines(b"1 2\n"),
                "--output",
                str(output),
            ]
        )
    assert stop.value.code == 2
    assert "translations.txt: cannot be written: No space left on device" in capsys.readouterr().err
    assert output.read_text() == "older"
    assert {path.name for path in tmp_path.iterdir()} == {"translations.txt", "lines.txt", "corpus"}


def translated(run: Path, tmp_path: Path, content: bytes) -> list[str]:
    (tmp_path / "in.txt").write_bytes(content)
    main(["translate", str(run), "--input", str(tmp_path / "in.txt"), "--output", str(tmp_path / "out.txt")])
    return (tmp_path / "out.txt").read_text().splitlines()


def finishes(run, tmp_path, content):
    with pytest.raises(SystemExit) as stop:
        translated(run, tmp_path, content)
    assert stop.value.code == 0
    return (tmp_path / "out.txt").read_text().splitlines()


def empty_lines(tmp_path, run, capsys):
    lines = finishes(run, tmp_path, b"1 2 3\n\n   \n3 2 1\n")
    assert len(lines) == 4
    assert lines[1] == lines[2] == ""
    assert lines[0]
    assert lines[3]


def invalid_bytes(tmp_path, run, capsys):
    good, bad = finishes(run, tmp_path, b"1 2 3\n1 \xff\xfe 2\n")
    assert [good] == finishes(run, tmp_path, b"1 2 3\n")
    assert bad


def long_line(tmp_path, run, capsys):
    long = " ".join("0123456789" * 5000)
    assert len(long) == 99_999
    lines = finishes(run, tmp_path, f"1 2\n{long}\n2 1\n".encode())
    assert len(lines) == 3
    assert len(lines[1]) > 1000
    assert re.search(r"warning: line 2: 50001 tokens .* translated in \d+ parts", capsys.readouterr().err)


def unpaired_corpus_lines(tmp_path, run, capsys):
    bench = Bench(tmp_path, run)
    lines = bench.file.read_bytes().splitlines()
    lines[3], lines[5], lines[7] = b"", b"1 \xff 2", b"1 2 3 " * 300
    bench.file.write_bytes(b"\n".join(lines) + b"\n")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(bench.tree))
    with pytest.raises(SystemExit) as stop:
        main(["prepare", str(tmp_path / "config.yaml"), "--run", str(bench.run)])
    assert stop.value.code == 0
    report = capsys.readouterr().out
    assert "train.source.txt:4" in report
    assert "train.source.txt:6" in report
    assert "train.source.txt:8" in report


HANDLED = {
    "empty lines to translate": empty_lines,
    "bytes to translate that are not UTF-8": invalid_bytes,
    "a line of 100,000 characters": long_line,
    "corpus lines that are empty, too long or not UTF-8": unpaired_corpus_lines,
}


@pytest.mark.parametrize("kind", HANDLED)
def test_is_handled(kind, tmp_path, trained_run, capsys):
    HANDLED[kind](tmp_path, trained_run, capsys)


def test_the_page_lists_every_kind():
    elsewhere = {
        "a process killed at any moment",  # tests/data
        "a corpus that is moved or gone after training has begun",  # tests/runs/test_folder.py
        "a link, a device or a pipe to write",  # tests/utils/test_files.py
        "SIGTERM or Ctrl-C during training",  # tests/training/test_interruption.py
        "a training that diverges",  # tests/training/test_divergence.py
        "a server that sends a byte now and then, or without end, or what is no answer",  # tests/serving/test_client.py
        "control characters in a server's message or a translation",  # tests/documents, tests/cli/test_messages.py
        "a file in an older encoding such as Latin-1",  # this one and the next two: tests/utils/test_lines.py
        "text in UTF-16 or UTF-32, compressed by gzip, bzip2 or xz, or with lines that carriage returns end",
        "a zip archive, another compression or a document in the place of text",
        "a TSV line with more or fewer columns than those before it",  # and the next two: tests/data/test_readers.py
        "a table with the quotes of CSV, or with numbers in its first column",
        "a header of a table",
        "characters that cannot be seen, such as directional marks or soft hyphens",  # tests/text
        "a line end in a placeholder or a translation",  # tests/documents/test_translated_lines.py
        "ids in a token store that are none of its vocabulary",  # this one and the next four: tests/runs
        "a checkpoint whose arrays have exchanged their names",
        "a checkpoint of another run",
        "settings of a run that were edited by hand",
        "damaged metrics of a run",
        "a damaged compiled program in XLA's cache",  # tests/cli/test_compilation_cache.py
        "a damaged or missing file of an export",  # tests/serving/test_verify.py
        "a process that is forked after a translator was loaded",  # tests/inference/test_translator.py
        "standard output that is closed or full",  # this one and those below: tests/cli/test_streams.py
        "a terminal or locale without UTF-8",
        "no home folder",
    }
    kinds = {*ERRORS, *HANDLED, "a full disk", *elsewhere}
    listed = set(re.findall(r"^\| ([^|]+?) \| ", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert kinds <= listed, kinds - listed
