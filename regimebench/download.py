"""Stage 1, download: fetch a data set's raw files once and write a manifest of what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regimebench.dataset import Dataset
from regimebench.records import sha256_file, write_json


def download(dataset: Dataset, manifest: Path, settings: dict[str, Any]) -> None:
    """Fetch ``dataset`` into the folder of ``manifest`` and write the manifest last.

    The manifest lists every raw file with size and sha256, and every local source with size, so that later stages and
    readers know what the cube was made from. Files that are already there are the plugin's business: it keeps them.
    """
    folder = manifest.parent
    folder.mkdir(parents=True, exist_ok=True)
    dataset.download(folder)
    raw = sorted(path for path in folder.glob("**/*") if path.is_file() and path != manifest)
    content = {
        "dataset": settings["name"],
        "plugin": settings["plugin"],
        "params": settings["params"],
        "files": [
            {"name": str(p.relative_to(folder)), "bytes": p.stat().st_size, "sha256": sha256_file(p)} for p in raw
        ],
        "sources": [{"name": str(p), "bytes": p.stat().st_size} for p in dataset.sources()],
    }
    write_json(manifest, content)
