"""Stage 1, download: fetch a data set's raw files once and write a manifest of what there is."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any

from regimebench import registry
from regimebench.dataset import Dataset
from regimebench.files import files_below
from regimebench.records import sha256_file, sha256_json, write_json

ORIGIN = ".origin.json"  # beside the raw files from the first byte on; the manifest is only there at the end

log = logging.getLogger(__name__)


def download(dataset: Dataset, manifest: Path, settings: dict[str, Any]) -> None:
    """Fetch ``dataset`` into the folder of ``manifest`` and write the manifest last.

    What an earlier call left there, complete or not, is kept if it came from the same plugin and the same
    :meth:`~regimebench.dataset.Dataset.origin`, and deleted if not. Planted data are also made again when the plugin's
    code changes; downloads, which may have taken days, are not.

    Parameters
    ----------
    dataset : Dataset
        The plugin's object.
    manifest : Path
        JSON file to write: every raw file and every local source with size and SHA-256, plugin, code and parameters.
        Of planted data it holds the hash of the parameters alone, because the truth can be made from them.
    settings : dict
        ``name`` of the data set in the configuration, ``plugin``, and ``params``.
    """
    folder, spec = manifest.parent, registry.dataset(settings["plugin"])
    params = json.loads(json.dumps(settings["params"], default=str))
    origin = {"plugin": spec.id, "params_sha256": sha256_json(params)}
    code = {"code_sha256": spec.code_hash}
    planted = spec.kind == "planted"
    depends = {"plugin": spec.id, "origin_sha256": sha256_json(json.loads(json.dumps(dataset.origin(), default=str)))}
    _make_room(folder, {**depends, **(code if planted else {})})
    dataset.download(folder)
    raw = [path for path in files_below(folder) if path not in (manifest, folder / ORIGIN)]
    content = {
        "dataset": settings["name"],
        **origin,
        **code,
        **({} if planted else {"params": params}),
        "files": [_described(path, path.relative_to(folder).as_posix()) for path in raw],
        "sources": [_described(path, path.name) for path in dataset.sources()],
        **({"provenance": provenance} if (provenance := dataset.provenance(folder)) else {}),
    }
    write_json(manifest, content)


def _make_room(folder: Path, origin: dict[str, Any]) -> None:
    """Empty ``folder`` unless what it holds was fetched for ``origin``."""
    try:
        before = json.loads((folder / ORIGIN).read_text())
    except (OSError, ValueError):
        before = None
    if before == origin:
        return
    if folder.is_dir() and any(folder.iterdir()):
        log.warning("%s/ held files of another plugin or other parameters; they are deleted", folder)
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / ORIGIN, origin)


def _described(path: Path, name: str) -> dict[str, Any]:
    """Return name, size and SHA-256 of a file, or of a folder over the names and content of its files."""
    if not path.is_dir():
        return {"name": name, "bytes": path.stat().st_size, "sha256": sha256_file(path)}
    digest, size = hashlib.sha256(), 0
    for file in files_below(path):
        digest.update(f"{file.relative_to(path).as_posix()}\0{sha256_file(file)}\0".encode())
        size += file.stat().st_size
    return {"name": name, "bytes": size, "sha256": digest.hexdigest()}
