from __future__ import annotations

import logging
import os
import pty
import sys
import termios
from pathlib import Path

import pytest

from regimebench import progress
from regimebench.progress import Shown

ROOT = Path(__file__).resolve().parents[2]
MB = 10**6

WORK = """
import logging, sys, time
from regimebench.progress import Shown
logging.basicConfig(level="INFO", format="%(message)s")
with Shown("era5") as shown:
    for done in range(0, 101, 20):
        shown("2021-03", done * 10**6, 100 * 10**6, "B")
        time.sleep(0.15)
print("end")
"""


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = [1000.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    return now


def lines_of(caplog, clock, reports):
    caplog.set_level(logging.INFO)
    with Shown("ncar") as shown:
        for seconds, report in reports:
            clock[0] = 1000.0 + seconds
            shown(*report)
    return [record.getMessage() for record in caplog.records]


def test_a_line_says_how_far_how_fast_and_how_long(caplog, clock):
    reports = [(0, ("air.2021", 20 * MB, 100 * MB, "B")), (30, ("air.2021", 50 * MB, 100 * MB, "B"))]
    lines = lines_of(caplog, clock, reports)
    assert lines[1] == "ncar: air.2021: 50 % (50.0M of 100M), 1.00MB/s, 00:50 left"


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([(0, 0), (0.5, 5), (0.9, 9)], 1),  # nothing new yet
        ([(0, 0), (0.1, 20), (0.2, 40), (0.3, 90)], 1),  # quick work is not worth ten lines
        ([(0, 0), (2, 9), (4, 10), (6, 19), (8, 20)], 3),  # every ten percent
        ([(0, 0), (29, 1), (30, 2), (59, 3), (60, 4)], 3),  # every thirty seconds
    ],
)
def test_lines_come_now_and_then(caplog, clock, reports, expected):
    lines = lines_of(caplog, clock, [(seconds, ("x", done, 100)) for seconds, done in reports])
    assert len(lines) == expected


def test_an_unknown_total(caplog, clock):
    lines = lines_of(caplog, clock, [(0, ("x", 0, 0, "B")), (30, ("x", 60 * MB, 0, "B"))])
    assert lines == ["ncar: x", "ncar: x: 60.0M so far, 2.00MB/s"]


def test_a_line_claims_no_rate_before_something_has_moved(caplog, clock):
    reports = [(seconds, ("waiting for 2021-01 (accepted)", 1, 12)) for seconds in (0, 90)]
    reports += [(100, ("2021-01", 0, 139_000, "B")), (130, ("reading t2m", 1, 7)), (170, ("reading t2m", 3, 7))]
    assert lines_of(caplog, clock, reports) == [
        "ncar: waiting for 2021-01 (accepted): 8 % (1 of 12)",
        "ncar: waiting for 2021-01 (accepted): 8 % (1 of 12), for 01:30",
        "ncar: 2021-01: 0 % (0.00 of 139k)",
        "ncar: reading t2m: 14 % (1 of 7)",
        "ncar: reading t2m: 43 % (3 of 7), 01:20 left",
    ]


@pytest.mark.parametrize("watched", ["1", "0"])
def test_the_bar_is_drawn_on_the_terminal_while_output_goes_to_a_file(tmp_path, watched):
    """A pseudo-terminal plays the user's; standard output and error of the job are a log file."""
    log = tmp_path / "job.log"
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(ROOT)
        os.environ["REGIMEBENCH_TTY"] = watched
        os.environ["JOB"] = WORK
        os.execl("/bin/sh", "sh", "-c", f'exec "{sys.executable}" -c "$JOB" > "{log}" 2>&1')
    termios.tcsetwinsize(terminal, (24, 100))
    drawn = b""
    try:
        while block := os.read(terminal, 4096):
            drawn += block
    except OSError:
        pass  # the terminal ends with the process
    os.close(terminal)
    assert os.waitpid(process, 0)[1] == 0
    text = log.read_text()
    assert text.endswith("end\n")
    assert "era5: 2021-03: 0 % (0.00 of 100M)" in text
    assert "\r" not in text
    if watched == "1":
        assert b"era5: 2021-03:" in drawn
        assert b"100M/100M" in drawn
        assert b"MB/s" in drawn
    else:
        assert drawn == b""


def test_only_one_job_draws(tmp_path, monkeypatch):
    path = tmp_path / "terminal"
    monkeypatch.setattr(progress, "_terminal", lambda: path.open("a", encoding="utf-8"))
    with Shown("first") as first, Shown("second") as second:
        first("x", 1, 10)
        second("y", 1, 10)
        first.close()
        second("z", 2, 10)
    text = path.read_text()
    assert "first: x" in text
    assert "second: y" not in text
    assert "second: z" in text
