"""What the real client and the Climate Data Store can do to a user, and what the user then gets."""

from __future__ import annotations

import hashlib
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datasets.blocks.cds import fetch_cds
from datasets.blocks.parts import is_complete, read_record
from regimebench.dataset import DataError, no_progress
from tests.servers.cds_scenarios import Scenario
from tests.unit.cds_run import ABOUT, PARTS, content, take

ROOT = Path(__file__).resolve().parents[2]
PARTS = PARTS[:2]
MD5 = hashlib.md5(content(PARTS[0].request)).hexdigest()
CDS = "https://cds.climate.copernicus.eu"


# Scenario, and how often something was asked for until both parts were there.
GOOD = [
    ("ok", 2),
    ("rate_limit_then_ok", 3),
    ("busy", 4),
    ("results_expired", 3),
    ("results_not_ready", 2),
    ("file_gone", 3),
    ("truncated", 2),
    ("reset", 2),
    ("hang", 2),
]


@pytest.mark.parametrize(("scenario", "posts"), GOOD)
def test_what_waiting_or_asking_anew_cures(start_cds, tmp_path, scenario, posts):
    server = start_cds(scenario)
    fetch_cds(PARTS, tmp_path / "out", take, no_progress, ABOUT)
    for part in PARTS:
        assert part.file(tmp_path / "out").read_bytes() == content(part.request)
        assert is_complete(part, tmp_path / "out")
    assert len(server.posted) == posts
    assert len(list((tmp_path / "out").iterdir())) == 4, "two files and their records, nothing else"


# Scenario, how often something was asked for, and the sentence that the user gets.
BAD = [
    (
        "bad_key",
        1,
        "the Climate Data Store does not accept the key in the environment variable ECMWF_DATASTORES_KEY (401, "
        "Authentication failed: operation not allowed); copy the personal access token from "
        f"{CDS}/profile in its place",
    ),
    (
        "no_key",
        1,
        "the Climate Data Store does not accept the key in the environment variable ECMWF_DATASTORES_KEY (401, "
        f"permission denied: authentication required); copy the personal access token from {CDS}/profile in its place",
    ),
    (
        "licence",
        1,
        "the licence of reanalysis-x is not accepted yet: log in, accept it at the bottom of "
        f"{CDS}/datasets/reanalysis-x?tab=download#manage-licences and run again",
    ),
    (
        "site_terms",
        1,
        "the terms of the Climate Data Store are not accepted yet (user didn't accept all required site policies: "
        f"Missing policies are: Terms of use (rev. 2) - {CDS}/licences/terms-of-use-cds): log in, read and accept them "
        f"at {CDS}/licences/terms-of-use-cds and {CDS}/profile, and run again",
    ),
    (
        "cost",
        2,
        "2021-01, 2021-02: the Climate Data Store refuses the request as too large (cost limits exceeded: Your request "
        "is too large, please reduce your selection.); let each request ask for less in the configuration",
    ),
    (
        "invalid",
        2,
        "2021-01, 2021-02: the Climate Data Store takes this for no valid request to reanalysis-x (400, invalid "
        "request: Request has not produced a valid combination of values, please check your selection. {'year': "
        "['1799']}); check variables, days and area in the configuration",
    ),
    (
        "rate_limit",
        6,
        "the Climate Data Store takes no more requests from this account for now (429, rate limit exceeded: Rate limit "
        "exceeded. Please wait 2 seconds.); run again later",
    ),
    (
        "down",
        0,
        "{url} answers 503 Service Unavailable: the service is overloaded or under maintenance; look at "
        "https://status.ecmwf.int and run again later, submitted requests are not lost",
    ),
    (
        "switched_off",
        1,
        "the Climate Data Store does not deliver reanalysis-x at the moment (403, retrieve API disabled: Out of "
        f"service until Monday); see {CDS}/datasets/reanalysis-x and run again later",
    ),
    (
        "unknown_dataset",
        0,
        "{url} has no data set reanalysis-x (404, process not found: dataset reanalysis-x not found); see "
        f"{CDS}/datasets/reanalysis-x, and check the url if it is not your usual one",
    ),
    (
        "job_failed",
        2,
        "2021-01, 2021-02: the Climate Data Store could not make the data (The job has failed: MARS returned: no data "
        "for 1799 (99)); it is asked anew in the next run. If that fails as well, ask for something else, or report it "
        "at https://support.ecmwf.int",
    ),
    (
        "results_always_expired",
        4,
        "2021-01, 2021-02: the Climate Data Store has lost the results twice (results expired: results of job 1 "
        "expired); run again later, and report it at https://support.ecmwf.int if it stays",
    ),
    (
        "html_instead_of_json",
        0,
        "{url} answers with a web page ('Sorry, we are doing maintenance'): it is not the address of the service, "
        f"which is {CDS}/api, or a proxy or maintenance is in between; open it in a browser, look at "
        "https://status.ecmwf.int, and run again",
    ),
    (
        "strange_json",
        1,
        f"{{url}} does not answer as the Climate Data Store does (LinkError); check the url, which should be {CDS}/api",
    ),
    (
        "mute",
        0,
        "{url} cannot be reached: the server stopped sending; check the network, the url and the proxy (HTTPS_PROXY), "
        "and run again: submitted requests are not lost",
    ),
]


@pytest.mark.parametrize(("scenario", "posts", "sentence"), BAD, ids=[case[0] for case in BAD])
def test_what_the_user_has_to_do(start_cds, tmp_path, scenario, posts, sentence):
    server = start_cds(scenario)
    with pytest.raises(DataError) as caught:
        fetch_cds(PARTS, tmp_path / "out", take, no_progress, ABOUT)
    assert str(caught.value) == sentence.replace("{url}", server.url)
    assert len(server.posted) == posts
    assert not [path for path in (tmp_path / "out").iterdir() if path.suffix != ".json"]


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ("html_instead_of_data", "answered with a web page ('Scheduled maintenance') instead of data"),
        ("wrong_size", "offers 2,000,000 bytes where 2,000,001 were announced"),
        ("wrong_md5", f"has the md5 sum {MD5} where {'0' * 32} was announced"),
    ],
)
def test_a_file_that_is_not_what_was_announced_is_fetched_twice_and_not_kept(start_cds, tmp_path, scenario, words):
    server = start_cds(scenario)
    with pytest.raises(DataError) as caught:
        fetch_cds(PARTS[:1], tmp_path / "out", take, no_progress, ABOUT)
    assert str(caught.value).startswith("2021-01: ")
    assert f"{server.address}/cache/" in str(caught.value)
    assert words in str(caught.value)
    assert "signature" not in str(caught.value)
    assert server.count("asset") == 2
    assert read_record(PARTS[0], tmp_path / "out")["job"] in server.jobs, "the next run needs no new job"
    assert not PARTS[0].file(tmp_path / "out").exists()


def test_a_service_that_is_not_there(monkeypatch, start_cds, tmp_path):
    start_cds("ok")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/api"
    monkeypatch.setenv("ECMWF_DATASTORES_URL", url)
    with pytest.raises(
        DataError,
        match=f"{re.escape(url)} cannot be reached: no connection could be made; check the network, the url and",
    ):
        fetch_cds(PARTS, tmp_path / "out", take, no_progress, ABOUT)


# Where the first process is killed: scenario, what it does with the file, how often a job and the file were asked for.
STAGES = {
    "before it asks for a job": (Scenario(stop="process before"), "take", 1, 1),
    "with the question on its way": (Scenario(stop="execution before"), "take", 2, 1),
    "before it knows the job": (Scenario(stop="execution after"), "take", 1, 1),
    "while the job is queued": (Scenario(stop="job before"), "take", 1, 1),
    "when it asks for the results": (Scenario(stop="results before"), "take", 1, 1),
    "during the transfer": (Scenario(transfer=("hang at 1500000",)), "take", 1, 2),
    "after the transfer": (Scenario(), "end_before", 1, 1),
    "after the file is accepted": (Scenario(), "end_after", 1, 1),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_process_that_is_killed_goes_on_where_it_was(start_cds, tmp_path, stage):
    scenario, does, posts, files = STAGES[stage]
    server, (part, *_) = start_cds(scenario), PARTS
    command = [sys.executable, "-m", "tests.unit.cds_run", str(tmp_path / "out"), does]
    environment = {**server.environment(tmp_path), "REGIMEBENCH_PATIENCE": "0.1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    if does == "take":
        assert server.stuck.wait(60)
        while files == 2 and not sum(path.stat().st_size for path in (tmp_path / "out").glob("*.part")):
            time.sleep(0.01)  # until something of what was sent is on the disk
        process.kill()
    assert process.wait(60) == -9
    assert not is_complete(part, tmp_path / "out")

    fetch_cds([part], tmp_path / "out", take, no_progress, ABOUT)
    assert part.file(tmp_path / "out").read_bytes() == content(part.request)
    assert is_complete(part, tmp_path / "out")
    assert len(server.posted) == posts
    assert len(server.jobs) == 1
    asked = [call for call in server.calls if call.route == "asset"]
    assert len(asked) == files
    if files == 2:
        assert 0 < int(asked[1].headers["Range"].strip("bytes=-")) <= 1_500_000
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".json", ".nc"]
