"""Bad weather for every Python process of a run: a clock that is wrong, and a file system that is slow.

Python imports a module of this name at its start if it is on the path; the fault-injection suite puts this folder
first. The file named by ``FAULTS_WEATHER`` says what the weather is at the moment: ``{"offset": seconds added to the
clock of the day, "delay": longest wait in seconds of an operation on files below FAULTS_FOLDER}``. The monotonic clock
is right, as it is when a real clock is set. What C libraries read and write is not slowed.
"""

import builtins
import io
import json
import os
import time

REAL = {"time": time.time, "time_ns": time.time_ns, "sleep": time.sleep, "open": builtins.open}
DEFAULT_NOW = ("gmtime", "localtime", "ctime")
SLOW = ("replace", "rename", "fsync", "unlink", "mkdir", "stat", "listdir")


def weather():
    """Return what the weather file says now."""
    try:
        with REAL["open"](os.environ["FAULTS_WEATHER"]) as file:
            return json.load(file)
    except (KeyError, OSError, ValueError):
        return {}


def offset():
    """Return by how much the clock is wrong."""
    return weather().get("offset", 0.0)


def slowed(function, place):
    """Return ``function`` with a wait before it where the argument at ``place`` lies in the folder concerned."""

    def wrapper(*args, **kwargs):
        target = args[place] if len(args) > place else ""
        if isinstance(target, int):
            target = os.readlink(f"/proc/self/fd/{target}")
        if isinstance(target, (str, os.PathLike)) and os.fspath(target).startswith(os.environ["FAULTS_FOLDER"]):
            wait()
        return function(*args, **kwargs)

    return wrapper


def wait():
    """Wait as long as the weather says, more or less: a different time at each call."""
    delay = weather().get("delay", 0.0)
    if delay:
        REAL["sleep"](delay * (int.from_bytes(os.urandom(1), "big") / 255) ** 2)


def install():
    """Change the functions of this process."""
    time.time = lambda: REAL["time"]() + offset()
    time.time_ns = lambda: REAL["time_ns"]() + int(1e9 * offset())
    for name in DEFAULT_NOW:
        setattr(time, name, (lambda real: lambda seconds=None: real(time.time() if seconds is None else seconds))(
            getattr(time, name)))  # fmt: skip
    real_strftime = time.strftime
    time.strftime = lambda form, when=None: real_strftime(form, time.localtime() if when is None else when)
    for name in SLOW:
        setattr(os, name, slowed(getattr(os, name), 0))
    builtins.open = io.open = slowed(builtins.open, 0)


if "FAULTS_WEATHER" in os.environ:
    install()
