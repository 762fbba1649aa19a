"""The commands that use a translator: `nmt translate`, `nmt score` and `nmt evaluate`."""

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Literal

import typer

from nmt.cli.options import CheckpointOption, DecodingOption, RunArgument, load_tensorflow
from nmt.utils.errors import UserError

app = typer.Typer()


@app.command()
def translate(
    run: RunArgument,
    document: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="A file to translate in place, such as .po, .xliff, .tmx, .json, .html, .docx; see docs/files.md.",
            show_default=False,
        ),
    ] = None,
    input: Annotated[Path | None, typer.Option(help="A text file, a sentence a line; stdin if absent.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where to write; stdout if absent.")] = None,
    all_units: Annotated[bool, typer.Option("--all", help="FILE: what has a translation already, too.")] = False,
    as_kind: Annotated[
        Literal["file", "tmx"], typer.Option("--as", help="FILE: as it is, or a translation memory of its texts.")
    ] = "file",
    source: Annotated[str | None, typer.Option(help="FILE: its language, such as en-GB; the run's if absent.")] = None,
    target: Annotated[str | None, typer.Option(help="FILE: the language to make; the run's if absent.")] = None,
    format: Annotated[Literal["text", "json"], typer.Option(help="Plain lines, or JSON lines with scores.")] = "text",
    n_best: Annotated[
        int, typer.Option(min=1, help="Translations of each line; more than one needs --format json.")
    ] = 1,
    alignments: Annotated[
        bool, typer.Option(help="Word alignments, Pharaoh format, in JSON or after ' ||| '.")
    ] = False,
    heat_maps: Annotated[Path | None, typer.Option(help="A folder for a PNG of each line's attention.")] = None,
    checkpoint: CheckpointOption = None,
    overrides: DecodingOption = None,
) -> None:
    """Translate lines, in their order, as they come; or a file in place.

    RUN may also be the folder of `nmt export --format litert`, which translates lines without TensorFlow.
    """
    from nmt.serving.lite.translator import is_lite_export

    if is_lite_export(run):
        others = (document, source, target, heat_maps, checkpoint, overrides, all_units, alignments)
        if any(others) or as_kind != "file" or format != "text" or n_best > 1:
            raise UserError(f"{run}: is a LiteRT export, which translates lines: expected --input and --output only")
        _translate_by_lite(run, input, output)
        return
    if document is not None:
        if input is not None or output is None:
            raise UserError(f"{document}: expected --output, and no --input")
        if format == "json" or n_best > 1 or alignments or heat_maps is not None:
            raise UserError(f"{document}: is translated in place: expected none of --format, --n-best, --alignments, "
                            "--heat-maps")  # fmt: skip
        load_tensorflow()
        from nmt.runs.documents import translate_document

        translate_document(
            run,
            document,
            output,
            source=source,
            target=target,
            all_units=all_units,
            as_tmx=as_kind == "tmx",
            checkpoint=checkpoint,
            overrides=overrides or [],
        )
        return
    if all_units or as_kind == "tmx" or source or target:
        raise UserError("--all, --as, --source, --target: expected a file that is translated in place")
    if n_best > 1 and format == "text":
        raise UserError("--n-best above 1: expected --format json, which has room for more than one translation")
    load_tensorflow()
    from nmt.runs.translation import translate_file

    translate_file(
        run,
        input,
        output,
        as_json=format == "json",
        n_best=n_best,
        alignments=alignments,
        heat_maps=heat_maps,
        checkpoint=checkpoint,
        overrides=overrides or [],
    )


def _translate_by_lite(folder: Path, source: Path | None, output: Path | None) -> None:
    from nmt.documents.lines import translate_text_file
    from nmt.serving.lite.translator import LiteTranslator

    translator = LiteTranslator(folder)
    translate_text_file(
        lambda lines, _: ([SimpleNamespace(text=translator.translate(line))] for line in lines), source, output
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
    overrides: DecodingOption = None,
) -> None:
    """Print the log-probability of each given translation or text, its tokens, and their mean, tab-separated."""
    load_tensorflow()
    from nmt.runs.scoring import score_files

    for log_probability, tokens in score_files(run, source, target, checkpoint, overrides or []):
        print(f"{log_probability:.6f}\t{tokens}\t{log_probability / tokens:.6f}", flush=True)


@app.command()
def evaluate(
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="The run folder.", show_default=False)] = None,
    split: Annotated[Literal["validation", "test"], typer.Option(help="Which part of the run's corpus.")] = "test",
    hypotheses: Annotated[Path | None, typer.Option(help="Translations in a file, instead of a run.")] = None,
    references: Annotated[Path | None, typer.Option(help="Their references.")] = None,
    sources: Annotated[Path | None, typer.Option(help="Their sources, to show what they preserve of them.")] = None,
    baseline: Annotated[Path | None, typer.Option(help="Translations of another system, to compare with.")] = None,
    language: Annotated[str, typer.Option(help="The target language, for files.", show_default=False)] = "",
    samples: Annotated[int, typer.Option(min=0, help="Bootstrap samples; 0 for none.")] = 1000,
    examples: Annotated[int, typer.Option(min=0, help="Translated examples to print.")] = 0,
    save: Annotated[Path | None, typer.Option(help="Where to write the run's translations.")] = None,
    text: Annotated[Path | None, typer.Option(help="For a language model: a file instead of a split.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
    checkpoint: CheckpointOption = None,
    overrides: DecodingOption = None,
) -> None:
    """Score translations by BLEU, chrF and TER: those of a run, or those in a file; or a language model by perplexity.

    Where sources are known that have placeholders, such as {name}, %s or <b>, or numbers, a second table shows what
    share of them the translations and the references preserve, and how many they add.

    Perplexity is per token; per word, which is what white space separates, and the end of each line; and per byte of
    UTF-8, a line feed for each line included.
    """
    if run is None:
        if hypotheses is None or references is None:
            raise UserError("expected a run folder, or --hypotheses and --references")
        from nmt.evaluation.report import evaluate_files, print_evaluation

        evaluation = evaluate_files(
            hypotheses,
            references,
            language,
            sources=sources,
            baseline=baseline,
            samples=samples,
            examples=examples,
        )
        print_evaluation(evaluation, as_json)
        return
    load_tensorflow()
    from nmt.runs.folder import load_run_config

    if load_run_config(run)[1].task == "language_model":
        if any((hypotheses, references, sources, baseline, save, examples)):
            raise UserError(f"{run}: is a language model, which has no translations to compare or save")
        from nmt.evaluation.perplexity import print_perplexity
        from nmt.runs.language_models import find_perplexity

        print_perplexity(find_perplexity(run, split, text, checkpoint), as_json)
        return
    if text is not None:
        raise UserError(f"--text: expected a language model, but {run} translates")
    from nmt.evaluation.report import print_evaluation
    from nmt.runs.translation import evaluate_run

    evaluation = evaluate_run(
        run,
        split,
        baseline=baseline,
        samples=samples,
        examples=examples,
        save=save,
        checkpoint=checkpoint,
        overrides=overrides or [],
    )
    print_evaluation(evaluation, as_json)
