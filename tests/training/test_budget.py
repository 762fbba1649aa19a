"""What there is time for."""

import pytest

from nmt.config import load_config
from nmt.data.counts import TokenCounts
from nmt.training.budget import Machine, count_steps, course, measure_machine, seconds_of_steps
from nmt.training.compilation import StepTimes
from tests.test_docs import ROOT

TOKENS, MACHINE = TokenCounts(15.0, 16.0, 40), Machine(5e10, 4.0)


@pytest.mark.parametrize("name", ["base.yaml", "best.yaml", "ref-256.yaml", "student.yaml"])
def test_steps_take_as_long_as_their_products(name):
    config = load_config(ROOT / "configs" / name)
    steps = [count_steps(config, TOKENS, MACHINE, minutes) for minutes in (30, 60)]
    seconds = [seconds_of_steps(minutes, config.batches.shapes, MACHINE) for minutes in (30, 60)]
    assert steps[1] / steps[0] == pytest.approx(seconds[1] / seconds[0], rel=0.01)
    twice = count_steps(config, TOKENS, MACHINE._replace(flops_per_second=1e11), 30)
    assert twice == pytest.approx(2 * steps[0], rel=0.01)
    assert 500 < steps[0] < 10_000


@pytest.mark.parametrize(
    ("steps", "extent", "compile_seconds"),
    [(10, "none", 0.1), (100, "parts", 2.0), (10_000, "step", 5.0)],  # of 5 shapes
)
def test_the_machine_is_as_fast_as_what_suits_the_steps(monkeypatch, steps, extent, compile_seconds):
    costs = {"none": StepTimes(0.0, 1.0), "parts": StepTimes(2.0, 0.8), "step": StepTimes(5.0, 0.7)}
    monkeypatch.setattr("nmt.training.budget.measure_extents", lambda *_: costs)
    sizes = ["model.units=8", "model.embedding=8", "batches.shapes=5", "training.precision=float32"]

    def measured(steps):
        course = ["training.schedule=constant", f"training.max_steps={steps}"]
        return measure_machine(load_config(ROOT / "configs" / "student.yaml", sizes + course), TOKENS)

    machine = measured(steps)
    assert (machine.xla, machine.compile_seconds) == (extent, pytest.approx(compile_seconds))
    in_one_second = measured(1).flops_per_second  # without XLA
    assert machine.flops_per_second == pytest.approx(in_one_second / costs[extent].later)


def test_a_course_ends_and_is_validated():
    for steps in (20, 100, 1000, 30_000):
        settings = course(steps)
        assert settings["warmup_steps"] < steps
        assert 3 <= -(-steps // settings["validate_every"]) <= 12
        assert -(-steps // course(steps, 8)["validate_every"]) in (3, 4)
        assert 0.9 <= settings["average_decay"] < 1
