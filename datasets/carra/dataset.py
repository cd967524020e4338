"""CARRA, the Copernicus Arctic regional reanalysis: daily means on 2.5 km, averaged over blocks of cells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.blocks.parts import missing, provenance, refuse_damaged
from datasets.carra import plan
from regimebench.dataset import DataError, Dataset

if TYPE_CHECKING:
    import xarray as xr

    from datasets.blocks.parts import Part

PAGE = f"https://cds.climate.copernicus.eu/datasets/{plan.SOURCE}"
TITLE = "Arctic regional reanalysis daily and monthly data from 1991 to present"
LICENCE = "CC-BY 4.0, https://creativecommons.org/licenses/by/4.0/"
SMALLEST = "one variable and month is the least that is asked for, so choose other variables"
ATTRIBUTION = (
    "Contains modified Copernicus Climate Change Service information {years}. Neither the European Commission nor "
    "ECMWF is responsible for any use that may be made of the Copernicus information or data it contains."
)


class Plugin(Dataset):
    """CARRA on single levels as daily fields on a coarse grid; ``dataset.yaml`` describes the parameters."""

    def problems(self, folder: Path) -> list[str]:
        """Return wrong parameters, and missing credentials if something is still to be fetched."""
        found = plan.problems(self.params)
        if found or not missing(self._parts(), folder):
            return found
        from datasets.blocks.credentials import credential_problems

        return credential_problems()

    def origin(self) -> dict[str, Any]:
        """Return nothing: every file names its request, margin and blocks, and what still fits is used again."""
        return {}

    def download(self, folder: Path) -> None:
        """Fetch the months that are not there yet; each is checked and averaged over blocks when it arrives.

        Raises
        ------
        DataError
            For wrong parameters, for what the service refuses, and for answers that are not what was asked for.
        """
        from datasets.blocks.cds import fetch_cds
        from datasets.carra.coarse import Coarsen, again

        self._refuse_settings()
        accept = Coarsen(*(self.params[key] for key in ("margin", "block", "wind", "keep_grib")))
        again(missing(self._parts(), folder), folder, accept)
        fetch_cds(self._parts(), folder, accept, self.progress, self._about(), smaller=SMALLEST)

    def provenance(self, folder: Path) -> list[dict[str, Any]]:
        """Return request, job, checksums, licence and time of each month."""
        return provenance(self._parts(), folder)

    def open(self, folder: Path) -> xr.Dataset:
        """Return the block means, dims (time, y, x), in the order of ``variables``, with the map's projection.

        Raises
        ------
        DataError
            If a month is missing or damaged, or months do not fit together.
        """
        from datasets.carra.months import joined

        self._refuse_settings()
        refuse_damaged(self._parts(), folder)
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

    def _parts(self) -> list[Part]:
        return [part for months in plan.parts(self.params).values() for part in months]

    def _refuse_settings(self) -> None:
        if found := plan.problems(self.params):
            raise DataError("\n".join(found))

    def _years(self) -> str:
        return "-".join(dict.fromkeys(map(str, plan.first_and_last(self.params["year"]))))

    def _about(self) -> dict[str, str]:
        return {
            "title": TITLE,
            "licence": LICENCE,
            "attribution": ATTRIBUTION.format(years=self._years()),
            "page": PAGE,
        }
