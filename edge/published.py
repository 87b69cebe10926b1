"""What a store holds, for commands that look at it: a version's manifest and its parts, checked."""

from __future__ import annotations

from pathlib import Path

from decisions.program import Program
from decisions.program import decode as decode_program
from snapshots import manifest as manifests
from snapshots import signing
from snapshots.bundle import unpack
from snapshots.contents import PROGRAM
from snapshots.errors import Malformed
from snapshots.keys import PUBLIC_FILE, PublicKeys, b64decode, read_public
from snapshots.manifest import Manifest, PartRef, channel_path, part_path, version_path
from snapshots.store import ReadableStore, open_store
from snapshots.trust import Limits, check_sizes


class Published:
    """A channel of a store. keys: whose signatures count; None looks without checking them.
    version: one that was published, 0 for the newest."""

    def __init__(
        self, url: str, channel: str, keys: PublicKeys | None, *, version: int = 0
    ) -> None:
        """Raises SnapshotError for a store that has no such channel, and for one not to be
        believed."""
        self.store: ReadableStore = open_store(url)
        path = version_path(channel, version) if version else channel_path(channel)
        token = self.store.read(path, Limits().manifest_bytes)
        self.manifest = _peek(token) if keys is None else signing.verify(token, keys)
        self.signer = "" if keys is None else signing.signer(token)
        check_sizes(self.manifest.everything, Limits())

    def part(self, part: PartRef) -> bytes:
        """The raw bytes of a part, every hash checked."""
        return unpack(part, self.store.read(part_path(part), part.bytes))

    def program(self) -> Program:
        """The compiled playbook."""
        part = self.manifest.part(PROGRAM)
        if part is None:
            raise Malformed(f"expected a part {PROGRAM} in version {self.manifest.version}")
        return decode_program(self.part(part))


def _peek(token: bytes) -> Manifest:
    """What a manifest says, believed by nobody: for people who look."""
    try:
        return manifests.decode(b64decode(token.split(b".")[1].decode("ascii")))
    except (IndexError, ValueError) as error:
        raise Malformed(f"expected a signed manifest, got {len(token)} other bytes") from error


def keys_in(folder: str | None) -> PublicKeys | None:
    """The publisher's public keys of a key folder, None for no folder."""
    return read_public(Path(folder) / PUBLIC_FILE) if folder else None
