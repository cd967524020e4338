"""A real Slurm on this machine, for the time of the tests: munge, the controller, and one node's daemon.

Jobs look for the configuration at /etc/slurm/slurm.conf and nowhere else, so it stands there while the cluster runs and
is gone, or what it was, afterwards. State, logs and keys stay in a temporary folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

FOLDER = Path("/etc/slurm")
MARK = "# Written by RegimeBench's tests of its Slurm profile; removed when they end."
DAEMONS = ("munged", "slurmctld", "slurmd")
PATIENCE = float(os.environ.get("REGIMEBENCH_TEST_PATIENCE", 240))  # seconds; it only ends a test that would hang
NODE = socket.gethostname().partition(".")[0]
CONFIGURATION = """\
{mark}
ClusterName=regimebench
SlurmctldHost={node}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# Without control groups, memory is watched by asking every two seconds, and a job above its request is killed.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
KillWait=5
MinJobAge=3600
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName={node} NodeAddr=127.0.0.1 CPUs=8 RealMemory=65536 Gres=gpu:fake:2
PartitionName=main Nodes=ALL Default=YES MaxTime=60 State=UP
PartitionName=gpus Nodes=ALL MaxTime=60 State=UP
"""


def reason_to_refuse() -> str | None:
    """Return why no cluster can be started here."""
    if os.geteuid() != 0:
        return "a real Slurm is started by root only (its daemons change users); run as root or in a container"
    lacking = [name for name in (*DAEMONS, "sbatch", "srun") if shutil.which(name) is None]
    if lacking:
        return f"{', '.join(lacking)} not found; on Debian or Ubuntu: apt-get install slurm-wlm munge"
    for name in ("slurm.conf", "gres.conf"):
        path = FOLDER / name
        if path.exists() and not path.read_text(errors="replace").startswith(MARK):
            return f"{path} exists: this machine has a Slurm of its own, which the tests leave alone"
    running = [name for name in ("slurmctld", "slurmd") if _running(name)]
    return f"{' and '.join(running)} run here already; the tests start their own" if running else None


def _running(name: str) -> bool:
    return subprocess.run(["pgrep", "-x", name], capture_output=True).returncode == 0


def _ended(pid: int) -> bool:
    """Say whether a process has ended; nobody may be there to take its last word."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


class Cluster:
    """One node with eight CPUs and 64 GiB on paper, so that jobs wait side by side, and two GPUs that do not exist.

    Parameters
    ----------
    folder : Path
        For state, logs and keys.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self) -> None:
        """Write the configuration, start the daemons, and wait until the node takes jobs."""
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        for name in ("gpu0", "gpu1"):
            subprocess.run(["mknod", self.folder / name, "c", "1", "3"], check=True)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / "slurm.conf").write_text(CONFIGURATION.format(mark=MARK, node=NODE, folder=self.folder))
        (FOLDER / "gres.conf").write_text(f"{MARK}\nName=gpu Type=fake File={self.folder}/gpu[0-1]\n")
        # The folder of the socket must be open to others, the key to nobody.
        subprocess.run(
            ["munged", f"--key-file={key}", f"--socket={self.folder}/munge.socket", "--force",
             *(f"--{name}-file={self.folder}/munge.{name}" for name in ("pid", "log", "seed"))], check=True
        )  # fmt: skip
        self.start_controller()
        subprocess.run(["slurmd", "-N", NODE], check=True)
        self.wait_for(lambda: self.ask("sinfo", "--noheader", "--format=%t").split()[:1] == ["idle"], "an idle node")

    def start_controller(self) -> None:
        """Start the controller, which goes on from its saved state."""
        subprocess.run(["slurmctld"], check=True)

    def kill_controller(self) -> None:
        """Kill the controller as a crash would."""
        self._end("slurmctld", signal.SIGKILL)

    def stop(self) -> None:
        """Cancel what is left, end the daemons, and remove the configuration."""
        subprocess.run(["scancel", "--user=root"], capture_output=True, timeout=60)
        for name in ("slurmd", "slurmctld", "munge"):  # their files: NAME.pid
            self._end(name, signal.SIGTERM)
        for name in ("slurm.conf", "gres.conf"):
            (FOLDER / name).unlink(missing_ok=True)

    def _end(self, name: str, number: int) -> None:
        try:
            pid = int((self.folder / f"{name}.pid").read_text())
            os.kill(pid, number)
        except (OSError, ValueError):
            return
        self.wait_for(lambda: _ended(pid), f"{name} to end")

    @staticmethod
    def ask(*command: str) -> str:
        """Return what a command of Slurm prints; nothing while the controller does not answer."""
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout

    def jobs(self, rule: str, dataset: str) -> list[tuple[str, str]]:
        """Return number and state of the jobs of one rule for one data set, ended ones included."""
        lines = self.ask("squeue", "--noheader", "--states=all", "--format=%i|%T|%k").splitlines()
        found = [line.strip().split("|", 2) for line in lines if line.count("|") >= 2]
        start = f"rule_{rule}", f"_wildcards_{dataset}"
        return [(n, state) for n, state, comment in found if comment.startswith(start[0]) and start[1] in comment]

    @staticmethod
    def wait_for(condition, what: str, seconds: float = PATIENCE) -> None:
        """Wait until ``condition()`` is true; the limit only ends a test that would hang."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}"
            time.sleep(0.2)
