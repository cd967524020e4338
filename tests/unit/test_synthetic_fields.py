"""What planted fields are made of: smooth patterns, red noise, a seasonal cycle, an island, physical units."""

import numpy as np
import pytest
from scipy.ndimage import label
from synthetic_plans import plan

from datasets.synthetic.fields import mix, red_noise, red_series, seasonal_cycle, smooth_patterns
from datasets.synthetic.physical import VARIABLES, from_physical, to_physical

SHAPE = (20, 24, 3)


def lag_one(series):
    """Lag-1 autocorrelation over the first axis, pooled over the others."""
    return (series[1:] * series[:-1]).mean() / (series**2).mean()


def neighbour_correlation(fields):
    """Correlation between cells that are neighbours on a latitude."""
    return np.corrcoef(fields[..., 1:, :].ravel(), fields[..., :-1, :].ravel())[0, 1]


def test_patterns_are_smooth_and_have_unit_root_mean_square():
    patterns = smooth_patterns(np.random.default_rng(0), (5,), SHAPE, 4 / 41)
    np.testing.assert_allclose((patterns**2).mean(axis=(1, 2)), 1)
    assert neighbour_correlation(patterns) > 0.9


def test_noise_is_red_in_time_and_has_unit_variance_from_the_first_day():
    noise = red_noise(np.random.default_rng(0), 400, SHAPE, 1 / 41)
    assert noise.dtype == np.float32
    assert noise.std() == pytest.approx(1, abs=0.03)
    assert noise[0].std() == pytest.approx(1, abs=0.1)
    assert lag_one(noise) == pytest.approx(0.6, abs=0.02)
    assert (noise[2:] * noise[:-2]).mean() == pytest.approx(0.36, abs=0.03)


def test_noise_of_the_full_grid_is_correlated_between_neighbours():
    assert neighbour_correlation(red_noise(np.random.default_rng(0), 20, (41, 41, 1), 1 / 41)) > 0.6


def test_series_keep_their_persistence():
    series = red_series(np.random.default_rng(0), 5000, 4)
    assert series.std() == pytest.approx(1, abs=0.05)
    assert lag_one(series) == pytest.approx(0.6, abs=0.03)


def test_seasonal_cycle_peaks_in_mid_august_of_every_year():
    days = np.arange("2020-01-01", "2023-01-01", dtype="datetime64[D]")
    cycle = seasonal_cycle(days)
    for year in ("2020", "2021", "2022"):
        own = days.astype("datetime64[Y]").astype(str) == year
        assert str(days[own][cycle[own].argmax()])[5:] in ("08-14", "08-15")
        assert str(days[own][cycle[own].argmin()])[5:7] == "02"


@pytest.mark.parametrize("family", ["centroids", "subspaces", "waves", "dynamics"])
def test_every_family_has_the_seasonal_cycle(family):
    plans = plan(family, n_days=730, n_variables=2, noise=0.3)
    projection = (plans.anomalies() * plans.seasonal_pattern).mean(axis=(1, 2, 3))
    cycle = seasonal_cycle(plans.days)
    slope = np.polyfit(cycle, projection / (plans.seasonal_pattern**2).mean(), 1)[0]
    assert slope == pytest.approx(1, abs=0.3)


def test_seasonal_pattern_has_the_declared_amplitude():
    pattern = plan("subspaces").seasonal_pattern
    np.testing.assert_allclose(np.sqrt((pattern**2).mean(axis=(0, 1))), 0.7)


def test_mixing_is_the_matrix_product():
    rng = np.random.default_rng(0)
    amplitudes, modes = rng.standard_normal((7, 3)), rng.standard_normal((3, 4, 5, 2))
    np.testing.assert_allclose(mix(amplitudes, modes), np.tensordot(amplitudes, modes, 1), atol=1e-5)


@pytest.mark.parametrize(("fraction", "cells"), [(0.02, 5), (0.0001, 1), (0.25, 64), (0, 0)])
def test_land_is_one_island_of_the_asked_size(fraction, cells):
    land = plan("subspaces", land_fraction=fraction).land()
    assert land.sum() == cells
    assert label(land)[1] == min(cells, 1)


def test_physical_units_and_ranges():
    plans = plan("subspaces", n_variables=7)
    fields = to_physical(plans.anomalies() / plans.rms, plans.days, plans.land())
    assert list(fields) == ["sp", "sst", "u10", "v10", "sshf", "slhf", "t2m"]
    assert [fields[name].units for name in fields] == ["Pa", "K", "m s-1", "m s-1", "J m-2", "J m-2", "K"]
    for variable in VARIABLES:
        values = fields[variable.name]
        assert values.dims == ("time", "lat", "lon")
        assert float(values.std()) == pytest.approx(variable.deviation, rel=0.35)
        assert abs(float(values.mean()) - variable.mean) < variable.deviation
    assert 95_000 < float(fields.sp.min()) < float(fields.sp.max()) < 108_000
    assert 275 < float(fields.sst.min()) < float(fields.sst.max()) < 308


def test_temperature_falls_to_the_north():
    plans = plan("subspaces", n_variables=2)
    sst = to_physical(plans.anomalies() / plans.rms, plans.days, plans.land()).sst.mean(("time", "lon"))
    assert float(sst[-1] - sst[0]) > 1


def test_grid_is_the_box_of_the_papers():
    plans = plan("subspaces", height=41, width=41, n_days=7)
    fields = to_physical(plans.anomalies(), plans.days, plans.land())
    np.testing.assert_array_equal(fields.lat, 43 - 0.25 * np.arange(41))
    np.testing.assert_array_equal(fields.lon, -33 + 0.25 * np.arange(41))


def test_physical_units_can_be_undone():
    plans = plan("waves")
    anomalies = plans.anomalies()
    back = from_physical(to_physical(anomalies, plans.days, plans.land()))
    seen = ~np.isnan(back)
    np.testing.assert_allclose(back[seen], anomalies[seen], atol=1e-3)
    assert (~seen).sum() == plans.land().sum() * 240
