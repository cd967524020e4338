"""Every file of a folder of real reanalysis files as a data set: ``python -m benchmarks.real_files``.

Prints the table of ``docs/real-files.md``. The folder is ``REGIMEBENCH_REAL_DATA``; each row is one data set ``local``,
taken from its files to a cube, or the sentence with which it is refused.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from regimebench import registry
from regimebench.dataset import Cube, DataError
from regimebench.preprocess import prepare

ZIPPED = "{scratch}/cornwall.nc"
CORNWALL = "era5/cds_new_layout_cornwall_201805/*.nc"
CORNWALL_VARIABLES = ["t2m", "d2m", "sp", "u10", "v10", "tcc", "tp", "fdir", "ssrd", "avg_snlwrf", "avg_sdlwrf"]
FINSE_SUMS = ["tp", "ssrd", "strd", "tisr"]


@dataclass(frozen=True)
class Case:
    """One data set: patterns below the folder, what is asked of them, parameters of ``local``."""

    files: str | list[str]
    what: str
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def patterns(self) -> list[str]:
        """The patterns as a list."""
        return [self.files] if isinstance(self.files, str) else self.files


CASES = [
    Case("era_interim/*_ei_2000-2010_daily12utc.nc", "one file per variable merged; stamped 12:00; three leap years"),
    Case(
        "era5/era5_*_2025-2026_djf_2.5x2.5.zarr",
        "Zarr; 6-hourly to daily means; one level; longitudes 0 to 357.5, window of 41 x 41 across 0",
        {"box": [90, -70, -10, 30]},
    ),
    Case("era5/era5_finse_SURF_2018*.nc", "three months joined; all variables asked for"),
    Case(
        "era5/era5_finse_SURF_2018*.nc",
        "the same without orography; totals of hours counted to the day they fall in",
        {
            "variables": ["t2m", "d2m", "sp", "tp", "ssrd", "strd", "tisr", "zust", "ie", "ishf"],
            "accumulated": FINSE_SUMS,
            "resample": {"tp": "sum"},
        },
    ),
    Case("era5/era5_berlin_2017_hourly.nc", "8,760 hours to daily means", {"year": 2017}),
    Case(CORNWALL, "present CDS layout: instant, accum and avg members merged", {"variables": CORNWALL_VARIABLES}),
    Case(ZIPPED, "the same members in a ZIP archive that is called .nc", {"variables": CORNWALL_VARIABLES}),
    Case(
        "era5/era5_cornwall_201805_hourly_legacy.nc",
        "the same month in the old layout, packed; cut to the same cells",
        {"variables": ["t2m", "tp"], "box": [50.75, -6, 49.75, -4.5]},
    ),
    Case(
        "era5/era5_krakatau_2021_6h_uv_37levels_expver.nc",
        "dimension expver combined; 3 of 37 levels and variables chosen",
        {"variables": {"u": {"level": [850, 200]}, "v": {"level": 850}}},
    ),
    Case(
        "era5/era5_davos_*_202001.nc",
        "surface and pressure-level file merged, although both call a variable z",
        {"variables": {"t2m": {}, "sp": {}, "z": {"level": 500, "rename": "z500"}, "t": {"level": [700, 300]}}},
    ),
    Case("era5/era5_yukon65N_202301_*.nc", "time is the last dimension in the files", {"resample": {"tp": "sum"}}),
    Case(
        "era5/era5_pl_newlayout_europe1deg_20200701-03_6h.nc",
        "present layout with pressure_level; means of 3 x 3 cells",
        {"variables": {"t": {"level": 850}, "u": {"level": 500}}, "coarsen": 3},
    ),
    Case("era5/grib/era5-2mt-2019-03-uk.grib", "GRIB; no index is written beside it"),
    Case(
        "era5/grib/era5-levels-members.grib",
        "GRIB; one of 10 members, one level each; longitudes 0 to 357 made -180 to 177",
        {"variables": {"z": {"level": 500}, "t": {"level": 850}}, "select": {"number": 3}},
    ),
    Case("ncep_r1/ncep_r1_slp_northatlantic_daily_2001-2010.nc", "latitude upward in the file, downward in the cube"),
    Case("ncep_r1/ncep_r1_iberia_djf1983-2002_psl_ta850_hus850.nc", "20 winters"),
    Case("ncep_r1/ncep_r1_iberia_djf1983-2002_tas_pr_gaussian.nc", "20 winters on a Gaussian grid"),
    Case("ncep_r1/ncep_r1_iberia_*.nc", "both together"),
    Case("carra/carra_east_20140302T05_albedo_test.nc", "one field on a Lambert grid without degrees"),
    Case("carra/CARRA_W_domain_elev.nc", "orography alone"),
    Case("carra/CARRA_W_domain_ice_mask.nc", "ice mask alone"),
]


def cube_of(case: Case, data: Path, scratch: Path) -> Cube:
    """Return the cube of one data set, raising DataError where it is refused."""
    spec = registry.dataset("local")
    files = [str(data / pattern.format(scratch=scratch)) for pattern in case.patterns]
    plugin = registry.load(spec)(**{**spec.parameters, **case.params, "files": files})
    if problems := plugin.problems(scratch / "raw"):
        raise DataError("\n".join(problems))
    return prepare(plugin, "real", scratch / "raw", "standard", scratch / "cube.nc", None)


def described(case: Case, data: Path, scratch: Path) -> tuple[str, Cube | None]:
    """Return one row of the table, and the cube if there is one."""
    shown = ", ".join(f"`{pattern.format(scratch='')}`".replace("`/", "`") for pattern in case.patterns)
    start = f"| {shown} | {case.what} |"
    try:
        cube = cube_of(case, data, scratch)
    except DataError as error:
        text = str(error).replace(f"{data}/", "").replace("\n", "; ").replace("|", "\\|")
        return f"{start} refused | | {text} |", None
    shape = " x ".join(f"{size:,}" for size in cube.values.shape)
    units = ", ".join(f"{name} {unit}" for name, unit in zip(cube.variables, cube.units, strict=True))
    notes = [cube.attrs.get("comment"), cube.attrs.get("day_gaps")]
    if "projection" in cube.attrs:
        notes.append(cube.attrs["projection"]["grid_mapping"]["grid_mapping_name"])
    return f"{start} {shape} | {units} | {'; '.join(filter(None, notes)) or 'nothing'} |", cube


def zip_members(data: Path, target: Path) -> None:
    """Put the members of one answer of the Climate Data Store back into an archive."""
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(data.glob(CORNWALL)):
            archive.write(path, path.name)


def differences(new: Cube, old: Cube) -> list[str]:
    """Return how far the same month in two layouts is apart."""
    lines = []
    for name in old.variables:
        a, b = (cube.physical(cube.values)[..., cube.variables.index(name)] for cube in (new, old))
        lines.append(f"{name} {np.abs(a - b).max():.1e} {old.units[old.variables.index(name)]} (range {np.ptp(b):.1e})")
    return lines


def table(data: Path) -> str:
    """Return the table and what the layouts of one month have in common, as Markdown."""
    rows = ["| files | what was done | days x rows x columns x variables | units | noted, or why refused |"]
    rows.append("| --- | --- | --- | --- | --- |")
    cubes: dict[str, Cube | None] = {}
    scratch = Path(tempfile.mkdtemp())
    try:
        zip_members(data, Path(ZIPPED.format(scratch=scratch)))
        for case in CASES:
            row, cubes[case.patterns[0]] = described(case, data, scratch)
            rows.append(row)
    finally:
        shutil.rmtree(scratch)
    new, zipped, old = (cubes[name] for name in (CORNWALL, ZIPPED, "era5/era5_cornwall_201805_hourly_legacy.nc"))
    same = new.attrs["content_sha256"] == zipped.attrs["content_sha256"]
    rows += ["", f"Cube from the archive and cube from its members: {'identical' if same else 'different'}."]
    rows.append(
        f"Largest difference between the layouts of May 2018, of the range: {', '.join(differences(new, old))}."
    )
    return "\n".join(rows)


def main() -> None:
    """Print the table."""
    folder = os.environ.get("REGIMEBENCH_REAL_DATA")
    if not folder:
        raise SystemExit("set REGIMEBENCH_REAL_DATA to the folder of real files")
    logging.disable(logging.WARNING)  # what is noted stands in the table
    print(table(Path(folder)))


if __name__ == "__main__":
    main()
