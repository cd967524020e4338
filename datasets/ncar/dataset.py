"""NCEP/NCAR Reanalysis 1, daily means, as whole files from NOAA's Physical Sciences Laboratory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from datasets.blocks.fetched import Fetched, days_of, first_and_last
from datasets.ncar.plan import levels_of, names_of, plan
from datasets.ncar.settings import setting_problems

if TYPE_CHECKING:
    import xarray as xr

    from datasets.blocks.parts import Part

STEP = 2.5  # degrees between cells
TITLE = "NCEP-NCAR Reanalysis 1, daily means"
LICENCE = "public domain; NOAA PSL asks to be named"
ATTRIBUTION = (
    "NCEP-NCAR Reanalysis 1 data provided by the NOAA PSL, Boulder, Colorado, USA, from their website at "
    "https://psl.noaa.gov"
)
DOI = "10.1175/1520-0477(1996)077<0437:TNYRP>2.0.CO;2"
REFERENCE = f"Kalnay et al. (1996): The NCEP/NCAR 40-year reanalysis project, https://doi.org/{DOI}"
ABOUT = {"title": TITLE, "licence": LICENCE, "attribution": ATTRIBUTION, "doi": DOI}


class Plugin(Fetched):
    """Daily fields of Reanalysis 1; ``dataset.yaml`` describes the parameters."""

    def setting_problems(self) -> list[str]:
        """Return what is wrong with the parameters, one sentence each."""
        return setting_problems(self.params)

    def shape(self) -> tuple[int, int, int, int]:
        """Return the shape (time, lat, lon, variable) that the cube will have."""
        north, west, south, east = self.params["box"] or (90, 0, -90, 357.5)
        sides = (round(abs(north - south) / STEP) + 1, round((east - west) % 360 / STEP) + 1)
        rows, columns = (side // self.params["coarsen"] for side in sides)
        return days_of(self.params["year"]), rows, columns, sum(map(len, levels_of(self.params).values()))

    def parts(self) -> list[Part]:
        """Return one part for each file name and year."""
        return [part for _, part in plan(self.params)]

    def download(self, folder: Path) -> None:
        """Fetch the files that are not there yet; each is checked before it is kept.

        Raises
        ------
        DataError
            For wrong parameters, for what the server or the network does, and for files that are not what they should
            be.
        """
        from datasets.blocks.https import fetch_https
        from datasets.ncar.arrivals import accept

        fetch_https(self.wanted(), folder, accept, self.progress, ABOUT)

    def open(self, folder: Path) -> xr.Dataset:
        """Return the chosen cells in the order of ``variables``, latitude descending and longitude ascending.

        Raises
        ------
        DataError
            If a file is missing, damaged, or not what was fetched.
        """
        from datasets.blocks.reading import read_fields
        from datasets.ncar.arrivals import named

        self.fetched(folder)
        levels = levels_of(self.params)
        files = {part.file(folder): (name, levels[name]) for name, part in plan(self.params)}
        labels = {label: name for name in levels for label in names_of(name, levels[name])}
        fields = read_fields(
            list(files),
            self.progress,
            edit=named(files),
            variables=list(labels),
            **{key: self.params[key] for key in ("box", "coarsen", "year")},
        )
        return self._described(fields, labels)

    def _described(self, fields: xr.Dataset, labels: dict[str, str]) -> xr.Dataset:
        """Write what the fields are into their attributes; units stay as the files have them."""
        from datasets.ncar.variables import VARIABLES

        for label, name in labels.items():
            attrs = {key: fields[label].attrs[key] for key in ("units", "long_name") if key in fields[label].attrs}
            if VARIABLES[name].standard_name:
                attrs["standard_name"] = VARIABLES[name].standard_name
            fields[label].attrs = {**attrs, "cell_methods": "time: mean"}
        years = "-".join(dict.fromkeys(map(str, first_and_last(self.params["year"]))))
        fields.attrs = {
            "title": f"NCEP/NCAR Reanalysis 1 daily means {years}",
            "institution": "NOAA/NCEP and NCAR; distributed by NOAA PSL",
            "source": f"NOAA PSL, {self.params['base_url']}, {', '.join(dict.fromkeys(labels.values()))}",
            "license": LICENCE,
            "references": REFERENCE,
            "comment": "; ".join(filter(None, [ATTRIBUTION, fields.attrs.get("comment")])),
        }
        return fields
