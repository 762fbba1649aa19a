"""The search of LiteRT's translator nests tags."""

import numpy as np
import pytest

from nmt.constants import END
from nmt.serving.lite.translator import LiteTranslator

FIRST = END + 1
PLACEHOLDERS = ["<b>", "</b>", "<i>", "</i>"] + [""] * 6


class _Tokenizer:
    def piece_to_id(self, piece):
        return FIRST + 10


@pytest.mark.parametrize(("nested", "expected"), [(True, [0, 2, 3, 1]), (False, [0, 2, 1, 3])])
def test_tags_close_in_the_legal_order(nested, expected):
    """The model always prefers </b> to </i>."""
    translator = object.__new__(LiteTranslator)
    translator.settings = {
        "max_length_factor": 2.0,
        "max_length_offset": 9,
        "min_length": 0,
        "beam_size": 1,
        "length_penalty": 1.0,
        "coverage_penalty": 0.0,
        "placeholders": ["tags"],
        "nest_tags": nested,
    }
    translator._target = _Tokenizer()
    translator._encode = lambda ids: {"states": np.zeros((1, 1, 1))}
    likely = np.zeros(FIRST + 11, np.float32)
    likely[[FIRST, FIRST + 2, FIRST + 1, FIRST + 3, END]] = [9, 8, 7, 6, 5]
    translator._step = lambda **_: {"scores": likely.copy(), "states": np.zeros((1, 1, 1))}
    found = translator.search([FIRST, FIRST + 2, FIRST + 3, FIRST + 1, END], PLACEHOLDERS)
    assert [token - FIRST for token in found[:-1]] == expected
