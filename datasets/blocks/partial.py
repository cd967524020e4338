"""The bytes of a download so far, kept so that another process can go on with them."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from datasets.blocks.answers import Offer

BLOCK = 2**20


@dataclass(frozen=True)
class Received:
    """What arrived: size and digests of the file, and how the server described it."""

    bytes: int
    md5: str
    sha256: str
    etag: str
    modified: str


class Partial:
    """The bytes of a file so far, and beside them the offer that they come from."""

    def __init__(self, target: Path):
        self.path = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")

    @property
    def held(self) -> int:
        """Bytes so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def offer(self) -> Offer:
        """The offer that the bytes come from; an empty one if that is unknown."""
        try:
            return Offer(**json.loads(self.note.read_text()))
        except (OSError, ValueError, TypeError):
            return Offer(None, "", "")

    def begin(self, offer: Offer) -> None:
        """Forget the bytes so far, in this order, so that no process finds old bytes beside a new offer."""
        self.discard()
        self.note.write_text(json.dumps(asdict(offer)))
        self.path.touch()

    def discard(self) -> None:
        """Delete the bytes and the note."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def described(self) -> Received:
        """Return size and digests, read from the disk."""
        digests = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        with open(self.path, "rb") as file:
            while block := file.read(BLOCK):
                for digest in digests:
                    digest.update(block)
        offer = self.offer
        return Received(self.held, digests[0].hexdigest(), digests[1].hexdigest(), offer.etag, offer.modified)

    def finish(self, target: Path) -> None:
        """Give the complete file its name."""
        with open(self.path, "rb") as file:
            os.fsync(file.fileno())
        os.replace(self.path, target)
        self.note.unlink(missing_ok=True)
