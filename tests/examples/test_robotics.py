"""The example of robotics: its pendulum, its expert, what is hidden, and a short run of it."""

import json

import keras
import numpy as np
import pendulum
import pytest
import robotics
from pendulum import AHEAD, EPISODE, PAST, TORQUE


def test_energy_is_kept_without_torque():
    states, _ = pendulum.run(lambda states, _: np.zeros(len(states)), np.array([[2.0, 0.0]]), 100)
    energy = states[0, :, 1] ** 2 / 2 + 15 * np.cos(states[0, :, 0])
    assert np.ptp(energy) < 2  # of 30 between bottom and top: steps are not infinitely small


def test_the_torque_is_limited():
    state = np.array([[2.0, 0.0]])
    np.testing.assert_array_equal(pendulum.move(state, np.array([99.0])), pendulum.move(state, np.array([TORQUE])))


def test_the_motor_alone_does_not_lift_the_pendulum_and_the_expert_does():
    hanging = np.array([[np.pi, 0.1]] * 2)
    pushed, _ = pendulum.run(lambda states, _: np.full(len(states), TORQUE), hanging, EPISODE)
    swung, torques = pendulum.run(pendulum.expert, hanging, EPISODE)
    assert np.cos(pushed[..., 0]).max() < 0
    assert pendulum.held(swung) == 1
    assert abs(torques).max() <= TORQUE


def test_velocities_are_hidden():
    states = np.array([[0.3, -4.0], [0.3, 4.0]])
    np.testing.assert_array_equal(*pendulum.see(states))


def test_a_policy_carries_on_what_the_network_remembers():
    keras.utils.set_random_seed(0)
    network = robotics.make_policy(memory=True, inputs=2, units=4)
    seen = np.random.default_rng(0).normal(size=(3, 5, 2)).astype("float32")
    policy = robotics.act(network, with_speed=False, count=3)
    stepped = [policy(np.zeros((3, 2)), seen[:, step]) for step in range(5)]
    np.testing.assert_allclose(np.stack(stepped, 1), network(seen)[..., 0], atol=1e-5)


def test_a_linear_forecast_of_a_linear_system_is_exact():
    generator = np.random.default_rng(0)
    torques = generator.normal(size=(40, PAST + AHEAD))
    seen = np.zeros((40, PAST + AHEAD, 2))
    seen[:, 0] = generator.normal(size=(40, 2))
    for step in range(1, PAST + AHEAD):
        seen[:, step] = seen[:, step - 1] @ [[0.9, 0.1], [-0.2, 0.9]] + 0.1 * torques[:, step - 1, None]
    np.testing.assert_allclose(robotics.linear_forecast(seen, torques, seen, torques), seen[:, PAST:], atol=1e-6)


def test_errors_go_around_the_circle():
    angles = np.radians([[179.0]]), np.radians([[-179.0]])
    assert robotics.errors(*(pendulum.see(one[..., None]) for one in angles)) == pytest.approx([2], abs=1e-4)


def test_short_run_prints_all_rows(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(robotics, "EPISODE", 45)
    output, results = tmp_path / "made.png", tmp_path / "made.json"
    robotics.main(seeds=1, rounds=2, epochs=1, count=8, units=4, output=output, results=results)
    rows = capsys.readouterr().out.splitlines()
    written = json.loads(results.read_text())
    assert [row[:34].rstrip() for row in rows[1:5]] == list(written["held_upright"]) == ["expert", *robotics.POLICIES]
    assert [row[:34].rstrip() for row in rows[6:]] == list(written["degrees"])
    assert output.stat().st_size < 100_000
