"""A request in; its visit out, and what it takes away: who comes, with which grants, from where.

A cookie that cannot be believed is a visitor without one; a bot is nobody; what a signal denies is
not granted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from decisions.consent import NEED_AN_ID, SENSITIVE
from decisions.learn import withdraw
from decisions.ledger import NO_NAMES, Dictionary
from decisions.profile import NOBODY, Profile
from edge import wire
from edge.agents import BOT
from edge.choosing import SEC_GPC, Terms
from edge.context import Context
from edge.cookies import CONSENT, PROFILE, Choice, CookieJar
from edge.keyring import KeyRing
from edge.previews import Preview
from edge.refresh import Serving
from edge.visit import Known, Visit
from edge.wire import Page

BOTS = "edgewise_bots_total"
COOKIE = b"cookie"


class Reception:
    """Receives a request: who comes, with which grants, from where; and what they take away."""

    def __init__(
        self,
        jar: CookieJar,
        ring: Callable[[], KeyRing],
        context: Context,
        clock: Callable[[], float],
        count: Callable[[str], None],
        terms: Terms = Terms(),  # noqa: B008 — frozen
    ) -> None:
        """ring: the jar's keys of the moment. count: is told BOTS for each visit of one."""
        self._jar, self._ring, self._context, self._clock = jar, ring, context, clock
        self._count, self.terms = count, terms
        # With the query, all that a request tells.
        self._key = (COOKIE, SEC_GPC, *context.headers)

    def arrive(
        self,
        serving: Serving,
        headers: Mapping[bytes, bytes],
        page: Page,
        *,
        bots_too: bool = False,
    ) -> Visit:
        """The visit of this request, its profile as the cookie has it. Never raises: a cookie that
        cannot be believed is a visitor without one; so are a bot, and who asked to be forgotten.
        bots_too: reads a bot's cookies as anybody's."""
        now_s = round(self._clock(), 3)  # as profiles have it: then most of their moments are this
        context, cookie = (
            self._context.facts(headers, page, serving.query_keys),
            headers.get(COOKIE),
        )
        if context.get("device.kind") == BOT and not bots_too:
            self._count(BOTS)
            cookie = None
        names = serving.program.dictionary
        denied, unasked = self.terms.denied(headers), self.terms.before_any(context)
        choice, profile = self._jar.read(cookie, names, now_s, denied, unasked)
        sensitive = serving.sensitive
        if sensitive and profile is not NOBODY and not choice.grants & SENSITIVE:
            # A reply that was under way while the opt-in was taken back may have brought them back.
            profile = withdraw(profile, choice.grants, sensitive)
        if serving.erased and serving.is_erased(profile):
            profile = NOBODY
        return Visit(serving, now_s, choice, profile, context, page)

    def leave(self, serving: Serving, headers: Mapping[bytes, bytes]) -> Visit:
        """The visit of who asks to be forgotten, a bot's like anybody's: known by their profile
        where no choice allows to look at it any more, as one that has lapsed."""
        visit = self.arrive(serving, headers, wire.NO_PAGE, bots_too=True)
        if visit.profile is NOBODY and (cookie := headers.get(COOKIE)):
            profile = self._jar.whose(cookie, serving.program.dictionary, visit.now_s)
            if not serving.is_erased(profile):
                visit.profile = profile
        return visit

    def ask(
        self,
        serving: Serving,
        headers: Mapping[bytes, bytes],
        query: bytes,
        preview: Preview | None = None,
    ) -> tuple[Visit, Known]:
        """The visit of a request that changes nothing, and what is known in it.

        A page that is put together by ESI asks for one slot after the other with the same headers:
        for the rest of the second, what is known need not be found out again. Not for previews.
        """
        key = (query, *map(headers.get, self._key))
        asked: tuple[Visit, Known] | None = None
        if preview is None:
            asked = serving.asked.find(key, self._ring(), self._clock() // 1)
        if asked is None:
            visit = self.arrive(serving, headers, wire.page_of(wire.query(query)))
            visit.preview = preview
            asked = visit, visit.known()
            if preview is None:
                serving.asked.keep(key, asked)
        elif asked[0].is_bot:
            self._count(BOTS)
        return asked

    def is_bot(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether no person asks."""
        return self._context.is_bot(headers)

    def choice(self, headers: Mapping[bytes, bytes], *, bots_too: bool = False) -> Choice:
        """What this visitor chose, or what counts before that, whatever a signal takes away of it;
        a bot chose nothing."""
        cookie = None if self.is_bot(headers) and not bots_too else headers.get(COOKIE)
        return self._read(headers, cookie, NO_NAMES, self._clock())[0]

    def _read(
        self,
        headers: Mapping[bytes, bytes],
        cookie: bytes | None,
        names: Dictionary,
        now_s: float,
    ) -> tuple[Choice, Profile]:
        """What the cookies say, but for signals."""
        unasked = self.terms.before_any(self._context.facts(headers, wire.NO_PAGE))
        return self._jar.read(cookie, names, now_s, unasked=unasked)

    def cookies(self, visit: Visit, headers: Mapping[bytes, bytes]) -> list[bytes]:
        """The Set-Cookie values after a visit: the profile where one may be kept; where none may
        and one came, its end; for a bot none."""
        if visit.is_bot:
            return []
        if visit.may_keep:
            names = visit.serving.program.dictionary
            return [self._jar.write_profile(visit.profile, names, visit.now_s)]
        return [self._jar.forget(PROFILE)] if _brings_profile(headers) else []

    def forget(self) -> list[bytes]:
        """The Set-Cookie values that leave nothing on the device, the choice included. Where
        something holds until a no, a no is left: a refusal must not be erased into a grant."""
        if not self.terms.unasked.grants:
            return [self._jar.forget(PROFILE), self._jar.forget(CONSENT)]
        now_s = self._clock()
        no = Choice(at_s=now_s, how="erasure")
        return [self._jar.forget(PROFILE), self._jar.write_choice(no, now_s)]

    def choose(
        self,
        choice: Choice,
        headers: Mapping[bytes, bytes],
        serving: Serving | None,
        fresh: str,
    ) -> tuple[list[bytes], Profile]:
        """The Set-Cookie values of a new choice, and who made it: NOBODY without an id. What it or
        a signal takes back leaves the profile; a profile that cannot be rewritten here goes.
        fresh: the id for who may have one now, and has none."""
        now_s, brings = self._clock(), _brings_profile(headers)
        cookies = [self._jar.write_choice(choice, now_s)]
        names = serving.program.dictionary if serving else NO_NAMES
        before, profile = self._read(headers, headers.get(COOKIE), names, now_s)
        grants = choice.grants & ~self.terms.denied(headers)
        lost = before.grants & ~grants
        if serving is None:
            goes = brings and (lost or not grants)
            return [*cookies, self._jar.forget(PROFILE)] if goes else cookies, NOBODY
        if serving.is_erased(profile):
            profile = NOBODY
        kept = withdraw(profile, grants, serving.sensitive, lost)
        if not kept.visitor and grants & NEED_AN_ID:
            kept = msgspec.structs.replace(NOBODY, visitor=fresh)
        if brings or kept.visitor:
            cookies.append(self._jar.write_profile(kept, names, now_s))
        return cookies, kept if kept.visitor else profile


def _brings_profile(headers: Mapping[bytes, bytes]) -> bool:
    return PROFILE.encode() + b"=" in headers.get(COOKIE, b"")
