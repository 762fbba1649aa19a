"""What the attention looked at: word alignments in Pharaoh's format, and pictures.

The attention of one translation is a matrix `[target, source]`: a row for each target piece, each row a distribution
over the source pieces. It is known for subword pieces; people and their tools speak of words.
"""

import codecs
import itertools
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmt.text.boundaries import WORD_START
from nmt.text.normalization import normalize
from nmt.text.placeholders import SYMBOLS, mask
from nmt.utils.files import written_whole

CONTROL_PIECES = ("<pad>", "<s>", "</s>")
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_SURFACES = {"<unk>": " \u2047 "}  # as SentencePiece decodes it

# Tried in this order for characters that Matplotlib's own font lacks.
_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Arial Unicode MS",
    "Unifont",
)


def pharaoh(
    attention: ArrayLike,
    source_pieces: Sequence[str],
    target_pieces: Sequence[str],
    *,
    words: bool = True,
    source_words: Sequence[Sequence[int]] | None = None,
    target_words: Sequence[Sequence[int]] | None = None,
) -> str:
    """Aligns each target word to the source word that it paid most attention to.

    Args:
        attention: `[target, source]`, as long as the pieces, end marks included where the pieces have them.
        source_pieces: the subword pieces of the source sentence.
        target_pieces: the subword pieces of the translation.
        words: whether to number words; False numbers pieces, for languages written without spaces.
        source_words: the numbers of the words that each source piece belongs to, as `number_source_words` returns
            them; None for words as the pieces form them.
        target_words: the same for the translation; see `number_target_words`.

    Returns:
        Pairs `source-target` counted from 0, in ascending order, as fast_align and Marian write them. End marks are
        not counted and never aligned.

    Raises:
        ValueError: if the matrix does not fit the pieces.

    Example:

    >>> attention = [[0.1, 0.8, 0.1], [0.7, 0.1, 0.2], [0.1, 0.1, 0.8]]
    >>> pharaoh(attention, ["▁red", "▁house", "</s>"], ["▁maison", "▁rouge", "</s>"])
    '0-1 1-0'
    """
    if words and source_words is not None and target_words is not None:
        weights = _checked(attention, source_pieces, target_pieces)
        return _pairs(*_attention_by_number(weights, source_words, target_words))
    weights, source, target = _without_control_pieces(attention, source_pieces, target_pieces)
    if words:
        weights, source, target = word_attention(weights, source, target)
    return _pairs(weights, range(len(source)), range(len(target)))


def number_source_words(text: str, pieces: Sequence[str], placeholders: Sequence[str] = ()) -> list[tuple[int, ...]]:
    """Finds out to which words of a text, as its user has written it, the pieces of the normalised text belong.

    Words are what white space separates. Normalisation may leave a word out, or make two of it; a placeholder, which is
    one piece, may have several.

    Args:
        text: the text as it was given.
        pieces: its subword pieces, with symbols in the place of placeholders.
        placeholders: the kinds of placeholders that are masked.

    Returns:
        For each piece, the numbers of its words, counted from 0; none for an end mark.

    Example:

    >>> number_source_words("\u200b the  cat", ["▁the", "▁c", "at", "</s>"])
    [(1,), (2,), (2,), ()]
    """
    units = _units(text.encode(errors="replace").decode(), placeholders)
    unit, begins = -1, True
    numbers: list[tuple[int, ...]] = []
    for piece in pieces:
        is_symbol = bool(placeholders) and piece in SYMBOLS
        begins = begins or is_symbol or piece.startswith(WORD_START)
        if piece in CONTROL_PIECES or not units:
            numbers.append(())
        elif piece == WORD_START:  # belongs to what follows it
            numbers.append(units[min(unit + 1, len(units) - 1)])
        else:
            unit = min(unit + begins, len(units) - 1)
            numbers.append(units[unit])
            begins = is_symbol
    return numbers


def number_words_of_sentences(
    sentences: Sequence[tuple[str, str, Sequence[str]]], placeholders: Sequence[str] = ()
) -> list[tuple[int, ...]]:
    """Finds out to which words of a text the pieces of its sentences belong; see `number_source_words`.

    Args:
        sentences: for each sentence, the white space before it, its text, and its subword pieces.
        placeholders: the kinds of placeholders that are masked.

    Example:

    >>> number_words_of_sentences([("", "the cat.", ["▁the", "▁cat", "."]), (" ", "So", ["▁So"])])
    [(0,), (1,), (1,), (2,)]
    """
    words, numbers = 0, []
    for before, text, pieces in sentences:
        first = words - 1 if words and not before else words  # no white space: the last word goes on
        of_sentence = number_source_words(text, pieces, placeholders)
        numbers += [tuple(first + number for number in of_piece) for of_piece in of_sentence]
        words = first + len(text.split())
    return numbers


def number_target_words(
    sentences: Sequence[Sequence[Sequence[str]]],
    placeholders: Sequence[Sequence[str]] | None = None,
    spaces: Sequence[str] | None = None,
) -> list[tuple[int, ...]]:
    """Finds out to which words of a translation, as it is written, its pieces belong.

    Args:
        sentences: for each sentence, the subword pieces of each part that was translated by itself, with symbols in the
            place of placeholders.
        placeholders: for each sentence, the placeholder of each symbol, empty where there is none; None for no symbols.
        spaces: the white space before each sentence; None for a space each.

    Returns:
        For each piece of all parts, the numbers of its words, as for `number_source_words`.

    Example:

    >>> number_target_words([[["▁die", "▁Kat", "ze", "</s>"]], [["▁schläft", "</s>"]]])
    [(0,), (1,), (1,), (), (2,), ()]
    """
    text, spans = "", []
    placeholders = [()] * len(sentences) if placeholders is None else placeholders
    spaces = [" "] * len(sentences) if spaces is None else spaces
    for parts, known_names, space in zip(sentences, placeholders, spaces, strict=True):
        text += space
        kept = len(text)  # a symbol that stands for nothing is removed with a space before it, if that comes after this
        for number, part in enumerate(parts):
            text += " " if number else ""
            begin = len(text)
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            for piece in part:
                byte = _BYTE.fullmatch(piece)
                text += "" if byte else decoder.decode(b"", final=True)
                start = len(text)
                if byte:
                    text += decoder.decode(bytes.fromhex(byte[1]))
                elif known_names and piece in SYMBOLS:
                    known = known_names[SYMBOLS.index(piece)]
                    if known:
                        text += known
                    else:
                        text = text[:kept] + text[kept:].removesuffix(" ")
                        kept = len(text)
                elif piece not in CONTROL_PIECES:
                    surface = _SURFACES.get(piece, piece.replace(WORD_START, " "))
                    text += surface.removeprefix(" ") if len(text) == begin and piece not in _SURFACES else surface
                spans.append((start, max(len(text), start + bool(byte))))  # a character's first bytes await its last
            text += decoder.decode(b"", final=True)
    words = _word_numbers(text)
    numbers = [_numbers_within(text, words, *span) for span in spans]
    pieces = [piece for parts in sentences for part in parts for piece in part]
    for index in reversed(range(len(pieces) - 1)):
        if pieces[index] == WORD_START:  # belongs to what follows it
            numbers[index] = numbers[index + 1][:1]
    return numbers


def word_attention(
    attention: ArrayLike, source_pieces: Sequence[str], target_pieces: Sequence[str]
) -> tuple[NDArray[np.float64], list[str], list[str]]:
    """Turns attention over pieces into attention over words.

    What falls on any piece of a source word falls on the word, so that columns are summed; each piece of a target word
    has a distribution of its own, so that rows are averaged. End marks are dropped, and with them what they got.

    Args:
        attention: `[target, source]`, see `pharaoh`.
        source_pieces: the subword pieces of the source sentence.
        target_pieces: the subword pieces of the translation.

    Returns:
        The attention `[target words, source words]`, the source words and the target words.

    Raises:
        ValueError: if the matrix does not fit the pieces.

    Example:

    >>> attention = [[0.2, 0.3, 0.5], [0.6, 0.2, 0.2]]
    >>> weights, source, target = word_attention(attention, ["▁hou", "se", "▁red"], ["▁Ha", "us"])
    >>> weights.round(2).tolist(), source, target
    ([[0.65, 0.35]], ['house', 'red'], ['Haus'])
    """
    weights, source, target = _without_control_pieces(attention, source_pieces, target_pieces)
    source_words, target_words = _words(source), _words(target)
    merged = np.zeros((len(target_words), len(source_words)))
    for i, rows in enumerate(target_words):
        for j, columns in enumerate(source_words):
            merged[i, j] = weights[np.ix_(rows, columns)].sum(axis=1).mean()
    return merged, [_text(source, word) for word in source_words], [_text(target, word) for word in target_words]


def heat_map(attention: ArrayLike, source_pieces: Sequence[str], target_pieces: Sequence[str], path: Path) -> None:
    """Draws the attention as a PNG picture: source pieces across, target pieces down, the darker the more.

    Args:
        attention: `[target, source]`, as long as the pieces; for pieces or, by `word_attention`, for words.
        source_pieces: the labels of the columns.
        target_pieces: the labels of the rows.
        path: where the picture shall stand.

    Raises:
        ValueError: if the matrix does not fit the pieces, or is empty.
        UserError: if the file cannot be written.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "attention.png"
    >>> heat_map([[0.9, 0.1], [0.2, 0.8]], ["▁red", "▁house"], ["▁rotes", "▁Haus"], path)
    >>> path.read_bytes()[1:4]
    b'PNG'
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    weights = _checked(attention, source_pieces, target_pieces)
    if not weights.size:
        raise ValueError("expected at least one source and one target piece to draw")
    # A label needs 0.25 inches; the bounds keep a short sentence readable and a very long one within 4000 pixels.
    width, height = (min(max(0.25 * len(pieces) + 1.5, 3.0), 40.0) for pieces in (source_pieces, target_pieces))
    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    image = axes.imshow(weights, cmap="Blues", vmin=0.0, vmax=float(weights.max()) or 1.0, aspect="auto")
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(source_pieces)), [_label(piece) for piece in source_pieces], rotation=90)
    axes.set_yticks(range(len(target_pieces)), [_label(piece) for piece in target_pieces])
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_parse_math(False)  # a dollar sign is a dollar sign
        label.set_fontfamily(_installed_fonts())
    axes.tick_params(length=0, labelsize=9)
    figure.colorbar(image, ax=axes, label="attention", shrink=0.8)
    with warnings.catch_warnings(), written_whole(path, "wb") as file:
        # A character that no installed font has is drawn as a box; one warning for each would bury the rest.
        warnings.filterwarnings("ignore", message=r"(?s).*Glyph .* missing from")
        warnings.filterwarnings("ignore", message=r"(?s).*Matplotlib currently does not support")
        figure.savefig(file, format="png")


def _checked(attention: ArrayLike, source_pieces: Sequence[str], target_pieces: Sequence[str]) -> NDArray[np.float64]:
    weights = np.asarray(attention, dtype=np.float64)
    expected = (len(target_pieces), len(source_pieces))
    if not weights.size and 0 in expected:
        return np.zeros(expected)
    if weights.shape != expected:
        raise ValueError(f"expected attention [target, source] of shape {expected}, got {weights.shape}")
    return weights


def _without_control_pieces(
    attention: ArrayLike, source_pieces: Sequence[str], target_pieces: Sequence[str]
) -> tuple[NDArray[np.float64], list[str], list[str]]:
    weights = _checked(attention, source_pieces, target_pieces)
    columns = [j for j, piece in enumerate(source_pieces) if piece not in CONTROL_PIECES]
    rows = [i for i, piece in enumerate(target_pieces) if piece not in CONTROL_PIECES]
    return weights[np.ix_(rows, columns)], [source_pieces[j] for j in columns], [target_pieces[i] for i in rows]


def _words(pieces: Sequence[str]) -> list[list[int]]:
    """The positions of each word's pieces. Word numbers are those of the text split at spaces.

    >>> _words(["▁hou", "se", "▁", "▁red", "▁"])
    [[0, 1], [2, 3, 4]]
    """
    words: list[list[int]] = []
    begun = False  # whether the last word has a character yet; a lone mark belongs to what follows it
    for position, piece in enumerate(pieces):
        if not words or (begun and piece.startswith(WORD_START)):
            words.append([])
            begun = False
        words[-1].append(position)
        begun = begun or piece != WORD_START
    if len(words) > 1 and not begun:
        blank = words.pop()
        words[-1] += blank
    return words


def _units(text: str, kinds: Sequence[str]) -> list[tuple[int, ...]]:
    """Finds, for each placeholder and each piece of text between placeholders and white space, the words it belongs to.

    They are in the order in which they stand in the normalised text.
    """
    masked, placeholders = mask(text, kinds)
    words, position = _word_numbers(text), 0
    units: list[tuple[int, ...]] = []
    for piece in re.split(f"([{SYMBOLS[0]}-{SYMBOLS[-1]}])", masked) if placeholders else [masked]:
        if placeholders and piece in SYMBOLS:
            end = position + len(placeholders[SYMBOLS.index(piece)])
            units.append(_numbers_within(text, words, position, end))
            position = end
            continue
        visible = (match for match in re.finditer(rf"[^\s{WORD_START}]+", piece) if normalize(match[0]))
        units += [(words[position + match.start()],) for match in visible]
        position += len(piece)
    return units


def _word_numbers(text: str) -> list[int]:
    """The number of the word in which each character is, or after which it comes."""
    begins = (not now.isspace() and before.isspace() for before, now in zip(" " + text, text, strict=False))
    return [count - 1 for count in itertools.accumulate(begins, initial=0)][1:]


def _numbers_within(text: str, words: Sequence[int], start: int, end: int) -> tuple[int, ...]:
    """Returns the numbers of the words that overlap the characters from `start` to `end`."""
    return tuple(sorted({words[index] for index in range(start, min(end, len(text))) if not text[index].isspace()}))


def _attention_by_number(
    weights: NDArray[np.float64], source_words: Sequence[Sequence[int]], target_words: Sequence[Sequence[int]]
) -> tuple[NDArray[np.float64], list[int], list[int]]:
    """Sums attention over the pieces of source words, averages it over those of target words; returns both's numbers.

    What a piece of several words gets is divided among them.
    """
    sources, targets = (
        sorted({number for of_piece in side for number in of_piece}) for side in (source_words, target_words)
    )
    shares, means = np.zeros((len(source_words), len(sources))), np.zeros((len(targets), len(target_words)))
    for column, of_piece in enumerate(source_words):
        for number in of_piece:
            shares[column, sources.index(number)] = 1 / len(of_piece)
    for column, of_piece in enumerate(target_words):
        for number in of_piece:
            means[targets.index(number), column] = 1.0
    means /= means.sum(1, keepdims=True)
    return means @ weights @ shares, sources, targets


def _pairs(weights: NDArray[np.float64], sources: Sequence[int], targets: Sequence[int]) -> str:
    """The pairs in Pharaoh's format, from attention `[targets, sources]` and the numbers of its rows and columns."""
    if not sources or not targets:
        return ""
    pairs = sorted((sources[row.argmax()], target) for row, target in zip(weights, targets, strict=True))
    return " ".join(f"{source}-{target}" for source, target in pairs)


def _text(pieces: Sequence[str], word: Sequence[int]) -> str:
    """The word as it stands in the text; SentencePiece spells characters that it has no piece for in bytes."""
    spelled = b""
    for position in word:
        byte = _BYTE.fullmatch(pieces[position])
        spelled += bytes.fromhex(byte[1]) if byte else pieces[position].replace(WORD_START, "").encode()
    return spelled.decode("utf-8", errors="replace")


def _label(piece: str) -> str:
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in piece)
    return shown if len(shown) <= 24 else shown[:23] + "…"


def _installed_fonts() -> list[str]:
    """Matplotlib's own font and those of `_FONTS` that are there: it complains about each that is not."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in _FONTS if name in installed)]
