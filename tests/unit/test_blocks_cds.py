from __future__ import annotations

import errno
import hashlib
import json
import logging
import threading
import time
from datetime import timedelta
from importlib.metadata import version

import pytest

from datasets.blocks import cds, cds_service, transfer
from datasets.blocks.cds import fetch_cds
from datasets.blocks.parts import alone, is_complete, now, provenance, read_record, write_record
from regimebench.dataset import DataError, no_progress
from tests.servers.cds import CANARY
from tests.servers.cds_scenarios import BUSY, SCENARIOS, Reply, Scenario, error
from tests.servers.files import FaultyFiles, Hosted
from tests.unit.cds_run import ABOUT, PARTS, content, take

PART = PARTS[0]
BODY = content(PART.request)


def fetch(folder, parts=(PART,), accept=take, progress=no_progress):
    fetch_cds(list(parts), folder, accept, progress, ABOUT)


def test_parts_that_are_there_need_neither_key_nor_server(start_cds, tmp_path, monkeypatch):
    with monkeypatch.context() as context:
        server = start_cds()
        fetch(tmp_path)
        context.setenv("ECMWF_DATASTORES_KEY", "")
        calls = len(server.calls)
        fetch(tmp_path)
        assert len(server.calls) == calls
        with pytest.raises(DataError, match="no key for the Climate Data Store was found"):
            fetch(tmp_path, PARTS[:2])


def test_the_record_says_where_the_part_comes_from(start_cds, tmp_path):
    server = start_cds()
    fetch(tmp_path, accept=lambda received, target, part: target.write_bytes(received.read_bytes()[:10]))
    record = read_record(PART, tmp_path)
    (job,) = server.jobs
    times = {key: record.pop(key) for key in ("intended", "submitted", "downloaded", "finished")}
    assert all(value.startswith("20") and value.endswith("+00:00") for value in times.values())
    received = record.pop("received")
    (path,) = (path for path in server.files if job in path)
    assert record == {
        "source": "reanalysis-x",
        "request": PART.request,
        "state": "done",
        "job": job,
        **ABOUT,
        "client": f"ecmwf-datastores-client {version('ecmwf-datastores-client')}",
        "bytes": 10,
        "sha256": hashlib.sha256(BODY[:10]).hexdigest(),
    }
    assert received["bytes"] == len(BODY)
    assert received["md5"] == hashlib.md5(BODY).hexdigest()
    assert received["sha256"] == hashlib.sha256(BODY).hexdigest()
    assert (received["type"], received["from"]) == ("application/netcdf", server.address + path)
    assert provenance([PART], tmp_path)[0]["job"] == job
    assert sorted(path.name for path in tmp_path.iterdir()) == [PART.file(tmp_path).name, PART.record(tmp_path).name]


@pytest.mark.parametrize(
    ("state", "posts"),
    [("accepted", 0), ("running", 0), ("successful", 0), ("dismissed", 1), ("unknown", 1)],
)
def test_a_stored_job_is_picked_up_or_asked_for_anew(start_cds, tmp_path, caplog, state, posts):
    server = start_cds()
    job = server.add_job(PART.source, PART.request)
    job.state = state
    if state == "unknown":
        server.jobs.clear()
    write_record(PART, tmp_path, {"state": "submitted", "job": job.id})
    fetch(tmp_path)
    assert len(server.posted) == posts
    assert PART.file(tmp_path).read_bytes() == BODY
    record = read_record(PART, tmp_path)
    assert (record["job"] == job.id) is (posts == 0)
    assert record.get("forgotten", []) == [job.id] * posts
    assert ("asking anew" in caplog.text) is (posts == 1)


def test_a_failed_job_is_asked_for_anew_in_the_next_run(start_cds, tmp_path):
    server = start_cds("job_failed")
    with pytest.raises(DataError, match="no data for 1799"):
        fetch(tmp_path)
    record = read_record(PART, tmp_path)
    assert "job" not in record
    assert "no data for 1799" in record["reason"]
    server.scenario = SCENARIOS["ok"]
    fetch(tmp_path)
    assert len(server.posted) == 2
    assert is_complete(PART, tmp_path)


@pytest.mark.parametrize(
    ("collection", "request_", "age", "forgotten", "posts"),
    [
        (PART.source, PART.request, 0, False, 0),
        (PART.source, {"year": 2021.0, "month": ["01"]}, 0, False, 0),
        (PART.source, PARTS[1].request, 0, False, 1),
        ("reanalysis-y", PART.request, 0, False, 1),
        (PART.source, PART.request, 3600, False, 1),
        (PART.source, PART.request, 0, True, 1),
    ],
    ids=["same", "written in another way", "other inputs", "other data set", "older", "of no use"],
)
def test_a_job_whose_id_was_never_noted_is_found_again(
    start_cds, tmp_path, collection, request_, age, forgotten, posts
):
    server = start_cds()
    job = server.add_job(collection, request_, timedelta(seconds=age))
    intent = {"state": "intended", "intended": now(), "forgotten": [job.id] if forgotten else []}
    write_record(PART, tmp_path, intent)
    fetch(tmp_path)
    assert len(server.posted) == posts
    assert (read_record(PART, tmp_path)["job"] == job.id) is (posts == 0)
    assert PART.file(tmp_path).read_bytes() == BODY


def test_an_answer_that_is_lost_on_the_way_does_not_become_a_second_job(start_cds, tmp_path):
    server = start_cds(Scenario(stop="execution after"))
    fetch(tmp_path)
    assert len(server.posted) == len(server.jobs) == 1


def test_a_few_jobs_queue_together_and_the_rest_follows(start_cds, tmp_path, caplog):
    server, said = start_cds("queue"), []
    task = threading.Thread(
        target=fetch, args=(tmp_path, PARTS, take, lambda *report: said.append(report)), daemon=True
    )
    task.start()
    deadline = time.monotonic() + 30
    while server.count("job") < 5 * cds.IN_FLIGHT and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(server.posted) == cds.IN_FLIGHT < len(PARTS)
    assert ("waiting for 2021-01 (accepted)", 0, len(PARTS)) in said
    server.released.set()
    task.join(60)
    assert all(is_complete(part, tmp_path) for part in PARTS)
    assert [request for _, request in server.posted] == [part.request for part in PARTS]
    assert ("2021-06 (6 of 6)", len(BODY), len(BODY), "B") in said
    assert "2021-01: job" in caplog.text
    assert "is accepted after 0 s" in caplog.text
    assert "is running after" in caplog.text


def test_what_is_refused_is_kept_and_asked_for_anew_and_the_others_go_on(start_cds, tmp_path):
    def picky(received, target, part):
        if part == PARTS[1]:
            raise DataError("day 2021-02-03 is missing")
        take(received, target, part)

    server = start_cds()
    with pytest.raises(DataError) as caught:
        fetch(tmp_path, PARTS[:3], picky)
    refused = PARTS[1].file(tmp_path).name + ".refused"
    assert str(caught.value) == (
        f"2021-02: day 2021-02-03 is missing (what arrived is kept as {refused}; it is asked for anew)\n"
        "(2 of 3 parts are there and stay)"
    )
    assert (tmp_path / refused).read_bytes() == content(PARTS[1].request)
    record = read_record(PARTS[1], tmp_path)
    assert (record["state"], record["reason"]) == ("refused", "day 2021-02-03 is missing")
    assert not PARTS[1].file(tmp_path).exists()

    fetch(tmp_path, PARTS[:3])
    assert [request for _, request in server.posted] == [part.request for part in (*PARTS[:3], PARTS[1])]
    assert all(is_complete(part, tmp_path) for part in PARTS[:3])
    assert not (tmp_path / refused).exists()


def test_a_file_that_was_deleted_is_fetched_again_without_a_new_job(start_cds, tmp_path):
    server = start_cds()
    fetch(tmp_path)
    PART.file(tmp_path).unlink()
    fetch(tmp_path)
    assert PART.file(tmp_path).read_bytes() == BODY
    assert len(server.posted) == 1


@pytest.mark.parametrize("route", ["process", "execution", "job", "results"])
@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_service_that_repeats_the_key_does_not_bring_it_to_light(start_cds, tmp_path, caplog, route, status):
    body = {
        "title": f"bad {CANARY}",
        "detail": f"you sent {CANARY}",
        "traceback": CANARY,
        "message": f"WARNING: {CANARY}",
    }
    server = start_cds(Scenario(always={route: Reply(status, body)}))
    with pytest.raises(DataError) as caught:
        fetch(tmp_path)
    assert CANARY not in f"{caught.value!r} {caught.value.__context__!r} {caught.value.__cause__!r}"
    assert server.count(route) >= 1


def test_the_service_s_news_are_logged_once_and_without_the_key(start_cds, tmp_path, caplog):
    news = {"messages": [{"date": "2026-01-01", "severity": "warning", "content": f"Slow today {CANARY}"}]}
    start_cds(Scenario(first={"messages": [Reply(200, news)], "process": [Reply(200, {"id": "x", **news})]}))
    fetch(tmp_path)
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told == ["[2026-01-01] Slow today <key>"]
    assert "signature" not in "".join(r.getMessage() for r in caplog.records if r.name.startswith("datasets"))


@pytest.mark.parametrize(
    ("route", "sentence"),
    [("process", "answers with a web page"), ("execution", "leads to another server"), ("job", "leads to another")],
)
def test_the_key_follows_no_redirection_to_another_server(start_cds, tmp_path, route, sentence):
    status = {"process": 404, "execution": 401, "job": 403}[route]
    with FaultyFiles({"/login": Hosted(b"", [str(status)] * 9)}) as other:
        server = start_cds(Scenario(always={route: Reply(302, b"", {"Location": f"{other.address}/login"})}))
        with pytest.raises(DataError, match=sentence) as caught:
            fetch(tmp_path)
        assert server.url in str(caught.value)
        assert other.requests
        assert CANARY not in str(other.requests)


def test_the_key_goes_to_no_other_server_whose_address_the_service_sends(start_cds, tmp_path, monkeypatch):
    with FaultyFiles() as other:
        server = start_cds()
        monkeypatch.setattr(server, "_address", lambda job: f"{other.address}/{job.id}")
        with pytest.raises(DataError):
            fetch(tmp_path)
        assert other.requests
        assert CANARY not in str(other.requests)


LOGIN_PAGE = Reply(200, b"<html><title>Hotel</title></html>")


@pytest.mark.parametrize("route", ["job", "results"])
@pytest.mark.parametrize("reply", [Reply(503, b""), Reply(429, {}), Reply(520, b""), LOGIN_PAGE])
def test_a_run_that_waits_for_a_job_outlasts_long_trouble(start_cds, tmp_path, monkeypatch, route, reply):
    assert sum(transfer.PATIENT) > 3 * 3600
    monkeypatch.setattr(cds_service, "PATIENT", (0.1,) * 9)
    server = start_cds(Scenario(first={route: [reply] * 8}))
    fetch(tmp_path)
    assert PART.file(tmp_path).read_bytes() == BODY
    assert len(server.posted) == 1


def test_a_run_that_must_stop_says_what_is_under_way_and_what_failed(start_cds, tmp_path, monkeypatch):
    monkeypatch.setattr(cds_service, "PATIENT", (0.1,) * 3)
    server = start_cds(Scenario(first={"execution": [error(400, "invalid request", "no")]}, always={"job": BUSY}))
    with pytest.raises(DataError) as caught:
        fetch(tmp_path, PARTS[:3])
    first, second = str(caught.value).split("\n")
    assert first.startswith("2021-01: the Climate Data Store takes this for no valid request")
    assert second.endswith("(requests under way, which the next run goes on with: 2)")
    server.scenario = SCENARIOS["ok"]
    fetch(tmp_path, PARTS[1:3])
    assert len(server.posted) == 3
    assert all(is_complete(part, tmp_path) for part in PARTS[1:3])


def test_a_full_disk_is_not_the_answer_s_fault(start_cds, tmp_path):
    def full(received, target, part):
        raise DataError("cannot be unpacked; make room") from OSError(errno.ENOSPC, "No space left on device")

    server = start_cds()
    with pytest.raises(DataError, match="2021-01: cannot be unpacked; make room"):
        fetch(tmp_path, accept=full)
    fetch(tmp_path)
    assert (len(server.posted), server.count("asset")) == (1, 1)


def test_a_file_that_was_changed_is_fetched_again_without_a_new_job(start_cds, tmp_path):
    server = start_cds()
    fetch(tmp_path)
    PART.file(tmp_path).write_bytes(b"?" + BODY[1:])
    fetch(tmp_path)
    assert PART.file(tmp_path).read_bytes() == BODY
    assert len(server.posted) == 1


def test_two_processes_do_not_fetch_into_one_folder(start_cds, tmp_path):
    server = start_cds()
    with alone(tmp_path), pytest.raises(DataError, match="another process is fetching into"):
        fetch(tmp_path)
    assert server.calls == []


def test_the_data_set_says_how_to_ask_for_less(start_cds, tmp_path):
    start_cds("cost")
    with pytest.raises(DataError, match=r"reduce your selection\.\); lower x_per_request$"):
        fetch_cds([PART], tmp_path, take, no_progress, ABOUT, smaller="lower x_per_request")


@pytest.mark.parametrize("body", [{"id": "x", "messages": ["text"]}, {"id": "x", "metadata": []}, {"links": 1}])
def test_json_of_another_form_is_one_sentence(start_cds, tmp_path, body):
    start_cds(Scenario(always={route: Reply(200, body) for route in ("process", "execution", "job")}))
    with pytest.raises(DataError, match="does not answer as the Climate Data Store does"):
        fetch(tmp_path)


def test_a_proxy_s_page_in_place_of_an_error_is_told_from_the_service(start_cds, tmp_path):
    server = start_cds(Scenario(always={"execution": Reply(403, b"<html><title>Blocked</title></html>")}))
    with pytest.raises(DataError) as caught:
        fetch(tmp_path)
    assert str(caught.value).startswith(f"{server.url} answers with a web page ('Blocked'): ")


def test_results_that_are_gone_are_asked_for_anew_only_once(start_cds, tmp_path):
    server = start_cds(Scenario(always={"results": error(404, "results expired", "of job 1")}))
    with pytest.raises(DataError, match="has lost the results twice"):
        fetch(tmp_path)
    record = read_record(PART, tmp_path)
    assert len(server.posted) == 2
    assert json.dumps(record).count(record["forgotten"][0]) == 1
