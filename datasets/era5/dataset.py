"""ERA5 daily means over the North Atlantic, from the Climate Data Store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.blocks.copernicus import LICENCE, attribution
from datasets.blocks.fetched import Fetched, days_of, first_and_last
from datasets.era5.plan import COLLECTIONS, STEP, ends_with_next_day, plan
from datasets.era5.settings import setting_problems
from datasets.era5.variables import VARIABLES

if TYPE_CHECKING:
    import xarray as xr

    from datasets.blocks.parts import Part

DOIS = {"daily-statistics": "10.24381/cds.4991cf48", "hourly": "10.24381/cds.adbb2d47"}
TITLES = {
    "daily-statistics": "ERA5 post-processed daily statistics on single levels from 1940 to present",
    "hourly": "ERA5 hourly data on single levels from 1940 to present",
}
SMALLER = "lower months_per_request or variables_per_request, or choose a smaller area, in the parameters of era5"
REFERENCE = "Hersbach et al. (2020): The ERA5 global reanalysis, https://doi.org/10.1002/qj.3803"


class Plugin(Fetched):
    """ERA5 on single levels as daily fields; ``dataset.yaml`` describes the parameters."""

    needs_key = True

    def setting_problems(self) -> list[str]:
        """Return what is wrong with the parameters, one sentence each."""
        return setting_problems(self.params)

    def shape(self) -> tuple[int, int, int, int]:
        """Return the shape (time, lat, lon, variable) that the cube will have."""
        north, west, south, east = self.params["area"]
        rows, columns = round((north - south) / STEP) + 1, round((east - west) / STEP) + 1
        return days_of(self.params["year"]), rows, columns, len(self.params["variables"])

    def parts(self) -> list[Part]:
        """Return one part for each period and group of variables."""
        return plan(self.params)

    def download(self, folder: Path) -> None:
        """Fetch the parts that are not there yet; each is checked before it is kept.

        Raises
        ------
        DataError
            For wrong parameters, for what the service refuses, and for answers that are not what was asked for.
        """
        from datasets.blocks.cds import fetch_cds
        from datasets.era5.members import accept

        fetch_cds(self.wanted(), folder, accept, self.progress, self._about(), smaller=SMALLER)

    def provenance(self, folder: Path) -> list[dict[str, Any]]:
        """Return request, job, checksum, licence and time of each part, and how many of its steps are preliminary."""
        from datasets.blocks.files import open_parts
        from datasets.era5.members import member_files, preliminary_steps

        described = super().provenance(folder)
        for record in described:
            opened = [item for path in member_files(folder / record["file"]) for item in open_parts(path, {})]
            record["preliminary_steps"] = max(map(preliminary_steps, opened), default=0)
            for item in opened:
                item.fields.close()
        return described

    def open(self, folder: Path) -> xr.Dataset:
        """Return the daily means in the order of ``variables``, latitude descending and longitude ascending.

        Raises
        ------
        DataError
            If a part is missing, damaged, or not what was fetched, or parts do not fit together.
        """
        from datasets.blocks.reading import read_fields
        from datasets.era5.members import member_files, named

        fields = read_fields(
            [path for part in self.fetched(folder) for path in member_files(part.file(folder))],
            self.progress,
            edit=named,
            variables=list(self.params["variables"]),
            accumulated=ends_with_next_day(self.params),
            box=list(self.params["area"]),
            year=self.params["year"],
        )
        return self._described(fields)

    def _years(self) -> str:
        return "-".join(dict.fromkeys(map(str, first_and_last(self.params["year"]))))

    def _about(self) -> dict[str, str]:
        product = self.params["product"]
        return {
            "title": TITLES[product],
            "licence": LICENCE,
            "attribution": attribution(self._years()),
            "doi": DOIS[product],
        }

    def _described(self, fields: xr.Dataset) -> xr.Dataset:
        """Write what the fields are into their attributes."""
        product, about = self.params["product"], self._about()
        stamps = "00:00 to 23:00" if self.params["flux_day"] == "paper" else "01:00 to 24:00"
        for name, field in fields.data_vars.items():
            variable = VARIABLES[str(name)]
            field.attrs = {
                "units": variable.range.units[0],
                "long_name": variable.long_name,
                "standard_name": variable.standard_name,
                "cell_methods": "time: mean",
            }
            if variable.accumulated:
                unit = variable.range.units[0]
                field.attrs["comment"] = f"mean of hourly accumulations ({unit} per hour) stamped {stamps} UTC"
        fields.attrs = {
            "title": f"ERA5 daily means {self._years()}",
            "institution": "European Centre for Medium-Range Weather Forecasts",
            "source": f"Copernicus Climate Data Store, {COLLECTIONS[product]}, https://doi.org/{about['doi']}",
            "license": about["licence"],
            "references": REFERENCE,
            "comment": "; ".join(filter(None, [about["attribution"], fields.attrs.get("comment")])),
        }
        return fields
