from __future__ import annotations

import re

import cdsapi
import pytest
from ecmwf.datastores import Client

from datasets.blocks.credentials import DEFAULT_URL, Credentials, credential_problems, find_credentials
from regimebench.dataset import DataError
from tests.servers.cds import CANARY, CdsServer

URL = "http://127.0.0.1:9/api"
OTHER = "22222222-2222-3333-4444-555555555555"
NAMES = [f"{prefix}_{name}" for prefix in ("ECMWF_DATASTORES", "CDSAPI") for name in ("URL", "KEY", "RC", "RC_FILE")]


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """A user without any configuration."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path


def rc(url: str | None = URL, key: str | None = CANARY) -> str:
    return "".join(f"{name}: {value}\n" for name, value in (("url", url), ("key", key)) if value)


def prepare(home, monkeypatch, files, variables):
    for name, content in files.items():
        (home / name).write_text(content)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("files", "variables", "where"),
    [
        ({}, {"ECMWF_DATASTORES_URL": URL, "ECMWF_DATASTORES_KEY": CANARY}, "ECMWF_DATASTORES_KEY"),
        ({".ecmwfdatastoresrc": rc()}, {}, "~/.ecmwfdatastoresrc"),
        ({".ecmwfdatastoresrc": rc(key=OTHER)}, {"ECMWF_DATASTORES_KEY": CANARY}, "ECMWF_DATASTORES_KEY"),
        ({".ecmwfdatastoresrc": rc(url=None)}, {"ECMWF_DATASTORES_URL": URL}, "~/.ecmwfdatastoresrc"),
        ({"elsewhere": rc()}, {"ECMWF_DATASTORES_RC_FILE": "~/elsewhere"}, "~/elsewhere"),
    ],
)
def test_ecmwf_s_client_finds_the_same(home, monkeypatch, files, variables, where):
    prepare(home, monkeypatch, files, variables)
    ours = find_credentials()
    with pytest.warns(UserWarning, match="9"):  # nobody listens at that port
        theirs = Client(maximum_tries=1)
    assert (ours.url, ours.key) == (theirs.url, theirs.key) == (URL, CANARY)
    assert ours.where.endswith(where)


@pytest.mark.parametrize(
    ("files", "variables", "where"),
    [
        ({}, {"CDSAPI_URL": URL, "CDSAPI_KEY": CANARY}, "CDSAPI_KEY"),
        ({".cdsapirc": rc()}, {}, "~/.cdsapirc"),
        ({".cdsapirc": rc(key=OTHER)}, {"CDSAPI_KEY": CANARY}, "CDSAPI_KEY"),
        ({".cdsapirc": rc(url=None)}, {"CDSAPI_URL": URL}, "~/.cdsapirc"),
        ({".cdsapirc": rc() + "verify: 1\n"}, {}, "~/.cdsapirc"),
    ],
)
def test_cdsapi_finds_the_same(home, monkeypatch, files, variables, where):
    prepare(home, monkeypatch, files, variables)
    ours = find_credentials()
    with pytest.warns(UserWarning, match="9"):
        theirs = cdsapi.Client(quiet=True, retry_max=1)
    assert (ours.url, ours.key) == (theirs.url, theirs.key) == (URL, CANARY)
    assert ours.where.endswith(where)


def test_cdsapi_can_read_its_file_through_a_given_path(home, monkeypatch):
    prepare(home, monkeypatch, {"mine": rc()}, {"CDSAPI_RC": str(home / "mine")})
    assert find_credentials() == Credentials(URL, CANARY, str(home / "mine"))


@pytest.mark.parametrize(
    ("files", "variables", "expected"),
    [
        # ECMWF's own names come first, whatever the others say.
        ({".cdsapirc": rc(key=OTHER), ".ecmwfdatastoresrc": rc()}, {"CDSAPI_KEY": OTHER}, (URL, CANARY)),
        ({".cdsapirc": rc(), ".ecmwfdatastoresrc": "# nothing yet\n"}, {}, (URL, CANARY)),
        ({".ecmwfdatastoresrc": rc(key=None)}, {"CDSAPI_KEY": CANARY}, (URL, CANARY)),
        ({}, {"CDSAPI_KEY": CANARY}, (DEFAULT_URL, CANARY)),
        ({".cdsapirc": rc(url=URL + "/")}, {}, (URL, CANARY)),
        ({".cdsapirc": rc()}, {"ECMWF_DATASTORES_KEY": "", "CDSAPI_URL": " "}, (URL, CANARY)),
    ],
)
def test_each_value_is_the_first_that_is_found(home, monkeypatch, files, variables, expected):
    prepare(home, monkeypatch, files, variables)
    found = find_credentials()
    assert (found.url, found.key) == expected
    assert credential_problems() == []


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfkey: KEY\r\nurl: URL\r\n",  # an editor of Windows
        b"\n  url :URL  \n\tkey:KEY\t\nverify: 0\nnonsense\n: \n",
        b"# key: other\nkey: other\nurl: URL\nkey: KEY",
    ],
)
def test_odd_files_are_read(home, content):
    (home / ".cdsapirc").write_bytes(content.replace(b"KEY", CANARY.encode()).replace(b"URL", URL.encode()))
    assert find_credentials() == Credentials(URL, CANARY, "~/.cdsapirc")


TO_WRITE = f"write two lines into ~/.cdsapirc: 'url: {DEFAULT_URL}' and 'key: <your token>'"


@pytest.mark.parametrize(
    ("files", "variables", "sentence"),
    [
        (
            {},
            {},
            "no key for the Climate Data Store was found: log in at https://cds.climate.copernicus.eu (an account is "
            "free), copy the personal access token from https://cds.climate.copernicus.eu/profile, and "
            f"{TO_WRITE}; or put the token into the environment variable CDSAPI_KEY",
        ),
        ({".cdsapirc": rc(key=None)}, {}, "was found (~/.cdsapirc has no line 'key: ...'): log in"),
        ({}, {"CDSAPI_RC": "~/gone"}, "was found (CDSAPI_RC names ~/gone, which does not exist): log in"),
        (
            {".cdsapirc": rc(key=f"12345:{CANARY}")},
            {},
            "the key in ~/.cdsapirc has a colon: it is of the form UID:key, which the Climate Data Store gave up in "
            "2024. Copy the personal access token from https://cds.climate.copernicus.eu/profile, which stands alone, "
            "in its place",
        ),
        ({".cdsapirc": rc(key=f'"{CANARY}"')}, {}, "the key in ~/.cdsapirc has characters that no key has"),
        (
            {".cdsapirc": rc(url="https://cds.climate.copernicus.eu/api/v2")},
            {},
            "the url in ~/.cdsapirc is https://cds.climate.copernicus.eu/api/v2, of the old Climate Data Store, which "
            "ended in 2024; write https://cds.climate.copernicus.eu/api in its place",
        ),
        ({".cdsapirc": rc(url="cds")}, {}, "the url in ~/.cdsapirc is no plain address; write https:"),
        ({".cdsapirc": rc(url=CANARY)}, {}, "the url in ~/.cdsapirc is no plain address"),
        ({".cdsapirc": rc(url=f"https://{CANARY}@host/api")}, {}, "the url in ~/.cdsapirc is no plain address"),
        ({".cdsapirc": rc(url=f"https://host/api?key={CANARY}")}, {}, "the url in ~/.cdsapirc is no plain address"),
        ({".cdsapirc": rc(url=f"{DEFAULT_URL} # mine")}, {}, "the url in ~/.cdsapirc is no plain address"),
        ({".cdsapirc": rc(url=CANARY, key=DEFAULT_URL)}, {}, "the key in ~/.cdsapirc is an address; copy the personal"),
        (
            {".cdsapirc": rc(url="http://cds.climate.copernicus.eu/api")},
            {},
            "the url in ~/.cdsapirc begins with http://, so that everyone on the way could read the key; write https://",
        ),
    ],
)
def test_what_is_missing_or_wrong_is_one_sentence_without_the_key(home, monkeypatch, files, variables, sentence):
    prepare(home, monkeypatch, files, variables)
    with pytest.raises(DataError, match=re.escape(sentence)) as caught:
        find_credentials()
    assert credential_problems() == [str(caught.value)]
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(("make", "why"), [("folder", "Is a directory"), ("binary", "it is not a text in UTF-8")])
def test_a_file_that_cannot_be_read_is_named(home, make, why):
    path = home / ".cdsapirc"
    path.mkdir() if make == "folder" else path.write_bytes(b"key: \xff\xfe")
    assert credential_problems() == [f"~/.cdsapirc cannot be read ({why}); {TO_WRITE}"]


def test_the_key_is_not_printed():
    found = Credentials(URL, CANARY, "~/.cdsapirc")
    assert CANARY not in f"{found} {found!r}"
    assert found.redacted(f"token {CANARY}!") == "token <key>!"


def test_cdsapi_can_talk_to_the_loopback_server(home, monkeypatch):
    with CdsServer(lambda collection, request: (b"fields", "application/netcdf", ".nc")) as server:
        for name, value in (("CDSAPI_URL", server.url), ("CDSAPI_KEY", server.key)):
            monkeypatch.setenv(name, value)
        client = cdsapi.Client(quiet=True, progress=False, sleep_max=0.05, retry_max=3)
        client.retrieve("reanalysis-x", {"year": ["2021"]}, str(home / "x.nc"))
    assert (home / "x.nc").read_bytes() == b"fields"
    assert server.posted == [("reanalysis-x", {"year": ["2021"]})]
    assert server.violations == []
