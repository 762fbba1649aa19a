"""What a server answers is read without trust; `benchmarks/fuzz.py` found these."""

from typing import Any

import pytest
from tensorflow import make_tensor_proto
from tensorflow_serving.apis.predict_pb2 import PredictResponse

from nmt.serving.client import Translation, _Endpoint, _translations
from nmt.serving.transports import RequestError, values_of
from nmt.utils.errors import UserError

ENDPOINT = _Endpoint("localhost:1", "translator", "nbest", ("translations", "scores"), True, 1.0)


@pytest.mark.parametrize(
    ("texts", "scores"),
    [
        (1, [-1.0]),
        ("ab", [-1.0, -2.0]),
        (["a"], "x"),
        (["a", "b"], [-1.0]),
        ([None], [-1.0]),
        (["a"], ["-1"]),
        (["a"], []),
    ],
)
def test_what_are_no_translations_is_an_error_of_one_line(texts: Any, scores: Any) -> None:
    with pytest.raises(UserError, match=r"^localhost:1: expected translations and their scores, got "):
        _translations(ENDPOINT, texts, scores)


@pytest.mark.parametrize("score", [10**400, float("nan"), float("inf"), -1e9])
def test_scores_that_no_float_holds_are_none(score: float) -> None:
    assert _translations(ENDPOINT, [b"a", "b"], [-1.0, score]) == [Translation("a", -1.0)]
    with pytest.raises(UserError, match="found no translation"):
        _translations(ENDPOINT, ["a"], [score])


def test_malformed_tensors_are_an_error_and_a_few_bytes_are_not_made_to_gigabytes() -> None:
    response = PredictResponse()
    response.outputs["scores"].CopyFrom(make_tensor_proto([-1.0]))
    assert values_of(response) == {"scores": [-1.0]}
    tensor = response.outputs["scores"]
    tensor.tensor_shape.dim[0].size = 2**40
    with pytest.raises(RequestError, match="malformed tensor"):
        values_of(response)
    tensor.tensor_shape.dim[0].size = -1
    with pytest.raises(RequestError, match="malformed tensor"):
        values_of(response)
    tensor.CopyFrom(make_tensor_proto([-1.0]))
    tensor.dtype = 121
    with pytest.raises(RequestError, match="malformed tensor"):
        values_of(response)
