"""What there is time for."""

import pytest

from nmt.config import load_config
from nmt.data.counts import TokenCounts
from nmt.data.shapes import Shape
from nmt.training.budget import Machine, count_steps, course, measure_machine, seconds_of_steps
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


def test_a_course_ends_and_is_validated():
    for steps in (20, 100, 1000, 30_000):
        settings = course(steps)
        assert settings["warmup_steps"] < steps
        assert 3 <= -(-steps // settings["validate_every"]) <= 12
        assert -(-steps // course(steps, 8)["validate_every"]) in (3, 4)
        assert 0.9 <= settings["average_decay"] < 1


def test_neither_tracing_nor_a_busy_moment_counts_as_the_speed_of_a_machine(monkeypatch):
    begun: set[Shape] = set()

    def measured(step: float, moment: float) -> Machine:
        def time_steps(trainer, distribution, shapes):
            times = []
            for shape in shapes:
                times.append(step + (0 if shape in begun else 3.0) + (0 if begun else 20.0))  # compiled, and traced
                begun.add(shape)
            return [*times[:-1], times[-1] + moment]

        begun.clear()
        monkeypatch.setattr("nmt.training.budget.time_steps", time_steps)
        sizes = ["model.units=8", "model.embedding=8", "training.precision=float32"]
        return measure_machine(load_config(ROOT / "configs" / "student.yaml", sizes), TOKENS)

    machine = measured(0.5, 0.0)
    assert machine.compile_seconds == pytest.approx(3.0)
    assert measured(0.5, 7.0) == pytest.approx(machine)
    assert measured(0.25, 0.0).flops_per_second == pytest.approx(2 * machine.flops_per_second)
