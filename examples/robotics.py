"""A pendulum that a GRU swings up, and foresees, without being shown how fast it moves.

    python examples/robotics.py

simulates a pendulum whose motor is too weak to lift it at once. A network learns by imitation to swing it up and hold
it there from the angle alone (Ross et al. 2011), and is compared with one without memory. Another one predicts the
angles of the next three seconds from the torques that will be applied, and is compared with a linear model.
"""

import sys
from pathlib import Path
from typing import Annotated

import keras
import numpy as np
import tensorflow as tf
import typer
from matplotlib.figure import Figure
from pendulum import AHEAD, EPISODE, PAST, STEP, TORQUE, Policy, expert, held, journeys, run, see, start
from results import write_results

import nmt

LAGS = 3  # observations that the linear model reads; two would be enough to know a velocity
SHOWN = (10, 20, 40, 60)  # steps ahead whose errors are shown
POLICIES = {  # memory, and whether velocities are shown
    "GRU": (True, False),
    "without memory": (False, False),
    "without memory, velocities shown": (False, True),
}


def make_policy(memory: bool, inputs: int, units: int) -> keras.Model:
    """Builds a network from what is seen, `[batch, steps, inputs]`, to torques, with a GRU or without memory."""
    seen = keras.Input((None, inputs))
    hidden = nmt.GRU(units, return_sequences=True, name="gru") if memory else keras.layers.Dense(3 * units, "relu")
    values = keras.layers.Dense(units, "relu")(hidden(seen))
    torques = keras.layers.Dense(1, "tanh")(values) * TORQUE
    return keras.Model(seen, torques)


def act(network: keras.Model, with_speed: bool, count: int) -> Policy:
    """Returns a policy that gives a network one observation after the other, and carries on the GRU's state."""
    layers = [layer for layer in network.layers if layer.weights]
    cell = layers[0].cell if isinstance(layers[0], nmt.GRU) else None
    states = [tf.zeros((count, layers[0].units if cell is None else cell.units))]

    @tf.function(autograph=False)
    def step(seen: tf.Tensor, before: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        hidden, after = (layers[0](seen), before) if cell is None else cell(seen, before)
        return layers[2](layers[1](hidden))[:, 0] * TORQUE, after

    def policy(true: np.ndarray, seen: np.ndarray) -> np.ndarray:
        nonlocal states
        speed = true[:, 1:].astype("float32") / 8
        torques, states = step(tf.constant(np.concatenate([seen, speed], -1) if with_speed else seen), states)
        return torques.numpy()

    return policy


def imitate(
    memory: bool, with_speed: bool, seed: int, rounds: int, epochs: int, units: int
) -> tuple[float, np.ndarray]:
    """Learns to do as the expert does, first where the expert comes to, then where the network itself does.

    Returns:
        The share of 200 new pendulums that it holds upright, and the angles of the one that begins lowest.
    """
    generator = np.random.default_rng(seed)
    network = make_policy(memory, 3 if with_speed else 2, units)
    network.compile(keras.optimizers.Adam(3e-3, clipnorm=1.0), "mse", jit_compile=False)
    inputs, labels = [], []
    for number in range(rounds):
        policy = act(network, with_speed, 100) if number else expert
        states = run(policy, start(100, generator), EPISODE)[0]
        inputs.append(np.concatenate([see(states), states[..., 1:] / 8], -1)[..., : 3 if with_speed else 2])
        labels.append(expert(states.reshape(-1, 2), states).reshape(*states.shape[:2], 1))
        network.fit(np.concatenate(inputs), np.concatenate(labels), 50, epochs, verbose=0)
        network.optimizer.learning_rate = 3e-3 * (1 - (number + 1) / rounds) + 2e-4
    states = run(act(network, with_speed, 200), start(200, np.random.default_rng(1000 + seed)), EPISODE)[0]
    return held(states), lowest(states)


def lowest(states: np.ndarray) -> np.ndarray:
    """Returns the angles of the pendulum that begins lowest, and has the longest way up."""
    return states[np.argmin(np.cos(states[:, 0, 0])), :, 0]


def linear_forecast(seen: np.ndarray, torques: np.ndarray, new: np.ndarray, new_torques: np.ndarray) -> np.ndarray:
    """Fits the next observation to the last ones by least squares, and applies that again and again."""

    def features(past: np.ndarray, torque: np.ndarray) -> np.ndarray:
        return np.concatenate([past.reshape(len(past), -1), torque[:, None], np.ones((len(past), 1))], -1)

    steps = range(LAGS, seen.shape[1])
    x = np.concatenate([features(seen[:, t - LAGS : t], torques[:, t - 1]) for t in steps])
    weights = np.linalg.lstsq(x, np.concatenate([seen[:, t] for t in steps]), rcond=None)[0]
    past = new[:, PAST - LAGS : PAST]
    for t in range(PAST, PAST + AHEAD):
        past = np.concatenate([past, (features(past[:, -LAGS:], new_torques[:, t - 1]) @ weights)[:, None]], 1)
    return past[:, LAGS:]


def make_predictor(units: int) -> keras.Model:
    """Builds an encoder of what was seen and done, and a decoder that reads the torques to come."""
    past, torques = keras.Input((PAST, 3)), keras.Input((AHEAD, 1))
    _, state = nmt.GRU(units, return_state=True)(past)
    states = nmt.GRU(units, return_sequences=True)(torques, initial_state=state)
    return keras.Model([past, torques], keras.layers.Dense(2)(keras.layers.Dense(units, "relu")(states)))


def errors(forecast: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Returns the mean error of the angle in degrees, for each number of steps ahead, `[AHEAD]`."""
    angles = [np.arctan2(one[..., 0], one[..., 1]) for one in (forecast, seen)]
    return np.degrees(abs((angles[0] - angles[1] + np.pi) % (2 * np.pi) - np.pi)).mean(0)


def foresee(seed: int, count: int, epochs: int, units: int) -> dict[str, np.ndarray]:
    """Trains the predictor, and returns the errors of all forecasts of 500 new journeys."""
    (seen, torques), (new, new_torques) = journeys(count, 2 * seed), journeys(500, 2 * seed + 1)

    def split(seen: np.ndarray, torques: np.ndarray) -> list[np.ndarray]:
        past = np.concatenate([seen[:, :PAST], np.roll(torques, 1, 1)[:, :PAST, None]], -1)
        return [past, torques[:, PAST - 1 : -1, None]]

    predictor = make_predictor(units)
    rate = keras.optimizers.schedules.CosineDecay(5e-3, epochs * -(-count // 64))
    predictor.compile(keras.optimizers.Adam(rate, clipnorm=1.0), "mse", jit_compile=False)
    predictor.fit(split(seen, torques), seen[:, PAST:], 64, epochs, verbose=0)
    forecasts = {
        "stays where it is": np.repeat(new[:, PAST - 1 : PAST], AHEAD, 1),
        "linear model": linear_forecast(seen, torques, new, new_torques),
        "GRU": predictor.predict(split(new, new_torques), verbose=0),
    }
    return {name: errors(one, new[:, PAST:]) for name, one in forecasts.items()}


def draw(angles: dict[str, np.ndarray], ahead: dict[str, np.ndarray], output: Path) -> None:
    """Draws one swing-up by each policy, and the errors of the forecasts by the time ahead."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, angle in angles.items():
        left.plot(np.arange(EPISODE) * STEP, np.cos(angle), label=name)
    left.set(xlabel="seconds", ylabel="height of the pendulum, m", ylim=(-1.1, 1.1))
    for name, error in ahead.items():
        right.plot(np.arange(1, AHEAD + 1) * STEP, error, label=name)
    right.set(xlabel="seconds ahead", ylabel="mean error, degrees", ylim=(0, None))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    figure.savefig(output, dpi=90)


def main(
    seeds: Annotated[int, typer.Option(min=1, help="number of trainings of each network")] = 3,
    rounds: Annotated[int, typer.Option(min=1, help="rounds of imitation")] = 6,
    epochs: Annotated[int, typer.Option(min=1, help="training epochs of each round")] = 20,
    count: Annotated[int, typer.Option(min=2, help="journeys to learn to predict from")] = 2000,
    units: Annotated[int, typer.Option(min=1, help="width of the GRUs")] = 64,
    output: Annotated[Path, typer.Option(help="PNG file to write")] = Path("robotics.png"),
    results: Annotated[Path | None, typer.Option(help="JSON file to write the figures to")] = None,
) -> None:
    """Swing a pendulum up, predict where it goes, and compare methods."""
    states, _ = run(expert, start(200, np.random.default_rng(1000)), EPISODE)
    upright, angles = {"expert": [held(states)] * seeds}, {"expert": lowest(states)}
    ahead: dict[str, list[np.ndarray]] = {}
    for seed in range(seeds):
        keras.utils.set_random_seed(seed)
        for name, (memory, speed) in POLICIES.items():
            print(f"training, {seed + 1} of {seeds}: {name}", file=sys.stderr, flush=True)
            share, angle = imitate(memory, speed, seed, rounds, epochs, units)
            upright.setdefault(name, []).append(share)
            angles.setdefault(name, angle)
        for name, error in foresee(seed, count, 2 * epochs, units).items():
            ahead.setdefault(name, []).append(error)
    print(f"held upright, of 200 pendulums; mean, least and most of {seeds} seeds")
    for name, each in upright.items():
        print(f"{name:34} {np.mean(each):6.1%} {min(each):6.1%} {max(each):6.1%}")
    print("mean error in degrees: 0.5, 1, 2 and 3 seconds ahead")
    for name, errors_of in ahead.items():
        print(f"{name:34}", *(f"{np.mean(errors_of, 0)[steps - 1]:6.1f}" for steps in SHOWN))
    draw(angles, {name: np.mean(each, 0) for name, each in ahead.items()}, output)
    if results is not None:
        settings = {"seeds": seeds, "rounds": rounds, "epochs": epochs, "count": count, "units": units}
        degrees = {name: [[round(float(e[s - 1]), 2) for s in SHOWN] for e in each] for name, each in ahead.items()}
        write_results(results, settings, {"held_upright": upright, "steps_ahead": SHOWN, "degrees": degrees})
    print(f"wrote {output}", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
