"""A method that misbehaves on purpose, in the way ``how`` says and for the seeds in ``bad_seeds``.

``how`` is the name of a function below, or a list of them: one for each bad seed in turn.
"""

import ctypes
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from regimebench.method import Cube, Fit, Method

GLOBAL = np.random.mtrand._rand  # the global random state, which a real method must not use


def raises(*_):
    raise ValueError("the loss became NaN in epoch 3")


def leaks(*_):
    text = "GET https://user:hunter2@example.org failed, key: 01234567-89ab-cdef-0123-456789abcdef"
    raise ValueError(f"{text}, CDSAPI_KEY is {os.environ.get('CDSAPI_KEY')}; " + "x" * 2000)


def hangs(*_):
    while True:
        time.sleep(0.01)


def hangs_in_c(*_):
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    ctypes.PyDLL(None).pause()  # holds the interpreter's lock


def kills_itself(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def crashes(*_):
    ctypes.string_at(0)


def allocates(*_):
    kept = []
    while True:
        kept.append(np.ones(2_000_000))
        time.sleep(0.01)


def holds_memory(*_):
    kept = np.ones(100_000_000)  # 763 MiB, below the limit in method.yaml
    while kept[0]:
        time.sleep(0.01)


def asks_for_too_much(*_):
    np.ones((1 << 50,))


def exits(*_):
    sys.exit(3)


def exits_at_once(*_):
    os._exit(4)


def too_few(cube, good):
    return good[:-1]


def nan(cube, good):
    labels = good.astype(float)
    labels[5] = np.nan
    return labels


def floats(cube, good):
    return good.astype(float)


def outside(cube, good):
    return good + 1


def one_cluster(cube, good):
    return np.zeros_like(good)


def prints(cube, good):
    line = b"all work and no play makes a dull method\n" * 1000
    os.write(1, b"first line\n")
    for _ in range(100):
        os.write(1, line)
    os.write(1, b"last line\n")
    return good


def prints_endlessly(*_):
    line = b"all work and no play makes a dull method\n" * 1000
    while True:
        os.write(1, line)


def changes_random_state(cube, good):
    random.seed(99)
    GLOBAL.seed(99)
    return good


def forks(cube, good):
    subprocess.Popen(["sleep", "1000"])
    return good


def forks_a_daemon(cube, good):
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
    hangs()


def reads_truth(*_):
    (Path("results") / "truth" / "demo.csv").read_text()


def changes_the_cube(cube, good):
    cube.values[:] = 0
    return good


def returns_nothing(*_):
    return None


def returns_odd_epochs(cube, good):
    return Fit(good, epochs=2.5)


def returns_other_cells(cube, good):
    return Fit(good, reconstruction=np.zeros((cube.n_days, 1)))


class Plugin(Method):
    """Labels from the global random state; every fit adds a line to the file ``counter``."""

    def fit(self, cube: Cube) -> Fit:
        if self.params["counter"]:
            with open(self.params["counter"], "a") as file:
                file.write(f"{self.seed} {os.getpid()}\n")
        self.progress("drawing", 1, 2)
        time.sleep(self.params["pause"])
        labels = GLOBAL.randint(self.n_clusters, size=cube.n_days)
        labels[: self.n_clusters] = range(self.n_clusters)
        bad, how = self.params["bad_seeds"], self.params["how"]
        if bad is None or self.seed in bad:
            labels = globals()[how if isinstance(how, str) else how[bad.index(self.seed)]](cube, labels)
        if labels is None or isinstance(labels, Fit):
            return labels
        return Fit(labels, n_parameters=0, epochs=1, history={"loss": [1.0, 0.5]})
