"""A store behind plain HTTP, read-only: conditional GET, bounded in bytes, time and redirects.

An origin may be wrong, slow, endless or hostile; the worst that comes of it is StoreUnavailable or
TooLarge, within a bounded time. Bytes are counted as they arrive, whatever the headers said, and a
body that trickles is given up. What the bytes mean is for those above, who believe none of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import httpx

from snapshots.errors import NotThere, StoreUnavailable, TooLarge
from snapshots.store.protocol import Fetched

TIMEOUT_S = httpx.Timeout(10.0, connect=5.0)  # for each step; the whole is bounded by patience
PATIENCE_S = 20.0  # before the slowest rate is asked for
SLOWEST_BYTES_PER_S = 64 * 2**10  # a node behind less cannot fetch a bundle within its date
MAX_REDIRECTS = 3
MAX_RETRY_AFTER_S = 3_600.0


class HttpStore:
    """A read-only origin. base: the address under which the store's paths lie; a query in it is
    sent with each request."""

    def __init__(
        self,
        base: str,
        *,
        transport: httpx.BaseTransport | None = None,
        elapsed: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        url = httpx.URL(base)
        url = url.copy_with(path=url.path.rstrip("/") + "/", fragment=None)
        self.where = str(url.copy_with(username=None, password=None, query=None))
        self._base, self._elapsed, self._wall = url, elapsed, wall
        self._client = httpx.Client(
            transport=transport,
            timeout=TIMEOUT_S,
            headers={"Accept-Encoding": "identity", "User-Agent": "edgewise"},
        )

    def close(self) -> None:
        """Lets go of the connections."""
        self._client.close()

    def read(self, path: str, max_bytes: int) -> bytes:
        """As the protocol says."""
        fetched = self._get(path, "", max_bytes)
        return fetched.data if fetched else b""  # never: without a tag a 304 is an error

    def read_if_changed(self, path: str, etag: str, max_bytes: int) -> Fetched | None:
        """As the protocol says."""
        return self._get(path, etag, max_bytes)

    def _get(self, path: str, etag: str, max_bytes: int) -> Fetched | None:
        url, started_s = self._base.copy_with(path=self._base.path + path), self._elapsed()
        headers = {"If-None-Match": etag} if etag else {}
        try:
            for _ in range(MAX_REDIRECTS + 1):
                request = self._client.build_request("GET", url, headers=headers)
                response = self._client.send(request, stream=True)
                try:
                    if response.next_request is None:
                        return self._answer(path, response, etag, max_bytes, started_s)
                    url = self._redirected(url, response.next_request.url)
                finally:
                    response.close()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            what = str(error) or type(error).__name__
            raise StoreUnavailable(f"expected an answer, {what} - at {self.where}{path}") from error
        raise StoreUnavailable(
            f"expected at most {MAX_REDIRECTS} redirects - at {self.where}{path}"
        )

    def _answer(
        self, path: str, response: httpx.Response, etag: str, max_bytes: int, started_s: float
    ) -> Fetched | None:
        status = response.status_code
        if status == httpx.codes.NOT_MODIFIED and etag:
            return None
        if status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
            raise NotThere(path, self.where)
        if status != httpx.codes.OK:
            raise StoreUnavailable(
                f"expected 200, got {status} {response.reason_phrase} - at {self.where}{path}",
                retry_after_s=retry_after_s(response.headers.get("Retry-After", ""), self._wall()),
            )
        if (coding := response.headers.get("Content-Encoding", "identity")) != "identity":
            raise StoreUnavailable(
                f"expected bytes as they are, got Content-Encoding {coding} - at {self.where}{path}"
            )
        data = self._body(path, response, max_bytes, started_s)
        return Fetched(data, response.headers.get("ETag", ""))

    def _body(self, path: str, response: httpx.Response, max_bytes: int, started_s: float) -> bytes:
        data = bytearray()
        for chunk in response.iter_raw():
            data += chunk
            if len(data) > max_bytes:
                raise TooLarge(f"expected at most {max_bytes} bytes, got more - at {path}")
            spent_s = self._elapsed() - started_s
            if spent_s > PATIENCE_S + len(data) / SLOWEST_BYTES_PER_S:
                raise StoreUnavailable(
                    f"expected {SLOWEST_BYTES_PER_S} bytes a second, "
                    f"got {len(data)} in {spent_s:.0f} s - at {self.where}{path}"
                )
        return bytes(data)

    def _redirected(self, before: httpx.URL, after: httpx.URL) -> httpx.URL:
        if after.scheme != before.scheme and after.scheme != "https":
            raise StoreUnavailable(f"expected to stay on {before.scheme}, sent to {after}")
        return after


def retry_after_s(header: str, now_s: float) -> float | None:
    """Seconds that a Retry-After header asks for (a number or a date), at most an hour; None for
    none or for one that says nothing."""
    try:
        wait_s = float(int(header)) if header.strip().isdigit() else _until(header, now_s)
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S)


def _until(date: str, now_s: float) -> float:
    return parsedate_to_datetime(date).timestamp() - now_s
