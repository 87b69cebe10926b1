"""The copy on a node's disk: verified parts, what is trusted, and the pointer that workers follow.

    parts/<raw sha256>   raw bytes, whole and verified: written beside, synced, renamed
    parts/….partial      stored bytes of a part, under their own hash, while they come: gone on
                         from after a break, and not believed
    trusted.jws          the manifest that was trusted last; previous.jws the one before
    highest.json         channel → key id → the highest version trusted by that key
    control.jws          the control object that was obeyed last; workers look at it, too
    serving.jws          what to serve now: removed at start, written when every part of it was
                         verified since; workers look at its file status and open what it names

One process writes (the node's; `obey` may run while all else does, as what it writes nothing else
does), any number read, and nobody else: what lies here is private, and
a folder that belongs to another user is refused, because workers open parts without hashing them
again. Whatever the disk refuses is DiskRefused, and what was there before is still there.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import mmap
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from snapshots import pauses, signing
from snapshots.errors import DiskRefused, Unreadable, Untrusted
from snapshots.keys import PublicKeys
from snapshots.manifest import Manifest, PartRef
from snapshots.pauses import Pauses

TRUSTED, PREVIOUS, SERVING, HIGHEST = "trusted.jws", "previous.jws", "serving.jws", "highest.json"
CONTROL = "control.jws"
UNFINISHED = ".unfinished"
PARTIAL = ".partial"
READ_BYTES = 2**20
MAX_TOKEN_BYTES = 4 * 2**20  # far above what `Limits` lets in: a broken file is not read whole

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL

Highest = dict[str, dict[str, int]]
Seen = tuple[int, int, int]  # time, inode and size of a file that was read

_ADVICE = {
    errno.ENOSPC: ": make room, an old and a new bundle lie there side by side",
    errno.EDQUOT: ": make room, an old and a new bundle lie there side by side",
    errno.EROFS: ": let the node write there, or name another cache folder",
    errno.EACCES: ": let the node write there, or name another cache folder",
    errno.EPERM: ": let the node write there, or name another cache folder",
}


class LocalCopy:
    """A cache directory. keys: whose signatures count; replaced when key files are reloaded."""

    def __init__(self, directory: Path, keys: PublicKeys) -> None:
        self.directory, self.keys = directory, keys
        self._parts = directory / "parts"
        self._seen: Seen | None = None
        self._serving: Manifest | None = None
        self._seen_control: Seen | None = None
        self._control: Pauses | None = None

    def prepare(self) -> None:
        """A node starts: make the folders, take the pointer down, clear what was left half-done.
        Raises DiskRefused, also for folders that are another user's."""
        with disk("prepare the local copy", self.directory):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._parts.mkdir(mode=0o700, exist_ok=True)
            self.check_owners()
            self.unpoint()
            for folder in (self.directory, self._parts):
                for file in folder.glob(f"*{UNFINISHED}"):
                    file.unlink()

    def check_owners(self) -> None:
        """Raises DiskRefused for folders that another user could change under us."""
        for folder in (self.directory, self._parts):
            with disk("look at the local copy", folder):
                _check_owner(folder)

    def path_of(self, part: PartRef) -> Path:
        """Where the raw bytes of a part lie, if they do."""
        return self._parts / part.raw_sha256

    def holds(self, raw_sha256: str) -> bool:
        """Whether a file of that name is here, as it was when it was written or not."""
        try:
            return (self._parts / raw_sha256).is_file()
        except OSError:
            return False

    def mapped(self, name: str) -> memoryview:
        """The bytes of a file among the parts, mapped: a raw part's, or those that came so far."""
        path = self._parts / name
        with disk(f"read {name}", path), path.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return memoryview(b"")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def partial_of(self, part: PartRef) -> Path:
        """Where its stored bytes are gathered while they come; they outlive a restart."""
        return self._parts / f"{part.sha256}{PARTIAL}"

    def has(self, part: PartRef) -> bool:
        """Whether a file of the part's size is here; cheap, and nothing is read."""
        try:
            return self.path_of(part).stat().st_size == part.raw_bytes
        except OSError:
            return False

    def verify(self, part: PartRef) -> bool:
        """Whether the part is here with every byte right; a broken one is removed."""
        path = self.path_of(part)
        with disk(f"read {part.name}", path):
            if not path.exists():
                return False
            with path.open("rb") as file:
                digest = hashlib.sha256()
                while piece := file.read(READ_BYTES):
                    digest.update(piece)
            if digest.hexdigest() == part.raw_sha256:
                return True
            path.unlink()
        return False

    def write(self, part: PartRef, pieces: Iterable[bytes]) -> None:
        """The raw bytes of a part, kept only if `pieces` comes to its end without an error."""
        self._replace(self.path_of(part), pieces, part.name)

    def trusted(self) -> Manifest | None:
        """The manifest that was trusted last, or None. Raises what `signing.verify` raises."""
        token = self._read(TRUSTED)
        return signing.verify(token, self.keys) if token else None

    def trusted_token(self) -> bytes:
        """The signed bytes of that manifest, b"" if there are none."""
        return self._read(TRUSTED)

    def highest(self, channel: str) -> int:
        """The highest version of the channel that was ever trusted, by a key that still counts;
        0 for none."""
        versions = self._highest().get(channel, {})
        return max((versions[kid] for kid in versions.keys() & self.keys.keys()), default=0)

    def trust(self, token: bytes) -> Manifest:
        """Every check is done: this manifest is what a cold start opens, and no older one will be
        taken."""
        manifest = signing.verify(token, self.keys)
        if (before := self._read(TRUSTED)) and before != token:
            self._replace(self.directory / PREVIOUS, [before])
        self._replace(self.directory / TRUSTED, [token])
        kid, highest = signing.signer(token), self._highest()
        versions = highest.setdefault(manifest.channel, {})
        versions[kid] = max(versions.get(kid, 0), manifest.version)
        self._replace(self.directory / HIGHEST, [msgspec.json.encode(highest)])
        return manifest

    def point(self, token: bytes) -> None:
        """Every part of this manifest was verified since the start: workers, open it.

        What is trusted becomes the pointer by a second name for the same file: so a node starts
        from its copy though the disk is full. What is pointed at already stays as it is.
        """
        if self._read(SERVING) == token:
            return
        if self._read(TRUSTED) == token:
            unfinished = self.directory / (SERVING + UNFINISHED)
            with contextlib.suppress(OSError):  # a file system without second names: written anew
                unfinished.unlink(missing_ok=True)
                os.link(self.directory / TRUSTED, unfinished)
                unfinished.replace(self.directory / SERVING)
                return
        self._replace(self.directory / SERVING, [token])

    def is_pointed(self) -> bool:
        """Whether there is a pointer: somebody may have cleared the cache."""
        return (self.directory / SERVING).exists()

    def unpoint(self) -> None:
        """Takes the pointer down: workers keep what they have, and new ones wait."""
        with disk(f"remove {SERVING}", self.directory):
            (self.directory / SERVING).unlink(missing_ok=True)

    def serving(self) -> Manifest | None:
        """What to serve now, or None until the node has verified something. As cheap as a look at
        the file's status while nothing changes. Raises DiskRefused, Untrusted."""
        seen = self._look(SERVING)
        if seen is None:
            self._seen = self._serving = None
        elif seen != self._seen:
            self.check_owners()
            token = self._read(SERVING)
            self._serving = signing.verify(token, self.keys) if token else None
            self._seen = seen
        return self._serving

    def control(self) -> Pauses | None:
        """The control object to obey, or None while there is none; as cheap as `serving`. Raises
        DiskRefused, Untrusted, Unreadable."""
        seen = self._look(CONTROL)
        if seen is None:
            self._seen_control = self._control = None
        elif seen != self._seen_control:
            self.check_owners()
            token = self._read(CONTROL)
            self._control = pauses.verify(token, self.keys) if token else None
            self._seen_control = seen
        return self._control

    def control_token(self) -> bytes:
        """The signed bytes of that object, b"" if there are none."""
        return self._read(CONTROL)

    def has_control(self) -> bool:
        """Whether there is one: somebody may have cleared the cache."""
        return (self.directory / CONTROL).exists()

    def obey(self, token: bytes) -> None:
        """This control object is the newest, and was verified."""
        self._replace(self.directory / CONTROL, [token])

    def _look(self, name: str) -> Seen | None:
        try:
            status = (self.directory / name).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size

    def prune(self, coming: Manifest | None = None) -> None:
        """Removes the parts that neither the trusted manifest nor the one before names, nor the one
        that is `coming`, of which the beginnings stay, too. A worker that still maps a part keeps
        its bytes until it lets go."""
        kept = {part.raw_sha256 for part in coming.everything} if coming else set()
        kept |= {self.partial_of(part).name for part in coming.everything} if coming else set()
        for name in (TRUSTED, PREVIOUS, SERVING):
            with contextlib.suppress(Untrusted, Unreadable):  # of a retired key: not to be opened
                if token := self._read(name):
                    manifest = signing.verify(token, self.keys)
                    kept |= {part.raw_sha256 for part in manifest.parts}
        with disk("prune parts", self._parts):
            for file in self._parts.glob("*"):  # of a folder that was cleared: nothing
                if file.name not in kept and not file.is_dir():
                    file.unlink(missing_ok=True)

    def _read(self, name: str) -> bytes:
        path = self.directory / name
        with disk(f"read {name}", path):
            if not path.exists():
                return b""
            with path.open("rb") as file:
                return file.read(MAX_TOKEN_BYTES)

    def _highest(self) -> Highest:
        try:
            return msgspec.json.decode(self._read(HIGHEST) or b"{}", type=Highest)
        except msgspec.DecodeError:  # a broken mark counts as none: `trusted` still sets a floor
            return {}

    def _replace(self, path: Path, pieces: Iterable[bytes], name: str = "") -> None:
        """All or nothing, also when the power fails: written beside, synced, renamed, synced. Never
        through a link that somebody laid there. name: what to call it in an error."""
        unfinished = path.with_name(path.name + UNFINISHED)
        with disk(f"write {name or path.name}", path):
            path.parent.mkdir(0o700, parents=True, exist_ok=True)  # it may have been cleared
            try:
                unfinished.unlink(missing_ok=True)
                with os.fdopen(os.open(unfinished, _NEW, 0o600), "wb") as file:
                    file.writelines(pieces)
                    file.flush()
                    os.fsync(file.fileno())
                unfinished.replace(path)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _check_owner(folder: Path) -> None:
    owner, me = folder.stat().st_uid, os.geteuid()
    if owner not in (me, 0):
        raise DiskRefused(
            f"expected a folder of user {me} or of root, got one of user {owner} - at {folder}: "
            "give it to the node's user, or name another cache folder"
        )


@contextlib.contextmanager
def disk(what: str, path: Path) -> Iterator[None]:
    """Makes DiskRefused of what the system says, with what to do about it."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "")
        said = f"expected to {what}, {error.strerror} - at {path}{advice}"
        raise DiskRefused(said) from error
