"""The queue of a cluster, as the profile describes it: how long a job may take, and which GPUs it may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from regimebench.schema import InvalidFile

MARGIN_MINUTES = 10  # start of the worker, reading the cube and writing records
FILL_IN, NO_GPU, ANY_GPU = "FILL_IN", "none", "any_gpu"


@dataclass(frozen=True)
class Queue:
    """What a profile says about the queue that jobs are submitted to.

    Parameters
    ----------
    minutes : int
        Longest time a job may ask for.
    gpu_type : str
        Name of the GPUs to ask for, ``any_gpu`` or ``none``.
    gpu_partition : str or None
        Partition of the jobs that use a GPU, where it is another one.
    """

    minutes: int
    gpu_type: str = NO_GPU
    gpu_partition: str | None = None

    @classmethod
    def of(cls, resources: Mapping[str, Any]) -> Queue | None:
        """Return the queue that Snakemake's default resources describe; None on one machine.

        Raises
        ------
        InvalidFile
            If the profile has not been filled in, or its time limit is too short for any job.
        """
        if "queue_minutes" not in resources:
            return None
        found = [
            f"default-resources.{name}: found {FILL_IN!r}; put your cluster's value here "
            "(docs/slurm.md, docs/kubernetes.md)"
            for name, value in resources.items()
            if str(value) == FILL_IN
        ]
        minutes = resources["queue_minutes"]
        if type(minutes) is not int or minutes < 2 * MARGIN_MINUTES:
            found.append(
                f"default-resources.queue_minutes: found {minutes!r}; allowed is a whole number of minutes, "
                f"{2 * MARGIN_MINUTES} or more: the longest time a job of the partition may take (`sinfo -o '%P %l'`)"
            )
        if found:
            raise InvalidFile("profile", found)
        return cls(minutes, str(resources.get("gpu_type", NO_GPU)), resources.get("gpu_partition"))

    @property
    def fit_minutes(self) -> int:
        """How long the fits of one job may take together."""
        return self.minutes - MARGIN_MINUTES

    @property
    def has_gpus(self) -> bool:
        """Whether jobs may ask for a GPU."""
        return self.gpu_type != NO_GPU

    def gpu_resources(self) -> dict[str, str]:
        """Return what a job that uses a GPU asks for besides the GPU itself."""
        model = {} if self.gpu_type == ANY_GPU else {"gpu_model": self.gpu_type}
        return {**model, **({"slurm_partition": self.gpu_partition} if self.gpu_partition else {})}
