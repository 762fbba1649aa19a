"""A pendulum with a weak motor, and an expert that swings it up, for `robotics.py`."""

from collections.abc import Callable

import numpy as np

STEP, TORQUE = 0.05, 2.0  # seconds; newton metres at most, less than half of what lifts the pendulum at once
EPISODE, UPRIGHT, HELD = 200, 0.2, 40  # steps of a swing-up; radians that count as upright; the last steps, all upright
PAST, AHEAD = 20, 60  # steps that a prediction begins with, and steps that are predicted
Policy = Callable[[np.ndarray, np.ndarray], np.ndarray]  # the true states and what is seen, to torques


def move(states: np.ndarray, torques: np.ndarray) -> np.ndarray:
    """Moves pendulums of 1 kg and 1 m by one step: angle from the top and its velocity, `[pendulums, 2]`."""
    speed = states[:, 1] + STEP * (15 * np.sin(states[:, 0]) + 3 * np.clip(torques, -TORQUE, TORQUE))
    return np.stack([states[:, 0] + STEP * speed, speed], -1)


def see(states: np.ndarray) -> np.ndarray:
    """What a policy sees: sine and cosine of the angle, no velocity."""
    return np.stack([np.sin(states[..., 0]), np.cos(states[..., 0])], -1).astype("float32")


def start(count: int, generator: np.random.Generator) -> np.ndarray:
    """Returns pendulums at any angle, almost at rest."""
    return np.stack([generator.uniform(-np.pi, np.pi, count), generator.uniform(-1, 1, count)], -1)


def expert(states: np.ndarray, _: np.ndarray) -> np.ndarray:
    """Pumps energy into the swing (Astrom and Furuta 2000), and holds near the top; it knows the velocities."""
    angle, speed = (states[:, 0] + np.pi) % (2 * np.pi) - np.pi, states[:, 1]
    missing = 15 * (1 - np.cos(angle)) - speed**2 / 2
    swing = TORQUE * np.tanh(missing) * np.where(speed < 0, -1, 1)
    hold = np.clip(-10 * angle - 3 * speed, -TORQUE, TORQUE)
    return np.where((abs(angle) < 0.35) & (abs(speed) < 1.5), hold, swing)


def run(policy: Policy, states: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Runs a policy; returns the states that it met, `[pendulums, steps, 2]`, and its torques, `[pendulums, steps]`."""
    met, torques = [], []
    for _ in range(steps):
        met.append(states)
        torques.append(policy(states, see(states)))
        states = move(states, torques[-1])
    return np.stack(met, 1), np.stack(torques, 1)


def held(states: np.ndarray) -> float:
    """Returns the share of the pendulums that stand upright throughout the last two seconds."""
    return float(np.mean(np.all(np.cos(states[:, -HELD:, 0]) > np.cos(UPRIGHT), 1)))


def journeys(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns what is seen of pendulums under changing torques, `[count, steps, 2]`, and these, `[count, steps]`."""
    generator = np.random.default_rng(seed)
    torques = np.repeat(generator.uniform(-TORQUE, TORQUE, (count, (PAST + AHEAD) // 10)), 10, 1)
    rest = iter(torques.T)
    states, _ = run(lambda *_: next(rest), start(count, generator), PAST + AHEAD)
    return see(states), torques.astype("float32")
