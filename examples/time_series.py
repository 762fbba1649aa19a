"""Forecasting the weeks of a year: one GRU reads the past, another one goes through the weeks to come.

    python examples/time_series.py

learns from the carbon dioxide in the air over Mauna Loa, weekly since 1958 (statsmodels ships it), and forecasts years
that it never saw, beside two forecasts that learn nothing and the same network made of `keras.layers.GRU`.
"""

import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import nmt  # before Keras: it hushes TensorFlow

# isort: split
import keras
import numpy as np
import typer
from matplotlib.figure import Figure
from statsmodels.datasets import co2

SEASON = HORIZON = 52  # weeks: the period of the series, and how far it is forecast
WINDOW = 2 * SEASON  # weeks that the encoder reads; from two years it can tell how fast the level rises
VALIDATION, TEST = "1988-01-01", "1994-01-01"  # where these stretches begin; all before is for training
FEATURES = 4  # of the calendar: the year as an angle, its sine and cosine, and those of twice the angle
BATCH = 128
NETWORKS: Mapping[str, Callable[..., Any]] = {
    "nmt.GRU": nmt.GRU,
    "keras.layers.GRU": partial(keras.layers.GRU, reset_after=False),  # the same equations
}


class Series(NamedTuple):
    """The weeks of a series: values in ppm `[weeks]`, what the calendar says of each `[weeks, 4]`, the year with its
    fraction `[weeks]`, and the first weeks of validation and of test."""

    values: np.ndarray
    calendar: np.ndarray
    years: np.ndarray
    validation: int
    test: int


class Windows(NamedTuple):
    """Forecasts to make: values before the origin `[origins, WINDOW]`, values after it `[origins, HORIZON]`, and the
    calendar of both, `[origins, WINDOW or HORIZON, 4]`."""

    past: np.ndarray
    future: np.ndarray
    past_calendar: np.ndarray
    future_calendar: np.ndarray


def load_series() -> Series:
    """Carbon dioxide over Mauna Loa; where a week is missing, the one before stands for it, never one after it."""
    values = co2.load_pandas().data["co2"].ffill()
    dates = values.index
    years = dates.year.to_numpy() + (dates.day_of_year.to_numpy() - 1) / 365.25
    angles = 2 * np.pi * years
    calendar = np.stack([np.sin(angles), np.cos(angles), np.sin(2 * angles), np.cos(2 * angles)], -1)
    return Series(values.to_numpy(), calendar, years, dates.searchsorted(VALIDATION), dates.searchsorted(TEST))


def make_windows(series: Series, begin: int, end: int) -> Windows:
    """One for each week of `begin` to `end` whose horizon ends within them; the past may reach back before `begin`."""
    origins = np.arange(max(begin, WINDOW), end - HORIZON + 1)[:, None]
    past, future = origins + np.arange(-WINDOW, 0), origins + np.arange(HORIZON)
    return Windows(series.values[past], series.values[future], series.calendar[past], series.calendar[future])


def split(series: Series) -> tuple[Windows, Windows, Windows]:
    """Windows for training, validation and test, in the order of time; no future value is in two of them."""
    bounds = (0, series.validation, series.test, len(series.values))
    train, validation, test = (make_windows(series, *stretch) for stretch in pairwise(bounds))
    return train, validation, test


def level(past: np.ndarray) -> np.ndarray:
    """The mean of the last year before each origin, `[origins, 1]`; values told from it stay in training's range."""
    return past[:, -SEASON:].mean(1, keepdims=True)


def seasonal_naive(past: np.ndarray, drift: bool = False) -> np.ndarray:
    """The last year again, `[origins, HORIZON]`; with drift, moved on by what it lay above the year before."""
    last = past[:, -SEASON:]
    return last + level(past) - level(past[:, :-SEASON]) if drift else last


def mase(forecasts: np.ndarray, actual: np.ndarray, training: np.ndarray, season: int = SEASON) -> np.ndarray:
    """Mean absolute scaled error (Hyndman and Koehler 2006, doi:10.1016/j.ijforecast.2006.03.001).

    Above 1, forecasts err more than the seasonal-naive one errs on the values of training.

    Args:
        forecasts: `[origins, steps]`.
        actual: the values that came, `[origins, steps]`.
        training: the series that scales, `[time]`.
        season: its period.

    Returns:
        The error for each number of steps ahead, `[steps]`; their mean is that of all.
    """
    return np.abs(forecasts - actual).mean(0) / np.abs(training[season:] - training[:-season]).mean()


def make_network(recurrent: Callable[..., Any], units: int) -> keras.Model:
    """Encoder and decoder, `recurrent` making the layers of both.

    All that the decoder knows of the past is the encoder's last state; what it reads is the calendar to come. As it
    needs none of its own forecasts, it works in training as it does afterwards.
    """
    past = keras.Input((WINDOW, 1 + FEATURES))
    calendar = keras.Input((HORIZON, FEATURES))
    _, state = recurrent(units, return_state=True)(past)
    states = recurrent(units, return_sequences=True)(calendar, initial_state=state)
    return keras.Model([past, calendar], keras.layers.Dense(1)(states))


def scaled(windows: Windows, spread: float) -> tuple[list[np.ndarray], np.ndarray]:
    """What encoder and decoder read, and what the decoder should say."""
    before = level(windows.past)
    past = np.concatenate([((windows.past - before) / spread)[..., None], windows.past_calendar], -1)
    return [past, windows.future_calendar], ((windows.future - before) / spread)[..., None]


def train(network: keras.Model, training: Windows, validation: Windows, spread: float, epochs: int) -> None:
    """Fits to the mean absolute error, and keeps the weights of the epoch that did best on validation."""
    network.compile(keras.optimizers.Adam(0.005, clipnorm=1.0), "mae")
    slow_down = keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=3)
    stop = keras.callbacks.EarlyStopping(patience=8, restore_best_weights=True)
    (x, y), valid = scaled(training, spread), scaled(validation, spread)
    network.fit(x, y, BATCH, epochs, verbose=0, callbacks=[slow_down, stop], validation_data=valid)


def forecast(network: keras.Model, windows: Windows, spread: float) -> np.ndarray:
    """Values in ppm, `[origins, HORIZON]`."""
    return network.predict(scaled(windows, spread)[0], verbose=0)[..., 0] * spread + level(windows.past)


def draw(series: Series, made: Mapping[str, np.ndarray], errors: Mapping[str, np.ndarray], output: Path) -> None:
    """Draws the forecasts of the last year, and the error by how far ahead they look."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    last_year, ahead = figure.subplots(1, 2)
    last_year.plot(series.years[-WINDOW:], series.values[-WINDOW:], color="black", label="measured")
    for name, style in zip(made, (":", "-.", "-", "--"), strict=True):
        last_year.plot(series.years[-HORIZON:], made[name].mean(0)[-1], style, label=name)
        ahead.plot(np.arange(1, HORIZON + 1), errors[name].mean(0), style, label=name)
    last_year.set(xlabel="year", ylabel="carbon dioxide, ppm")
    ahead.set(xlabel="weeks ahead", ylabel="MASE on the test stretch", xlim=(1, HORIZON), ylim=(0, None))
    for axes in (last_year, ahead):
        axes.grid(alpha=0.3)
    last_year.locator_params(axis="x", integer=True)
    figure.legend(*last_year.get_legend_handles_labels(), loc="outside upper center", ncols=5)
    figure.savefig(output, dpi=100)


def main(
    seeds: Annotated[int, typer.Option(min=1, help="how many trainings each network gets")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="the most that one takes")] = 40,
    units: Annotated[int, typer.Option(min=1, help="width of encoder and decoder")] = 32,
    output: Annotated[Path, typer.Option(help="file for the picture")] = Path("time_series.png"),
) -> None:
    """Forecast carbon dioxide a year ahead, and compare."""
    series = load_series()
    training, validation, test = split(series)
    spread = float((training.past - level(training.past)).std())
    made = {"seasonal naive": [seasonal_naive(test.past)], "with drift": [seasonal_naive(test.past, drift=True)]}
    costs: dict[str, list[tuple[float, int]]] = {name: [] for name in NETWORKS}  # of each training: seconds, epochs
    made |= {name: [] for name in NETWORKS}
    for seed in range(seeds):
        for name, recurrent in NETWORKS.items():  # in turns, so that a machine's moods meet both
            print(f"training {name}, {seed + 1} of {seeds}", file=sys.stderr, flush=True)
            keras.utils.set_random_seed(seed)
            network = make_network(recurrent, units)
            start = time.perf_counter()
            train(network, training, validation, spread, epochs)
            costs[name].append((time.perf_counter() - start, len(network.history.epoch)))
            made[name].append(forecast(network, test, spread))
    in_sample = series.values[: series.validation]
    errors = {name: np.stack([mase(one, test.future, in_sample) for one in each]) for name, each in made.items()}
    print(f"MASE, {len(test.past)} origins from {TEST} on, {HORIZON} weeks ahead from each; {seeds} seeds")
    print(f"{'weeks ahead':18}    all  least   most   1-13  14-26  27-39  40-52  training  an epoch")
    for name, error in errors.items():
        quarters = [quarter.mean() for quarter in np.split(error, 4, 1)]
        row = (error.mean(), error.mean(1).min(), error.mean(1).max(), *quarters)
        seconds, passes = np.sum(costs.get(name, [(0, 1)]), 0)
        took = [f"{seconds / seeds:7.1f} s {seconds / passes:8.2f} s"] if seconds else []
        print(f"{name:18}", *(f"{figure:6.3f}" for figure in row), *took)
    draw(series, {name: np.stack(each) for name, each in made.items()}, errors, output)
    print(f"the picture is in {output}", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
