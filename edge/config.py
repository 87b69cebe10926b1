"""Every setting, with its unit, its default and its reason: one frozen Config.

The help of `edgewise serve` and the table in docs/operations.md are made from the struct; what
gives it its values, and refuses those that cannot work together, is `edge.settings`.
"""

from __future__ import annotations

import socket
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec

from edge.cdns import CDNS, NONE, Cdn
from snapshots.trust import MAX_BUNDLE_BYTES

ENVIRONMENT_PREFIX = "EDGEWISE_"
AUTO = "auto"
PROFILE_DAYS = 390  # an erasure is listed for 400: an older profile would come back


def about(reason: str, unit: str = "") -> msgspec.Meta:
    """What a setting is for, and the unit of its number."""
    return msgspec.Meta(description=reason, title=unit or None)


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one node. Paths are as given, relative to the working directory."""

    store: Annotated[
        str, about("where bundles come from: a folder, s3://, gs://, az:// or an http(s) origin")
    ] = ""
    channel: Annotated[str, about("the line of bundles that this node follows")] = "live"
    keys: Annotated[
        str, about("folder of cookie.jwks, identify.jwks, api.keys.json and publisher.public.jwks")
    ] = "keys"
    cache: Annotated[
        str, about("folder for the local copy, the event log and the counters; one node each")
    ] = "edgewise-cache"
    host: Annotated[
        str, about("address of the public listener; a proxy in front makes it public")
    ] = "127.0.0.1"
    port: Annotated[int, about("port of the public listener; 0 picks a free one")] = 8080
    admin: Annotated[
        str, about("address of /status, /metrics and /explain; keep it private; port 0 picks one")
    ] = "127.0.0.1:8081"
    workers: Annotated[
        int, about("serving processes; one per core, minus one where the proxy shares the machine")
    ] = 1
    mount: Annotated[str, about("the path under which everything public lives")] = "/_ew"
    node: Annotated[
        str, about("this node's name in event files and in the spread of polls; empty: host name")
    ] = ""
    dev: Annotated[
        bool, about("replies name fragment, reason and steps; pages reload; demo keys are allowed")
    ] = False

    cookie_path: Annotated[
        str, about("path of the cookies; empty: the mount; / for ESI and SSI, whose pages carry it")
    ] = ""
    seal_cookies: Annotated[bool, about("encrypts profiles; both forms are read")] = False
    profile_days: Annotated[
        int,
        about("a visitor who stays away longer is new; at most 390, regulators' 13 months", "days"),
    ] = PROFILE_DAYS
    recognised_days: Annotated[
        float,
        about(
            "after a sign-in, how long a device is known as the customer's if the token does not"
            " say; 0: not longer than the sign-in counts",
            "days",
        ),
    ] = 30.0
    consent_days: Annotated[
        int, about("then the page asks again; regulators advise six months", "days")
    ] = 182
    policy: Annotated[
        str, about("version of the consent text, where a page does not say which it showed")
    ] = ""
    opt_out_grants: Annotated[
        tuple[str, ...],
        about("granted before any choice where the law asks for a no only; see docs/consent.md"),
    ] = ()
    gpc: Annotated[
        str,
        about("what a browser's Sec-GPC: 1 takes away: marketing, or strict: all but functional"),
    ] = "marketing"
    tcf_vendor: Annotated[
        int,
        about("Global Vendor List id that TC strings are asked for; 0: for the publisher itself"),
    ] = 0
    origins: Annotated[
        tuple[str, ...],
        about("other origins whose pages may ask and write, such as https://m.example.com"),
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        about("addresses and networks that are believed about a visitor's place and address"),
    ] = ("127.0.0.0/8", "::1")
    cdn: Annotated[
        str, about(f"whose headers tell place and address: one of {', '.join(CDNS)}")
    ] = NONE
    country_header: Annotated[
        str,
        about(
            "header of the country; auto: as cdn has it; empty: none; NAME:KEY for key=value lists"
        ),
    ] = AUTO
    region_header: Annotated[str, about("the same for the region")] = AUTO
    city_header: Annotated[str, about("the same for the city")] = AUTO
    continent_header: Annotated[str, about("the same for the continent")] = AUTO
    zone_header: Annotated[str, about("the same for the time zone, an IANA name")] = AUTO
    mmdb: Annotated[
        str, about("mmdb file that tells the place by the address, where no header does")
    ] = ""
    client_header: Annotated[
        str, about("the same for the visitor's address; without it X-Forwarded-For says it")
    ] = AUTO
    bot_header: Annotated[str, about("the same for what the CDN says of bots")] = AUTO
    bot_values: Annotated[
        tuple[str, ...], about("what that header says of a bot: ranges of scores, and words")
    ] = ("1-29",)

    poll_interval_s: Annotated[
        float, about("how often the store is asked; an offset by node name spreads a fleet", "s")
    ] = 5.0
    follow_interval_s: Annotated[
        float, about("how often a worker looks for a newer local copy: one stat call", "s")
    ] = 0.25
    drain_s: Annotated[
        float, about("after SIGTERM, how long to serve on while readiness already fails", "s")
    ] = 2.0
    stop_s: Annotated[
        int, about("then how long a worker may take to finish; after that it is killed", "s")
    ] = 10
    max_bundle_bytes: Annotated[
        int,
        about("ten million visitors are 0.45 GB; old and new lie side by side in a swap", "bytes"),
    ] = MAX_BUNDLE_BYTES

    max_body_bytes: Annotated[int, about("a page view's batch is about 2 KiB", "bytes")] = (
        64 * 2**10
    )
    body_s: Annotated[
        float,
        about(
            "how long a client may take to send a body; a phone on a bad line needs seconds", "s"
        ),
    ] = 10.0
    max_connections: Annotated[
        int,
        about(
            "per worker, and so many requests may wait in it: half a second of fragments; near it,"
            " replies end their connections, so that others get in",
            "connections",
        ),
    ] = 4_096
    max_query_bytes: Annotated[int, about("20 slots and a long path are 3 KiB", "bytes")] = (
        4 * 2**10
    )
    max_events: Annotated[int, about("events of one batch; a page makes a few", "events")] = 50
    max_slots: Annotated[int, about("slots of one request; a page has a few", "slots")] = 20
    events_per_minute: Annotated[
        int,
        about(
            "per client address (IPv6: /64): so many at once, as many a minute after; an office"
            " behind one address needs several a second",
            "events",
        ),
    ] = 1_200
    max_clients: Annotated[
        int, about("addresses that the rate limit remembers; ~200 bytes each", "addresses")
    ] = 100_000
    server_calls_per_minute: Annotated[
        int,
        about(
            "per API key or client: so many answers at once, as many a minute after; a batch job"
            " must not take a worker from visitors",
            "answers",
        ),
    ] = 6_000
    max_tokens_cached: Annotated[
        int, about("verified cookies that are remembered, per worker; ~2 KiB each", "cookies")
    ] = 4_096
    log_queue: Annotated[
        int,
        about(
            "event rows that may wait for the disk; ~1 KiB each; more are dropped, counted", "rows"
        ),
    ] = 20_000
    log_file_bytes: Annotated[int, about("an event file is closed at this size", "bytes")] = (
        16 * 2**20
    )
    log_file_s: Annotated[
        float, about("or at this age, so that readers are not kept waiting", "s")
    ] = 60.0
    log_bytes: Annotated[
        int,
        about(
            "event files on this node's disk; beyond it the oldest go, counted; a day of 1,500 rows"
            " a second without a store is 10 GB",
            "bytes",
        ),
    ] = 10 * 2**30
    events: Annotated[
        str,
        about(
            "where event files go: a folder or a bucket; auto: the store, if it can be written to;"
            " empty: they stay on the disk"
        ),
    ] = AUTO

    oauth_issuer: Annotated[
        str,
        about(
            "whose access tokens (RFC 9068) let servers in, by the keys of oauth.jwks; none: keys"
            " of api.keys.json only"
        ),
    ] = ""
    oauth_audience: Annotated[
        str, about("whom these tokens must be meant for, their aud: this edge, by a name you chose")
    ] = ""

    cookie_jwks: Annotated[str, about("cookie keys as JWKS text, instead of the file")] = ""
    identify_jwks: Annotated[str, about("sign-in keys as JWKS text, instead of the file")] = ""
    oauth_jwks: Annotated[
        str, about("public keys of the authorization server as JWKS text, instead of the file")
    ] = ""
    publisher_jwks: Annotated[
        str, about("public publisher keys as JWKS text, instead of the file")
    ] = ""

    @property
    def node_name(self) -> str:
        """The given name, or the machine's, with what a file name cannot hold replaced."""
        name = self.node or socket.gethostname()
        return "".join(c if c.isalnum() or c in "._" else "_" for c in name)

    @property
    def cookies_at(self) -> str:
        """The `Path` of the cookies."""
        return self.cookie_path or self.mount

    @property
    def told(self) -> Cdn:
        """Which headers say what: those of the CDN, but for those that have a setting."""
        auto = CDNS[self.cdn]
        chosen = ((name, getattr(self, f"{name}_header")) for name in Cdn._fields)
        return auto._replace(**{name: header for name, header in chosen if header != AUTO})

    @property
    def run_dir(self) -> Path:
        """What the processes of one node tell each other; made anew at each start."""
        return Path(self.cache) / "run"

    @property
    def event_dir(self) -> Path:
        """The event log."""
        return Path(self.cache) / "events"


class Setting(msgspec.Struct, frozen=True):
    """One field of Config, as help and docs show it."""

    name: str
    type: Any
    default: Any
    unit: str
    reason: str

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return ENVIRONMENT_PREFIX + self.name.upper()


def settings() -> Iterator[Setting]:
    """Every setting in the order of the struct."""
    hints = typing.get_type_hints(Config, include_extras=True)
    for field in msgspec.structs.fields(Config):
        kind, meta = typing.get_args(hints[field.name])
        yield Setting(field.name, kind, field.default, meta.title or "", meta.description or "")
