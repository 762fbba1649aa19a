"""Data selection by cross-entropy difference: the lines of a corpus that resemble a domain (Moore and Lewis 2010)."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import tee
from pathlib import Path

import numpy as np

from nmt.config import SideFiles
from nmt.data.raw_pair import RawPair
from nmt.data.readers import read_sides, read_texts
from nmt.decoding.scoring import make_sentence_scorer
from nmt.inference.text_scoring import score_texts
from nmt.runs.language_models import load_language_model
from nmt.utils.errors import UserError
from nmt.utils.files import check_outputs, written_whole
from nmt.utils.progress import tracked


def select(
    in_domain: str | Path,
    general: str | Path,
    files: Sequence[str | Path],
    outputs: Sequence[str | Path],
    keep: float,
    scores: str | Path | None = None,
) -> tuple[int, int]:
    """Writes the lines of a corpus with the lowest cross-entropy difference, in their order.

    With n tokens in a line x, its difference is

        (log P_general(x) - log P_in_domain(x)) / n

    which is low for lines that are likely in the domain and unlikely elsewhere. Empty lines rank last. Lines are
    streamed; the memory holds eight bytes for each.

    Args:
        in_domain: run folder of a language model trained on the domain.
        general: run folder of a language model trained on the corpus, or on a sample of it, with the same tokenizer.
        files: the corpus, one file; or two parallel files, whose lines are selected together by those of the first.
        outputs: the files to write, one for each of `files`.
        keep: below 1 the share of the lines to keep, otherwise their number.
        scores: a file for the differences of all lines; None for no such file.

    Returns:
        The number of lines kept, and the number of all lines.

    Raises:
        UserError: if a file cannot be read or written, an output is an input or another output, two files differ in
            length, the tokenizers of the models differ, or the corpus has fewer lines than `keep`.

    Example:

    >>> select("runs/domain", "runs/general", ["big.en", "big.de"], ["en", "de"], keep=0.2)  # doctest: +SKIP
    (200000, 1000000)
    """
    corpus = [Path(path) for path in files]
    check_outputs([*outputs, *([] if scores is None else [scores])], corpus)
    models = [load_language_model(Path(path)) for path in (in_domain, general)]
    if models[0].tokenizer.model != models[1].tokenizer.model:
        raise UserError(
            f"{in_domain} and {general}: their tokenizers differ; expected one to be trained with the setting "
            "tokenizer.model, the `data/target.model` of the other"
        )
    lines = sum(1 for _ in _pairs(corpus))  # reads all files once, so that errors in them come before the scoring
    number = round(keep * lines) if keep < 1 else int(keep)
    if not 0 < number <= lines:
        raise UserError(f"`keep`: expected to select 1 to {lines} lines of {corpus[0]}, got {number}")

    differences = np.empty(lines)
    texts, *streams = tee((pair.source for pair in _pairs(corpus)), 3)
    in_domain_scores, general_scores = (
        score_texts(make_sentence_scorer(loaded.model), loaded.tokenizer, stream)
        for loaded, stream in zip(models, streams, strict=True)
    )
    scored = tracked(zip(texts, in_domain_scores, general_scores, strict=True), "scoring", lines)
    for index, (text, (log_in_domain, tokens), (log_general, _)) in enumerate(scored):
        differences[index] = (log_general - log_in_domain) / tokens if text.strip() else np.inf
    kept = np.zeros(lines, bool)
    kept[np.argsort(differences, kind="stable")[:number]] = True

    with ExitStack() as open_files:
        writers = [open_files.enter_context(written_whole(Path(path), "wb")) for path in outputs]
        for pair, keeps in zip(_pairs(corpus), kept, strict=True):
            if keeps:
                for writer, side in zip(writers, (pair.source, pair.target), strict=False):
                    writer.write(side + b"\n")
        if scores is not None:
            file = open_files.enter_context(written_whole(Path(scores)))
            file.writelines(f"{difference:.6f}\n" for difference in differences)
    return number, lines


def _pairs(files: Sequence[Path]) -> Iterator[RawPair]:
    """Yields pairs with the scored text as source; the target is the other file's line, or empty."""
    if len(files) > 1:
        return read_sides(SideFiles(source=[files[0]], target=[files[1]]))
    return (RawPair(pair.target, b"", pair.origin) for pair in read_texts(files))
