"""The commands for language models: `nmt sample` and `nmt select`, and what `nmt evaluate` shows of one."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from nmt.cli.options import CheckpointOption, RunArgument, load_tensorflow, say
from nmt.utils.errors import UserError

app = typer.Typer()


@app.command()
def sample(
    run: RunArgument,
    count: Annotated[int, typer.Option(min=1, help="How many texts.")] = 5,
    temperature: Annotated[float, typer.Option(min=0.01, help="Below 1, likely tokens become likelier.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(min=1, help="Draw among so many likeliest tokens alone.")] = None,
    top_p: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Draw among the likeliest tokens that make up this share.")
    ] = None,
    prompt: Annotated[str, typer.Option(help="How each text begins.")] = "",
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="The same seed draws the same texts.")] = 1,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens after which a text breaks off.")] = 100,
    checkpoint: CheckpointOption = None,
) -> None:
    """Draw texts from a language model, one a line."""
    load_tensorflow()
    from nmt.runs.language_models import sample_texts

    for text in sample_texts(
        run,
        count,
        seed,
        prompt=prompt,
        max_tokens=max_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        checkpoint=checkpoint,
    ):
        print(text, flush=True)


@app.command()
def select(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="The corpus to select from.", show_default=False)],
    in_domain: Annotated[Path, typer.Option(help="Run of a language model of the domain.", show_default=False)],
    general: Annotated[Path, typer.Option(help="Run of a language model of the corpus.", show_default=False)],
    keep: Annotated[
        float, typer.Option(min=0, help="Below 1 a share of the lines, else a number.", show_default=False)
    ],
    output: Annotated[list[Path], typer.Option(help="Where to write; once for each file.", show_default=False)],
    target: Annotated[
        Path | None, typer.Argument(metavar="[FILE2]", help="Its other side, line by line.", show_default=False)
    ] = None,
    scores: Annotated[Path | None, typer.Option(help="Where to write the score of every line.")] = None,
) -> None:
    """Keep the lines that a domain's language model likes best, beside a general one (Moore and Lewis 2010)."""
    files = [source] if target is None else [source, target]
    if len(output) != len(files):
        raise UserError(f"nmt select --output: expected it {len(files)} times, as there are files, got {len(output)}")
    if keep > 1 and keep != int(keep):
        raise UserError(f"nmt select --keep: expected a share below 1 or a number of lines, got {keep}")
    load_tensorflow()
    from nmt.augmentation.selection import select

    number, lines = select(in_domain, general, files, output, keep, scores)
    say(f"{number:,} of {lines:,} lines are in {' and '.join(map(str, output))}")


def show_perplexity(
    run: Path, split: Literal["validation", "test"], text: Path | None, checkpoint: str | None, as_json: bool
) -> None:
    """Prints the perplexity of a run's language model on a split of its corpus or a file."""
    from nmt.evaluation.perplexity import print_perplexity
    from nmt.runs.language_models import find_perplexity

    print_perplexity(find_perplexity(run, split, text, checkpoint), as_json)
