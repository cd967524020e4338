"""CARRA, the Copernicus Arctic regional reanalysis: daily means on 2.5 km, averaged over blocks of cells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from datasets.blocks.copernicus import LICENCE, attribution
from datasets.blocks.fetched import Fetched, days_of, first_and_last
from datasets.blocks.parts import missing
from datasets.carra import plan

if TYPE_CHECKING:
    import xarray as xr

    from datasets.blocks.parts import Part

PAGE = f"https://cds.climate.copernicus.eu/datasets/{plan.SOURCE}"
TITLE = "Arctic regional reanalysis daily and monthly data from 1991 to present"
SMALLEST = "one variable and month is the least that is asked for, so choose other variables"


class Plugin(Fetched):
    """CARRA on single levels as daily fields on a coarse grid; ``dataset.yaml`` describes the parameters."""

    needs_key = True

    def setting_problems(self) -> list[str]:
        """Return what is wrong with the parameters, one sentence each."""
        return plan.problems(self.params)

    def shape(self) -> tuple[int, int, int, int]:
        """Return the shape (time, y, x, variable) that the cube will have."""
        domain, margin, block = (self.params[key] for key in ("domain", "margin", "block"))
        rows, columns = ((side - 2 * margin) // block for side in (plan.DOMAINS[domain], plan.LONGER[domain]))
        return days_of(self.params["year"]), rows, columns, len(self.params["variables"])

    def parts(self) -> list[Part]:
        """Return one part for each variable and month."""
        return [part for months in plan.parts(self.params).values() for part in months]

    def download(self, folder: Path) -> None:
        """Fetch the months that are not there yet; each is checked and averaged over blocks when it arrives.

        Raises
        ------
        DataError
            For wrong parameters, for what the service refuses, and for answers that are not what was asked for.
        """
        from datasets.blocks.cds import fetch_cds
        from datasets.carra.coarse import Coarsen, again

        parts = self.wanted()
        accept = Coarsen(*(self.params[key] for key in ("margin", "block", "wind", "keep_grib")))
        again(missing(parts, folder), folder, accept)
        fetch_cds(parts, folder, accept, self.progress, self._about(), smaller=SMALLEST)

    def open(self, folder: Path) -> xr.Dataset:
        """Return the block means, dims (time, y, x), in the order of ``variables``, with the map's projection.

        Raises
        ------
        DataError
            If a month is missing or damaged, or months do not fit together.
        """
        from datasets.carra.months import joined

        self.fetched(folder)
        groups = plan.parts(self.params).values()
        fields = joined([[part.file(folder) for part in months] for months in groups])
        about, domain = self._about(), self.params["domain"].replace("_", " ")
        block, margin = self.params["block"], self.params["margin"]
        sizes = f"means of {block} x {block} cells, {margin} cells dropped at every edge"
        fields.attrs = {
            "title": f"CARRA daily means {self._years()}, {domain}",
            "institution": "Norwegian Meteorological Institute and partners; Copernicus Climate Change Service",
            "source": f"Copernicus Climate Data Store, {plan.SOURCE}, {PAGE}",
            "license": about["licence"],
            "references": PAGE,
            "comment": "; ".join(filter(None, [about["attribution"], sizes, fields.attrs.get("comment")])),
        }
        return fields

    def _years(self) -> str:
        return "-".join(dict.fromkeys(map(str, first_and_last(self.params["year"]))))

    def _about(self) -> dict[str, str]:
        return {
            "title": TITLE,
            "licence": LICENCE,
            "attribution": attribution(self._years()),
            "page": PAGE,
        }
