"""An HTTP origin over a folder that can be told to go wrong, in each way that an origin does."""

from __future__ import annotations

import time
from pathlib import Path

from tests.snapshots.store.origins import Answer, BaseHandler, FileOrigin, reply

SLOW_S = 1.0
PIECE = b"\x00" * 2**16


class FaultyOrigin(FileOrigin):
    """Serves the folder's files, unless `part_fault` answers for parts, `control_fault` for control
    objects, or `fault` for whatever these leave."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.fault: Answer | None = None
        self.part_fault: Answer | None = None
        self.control_fault: Answer | None = None
        self.answer = self._answered

    def _answered(self, request: BaseHandler) -> None:
        fault = self.part_fault if "/parts/" in request.path else None
        fault = self.control_fault if request.path.endswith(".control.jws") else fault
        (fault or self.fault or self.serve)(request)

    def bytes_of(self, request: BaseHandler) -> bytes:
        """What the request should get."""
        file = self.directory / request.path.lstrip("/")
        return file.read_bytes() if file.is_file() else b"nothing here"

    def truncated(self, request: BaseHandler) -> None:
        """Half of what was promised, then the end."""
        data = self.bytes_of(request)
        _promise(request, len(data))
        request.wfile.write(data[: len(data) // 2])
        request.close_connection = True

    def wrong_length(self, request: BaseHandler) -> None:
        """A length that leaves out the last bytes, and all of them after it."""
        data = self.bytes_of(request)
        _promise(request, len(data) - 3)
        request.wfile.write(data)
        request.close_connection = True

    def flipped(self, request: BaseHandler) -> None:
        """One bit of it is another."""
        data = bytearray(self.bytes_of(request))
        data[len(data) // 2] ^= 1
        reply(request, 200, bytes(data))

    def slow(self, request: BaseHandler) -> None:
        """One byte a second."""
        data = self.bytes_of(request)
        _promise(request, len(data))
        for place in range(len(data)):
            request.wfile.write(data[place : place + 1])
            time.sleep(SLOW_S)

    def stale_tag(self, request: BaseHandler) -> None:
        """Nothing has changed, whatever was asked."""
        tag = request.headers.get("If-None-Match")
        if tag:
            reply(request, 304, b"", ETag=tag)
        else:
            self.serve(request)


def endless(request: BaseHandler) -> None:
    """Bytes without an end."""
    request.send_response(200)
    request.end_headers()
    request.close_connection = True
    while True:  # until the other side has had enough
        request.wfile.write(PIECE)


def looping(request: BaseHandler) -> None:
    """Go where you are."""
    reply(request, 302, b"", Location=request.path)


def status(code: int) -> Answer:
    """Every request gets this status."""
    return lambda request: reply(request, code, b"no")


def _promise(request: BaseHandler, length: int) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(length))
    request.end_headers()
