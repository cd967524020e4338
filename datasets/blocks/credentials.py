"""The address and the key of the Climate Data Store: found where ECMWF's two clients look for them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from regimebench.dataset import DataError

SITE = "https://cds.climate.copernicus.eu"
DEFAULT_URL = f"{SITE}/api"
PROFILE = f"{SITE}/profile"
KEY = re.compile(r"[A-Za-z0-9._~+/=-]+")  # what HTTP allows in a token
HIDDEN = "<key>"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class _Place:
    """Where one client looks: variables in the environment, then lines ``url: ...`` and ``key: ...`` of a file."""

    prefix: str
    variable: str  # names the file, if it is not the usual one
    usual: str

    @property
    def file(self) -> str:
        return os.environ.get(self.variable) or self.usual


PLACES = (
    _Place("ECMWF_DATASTORES", "ECMWF_DATASTORES_RC_FILE", "~/.ecmwfdatastoresrc"),
    _Place("CDSAPI", "CDSAPI_RC", "~/.cdsapirc"),
)


@dataclass(frozen=True)
class Credentials:
    """How to reach the service; printing it does not show the key.

    Parameters
    ----------
    url : str
        Root of the API, without a slash at its end.
    key : str
        The personal access token.
    where : str
        Where the key was found, for messages.
    """

    url: str
    key: str = field(repr=False)
    where: str

    def redacted(self, text: str) -> str:
        """Return a text without the key."""
        return text.replace(self.key, HIDDEN)


def find_credentials() -> Credentials:
    """Return address and key, each the first that is found.

    Both are looked for in ``ECMWF_DATASTORES_URL`` and ``ECMWF_DATASTORES_KEY``, ``~/.ecmwfdatastoresrc`` (or the file
    that ``ECMWF_DATASTORES_RC_FILE`` names), ``CDSAPI_URL`` and ``CDSAPI_KEY``, ``~/.cdsapirc`` (or the file that
    ``CDSAPI_RC`` names). Without an address, that of the Climate Data Store is taken.

    Raises
    ------
    DataError
        If no key is found, or what is found cannot be right.
    """
    key, where = _look_up("key")
    if not key:
        raise DataError(_nothing_found())
    _refuse_key(key, where)
    url, whence = _look_up("url")
    return Credentials(_usable_url(url or DEFAULT_URL, whence), key, where)


def credential_problems() -> list[str]:
    """Return why no request can be made, as a list of one sentence; empty if a usable key is there. Asks no server."""
    try:
        find_credentials()
    except DataError as error:
        return [str(error)]
    return []


def _look_up(name: str) -> tuple[str, str]:
    """Return a value and where it stands, both empty if it is nowhere."""
    for place in PLACES:
        variable = f"{place.prefix}_{name.upper()}"
        if value := os.environ.get(variable, "").strip():
            return value, f"the environment variable {variable}"
        if value := _lines(place.file).get(name):
            return value, place.file
    return "", ""


def _lines(file: str) -> Mapping[str, str]:
    """Return the values in a file; none if there is no such file."""
    path = Path(file).expanduser()
    if not path.exists():
        return {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # some editors begin with a mark
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}); {_what_to_write(file)}") from None
    except ValueError:
        raise DataError(f"{file} cannot be read (it is not a text in UTF-8); {_what_to_write(file)}") from None
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _refuse_key(key: str, where: str) -> None:
    if key.startswith(("https://", "http://")):
        raise DataError(f"the key in {where} is an address; copy the personal access token from {PROFILE} in its place")
    if ":" in key:
        raise DataError(
            f"the key in {where} has a colon: it is of the form UID:key, which the Climate Data Store gave up in 2024. "
            f"Copy the personal access token from {PROFILE}, which stands alone, in its place"
        )
    if not KEY.fullmatch(key):
        raise DataError(
            f"the key in {where} has characters that no key has, such as quotes, brackets or blanks; copy the personal "
            f"access token from {PROFILE} as it is, without anything around it"
        )


def _usable_url(url: str, where: str) -> str:
    url = url.rstrip("/")
    if url.endswith(("/api/v2", "/api/v1")):
        raise DataError(
            f"the url in {where} is {url}, of the old Climate Data Store, which ended in 2024; write {DEFAULT_URL} "
            "in its place"
        )
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or re.search(r"[@#\s\"']", url):
        # Not shown: people have been seen to put the key there.
        raise DataError(f"the url in {where} is no plain address; write {DEFAULT_URL} in its place")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise DataError(
            f"the url in {where} begins with http://, so that everyone on the way could read the key; write "
            f"{DEFAULT_URL} in its place"
        )
    return url


def _nothing_found() -> str:
    reasons = []
    for place in PLACES:
        if Path(place.file).expanduser().exists():
            reasons.append(f"{place.file} has no line 'key: ...'")
        elif place.file != place.usual:
            reasons.append(f"{place.variable} names {place.file}, which does not exist")
    found = f" ({'; '.join(reasons)})" if reasons else ""
    return (
        f"no key for the Climate Data Store was found{found}: log in at {SITE} (an account is free), copy the personal "
        f"access token from {PROFILE}, and {_what_to_write('~/.cdsapirc')}; or put the token into the environment "
        "variable CDSAPI_KEY"
    )


def _what_to_write(file: str) -> str:
    return f"write two lines into {file}: 'url: {DEFAULT_URL}' and 'key: <your token>'"
