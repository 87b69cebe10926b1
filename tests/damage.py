"""Damage for tests: good bytes in, a strategy for the same with a few edits out, such as attackers
and broken lines make; and how much processor time what reads them may take."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hypothesis import strategies as st

LONG = [b"[" * 1_100, b'{"a":' * 600, b"(" * 300, b"a" * 5_000, b" " * 300, b"- " * 300, b"!" * 200]
WORDS = rb"""" ' { } [ ] , : \ - & * ? | > # %YAML {{ }} {{{x}}} {{>a}} \ud800 null true NaN 1e999
-0 -1 0.1 &a *a <<: !!str ... --- ? | .. ; = ~ @ ` $ ( ) && || ! in == on:""".split()
STRANGE = [b"\n", b"\t", b"\r", b"\x00", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8"]
PIECES = st.binary(max_size=8) | st.sampled_from([*WORDS, *STRANGE, *LONG, b"9" * 400])


def damaged(*goods: bytes) -> st.SearchStrategy[bytes]:
    """One of the goods with one to four places replaced, cut out, doubled or added to."""
    places = st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES | st.none())

    def made(good: bytes, edits: Sequence[tuple[float, int, bytes | None]]) -> bytes:
        raw = good
        for share, length, piece in edits:
            start = round(share * len(raw))
            put = raw[start : start + 40] if piece is None else piece
            raw = raw[:start] + put + raw[start + length :]
        return raw

    return st.builds(made, st.sampled_from(goods), st.lists(places, min_size=1, max_size=4))


@contextmanager
def within(most_s: float) -> Iterator[None]:
    """Fails if what is done in it takes more of the processor than that."""
    before_s = time.process_time()
    yield
    took_s = time.process_time() - before_s
    assert took_s <= most_s, f"took {took_s:.2f} s"
