"""Drawings of two shapes, and sentences that describe them, for `vision.py`."""

from collections.abc import Callable, Mapping

import keras
import numpy as np

SIDE, PART = 32, 4  # pixels: the side of a drawing, and that of the part of it that one attention weight is for
COLOURS = {"red": (1.0, 0.2, 0.2), "green": (0.2, 0.8, 0.2), "blue": (0.3, 0.4, 1.0), "yellow": (1.0, 0.9, 0.2)}
SHAPES: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {  # by the distance from the centre, in pixels
    "circle": lambda x, y: x**2 + y**2 <= 18,
    "square": lambda x, y: np.maximum(abs(x), abs(y)) <= 3.5,
    "triangle": lambda x, y: (abs(x) <= (y + 4.5) / 2) & (abs(y) <= 4.5),
}
BEGIN, END = 2, 3  # ids of the begin and end marks; 0 is padding, 1 is not used
WORDS = ["", "", "<begin>", "<end>", "a", "left", "of", "above", *COLOURS, *SHAPES]


def draw_shapes(generator: np.random.Generator) -> tuple[np.ndarray, str]:
    """Draws two shapes, and says which is left of or above which; returns the picture, `[32, 32, 3]`, and that."""
    while True:
        centres = generator.integers(5, SIDE - 5, (2, 2))
        across, down = centres[1] - centres[0]
        if max(abs(across), abs(down)) > 9 and abs(abs(across) - abs(down)) > 2:  # apart, and not on a diagonal
            break
    beside = abs(across) > abs(down)
    centres = centres[np.argsort(centres[:, 0 if beside else 1])]
    y, x = np.mgrid[:SIDE, :SIDE]
    picture, names = generator.normal(0.1, 0.05, (SIDE, SIDE, 3)), []
    for centre in centres:
        colour, shape = generator.choice(list(COLOURS)), generator.choice(list(SHAPES))
        picture[SHAPES[shape](x - centre[0], y - centre[1])] = COLOURS[colour]
        names.append(f"a {colour} {shape}")
    return picture.clip(0, 1), (" left of " if beside else " above ").join(names)


def drawings(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns pictures, float32 `[count, 32, 32, 3]`, and the ids of their descriptions, int32 `[count, words]`."""
    pictures, texts = zip(*map(draw_shapes, [np.random.default_rng(seed)] * count), strict=True)
    ids = [[*map(WORDS.index, text.split()), END] for text in texts]
    return np.stack(pictures).astype("float32"), keras.utils.pad_sequences(ids, padding="post")


def right(found: np.ndarray, target: np.ndarray) -> float:
    """Returns the share of descriptions that are right to the last word, however both are padded."""
    words = [[[id for id in row if id] for row in ids] for ids in (found, target)]
    return float(np.mean([one == other for one, other in zip(*words, strict=True)]))
