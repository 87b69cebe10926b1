from __future__ import annotations

import asyncio
import contextlib
import itertools
import socketserver
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import httpx
import pytest

from snapshots.errors import NotThere, StoreUnavailable, TooLarge
from snapshots.store import HttpStore, open_store
from snapshots.store.origin import MAX_REDIRECTS, SLOWEST_BYTES_PER_S, retry_after_s
from tests.snapshots.store.origins import Answer, BaseHandler, ScriptedOrigin, http_date, reply

PATH = "channels/live.jws"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"


class Chunks(httpx.AsyncByteStream):
    def __init__(self, chunks: Iterable[bytes], wait_s: float = 0.0) -> None:
        self.chunks, self.wait_s = chunks, wait_s

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk
            await asyncio.sleep(self.wait_s)


@contextlib.contextmanager
def served(directory: Path, answer: Answer) -> Iterator[tuple[ScriptedOrigin, HttpStore]]:
    """A store over a real server that answers as `answer` does."""
    origin = ScriptedOrigin(directory, answer)
    yield origin, HttpStore(origin.start())
    origin.stop()


def faked(answer: httpx.Response, **rest: object) -> HttpStore:
    transport = httpx.MockTransport(lambda _: answer)
    return HttpStore("http://origin.test", transport=transport, **rest)  # type: ignore[arg-type] # clocks


@pytest.mark.parametrize("status", [403, 500, 503, 206, 301])
def test_any_other_answer_than_200_is_an_unavailable_store(status: int) -> None:
    with pytest.raises(StoreUnavailable, match=f"expected 200, got {status}"):
        faked(httpx.Response(status)).read(PATH, 10)


@pytest.mark.parametrize("status", [404, 410])
def test_nothing_there_is_told_from_no_answer(status: int) -> None:
    with pytest.raises(NotThere):
        faked(httpx.Response(status)).read(PATH, 10)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("999999999", 3_600.0),
        (http_date(1_060.0), 60.0),
        (http_date(900.0), 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("\u00b2", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_an_hour(
    header: str, expected: float | None
) -> None:
    assert retry_after_s(header, 1_000.0) == expected


def test_what_the_origin_asks_for_is_passed_on() -> None:
    store = faked(httpx.Response(503, headers={"Retry-After": "120"}))
    with pytest.raises(StoreUnavailable) as refused:
        store.read(PATH, 10)
    assert refused.value.retry_after_s == 120.0


def test_a_304_that_nobody_asked_for_is_an_error() -> None:
    with pytest.raises(StoreUnavailable, match="got 304"):
        faked(httpx.Response(304)).read(PATH, 10)
    with pytest.raises(StoreUnavailable, match="got 304"):
        faked(httpx.Response(304)).read_if_changed(PATH, "", 10)


def test_an_encoded_body_is_refused_rather_than_expanded() -> None:
    answer = httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Chunks([b"x"]))
    with pytest.raises(StoreUnavailable, match="got Content-Encoding gzip"):
        faked(answer).read(PATH, 10)


def test_endless_bytes_stop_at_the_limit() -> None:
    endless = Chunks(itertools.repeat(b"x" * 1_000))
    with pytest.raises(TooLarge, match="expected at most 5000 bytes, got more"):
        faked(httpx.Response(200, stream=endless)).read(PATH, 5_000)


def test_bytes_that_trickle_are_given_up() -> None:
    trickle = Chunks(itertools.repeat(b"x"), wait_s=0.01)
    store = faked(httpx.Response(200, stream=trickle), patience_s=0.05)
    with pytest.raises(StoreUnavailable, match=f"and then {SLOWEST_BYTES_PER_S} bytes a second"):
        store.read(PATH, 10**9)


def test_bytes_that_come_fast_enough_may_take_longer_than_patience() -> None:
    steady = Chunks([bytes(SLOWEST_BYTES_PER_S)] * 10, wait_s=0.02)
    store = faked(httpx.Response(200, stream=steady), patience_s=0.1)
    assert len(store.read(PATH, 10**9)) == 10 * SLOWEST_BYTES_PER_S


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nX: ", CHUNKED])
def test_an_origin_that_trickles_anything_but_a_body_is_given_up(start: bytes) -> None:
    class Trickle(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            with contextlib.suppress(OSError):  # the other end has had enough
                self.request.sendall(start)
                while not done.wait(0.01):
                    self.request.sendall(b"a")

    done = threading.Event()
    with socketserver.TCPServer(("127.0.0.1", 0), Trickle) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        store = HttpStore(f"http://127.0.0.1:{server.server_address[1]}", patience_s=0.2)
        try:
            with pytest.raises(StoreUnavailable, match="expected an answer within"):
                store.read(PATH, 10**9)
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize("tag", [b'"\xe9"', b'"a\tb"', b'"' + b"x" * 2_000 + b'"'])
def test_a_tag_that_could_not_be_sent_back_is_none(tag: bytes) -> None:
    answer = httpx.Response(200, headers=[(b"ETag", tag)], stream=Chunks([b"x"]))
    fetched = faked(answer).read_if_changed(PATH, "", 10)
    assert fetched and (fetched.data, fetched.etag) == (b"x", "")


@pytest.mark.parametrize("base", ["http://[::1", "http:///folder", "https:origin.test", "http://"])
def test_an_address_that_is_none_is_refused_at_once(base: str) -> None:
    with pytest.raises(StoreUnavailable, match="expected a store's address"):
        open_store(base)


def test_a_name_that_no_resolver_takes_is_an_unavailable_store() -> None:
    with pytest.raises(StoreUnavailable, match=r"expected an answer, .* - at http://aaaa"):
        HttpStore(f"http://{'a' * 70}.test").read(PATH, 10)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_what_the_system_says_of_a_connection_is_told(host: str) -> None:
    with pytest.raises(StoreUnavailable, match=r"Connection refused|Connect call failed"):
        HttpStore(f"http://{host}:9").read(PATH, 10)  # nobody listens there


def test_where_a_redirect_leads_is_told_without_its_secrets() -> None:
    away = {"Location": "http://user:secret@elsewhere.test/?signature=secret"}
    transport = httpx.MockTransport(lambda _: httpx.Response(302, headers=away))
    with pytest.raises(StoreUnavailable, match=r"sent to http://elsewhere\.test$"):
        HttpStore("https://origin.test", transport=transport).read(PATH, 10)


def test_a_password_is_not_sent_to_another_host() -> None:
    seen: list[tuple[str, bool]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.host, "Authorization" in request.headers))
        if request.url.host == "origin.test":
            return httpx.Response(302, headers={"Location": "http://elsewhere.test/"})
        return httpx.Response(404)

    store = HttpStore("http://user:secret@origin.test", transport=httpx.MockTransport(answer))
    with pytest.raises(NotThere):
        store.read(PATH, 10)
    assert seen == [("origin.test", True), ("elsewhere.test", False)]


def test_redirects_are_followed_a_few_times_and_no_further(tmp_path: Path) -> None:
    def away(request: BaseHandler) -> None:
        left = int(request.path.rpartition("=")[2]) if "=" in request.path else 3
        if left:
            reply(request, 302, b"", Location=f"/there?left={left - 1}")
        else:
            reply(request, 200, b"found")

    with served(tmp_path, away) as (origin, store):
        assert store.read(PATH, 10) == b"found"
        assert len(origin.requests) == MAX_REDIRECTS + 1
        origin.answer = lambda request: reply(request, 302, b"", Location="/again")
        with pytest.raises(StoreUnavailable, match=f"expected at most {MAX_REDIRECTS} redirects"):
            store.read(PATH, 10)


def test_a_redirect_never_leaves_https() -> None:
    transport = httpx.MockTransport(
        lambda request: httpx.Response(302, headers={"Location": "http://elsewhere.test/"})
    )
    store = HttpStore("https://origin.test", transport=transport)
    with pytest.raises(StoreUnavailable, match="expected to stay on https"):
        store.read(PATH, 10)


def test_a_redirect_from_http_to_https_is_taken() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.scheme == "https":
            return httpx.Response(200, stream=Chunks([b"safe"]))
        return httpx.Response(302, headers={"Location": str(request.url.copy_with(scheme="https"))})

    store = HttpStore("http://origin.test", transport=httpx.MockTransport(answer))
    assert store.read(PATH, 10) == b"safe"


def test_a_body_shorter_than_it_said_is_no_answer(tmp_path: Path) -> None:
    def cut(request: BaseHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100")
        request.end_headers()
        request.wfile.write(b"short")
        request.close_connection = True

    with served(tmp_path, cut) as (_, store), pytest.raises(StoreUnavailable, match="expected"):
        store.read(PATH, 1_000)


def test_an_answer_that_is_no_http_is_an_unavailable_store(tmp_path: Path) -> None:
    def garbage(request: BaseHandler) -> None:
        request.wfile.write(b"no such protocol\r\n\r\n")
        request.close_connection = True

    with served(tmp_path, garbage) as (_, store), pytest.raises(StoreUnavailable):
        store.read(PATH, 1_000)


def test_the_address_keeps_its_path_and_shows_no_secret() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path.decode())
        return httpx.Response(200, stream=Chunks([b"x"]))

    store = HttpStore(
        "http://user:secret@origin.test/edge/one?token=secret",
        transport=httpx.MockTransport(answer),
    )
    store.read(PATH, 10)
    assert seen == ["/edge/one/channels/live.jws?token=secret"]
    assert store.where == "http://origin.test/edge/one/"


def ranged(answer: httpx.Response, start: int = 4, max_bytes: int = 100) -> bytes:
    taken = bytearray()
    faked(answer).read_from(PATH, start, max_bytes, taken.extend)
    return bytes(taken)


def test_a_rest_is_asked_for_by_its_range_and_a_whole_is_not() -> None:
    asked: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("Range"))
        return httpx.Response(200, stream=Chunks([b"012345"]))

    store = HttpStore("http://origin.test", transport=httpx.MockTransport(answer))
    for start in (0, 4):
        store.read_from(PATH, start, 100, bytearray().extend)
    assert asked == [None, "bytes=4-"]


def test_an_origin_that_sends_the_whole_all_the_same_is_read_past_what_is_here() -> None:
    assert ranged(httpx.Response(200, stream=Chunks([b"01", b"234", b"5", b"67"]))) == b"4567"


@pytest.mark.parametrize(
    ("status", "given"),
    [(206, "bytes 0-7/8"), (206, "bytes 40-47/48"), (206, ""), (416, "bytes */4"), (416, "")],
)
def test_an_answer_that_is_not_the_range_asked_for_gives_nothing(status: int, given: str) -> None:
    answer = httpx.Response(status, headers={"Content-Range": given}, stream=Chunks([b"x" * 8]))
    assert ranged(answer) == b""


def test_a_range_is_bounded_as_the_whole_is() -> None:
    endless = Chunks(itertools.repeat(b"x" * 10))
    answer = httpx.Response(206, headers={"Content-Range": "bytes 4-99/100"}, stream=endless)
    with pytest.raises(TooLarge, match="expected at most 50 bytes, got more"):
        ranged(answer, max_bytes=50)


@pytest.mark.parametrize("status", [206, 416])
def test_a_range_that_nobody_asked_for_is_an_error(status: int) -> None:
    answer = httpx.Response(status, headers={"Content-Range": "bytes 0-7/8"})
    with pytest.raises(StoreUnavailable, match=f"expected 200, got {status}"):
        ranged(answer, start=0)


def test_an_encoded_range_is_refused() -> None:
    headers = {"Content-Range": "bytes 4-7/8", "Content-Encoding": "gzip"}
    with pytest.raises(StoreUnavailable, match="got Content-Encoding gzip"):
        ranged(httpx.Response(206, headers=headers, stream=Chunks([b"x"])))
