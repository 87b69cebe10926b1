"""A folder, S3, GCS or Azure through obstore: one adapter, so that a folder behaves as a bucket.

Nothing is touched before the first call, so that an edge can start before its store is there. Only
a publisher makes a folder: to a reader a mistyped address is an error, not an empty store. Buckets
are opened by their URL, with credentials and endpoint from the environment (`AWS_…`, `GOOGLE_…`,
`AZURE_…`). Folders and S3 are tested; GCS and Azure are built the same way, and not tested here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotModifiedError
from obstore.store import LocalStore, from_url

from snapshots.errors import AlreadyThere, NotThere, StoreUnavailable, TooLarge
from snapshots.store.protocol import Fetched, Listed, Take, without_secrets

CHUNK_BYTES = 2**20
CLIENT: Any = {  # a bucket that hangs is a failed poll, not a syncer that hangs with it
    "connect_timeout": timedelta(seconds=5),
    "read_timeout": timedelta(seconds=10),  # between two reads
    "timeout": timedelta(minutes=10),  # one object, whole
}
RETRIES: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}  # polls come again


class ObjectStore:
    """A store behind obstore. address: a folder, or a URL of s3, gs, az and the like. make: whether
    a folder that is missing is made, at the first call."""

    def __init__(self, address: str | Path, *, make: bool = False) -> None:
        self._folder = address if isinstance(address, Path) else None
        self.where = str(address) if self._folder else without_secrets(str(address))
        self._address, self._make = str(address), make
        self._opened: Any = None

    def read(self, path: str, max_bytes: int) -> bytes:
        """As the protocol says."""
        fetched = self._fetch(path, "", max_bytes)
        return fetched.data if fetched else b""  # never: without a tag nothing is unchanged

    def read_if_changed(self, path: str, etag: str, max_bytes: int) -> Fetched | None:
        """As the protocol says."""
        return self._fetch(path, etag, max_bytes)

    def read_from(self, path: str, start: int, max_bytes: int, take: Take) -> None:
        """As the protocol says: a range that begins at `start`."""
        with self._answering(path):
            store = self._open()
            if start and obstore.head(store, path)["size"] <= start:
                return
            options: Any = {"range": {"offset": start}} if start else None
            at = start
            for chunk in obstore.get(store, path, options=options).stream(CHUNK_BYTES):
                piece = bytes(chunk)
                at += len(piece)
                if at > max_bytes:
                    raise TooLarge(f"expected at most {max_bytes} bytes, got more - at {path}")
                take(piece)

    def create(self, path: str, data: bytes) -> None:
        """As the protocol says: a conditional write, never a look first."""
        self._put(path, data, "create")

    def replace(self, path: str, data: bytes) -> None:
        """As the protocol says."""
        self._put(path, data, "overwrite")

    def list(self, prefix: str) -> list[str]:
        """As the protocol says."""
        return [found.path for found in self.look(prefix)]

    def look(self, prefix: str) -> Sequence[Listed]:
        """As the protocol says."""
        with self._answering(prefix):
            pages = obstore.list(self._open(), prefix=prefix)
            found = (
                Listed(row["path"], row["size"], row["last_modified"].timestamp())
                for page in pages
                for row in page
            )
            return sorted(found, key=lambda one: one.path)

    def delete(self, path: str) -> None:
        """As the protocol says."""
        with contextlib.suppress(NotThere), self._answering(path):
            obstore.delete(self._open(), path)

    def _fetch(self, path: str, etag: str, max_bytes: int) -> Fetched | None:
        data = bytearray()
        with self._answering(path):
            try:
                found = obstore.get(
                    self._open(), path, options={"if_none_match": etag} if etag else None
                )
            except NotModifiedError:
                return None
            for chunk in found.stream(min_chunk_size=CHUNK_BYTES):
                data += memoryview(chunk)
                if len(data) > max_bytes:
                    raise TooLarge(f"expected at most {max_bytes} bytes, got more - at {path}")
            return Fetched(bytes(data), found.meta["e_tag"] or "")

    def _put(self, path: str, data: bytes, mode: Literal["create", "overwrite"]) -> None:
        with self._answering(path):
            try:
                obstore.put(self._open(), path, data, mode=mode, use_multipart=False)
            except AlreadyExistsError:
                self._settle(path)  # who wrote it may have died before
                raise
            self._settle(path)

    def _settle(self, path: str) -> None:
        """What a bucket promises by its answer a folder does, too: a power cut takes back neither
        the bytes nor the names that lead to them. Event files are deleted elsewhere after this."""
        if self._folder is None:
            return
        file = self._folder / path
        for place in (file, *file.parents[: len(Path(path).parts)]):
            handle = os.open(place, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _open(self) -> Any:
        if self._opened is None:
            if self._folder is None:
                self._opened = from_url(
                    self._address,
                    client_options=CLIENT | {"allow_http": _plain_http()},
                    retry_config=RETRIES,
                )
            elif self._make or self._folder.is_dir():
                self._opened = LocalStore(self._folder, mkdir=self._make)
            else:
                raise StoreUnavailable(
                    f"expected a store, found no folder - at {self._folder}: "
                    "publish into it with `edgewise build ... --store`, or mend the address"
                )
        return self._opened

    @contextlib.contextmanager
    def _answering(self, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise NotThere(path, self.where) from None
        except AlreadyExistsError:
            raise AlreadyThere(path, self.where) from None
        except (BaseError, OSError, ValueError) as error:
            line = str(error).split("\n", 1)[0]
            what = without_secrets(line.split(": <?xml", 1)[0])  # what S3 adds for machines
            raise StoreUnavailable(f"expected an answer, {what} - at {self.where}") from error


def _plain_http() -> bool:
    """Whether a bucket may be spoken to without TLS: options of ours hide this one of obstore's."""
    asked = (os.environ.get(f"{cloud}_ALLOW_HTTP", "") for cloud in ("AWS", "GOOGLE", "AZURE"))
    return any(value.lower() in ("true", "1") for value in asked)
