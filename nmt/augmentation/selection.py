"""Data selection: the lines of a general corpus that look most like a domain (Moore and Lewis 2010)."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import tee
from pathlib import Path

import numpy as np

from nmt.config import SideFiles
from nmt.data.readers import RawPair, read_sides, read_texts
from nmt.decoding.scoring import make_scorer, text_scores
from nmt.runs.language_models import load_language_model
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole
from nmt.utils.progress import tracked


def select(
    in_domain: Path,
    general: Path,
    files: Sequence[Path],
    outputs: Sequence[Path],
    keep: float,
    scores: Path | None = None,
) -> tuple[int, int]:
    """Writes the lines of a file with the lowest cross-entropy difference, in their order.

    A line's difference is its negative log-probability under the in-domain model less that under the general one, per
    token: what is low is likely in the domain and unlikely elsewhere. An empty line comes after all others. Lines
    stream; eight bytes are kept of each.

    Args:
        in_domain: run folder of a language model of the domain.
        general: that of one of the corpus to select from, or a sample of it, with the same tokenizer.
        files: the corpus; or its two sides, of which the first is scored and both are selected from.
        outputs: as many files to write.
        keep: below 1 the share of the lines, otherwise the number of lines to keep.
        scores: a file for the differences of all lines.

    Returns:
        How many lines were kept, and of how many.

    Raises:
        UserError: if a file cannot be read or written, the two differ in length, the models in their tokenizers, or
            there are fewer lines than shall be kept.
    """
    models = [load_language_model(path) for path in (in_domain, general)]
    if models[0].tokenizer.model != models[1].tokenizer.model:
        raise UserError(
            f"{in_domain} and {general}: their tokenizers differ; expected one trained with tokenizer.model, "
            "the `data/target.model` of the other"
        )
    lines = sum(1 for _ in _pairs(files))  # what is wrong in them shows before any is scored
    number = round(keep * lines) if keep < 1 else int(keep)
    if not 0 < number <= lines:
        raise UserError(f"nmt select --keep: expected from 1 to the {lines} lines of {files[0]}, got {number}")

    differences = np.empty(lines)
    texts, *streams = tee((pair.source for pair in _pairs(files)), 3)
    inside, outside = (
        text_scores(make_scorer(one.model), one.tokenizer, stream) for one, stream in zip(models, streams, strict=True)
    )
    scored = tracked(zip(texts, inside, outside, strict=True), "scoring", lines)
    for index, (text, (in_domain_score, tokens), (general_score, _)) in enumerate(scored):
        differences[index] = (general_score - in_domain_score) / tokens if text.strip() else np.inf
    kept = np.zeros(lines, bool)
    kept[np.argsort(differences, kind="stable")[:number]] = True

    with ExitStack() as open_files:
        writers = [open_files.enter_context(written_whole(path, "wb")) for path in outputs]
        for pair, wanted in zip(_pairs(files), kept, strict=True):
            if wanted:
                for writer, side in zip(writers, (pair.source, pair.target), strict=False):
                    writer.write(side + b"\n")
        if scores is not None:
            file = open_files.enter_context(written_whole(scores))
            file.writelines(f"{difference:.6f}\n" for difference in differences)
    return number, lines


def _pairs(files: Sequence[Path]) -> Iterator[RawPair]:
    """Lines, or those of both sides; what is scored is the source."""
    if len(files) > 1:
        return read_sides(SideFiles(source=[files[0]], target=[files[1]]))
    return (RawPair(pair.target, b"", pair.origin) for pair in read_texts(files))
