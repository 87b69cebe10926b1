"""What does a token cost that was never seen before? Cookie bytes in, its claims out."""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

from bench import site
from bench.measure import interleaved, median, report, timed
from decisions.profile import Profile
from edge.cookies import CONSENT, PROFILE, Choice, CookieJar, found

TOKENS = 20_000


def test_a_token_seen_for_the_first_time(benchmark: BenchmarkFixture) -> None:
    where = site.Site(10_000)
    names = where.program.dictionary
    cookies = list(where.cookies(2_000))
    profiles = [next(found(cookie, PROFILE)) for cookie in cookies]
    choices = [next(found(cookie, CONSENT)) for cookie in cookies]

    def profile(token: bytes) -> None:
        jar = fresh.pop()
        assert isinstance(jar.profile(token, names, site.NOW_S), Profile)

    def choice(token: bytes) -> None:
        jar = fresh.pop()
        assert isinstance(jar.choice(token, site.NOW_S), Choice)

    # A jar remembers what it verified; every call gets one that has seen nothing.
    fresh = [CookieJar(lambda: site.KEYS) for _ in range(8 * 2 * len(cookies))]
    rounds = interleaved(
        benchmark, {"profile": timed(profile, profiles), "consent": timed(choice, choices)}
    )
    report(
        benchmark,
        {f"{name}_p50_us": median(t.p50_us for t in times) for name, times in rounds.items()},
    )
