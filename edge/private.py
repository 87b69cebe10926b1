"""Bytes in, a file that its owner alone can read: a new one, or a whole one in place of another."""

from __future__ import annotations

import os
from pathlib import Path

from edge.errors import CannotServe

PRIVATE_MODE = 0o600


def create(path: Path, data: bytes) -> None:
    """A file that was not there. Raises CannotServe."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE)
    except OSError as error:
        raise CannotServe(f"expected to write a key file, {error.strerror} - at {path}") from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def replace(path: Path, data: bytes) -> None:
    """The file, whether it was there or not; who reads it meanwhile has the old one or the new.
    Raises CannotServe."""
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    create(unfinished, data)
    unfinished.replace(path)
