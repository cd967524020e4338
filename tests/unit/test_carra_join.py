"""The coarse months of CARRA become one data set, or do not fit together."""

import pytest
import xarray as xr

from datasets.carra.coarse import Coarsen
from datasets.carra.months import joined
from regimebench.dataset import DataError
from tests.servers.carra import Carra
from tests.unit.test_carra_month import U, V, february, received

EARTH = 6371229


def months(folder, *services, variables=("2m_temperature",), wind="rotated"):
    """Return February of consecutive years, each from a service of its own."""
    files = []
    for year, service in enumerate(services, start=2021):
        part = february(*variables, year=year, wind=wind)
        Coarsen(2, 6, wind, keep=False)(received(folder, part, service), part.file(folder), part)
        files.append(part.file(folder))
    return files


def smaller_earth(radius):
    """Return a service whose first cell is where it always is, on an earth of another radius."""
    keys = {"scaleFactorOfRadiusOfSphericalEarth": 0, "scaledValueOfRadiusOfSphericalEarth": radius}
    return Carra(nx=120, ny=120, place={"shapeOfTheEarth": 1, **keys})


def test_groups_keep_their_order_and_time_runs_on(tmp_path):
    rain = months(tmp_path, Carra(), Carra(), variables=["total_precipitation"])
    wind = months(tmp_path, Carra(), Carra(), variables=[U, V], wind="speed")
    fields = joined([rain, wind])
    assert list(fields.data_vars) == ["tp", "vector_speed10"]
    assert fields["tp"].dims == ("time", "y", "x")
    assert fields.sizes["time"] == 56
    assert fields["vector_speed10"].attrs["long_name"] == "speed of the daily mean 10 m wind vector"
    assert fields["crs"].attrs["earth_radius"] == EARTH
    assert not fields.attrs["comment"]


def test_cells_that_move_a_little_stay_where_they_first_were(tmp_path, caplog):
    """CARRA's files do so from July 2022 on."""
    files = months(tmp_path, smaller_earth(EARTH), smaller_earth(EARTH - 20_000))
    fields = joined([files])
    assert "some months place the same cells slightly elsewhere" in fields.attrs["comment"]
    assert "slightly elsewhere" in caplog.text
    with xr.open_dataset(files[0]) as first:
        assert (fields["lat"].values == first["lat"].values).all()
        assert (fields["x"].values == first["x"].values).all()


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (smaller_earth(EARTH - 100_000), r"its blocks lie up to [\d.]+ km from those of the first file"),
        (Carra(), "has 5 x 6 blocks where the first file has 19 x 19"),
    ],
    ids=["moved", "smaller"],
)
def test_another_grid_is_refused(tmp_path, other, sentence):
    files = months(tmp_path, smaller_earth(EARTH), other)
    with pytest.raises(DataError, match=sentence) as refused:
        joined([files])
    assert files[1].name in str(refused.value)


def test_another_unit_is_refused(tmp_path):
    files = months(tmp_path, Carra(), Carra())
    with xr.open_dataset(files[1]) as month:
        changed = month.load()
    changed["t2m"].attrs["units"] = "degC"
    changed.to_netcdf(files[1])
    with pytest.raises(DataError, match=r"t2m changes its unit: 'K' in t2m-2021.*, 'degC' in t2m-2022"):
        joined([files])
