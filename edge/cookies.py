"""The two cookies: a Cookie header in, what it says out; a choice or a profile in, Set-Cookie out.

A cookie that is broken, foreign, expired or oversized is no cookie, and a reason for the metrics:
never an error. Both are JWTs that any library can read (`edge.tokens`), but for a profile that is
sealed (`edge.sealing`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec
from cachetools import LRUCache

from decisions.compact import Packed, binary, unpack
from decisions.consent import NEED_AN_ID, NOTHING, PURPOSES
from decisions.errors import ProfileError
from decisions.fitting import fit
from decisions.learn import withdraw
from decisions.ledger import Dictionary
from decisions.profile import NOBODY, Profile, is_left
from edge.keyring import Key, KeyRing
from edge.sealing import Sealer, room
from edge.tokens import Refusal, sign, timely, verify

PROFILE, CONSENT = "user_interest_score", "consent"
FORMAT = 1  # the claim `v`; fields that are only added do not change it
MAX_PROFILE_BYTES = 1_600  # name, = and value; four of five cookies of a browser stay below 4 KiB
AIM_PROFILE_BYTES = 850
MAX_CONSENT_BYTES = 1_024
MAX_DUPLICATES = 4  # cookies of one name that are tried; a parent domain may have set one more
DAY_S = 86_400
_SEMICOLON = ord(";")
_PROFILE_CLAIMS = b'{"aud":"profile","v":%d,"iat":%%d,"exp":%%d,"sub":%%b,"p":' % FORMAT
_MAC_CHARACTERS = 43  # of 32 bytes

Uuid: TypeAlias = Annotated[
    str, msgspec.Meta(pattern=r"\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
]
Word: TypeAlias = Annotated[str, msgspec.Meta(max_length=64)]


class ProfileClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What the profile cookie says; `p` is read by `decisions.compact`; text: sealed."""

    aud: str
    v: int
    sub: Uuid
    iat: float = 0.0
    exp: float
    nbf: float = 0.0
    p: Packed | str


class ConsentClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What the consent cookie says. g: names of purposes, those of newer versions included."""

    aud: str
    v: int
    iat: float = 0.0
    exp: float
    nbf: float = 0.0
    g: Annotated[list[Word], msgspec.Meta(max_length=32)]
    how: Word = ""
    at: float = 0.0
    policy: Word = ""


class Choice(msgspec.Struct, frozen=True):
    """What a visitor chose: grants as bits, when (seconds), how (`banner`), to which text."""

    grants: int = NOTHING
    at_s: float = 0.0
    how: str = ""
    policy: str = ""

    def without(self, denied: int) -> Choice:
        """The same choice, less these purposes."""
        return msgspec.structs.replace(self, grants=self.grants & ~denied)


NO_CHOICE = Choice()
_FOREIGN = (Refusal.MALFORMED, Refusal.OVERSIZED)  # of a cookie that is no token of ours


class _Audience(msgspec.Struct, frozen=True):
    aud: Any = None
    v: Any = None


Claims = TypeVar("Claims", ProfileClaims, ConsentClaims)

_PROFILES = msgspec.json.Decoder(ProfileClaims)
_CONSENTS = msgspec.json.Decoder(ConsentClaims)
_AUDIENCES = msgspec.json.Decoder(_Audience)


def found(header: bytes, name: str) -> Iterator[bytes]:
    """The values of one cookie in a Cookie header, in order, at most MAX_DUPLICATES; garbage around
    them does no harm."""
    wanted, start, left = name.encode() + b"=", 0, MAX_DUPLICATES
    while left and (at := header.find(wanted, start)) >= 0:
        start = at + len(wanted)
        before = at  # not a copy of all before it: there may be ten thousand near misses
        while before and header[before - 1] in b" \t":
            before -= 1
        if not before or header[before - 1] == _SEMICOLON:
            end = header.find(b";", start)
            value = header[start : end if end >= 0 else len(header)].strip(b" \t")
            yield value[1:-1] if value[:1] == b'"' == value[-1:] else value
            left -= 1


def new_visitor(now_s: float, random: bytes) -> str:
    """A UUIDv7 (RFC 9562 §5.7) of this moment. random: 10 bytes."""
    milliseconds = int(now_s * 1000).to_bytes(6, "big")
    raw = bytearray(milliseconds + random)
    raw[6] = 0x70 | raw[6] & 0x0F
    raw[8] = 0x80 | raw[8] & 0x3F
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


class CookieJar:
    """Reads and writes both cookies, with the keys of the moment and a memory of what it verified.

    ring: gives the current keys. path: the mount, or `/` for ESI. secure: only a test over plain
    HTTP to another host turns it off. sealed: whether profiles are written so that only our keys
    open them; both forms are read. recognised_days: for how long after the sign-in a profile counts
    that does not say it. cached: consent tokens remembered; a profile token comes
    once, for its visit brings the next one. refused: is told the name and the reason of each cookie
    that does not count.
    """

    def __init__(
        self,
        ring: Callable[[], KeyRing],
        *,
        path: str = "/_ew",
        secure: bool = True,
        sealed: bool = False,
        profile_days: int = 390,
        consent_days: int = 182,
        recognised_days: float = 30.0,
        cached: int = 4_096,
        refused: Callable[[str, Refusal], None] = lambda name, reason: None,
    ) -> None:
        self._ring, self._refused = ring, refused
        self._keys = ring()
        self._sealed, self._sealer = sealed, Sealer()
        flags = "; HttpOnly; Secure; SameSite=Lax" if secure else "; HttpOnly; SameSite=Lax"
        self._tail = f"; Path={path}{flags}".encode()
        self._profile_s, self._consent_s = profile_days * DAY_S, consent_days * DAY_S
        self._recognised_s = recognised_days * DAY_S
        self._choices: LRUCache[bytes, ConsentClaims] = LRUCache(cached)

    def read(
        self,
        header: bytes | None,
        names: Dictionary,
        now_s: float,
        denied: int = 0,
        unasked: Choice = NO_CHOICE,
    ) -> tuple[Choice, Profile]:
        """The first good cookie of each name; `unasked` and NOBODY without one. A choice that does
        not count (any more) is none, and not `unasked` either.

        denied: purposes that count as not granted, whatever was chosen. The profile holds nothing
        of purposes that are not granted, and without a grant that needs an id its cookie is not
        looked at. One whose customer is not even recognised any more is none: the next person at
        that device inherits nothing, the id included.
        """
        choice, profile, lost = unasked, NOBODY, denied & unasked.grants
        if lost:
            choice = unasked.without(lost)
        if not header:
            return choice, profile
        for token in found(header, CONSENT):
            chosen = self.choice(token, now_s)
            if isinstance(chosen, Choice):
                lost = chosen.grants & denied
                choice = chosen.without(lost) if lost else chosen
                break
            self._refused(CONSENT, chosen)
            if chosen not in _FOREIGN:
                choice = NO_CHOICE  # it may have been a no
        if not choice.grants & NEED_AN_ID:
            return choice, profile
        for token in found(header, PROFILE):
            known = self.profile(token, names, now_s)
            if isinstance(known, Profile):
                if known.customer and is_left(known, now_s, self._recognised_s):
                    break
                profile = withdraw(known, choice.grants, lost=lost)
                break
            self._refused(PROFILE, known)
        return choice, profile

    def whose(self, header: bytes, names: Dictionary, now_s: float) -> Profile:
        """The first good profile, whatever is granted: for who asks that it be forgotten."""
        read = (self.profile(token, names, now_s) for token in found(header, PROFILE))
        return next((known for known in read if isinstance(known, Profile)), NOBODY)

    def profile(self, token: bytes, names: Dictionary, now_s: float) -> Profile | Refusal:
        """The profile in a cookie, or why there is none."""
        ring, most = self._ring(), MAX_PROFILE_BYTES - len(PROFILE) - 1
        claims = _verified(token, ring, most, _PROFILES, "profile")
        if not isinstance(claims, Refusal):
            claims = timely(claims.exp, claims.nbf, now_s) or claims
        if isinstance(claims, Refusal):
            return claims
        packed, visitor = claims.p, claims.sub
        try:
            if isinstance(packed, Packed):
                return unpack(packed, names, visitor)
            opened = self._sealer.open(packed, visitor, ring.by_header[token.partition(b".")[0]])
            return Refusal.UNOPENED if opened is None else unpack(opened, names, visitor)
        except ProfileError:
            return Refusal.BAD_CLAIMS

    def choice(self, token: bytes, now_s: float) -> Choice | Refusal:
        """What a consent cookie says, or why it says nothing. Purposes of newer versions are left
        out."""
        claims = self._remembered(token)
        if not isinstance(claims, Refusal):
            claims = timely(claims.exp, claims.nbf, now_s) or claims
        if isinstance(claims, Refusal):
            return claims
        grants = 0
        for word in claims.g:
            grants |= PURPOSES.get(word, 0)
        return Choice(grants, claims.at, claims.how, claims.policy)

    def _remembered(self, token: bytes) -> ConsentClaims | Refusal:
        """The claims of a consent token, which a visitor brings for months."""
        ring, known = self._ring(), self._choices
        if ring is not self._keys:  # what a dropped key signed counts no more
            self._keys = ring
            known.clear()
        if (claims := known.get(token)) is not None:
            return claims
        read = _verified(token, ring, MAX_CONSENT_BYTES, _CONSENTS, "consent")
        if not isinstance(read, Refusal):
            known[token] = read
        return read

    def write_profile(self, profile: Profile, names: Dictionary, now_s: float) -> bytes:
        """The Set-Cookie value that keeps a profile, within the limit; nobody's deletes it."""
        if not profile.visitor:
            return self.forget(PROFILE)
        key = self._ring().signing
        issued_s = int(now_s)
        visitor = msgspec.json.encode(profile.visitor)
        claims = _PROFILE_CLAIMS % (issued_s, issued_s + self._profile_s, visitor)
        around = len(PROFILE) + len(key.header) + len("=..") + _MAC_CHARACTERS
        aim = (AIM_PROFILE_BYTES - around) * 3 // 4 - len(claims) - 1
        limit = (MAX_PROFILE_BYTES - around) * 3 // 4 - len(claims) - 1
        if self._sealed:
            packed = self._seal(profile, names, key, aim, limit)
        else:
            packed = fit(profile, names, aim=aim, limit=limit)
        return self._set(PROFILE, sign(claims + packed + b"}", key), self._profile_s)

    def _seal(self, profile: Profile, names: Dictionary, key: Key, aim: int, limit: int) -> bytes:
        """The claim `p` as sealed text, in quotes. aim, limit: its bytes."""
        aim, limit = room(aim - len('""')), room(limit - len('""'))
        packed = fit(profile, names, aim=aim, limit=limit, encoded=binary)
        return b'"%b"' % self._sealer.seal(packed, profile.visitor, key)

    def write_choice(self, choice: Choice, now_s: float) -> bytes:
        """The Set-Cookie value that keeps a consent choice, for as long as one counts from when it
        was given."""
        issued_s = int(now_s)
        age_s = max(0, issued_s - int(choice.at_s)) if choice.at_s else 0
        left_s = max(0, self._consent_s - age_s)
        claims = {
            "aud": "consent",
            "v": FORMAT,
            "iat": issued_s,
            "exp": issued_s + left_s,
            "g": [name for name, bit in PURPOSES.items() if choice.grants & bit],
            "how": choice.how[:64],
            "at": int(choice.at_s),
            "policy": choice.policy[:64],
        }
        token = sign(msgspec.json.encode(claims), self._ring().signing)
        return self._set(CONSENT, token, left_s)

    def forget(self, name: str) -> bytes:
        """The Set-Cookie value that deletes a cookie."""
        return self._set(name, b"", 0)

    def _set(self, name: str, value: bytes, age_s: int) -> bytes:
        return b"%b=%b; Max-Age=%d%b" % (name.encode(), value, age_s, self._tail)


def _verified(
    token: bytes,
    ring: KeyRing,
    max_bytes: int,
    decoder: msgspec.json.Decoder[Claims],
    audience: str,
) -> Claims | Refusal:
    payload = verify(token, ring, max_bytes)
    if isinstance(payload, Refusal):
        return payload
    return _decoded(payload, decoder, audience)


def _decoded(
    payload: bytes, decoder: msgspec.json.Decoder[Claims], audience: str
) -> Claims | Refusal:
    try:
        claims = decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _misfit(payload, audience)
    if claims.aud != audience:
        return Refusal.WRONG_AUDIENCE
    return claims if claims.v == FORMAT else Refusal.WRONG_VERSION


def _misfit(payload: bytes, audience: str) -> Refusal:
    """Why signed claims do not fit: another kind of token, another version, or neither."""
    try:
        read = _AUDIENCES.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Refusal.BAD_CLAIMS
    if read.aud != audience:
        return Refusal.WRONG_AUDIENCE
    return Refusal.BAD_CLAIMS if read.v == FORMAT else Refusal.WRONG_VERSION
