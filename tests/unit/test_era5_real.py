"""ERA5: what the Climate Data Store really sent for one month, in its present and its earlier layout."""

import shutil
import zipfile

import numpy as np
import pytest

from datasets.blocks.reading import read_fields
from datasets.era5.members import accept, member_files, named
from datasets.era5.plan import plan
from regimebench import registry
from regimebench.dataset import DataError

VARIABLES = ["sp", "u10", "v10", "t2m", "d2m", "tcc", "ssrd", "tp"]
SMALL, LARGE = [50.75, -6, 49.75, -4.5], [51.5, -7, 49.5, -3]


def may(area, **changes):
    """Return the request for May 2018 that such files answer."""
    changes = {"product": "hourly", "year": 2018, "variables": VARIABLES, "area": area, **changes}
    return plan({**registry.dataset("era5").parameters, **changes})[4]


@pytest.fixture
def month(real_data, tmp_path):
    """Return the month as parts: an archive of the present layout, and one file of the earlier layout."""
    files = [tmp_path / "new.zip", tmp_path / "old.nc"]
    with zipfile.ZipFile(files[0], "w") as archive:
        for path in sorted((real_data / "era5" / "cds_new_layout_cornwall_201805").glob("*.nc")):
            archive.write(path, path.name)
    shutil.copy(real_data / "era5" / "era5_cornwall_201805_hourly_legacy.nc", files[1])
    targets = []
    for file, area in zip(files, (SMALL, LARGE), strict=True):
        part = may(area)
        accept(file, part.file(tmp_path), part)
        targets.append(part.file(tmp_path))
    return targets


def test_both_layouts_pass_and_give_the_same_days(month):
    choice = {"variables": VARIABLES, "accumulated": ["ssrd", "tp"], "box": SMALL}
    new, old = (read_fields(member_files(file), edit=named, **choice).load() for file in month)
    assert new.sizes == old.sizes == {"time": 30, "lat": 5, "lon": 7}
    for name in VARIABLES:
        packed = float(old[name].max() - old[name].min()) * 2e-4  # 16 bits for hourly values of a larger area
        np.testing.assert_allclose(new[name], old[name], rtol=0, atol=packed, err_msg=name)


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        (may(SMALL, year=2019), "744 hours (2019-05-01T00, 2019-05-01T01, 2019-05-01T02, ...) are not there"),
        (may(LARGE), "latitude has 5 points from 50.75 to 49.75"),
        (may(SMALL, variables=["sst", "t2m"]), "sst (sea_surface_temperature) was asked for and is not there"),
    ],
)
def test_real_files_that_answer_another_request_are_refused(real_data, tmp_path, part, sentence):
    source = real_data / "era5" / "cds_new_layout_cornwall_201805" / "data_stream-oper_stepType-instant.nc"
    shutil.copy(source, tmp_path / "received")
    with pytest.raises(DataError) as caught:
        accept(tmp_path / "received", part.file(tmp_path), part)
    assert sentence in str(caught.value)
