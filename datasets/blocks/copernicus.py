"""What the Copernicus Climate Change Service wants to be said of its data."""

LICENCE = "CC-BY 4.0, https://creativecommons.org/licenses/by/4.0/"


def attribution(years: str) -> str:
    """Return the sentences to publish with data of these years."""
    return (
        f"Contains modified Copernicus Climate Change Service information {years}. Neither the European Commission nor "
        "ECMWF is responsible for any use that may be made of the Copernicus information or data it contains."
    )
