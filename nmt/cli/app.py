"""The console command `nmt`: parse, call one function, print."""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from nmt.cli.analysis import app as memory
from nmt.cli.augmentation import app as augmentation
from nmt.cli.language_models import app as language_models
from nmt.cli.language_models import show_perplexity
from nmt.cli.options import (
    CheckpointOption,
    ConfigArgument,
    DecodingOption,
    RunArgument,
    RunOption,
    SetOption,
    load_tensorflow,
    say,
    warn_split,
)
from nmt.cli.serving import app as serving
from nmt.config import load_config
from nmt.utils.errors import UserError
from nmt.utils.lines import read_text_lines

# TensorFlow takes seconds to import: the commands import what they call, so that `nmt --help` answers at once.

app = typer.Typer(
    help="Train your own translator or language model, and use it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(memory)
app.add_typer(serving)
app.add_typer(language_models)
app.add_typer(augmentation)


@app.command()
def prepare(config: ConfigArgument, run: RunOption, settings: SetOption = None) -> None:
    """Clean the corpus, train its tokenizer and choose the batches, without training yet."""
    checked = load_config(config, settings or [])
    load_tensorflow()
    from nmt.data.preparation import prepare
    from nmt.runs.folder import open_run
    from nmt.training.fine_tuning import check_start

    check_start(checked, run)
    folder = open_run(run, checked)
    _print_json(prepare(checked, folder.data))


@app.command()
def train(config: ConfigArgument, run: RunOption, settings: SetOption = None) -> None:
    """Train a model; the same command goes on where a training stopped or was killed."""
    checked = load_config(config, settings or [])  # before TensorFlow is loaded
    load_tensorflow()
    from nmt.training.train import train

    finished = train(checked, run, say_metrics, say)
    say(f"done; the weights are in {finished.path / 'checkpoints'}")


@app.command()
def translate(
    run: RunArgument,
    input: Annotated[Path | None, typer.Option(help="A text file, a sentence a line; stdin if absent.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where to write; stdout if absent.")] = None,
    format: Annotated[Literal["text", "json"], typer.Option(help="Plain lines, or JSON lines with scores.")] = "text",
    n_best: Annotated[
        int, typer.Option(min=1, help="Translations of each line; more than one needs --format json.")
    ] = 1,
    alignments: Annotated[
        bool, typer.Option(help="Word alignments, Pharaoh format, in JSON or after ' ||| '.")
    ] = False,
    heat_maps: Annotated[Path | None, typer.Option(help="A folder for a PNG of each line's attention.")] = None,
    checkpoint: CheckpointOption = None,
    settings: DecodingOption = None,
) -> None:
    """Translate lines, in their order, as they come."""
    if n_best > 1 and format == "text":
        raise UserError("--n-best above 1: expected --format json, which has room for more than one translation")
    load_tensorflow()
    from nmt.documents.lines import AlignmentUnit, translate_text_file
    from nmt.runs.folder import load_run_config
    from nmt.runs.translation import load_translator
    from nmt.text.languages import has_spaces

    attention = alignments or heat_maps is not None
    translator = load_translator(run, checkpoint, settings or [], n_best, warn_split, attention)
    data = load_run_config(run)[1].data
    unit: AlignmentUnit | None = None
    if alignments:
        languages = str(data.source_language), data.target_language
        unit = "words" if all(map(has_spaces, languages)) else "pieces"
    translate_text_file(
        translator.translate, input, output, as_json=format == "json", alignments=unit, heat_maps=heat_maps
    )


@app.command()
def score(
    run: RunArgument,
    source: Annotated[
        Path, typer.Argument(help="A text file of sources; for a language model, of texts.", show_default=False)
    ],
    target: Annotated[
        Path | None, typer.Argument(help="A text file of their translations.", show_default=False)
    ] = None,
    checkpoint: CheckpointOption = None,
    settings: DecodingOption = None,
) -> None:
    """Print the log-probability of each given translation or text, its tokens, and their mean, tab-separated."""
    load_tensorflow()
    from nmt.runs.folder import load_run_config
    from nmt.runs.language_models import score_lines
    from nmt.runs.translation import score_files

    if load_run_config(run)[1].task == "language_model":
        if target is not None:
            raise UserError(f"nmt score: {run} is a language model: expected one file, got {source} and {target}")
        scores = score_lines(run, source, checkpoint)
    elif target is None:
        raise UserError(f"nmt score: {run} translates: expected SOURCE and TARGET, got {source} alone")
    else:
        scores = score_files(run, source, target, checkpoint, settings or [])
    for log_probability, tokens in scores:
        print(f"{log_probability:.6f}\t{tokens}\t{log_probability / tokens:.6f}", flush=True)


@app.command()
def evaluate(
    run: Annotated[Path | None, typer.Argument(metavar="[RUN]", help="The run folder.", show_default=False)] = None,
    split: Annotated[Literal["validation", "test"], typer.Option(help="Which part of the run's corpus.")] = "test",
    hypotheses: Annotated[Path | None, typer.Option(help="Translations in a file, instead of a run.")] = None,
    references: Annotated[Path | None, typer.Option(help="Their references.")] = None,
    sources: Annotated[Path | None, typer.Option(help="Their sources, to tell what they keep of them.")] = None,
    baseline: Annotated[Path | None, typer.Option(help="Translations of another system, to compare with.")] = None,
    language: Annotated[str | None, typer.Option(help="The target language, for files.")] = None,
    samples: Annotated[int, typer.Option(min=0, help="Bootstrap samples; 0 for none.")] = 1000,
    examples: Annotated[int, typer.Option(min=0, help="Translated examples to print.")] = 0,
    save: Annotated[Path | None, typer.Option(help="Where to write the run's translations.")] = None,
    text: Annotated[Path | None, typer.Option(help="For a language model: a file instead of a split.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
    checkpoint: CheckpointOption = None,
    settings: DecodingOption = None,
) -> None:
    """Score translations by BLEU, chrF and TER: those of a run, or those in a file; or a language model by perplexity.

    Where sources are known that have placeholders, such as {name}, %s or <b>, or numbers, it tells too how many of them
    are in the translations, and in the references, and how many are there that the sources have not.

    Perplexity is per token; per word, which is what white space separates, and the end of each line; and per byte of
    UTF-8, a line feed for each line included.
    """
    from nmt.evaluation.metrics import as_json, compare, print_results
    from nmt.evaluation.metrics import evaluate as measure
    from nmt.evaluation.preservation import measure_preservation, preservation_as_json, print_preservation

    texts: list[str] | None
    if run is not None:
        load_tensorflow()
        from nmt.runs.folder import load_run_config
        from nmt.runs.translation import translate_split

        if load_run_config(run)[1].task == "language_model":
            if any((hypotheses, references, sources, baseline, save, examples)):
                raise UserError(
                    f"nmt evaluate: {run} is a language model, which has no translations to compare or save"
                )
            show_perplexity(run, split, text, checkpoint, json_output)
            return
        if text is not None:
            raise UserError(f"nmt evaluate --text: expected a language model, but {run} translates")
        texts, translations, truth, code = translate_split(run, split, checkpoint, settings or [], save)
    elif hypotheses is not None and references is not None:
        translations, truth, code = list(read_text_lines(hypotheses)), list(read_text_lines(references)), language or ""
        texts = None if sources is None else list(read_text_lines(sources))
    else:
        raise UserError("evaluate: expected a run folder, or --hypotheses and --references")
    systems = {"translations": translations, "references": truth}
    if baseline is not None:
        systems["baseline"] = list(read_text_lines(baseline))
        results: Any = compare(translations, systems["baseline"], truth, code, samples=samples or 1000)
    else:
        results = measure(translations, truth, code, samples=samples)
    preserved = [] if texts is None else measure_preservation(texts, systems)
    if json_output:
        _print_json(as_json(results) | preservation_as_json(preserved))
    else:
        print_results(results)
        print_preservation(preserved)
    shown = [] if texts is None else list(zip(texts, truth, translations, strict=True))
    for example in _spread(shown, examples):
        print(
            "\n"
            + "\n".join(
                f"{name:<12}{text}" for name, text in zip(("source", "reference", "translation"), example, strict=True)
            )
        )


@app.command()
def average(
    run: RunArgument,
    checkpoints: Annotated[list[str] | None, typer.Argument(help="Names; all that are kept if absent.")] = None,
) -> None:
    """Average the weights of checkpoints into one that later commands then prefer."""
    load_tensorflow()
    from nmt.runs.checkpoints import average_checkpoints
    from nmt.runs.folder import load_run_config

    folder, _ = load_run_config(run)
    paths = [folder.checkpoint(name) for name in checkpoints] if checkpoints else folder.kept()
    average_checkpoints(paths, folder.checkpoint("averaged"))
    say(f"{folder.checkpoint('averaged')}: the mean of {', '.join(path.stem for path in paths)}")


@app.command()
def bench(
    config: ConfigArgument,
    run: Annotated[Path | None, typer.Option(help="Where the data is prepared; a temporary folder if absent.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Training steps that are measured.")] = 100,
    json_output: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
    settings: SetOption = None,
) -> None:
    """Measure how fast a configuration trains on this machine, and where the time goes."""
    checked = load_config(config, settings or [])
    load_tensorflow()
    from nmt.training.bench import measure

    with tempfile.TemporaryDirectory() as temporary:
        measured = measure(checked, (run or Path(temporary)) / "data", steps, say)._asdict()
    if json_output:
        _print_json(measured)
        return
    for name, value in measured.items():
        shown = f"{value:.1%}" if "share" in name else f"{value:,}"
        print(f"{name.replace('_', ' '):<28}{shown:>12}")


def main(arguments: list[str] | None = None) -> None:
    """Runs the command; a user's mistake is told in one line, with exit status 2."""
    try:
        app(args=arguments)
    except UserError as error:
        print(f"nmt: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except BrokenPipeError:  # the reader, as `head`, has seen enough
        sys.stderr.close()
        raise SystemExit(0) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def say_metrics(metrics: dict[str, Any]) -> None:
    """Tells a person what a validation found."""
    quality = f"BLEU {metrics['bleu']:5.2f}" if "bleu" in metrics else f"perplexity {metrics['perplexity']:.2f}"
    say(
        f"step {metrics['step']:>7,}  epoch {metrics['epoch']:>3}  loss {metrics['training_loss']:.3f}  "
        f"validation {metrics['validation_loss']:.3f}  {quality}{' *' if metrics['best'] else '  '}  "
        f"{metrics['target_tokens_per_second']:,.0f} target tokens/s  {metrics['seconds'] / 60:.1f} min"
    )


def _print_json(value: Any) -> None:
    Console(soft_wrap=True, highlight=False).print_json(json.dumps(value, ensure_ascii=False))


def _spread(examples: list[tuple[str, str, str]], count: int) -> Iterator[tuple[str, str, str]]:
    """`count` examples at even distances."""
    for index in range(min(count, len(examples))):
        yield examples[index * len(examples) // count]
