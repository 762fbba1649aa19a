"""Settings that no model has are refused before any work starts."""

import pytest

from nmt.runs.models import check_model
from nmt.utils.errors import UserError
from tests.helpers import reversal_config


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"cell": "gruu"}, r"model: expected `cell` to be one of gru, lstm, rnn, min_gru, ssru, got 'gruu'"),
        ({"decoder_cell": "gruu"}, r"model: expected `decoder_cell` to be one of gru, .*, got 'gruu'"),
        ({"decoder_cell": "ssru", "recurrent_dropout": 0.1}, "model: SSRU.*`recurrent_dropout`.*got 0.1"),
        ({"cell": "min_gru", "recurrent_dropout": 0.1}, "model: MinGRU.*`recurrent_dropout`.*got 0.1"),
        ({"cell": "rnn", "longest_memory": 9}, "model: SimpleRNN.*`longest_memory`.*got 9"),
    ],
)
def test_a_cell_and_what_it_can_do(model, message, tmp_path):
    with pytest.raises(UserError, match=message):
        check_model(reversal_config(tmp_path, pairs=10, model=model))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_what_a_cell_can_do_passes(cell, tmp_path):
    check_model(
        reversal_config(tmp_path, pairs=10, model={"cell": cell, "recurrent_dropout": 0.1, "longest_memory": 9})
    )
