"""Forecasting a time series a year ahead, with one GRU as encoder of the past and another as decoder of the future.

    python examples/time_series.py

trains on the weekly concentration of carbon dioxide over Mauna Loa since 1958, which is part of statsmodels, and
forecasts later years. It compares with two forecasts without training and with the network of `keras.layers.GRU`.
"""

import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import keras
import numpy as np
import typer
from matplotlib.figure import Figure
from results import write_results
from statsmodels.datasets import co2

import nmt

SEASON = HORIZON = 52  # weeks: the period of the series, and the length of a forecast
WINDOW = 2 * SEASON  # weeks that the encoder reads; two years show how fast the level rises
VALIDATION, TEST = "1988-01-01", "1994-01-01"  # first days of these splits; everything before is for training
FEATURES = 4  # of the calendar: sine and cosine of the time of year as an angle, and of twice this angle
BATCH_SIZE = 128
NETWORKS: Mapping[str, Callable[..., Any]] = {
    "nmt.GRU": nmt.GRU,
    "keras.layers.GRU": partial(keras.layers.GRU, reset_after=False),  # the same equations
}


class Series(NamedTuple):
    """A weekly series, and where its splits begin."""

    values: np.ndarray  # [weeks], in ppm
    calendar: np.ndarray  # [weeks, 4]
    years: np.ndarray  # [weeks], with fractions
    validation: int  # index of the first week
    test: int  # index of the first week


class Windows(NamedTuple):
    """The past and the future of several weeks, the origins of forecasts."""

    past: np.ndarray  # [origins, WINDOW], in ppm
    future: np.ndarray  # [origins, HORIZON], in ppm
    past_calendar: np.ndarray  # [origins, WINDOW, 4]
    future_calendar: np.ndarray  # [origins, HORIZON, 4]


def load_series() -> Series:
    """Loads carbon dioxide over Mauna Loa; a missing week gets the value before it, never one from its future."""
    values = co2.load_pandas().data["co2"].ffill()
    dates = values.index
    years = dates.year.to_numpy() + (dates.day_of_year.to_numpy() - 1) / 365.25
    angles = 2 * np.pi * years
    calendar = np.stack([np.sin(angles), np.cos(angles), np.sin(2 * angles), np.cos(2 * angles)], -1)
    return Series(values.to_numpy(), calendar, years, dates.searchsorted(VALIDATION), dates.searchsorted(TEST))


def make_windows(series: Series, begin: int, end: int) -> Windows:
    """Returns the windows of all origins from week `begin` whose future ends before week `end`."""
    origins = np.arange(max(begin, WINDOW), end - HORIZON + 1)[:, None]
    past, future = origins + np.arange(-WINDOW, 0), origins + np.arange(HORIZON)
    return Windows(series.values[past], series.values[future], series.calendar[past], series.calendar[future])


def split(series: Series) -> tuple[Windows, Windows, Windows]:
    """Returns the windows for training, validation and test; no future value is in two of them."""
    bounds = (0, series.validation, series.test, len(series.values))
    train, validation, test = (make_windows(series, *part) for part in pairwise(bounds))
    return train, validation, test


def level(past: np.ndarray) -> np.ndarray:
    """Returns the mean of the year before each origin, `[origins, 1]`, which is subtracted because the level rises."""
    return past[:, -SEASON:].mean(1, keepdims=True)


def seasonal_naive(past: np.ndarray, drift: bool = False) -> np.ndarray:
    """Repeats the last year, `[origins, HORIZON]`; with `drift`, plus its difference from the year before."""
    last = past[:, -SEASON:]
    return last + level(past) - level(past[:, :-SEASON]) if drift else last


def mase(forecasts: np.ndarray, actual: np.ndarray, training: np.ndarray, season: int = SEASON) -> np.ndarray:
    """Computes the mean absolute scaled error (Hyndman and Koehler 2006, doi:10.1016/j.ijforecast.2006.03.001).

        MASE = mean |forecast - actual| / mean_t |x_t - x_(t - season)|

    It exceeds 1 if the forecasts err more than the seasonal naive forecast does on the training series x.

    Args:
        forecasts: float `[origins, steps]`.
        actual: float `[origins, steps]`, the observed values.
        training: float `[time]`, the training series.
        season: period of the series, in steps.

    Returns:
        float `[steps]`, the error for each number of steps ahead.
    """
    return np.abs(forecasts - actual).mean(0) / np.abs(training[season:] - training[:-season]).mean()


def make_network(recurrent: Callable[..., Any], units: int) -> keras.Model:
    """Builds an encoder and a decoder, one recurrent layer each.

    The decoder starts from the encoder's last state and reads the calendar of the future. It does not read its own
    forecasts, so it runs in the same way in training and afterwards.
    """
    past = keras.Input((WINDOW, 1 + FEATURES))
    calendar = keras.Input((HORIZON, FEATURES))
    _, state = recurrent(units, return_state=True)(past)
    states = recurrent(units, return_sequences=True)(calendar, initial_state=state)
    return keras.Model([past, calendar], keras.layers.Dense(1)(states))


def scaled(windows: Windows, spread: float) -> tuple[list[np.ndarray], np.ndarray]:
    """Returns the inputs of encoder and decoder, and the target, without level and divided by `spread`."""
    before = level(windows.past)
    past = np.concatenate([((windows.past - before) / spread)[..., None], windows.past_calendar], -1)
    return [past, windows.future_calendar], ((windows.future - before) / spread)[..., None]


def train(network: keras.Model, training: Windows, validation: Windows, spread: float, epochs: int) -> None:
    """Minimises the mean absolute error, and restores the weights of the epoch with the lowest validation loss."""
    network.compile(keras.optimizers.Adam(0.005, clipnorm=1.0), "mae")
    slow_down = keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=3)
    stop = keras.callbacks.EarlyStopping(patience=8, restore_best_weights=True)
    (x, y), valid = scaled(training, spread), scaled(validation, spread)
    network.fit(x, y, BATCH_SIZE, epochs, verbose=0, callbacks=[slow_down, stop], validation_data=valid)


def forecast(network: keras.Model, windows: Windows, spread: float) -> np.ndarray:
    """Returns the forecasts in ppm, `[origins, HORIZON]`."""
    return network.predict(scaled(windows, spread)[0], verbose=0)[..., 0] * spread + level(windows.past)


def draw(series: Series, forecasts: Mapping[str, np.ndarray], errors: Mapping[str, np.ndarray], output: Path) -> None:
    """Draws the forecasts of the last year, and the error by the number of weeks ahead."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    last_year, ahead = figure.subplots(1, 2)
    last_year.plot(series.years[-WINDOW:], series.values[-WINDOW:], color="black", label="measured")
    for name, style in zip(forecasts, (":", "-.", "-", "--"), strict=True):
        last_year.plot(series.years[-HORIZON:], forecasts[name].mean(0)[-1], style, label=name)
        ahead.plot(np.arange(1, HORIZON + 1), errors[name].mean(0), style, label=name)
    last_year.set(xlabel="year", ylabel="carbon dioxide, ppm")
    ahead.set(xlabel="weeks ahead", ylabel="MASE on the test split", xlim=(1, HORIZON), ylim=(0, None))
    for axes in (last_year, ahead):
        axes.grid(alpha=0.3)
    last_year.locator_params(axis="x", integer=True)
    figure.legend(*last_year.get_legend_handles_labels(), loc="outside upper center", ncols=5)
    figure.savefig(output, dpi=100)


def main(
    seeds: Annotated[int, typer.Option(min=1, help="number of trainings of each network")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="maximum number of epochs")] = 40,
    units: Annotated[int, typer.Option(min=1, help="width of the recurrent layers")] = 32,
    output: Annotated[Path, typer.Option(help="PNG file to write")] = Path("time_series.png"),
    results: Annotated[Path | None, typer.Option(help="JSON file to write the figures to")] = None,
) -> None:
    """Forecast carbon dioxide a year ahead, and compare methods."""
    series = load_series()
    training, validation, test = split(series)
    spread = float((training.past - level(training.past)).std())
    forecasts = {"seasonal naive": [seasonal_naive(test.past)], "with drift": [seasonal_naive(test.past, drift=True)]}
    costs: dict[str, list[tuple[float, int]]] = {name: [] for name in NETWORKS}  # seconds and epochs of each training
    forecasts |= {name: [] for name in NETWORKS}
    for seed in range(seeds):
        for name, recurrent in NETWORKS.items():  # in turns, so that changes in the machine's speed affect both alike
            print(f"training {name}, {seed + 1} of {seeds}", file=sys.stderr, flush=True)
            keras.utils.set_random_seed(seed)
            network = make_network(recurrent, units)
            start = time.perf_counter()
            train(network, training, validation, spread, epochs)
            costs[name].append((time.perf_counter() - start, len(network.history.epoch)))
            forecasts[name].append(forecast(network, test, spread))
    training_series = series.values[: series.validation]
    errors = {
        name: np.stack([mase(one, test.future, training_series) for one in by_seed])
        for name, by_seed in forecasts.items()
    }
    print(f"MASE, {len(test.past)} origins from {TEST} on, {HORIZON} weeks ahead from each; {seeds} seeds")
    print(f"{'weeks ahead':18}    all  least   most   1-13  14-26  27-39  40-52  training  an epoch")
    for name, error in errors.items():
        quarters = [quarter.mean() for quarter in np.split(error, 4, 1)]
        row = (error.mean(), error.mean(1).min(), error.mean(1).max(), *quarters)
        seconds, passes = np.sum(costs.get(name, [(0, 1)]), 0)
        timing = [f"{seconds / seeds:7.1f} s {seconds / passes:8.2f} s"] if seconds else []
        print(f"{name:18}", *(f"{figure:6.3f}" for figure in row), *timing)
    draw(series, {name: np.stack(each) for name, each in forecasts.items()}, errors, output)
    if results is not None:
        by_seed = {
            name: {
                "all": error.mean(1).tolist(),
                "quarters": [quarter.mean(1).tolist() for quarter in np.split(error, 4, 1)],
                "seconds": [seconds for seconds, _ in costs.get(name, [])],
            }
            for name, error in errors.items()
        }
        write_results(results, {"seeds": seeds, "epochs": epochs, "units": units}, {"mase": by_seed})
    print(f"wrote {output}", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
