"""The forecasting example: its measure, its simple forecasts, that no future leaks, and a short run of it."""

import json
from itertools import pairwise

import numpy as np
import pytest
from statsmodels.datasets import co2

from examples.time_series import (
    HORIZON,
    NETWORKS,
    SEASON,
    WINDOW,
    Series,
    Windows,
    forecast,
    load_series,
    main,
    make_network,
    make_windows,
    mase,
    scaled,
    seasonal_naive,
    split,
)


@pytest.fixture(scope="module")
def series() -> Series:
    return load_series()


def test_mase_equals_a_hand_computation():
    training = np.array([1.0, 5.0, 2.0, 8.0, 6.0])  # a season apart: 1, 3 and 4
    forecasts, actual = np.array([[4.0, 7.0], [2.0, 1.0]]), np.array([[5.0, 3.0], [5.0, 1.0]])
    np.testing.assert_allclose(mase(forecasts, actual, training, season=2), [2 / (8 / 3), 2 / (8 / 3)])
    np.testing.assert_allclose(mase(forecasts[:1], actual[:1], training, season=2), [1 / (8 / 3), 4 / (8 / 3)])


def test_mase_of_the_seasonal_naive_forecast_where_it_was_fitted_is_one(series):
    values = series.values[: 40 * SEASON]
    first_weeks = np.arange(SEASON, len(values), HORIZON)[:, None]
    actual, last_year = (values[first_weeks - lag + np.arange(HORIZON)] for lag in (0, SEASON))
    assert mase(last_year, actual, values).mean() == pytest.approx(1)


def test_seasonal_naive_repeats_the_last_year():
    past = np.random.default_rng(0).normal(size=(3, WINDOW))
    np.testing.assert_array_equal(seasonal_naive(past), past[:, WINDOW - SEASON :])


def test_seasonal_naive_with_drift_goes_on_with_a_line_and_a_season():
    weeks = np.arange(WINDOW + HORIZON)
    values = 0.1 * weeks + np.sin(2 * np.pi * weeks / SEASON)
    made = seasonal_naive(values[None, :WINDOW], drift=True)
    np.testing.assert_allclose(made[0], values[WINDOW:])


def test_missing_weeks_are_filled_from_before(series):
    measured = co2.load_pandas().data["co2"].to_numpy()
    assert len(series.values) == len(series.years) == len(measured)
    missing = np.flatnonzero(np.isnan(measured))
    assert len(missing) > 0
    np.testing.assert_array_equal(series.values[missing], series.values[missing - 1])
    np.testing.assert_array_equal(np.delete(series.values, missing), np.delete(measured, missing))
    assert missing.max() < series.validation  # no forecast is measured against a filled week


def test_stretches_do_not_share_a_future_week(series):
    weeks = np.arange(len(series.values))
    bounds = (0, series.validation, series.test, len(weeks))
    for windows, (begin, end) in zip(split(series._replace(values=weeks)), pairwise(bounds), strict=True):
        assert begin <= windows.future.min()
        assert windows.future.max() == end - 1
        assert len(windows.future) == end - max(begin, WINDOW) - HORIZON + 1
        np.testing.assert_array_equal(np.diff(np.concatenate([windows.past, windows.future], 1)), 1)


def test_training_and_validation_do_not_depend_on_the_test(series):
    changed = series.values.copy()
    changed[series.test :] += 1000
    before, after = split(series), split(series._replace(values=changed))
    for stretch in (0, 1):
        for old, new in zip(before[stretch], after[stretch], strict=True):
            np.testing.assert_array_equal(old, new)
    assert not np.array_equal(before[2].past, after[2].past)


def test_what_is_read_does_not_depend_on_what_comes(series):
    origin = series.test + 100
    changed = series.values.copy()
    changed[origin:] += 1000
    old, new = (
        make_windows(series._replace(values=values), origin, origin + HORIZON) for values in (series.values, changed)
    )
    for before, after in zip(scaled(old, 2.0)[0], scaled(new, 2.0)[0], strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_allclose(scaled(new, 2.0)[1] - scaled(old, 2.0)[1], 500)


def test_both_networks_forecast_the_same_with_the_same_weights(series):
    windows = Windows(*(part[:4] for part in split(series)[2]))
    ours, theirs = (make_network(recurrent, 5) for recurrent in NETWORKS.values())
    *recurrent_weights, kernel, bias = ours.get_weights()
    update_negated = np.repeat([-1.0, 1.0, 1.0], 5)  # Keras's update gate keeps what ours replaces
    theirs.set_weights([*(weight * update_negated for weight in recurrent_weights), kernel, bias])
    np.testing.assert_allclose(forecast(ours, windows, 2.0), forecast(theirs, windows, 2.0), atol=1e-3)


def test_short_run_prints_all_rows(tmp_path, capsys):
    main(seeds=1, epochs=1, units=8, output=tmp_path / "made.png", results=tmp_path / "made.json")
    printed = capsys.readouterr()
    rows = printed.out.splitlines()[2:]
    assert [row[:18].rstrip() for row in rows] == ["seasonal naive", "with drift", *NETWORKS]
    for row in rows:
        overall, least, most, *quarters = (float(word) for word in row[18:].split()[:7])
        assert 0 < least <= overall <= most < 10
        assert np.mean(quarters) == pytest.approx(overall, abs=0.002)
    assert all(row.endswith(" s") for row in rows[2:])
    written = json.loads((tmp_path / "made.json").read_text())["mase"]
    assert [f"{one['all'][0]:.3f}" for one in written.values()] == [row[18:].split()[0] for row in rows]
    assert printed.err.count("training") == 2
    assert (tmp_path / "made.png").stat().st_size < 100_000
