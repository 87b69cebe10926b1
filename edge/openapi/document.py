"""Settings in, the bytes of the document out.

Schemas are those of the structs that decode and encode (`edge.wire`), so that they cannot drift.
"""

from __future__ import annotations

import functools

import msgspec

from decisions.events import Event
from edge import flags, problems, recommending, wire
from edge.access import Access
from edge.config import Config
from edge.flags import BulkReply
from edge.openapi.operations import of_the_host, under_the_mount
from edge.openapi.parts import COOKIES, CREDENTIALS, PROBLEMS, Json, ref

_ABOUT = """Decides which fragment goes into which slot of a page, for this visitor, now.
Every GET may be asked with HEAD; other methods are answered 405 `method-not-allowed` with `Allow`,
other paths 404 `not-found`. Pages of the origins that are configured may ask from there (CORS).
Replies may have more keys with a newer edge; unknown keys of bodies pass."""

_STRUCTS = (
    wire.VisitBody,
    wire.EventsBody,
    wire.ConsentBody,
    wire.VisitReply,
    wire.EventsReply,
    wire.ConsentReply,
    wire.ForgottenReply,
    Access,
    flags.FlagsBody,
    flags.Flag,
    flags.NoFlag,
    BulkReply,
    recommending.RecommendationsReply,
    problems.Problem,
    Event,
)
_ENCODER = msgspec.json.Encoder(order="deterministic")


def document(config: Config) -> bytes:
    """The document as JSON, the same bytes for the same settings."""
    return _document(config.mount, config.max_slots, config.max_events)


@functools.lru_cache(maxsize=8)
def _document(mount: str, max_slots: int, max_events: int) -> bytes:
    paths = {mount + path: told for path, told in under_the_mount(max_slots).items()}
    return _ENCODER.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Edgewise",
                "version": "1",
                "description": _ABOUT,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "paths": paths | of_the_host(),
            "components": {
                "schemas": _schemas(max_slots, max_events),
                "securitySchemes": COOKIES | CREDENTIALS,
            },
        }
    )


def _schemas(max_slots: int, max_events: int) -> Json:
    """The structs' own schemas, with the limits of this edge."""
    _, schemas = msgspec.json.schema_components(_STRUCTS, ref_template=ref("{name}")["$ref"])
    for schema in schemas.values():
        schema["description"] = " ".join(schema["description"].split())
    anything = {"description": "Whatever is no event is refused by itself: see `refused`."}
    for name in ("VisitBody", "EventsBody"):
        events = schemas[name]["properties"]["events"]
        events |= {"maxItems": max_events, "items": {"anyOf": [ref("Event"), anything]}}
    schemas["ConsentBody"]["oneOf"] = [{"required": ["grants"]}, {"required": ["tcf"]}]
    schemas["VisitBody"]["properties"]["slots"]["maxItems"] = max_slots
    schemas["Problem"]["properties"]["type"]["enum"] = [problems.TYPE + code for code in PROBLEMS]
    return schemas
