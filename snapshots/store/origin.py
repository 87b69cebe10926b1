"""A store behind plain HTTP, read-only: conditional GET and ranges, bounded in bytes, time and
redirects.

An origin may be wrong, slow, endless or hostile; the worst that comes of it is StoreUnavailable or
TooLarge, within a bounded time: a clock runs over the whole answer, headers and all, and only bytes
of the body give it more. What the bytes mean is for those above, who believe none of them.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
import time
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import NamedTuple, TypeAlias, TypeVar

import httpx

from snapshots.errors import NotThere, StoreUnavailable, TooLarge
from snapshots.store.protocol import Fetched, Take, without_secrets

TIMEOUT_S = httpx.Timeout(10.0, connect=5.0)  # for each step; the whole is bounded by patience
PATIENCE_S = 20.0  # for redirects and headers, and before the slowest rate is asked for
SLOWEST_BYTES_PER_S = 64 * 2**10  # a node behind less cannot fetch a bundle within its date
MAX_REDIRECTS = 3
MAX_RETRY_AFTER_S = 3_600.0
MAX_TAG_BYTES = 1_024  # a tag is a hash or a date; a longer one is not sent back

_NO_SUCH_RANGE = httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE

Answer = TypeVar("Answer")
Understand: TypeAlias = Callable[[httpx.Response, asyncio.Timeout], Awaitable[Answer]]


class HttpStore:
    """A read-only origin. base: the address under which the store's paths lie; a query in it is
    sent with each request. Call it from a thread without a running event loop: it brings its own.

    Each request has a connection of its own: polls are seconds apart, and an origin that moved is
    found again. patience_s: see PATIENCE_S. Raises StoreUnavailable for an address without a host.
    """

    def __init__(
        self,
        base: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        patience_s: float = PATIENCE_S,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._base = _address(base)
        self.where = str(self._base.copy_with(username=None, password=None, query=None))
        self._transport, self._patience_s, self._wall = transport, patience_s, wall

    def read(self, path: str, max_bytes: int) -> bytes:
        """As the protocol says."""
        fetched = self._get(path, "", max_bytes)
        return fetched.data if fetched else b""  # never: without a tag a 304 is an error

    def read_if_changed(self, path: str, etag: str, max_bytes: int) -> Fetched | None:
        """As the protocol says."""
        return self._get(path, etag, max_bytes)

    def read_from(self, path: str, start: int, max_bytes: int, take: Take) -> None:
        """As the protocol says: asks for a range; of an origin that sends the whole all the same,
        what is here already is passed over. No If-Range: what lies at a part's address is named by
        its hash, which is checked over the whole."""

        async def understand(response: httpx.Response, patience: asyncio.Timeout) -> None:
            at, status = 0, response.status_code
            if start and status in (httpx.codes.PARTIAL_CONTENT, _NO_SUCH_RANGE):
                if not _begins_at(response, start):
                    return
                at = start
            self._check(path, response, httpx.codes.PARTIAL_CONTENT if at else httpx.codes.OK)
            await _carry(path, response, patience, _Carried(at, start, max_bytes, take))

        self._ask(path, {"Range": f"bytes={start}-"} if start else {}, understand)

    def _get(self, path: str, etag: str, max_bytes: int) -> Fetched | None:
        async def understand(response: httpx.Response, patience: asyncio.Timeout) -> Fetched | None:
            if response.status_code == httpx.codes.NOT_MODIFIED and etag:
                return None
            self._check(path, response)
            data = bytearray()
            await _carry(path, response, patience, _Carried(0, 0, max_bytes, data.extend))
            return Fetched(bytes(data), _tag(response))

        return self._ask(path, {"If-None-Match": etag} if etag else {}, understand)

    def _ask(self, path: str, headers: dict[str, str], understand: Understand[Answer]) -> Answer:
        try:
            return asyncio.run(self._follow(path, headers, understand))
        except TimeoutError:
            raise StoreUnavailable(
                f"expected an answer within {self._patience_s:.0f} s and then "
                f"{SLOWEST_BYTES_PER_S} bytes a second, got less - at {self.where}{path}"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:  # ValueError: of a name
            inner = _innermost(error)
            what = without_secrets(str(inner) or type(inner).__name__)
            raise StoreUnavailable(f"expected an answer, {what} - at {self.where}{path}") from error

    async def _follow(
        self, path: str, headers: dict[str, str], understand: Understand[Answer]
    ) -> Answer:
        """The answer after at most MAX_REDIRECTS redirects; TimeoutError when patience ends."""
        url = self._base.copy_with(path=self._base.path + path)
        headers = {"Accept-Encoding": "identity", "User-Agent": "edgewise"} | headers
        async with (
            asyncio.timeout(self._patience_s) as patience,
            httpx.AsyncClient(
                transport=self._transport, timeout=TIMEOUT_S, verify=_authorities()
            ) as client,
        ):
            for _ in range(MAX_REDIRECTS + 1):
                async with client.stream("GET", url, headers=headers) as response:
                    if response.next_request is None:
                        return await understand(response, patience)
                    url = _redirected(url, response.next_request.url)
        raise StoreUnavailable(
            f"expected at most {MAX_REDIRECTS} redirects - at {self.where}{path}"
        )

    def _check(self, path: str, response: httpx.Response, expected: int = httpx.codes.OK) -> None:
        """Raises NotThere or StoreUnavailable unless the bytes come, as they are."""
        status = response.status_code
        if status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
            raise NotThere(path, self.where)
        if status != expected:
            raise StoreUnavailable(
                f"expected {expected:d}, got {status} {response.reason_phrase}"
                f" - at {self.where}{path}",
                retry_after_s=retry_after_s(response.headers.get("Retry-After", ""), self._wall()),
            )
        if (coding := response.headers.get("Content-Encoding", "identity")) != "identity":
            raise StoreUnavailable(
                f"expected bytes as they are, got Content-Encoding {coding} - at {self.where}{path}"
            )


def _address(base: str) -> httpx.URL:
    try:
        url = httpx.URL(base)
    except httpx.InvalidURL as error:
        what = f"expected a store's address, {error} - at {without_secrets(base)}"
        raise StoreUnavailable(what) from None
    if not url.host:
        raise StoreUnavailable(f"expected a store's address with a host, got {url.scheme}: alone")
    return url.copy_with(path=url.path.rstrip("/") + "/", fragment=None)


@functools.cache
def _authorities() -> ssl.SSLContext:
    """Whom TLS believes: read once, it takes longer than a request."""
    return httpx.create_ssl_context()


class _Carried(NamedTuple):
    """Where the first byte of an answer stands, from where on bytes are taken, and how many there
    may be, all counted from the start of the object."""

    at: int
    start: int
    max_bytes: int
    take: Take


async def _carry(
    path: str, response: httpx.Response, patience: asyncio.Timeout, carried: _Carried
) -> None:
    """All bytes, counted as they arrive, whatever the headers said; each buys some patience."""
    until_s, got = patience.when() or 0.0, 0
    async for chunk in response.aiter_raw():
        got += len(chunk)
        at = carried.at + got
        if at > carried.max_bytes:
            raise TooLarge(f"expected at most {carried.max_bytes} bytes, got more - at {path}")
        if (new := min(at - carried.start, len(chunk))) > 0:
            carried.take(chunk[-new:])
        patience.reschedule(until_s + got / SLOWEST_BYTES_PER_S)


def _begins_at(response: httpx.Response, start: int) -> bool:
    """Whether an answer is the range that was asked for: from `start` on."""
    given: str = response.headers.get("Content-Range", "")
    return response.status_code == httpx.codes.PARTIAL_CONTENT and given.startswith(
        f"bytes {start}-"
    )


def _redirected(before: httpx.URL, after: httpx.URL) -> httpx.URL:
    if after.scheme != before.scheme and after.scheme != "https":
        raise StoreUnavailable(
            f"expected to stay on {before.scheme}, sent to {after.scheme}://{after.host}"
        )
    return after


def _innermost(error: BaseException) -> BaseException:
    """What the system said: `Connection refused` rather than `all connection attempts failed`."""
    if isinstance(error, BaseExceptionGroup):
        return _innermost(error.exceptions[0])
    below = error.__cause__ or error.__context__
    return _innermost(below) if below else error


def _tag(response: httpx.Response) -> str:
    """The tag to ask with next time, or "" for one that cannot be sent as it came."""
    tag: str = response.headers.get("ETag", "")
    return tag if tag.isascii() and tag.isprintable() and len(tag) <= MAX_TAG_BYTES else ""


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
