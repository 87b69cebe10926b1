"""The operations of each path, by hand: what it takes, and every status and problem it answers."""

from __future__ import annotations

from decisions import consent
from decisions.events import MAX_WORD
from edge.openapi.parts import (
    A_SERVER,
    ANYBODY,
    BODIES,
    CALLERS,
    FRAGMENT,
    FROM_A_PAGE,
    GPC,
    NEW_COOKIE,
    PAGE,
    PERSONAL,
    PLACE,
    READ,
    SERVERS,
    WRITES,
    Json,
    body,
    header,
    json,
    query,
    refusals,
    request_header,
    text,
)
from edge.recommending import DEFAULT_LIMIT, MAX_AT_HAND, MAX_CUSTOMER, MAX_LIMIT


def under_the_mount(max_slots: int) -> Json:
    """The paths under the mount."""
    return {
        "/v1/visit": {"post": _visit()},
        "/v1/events": {"post": _events()},
        "/v1/fragments": {"get": _fragments(max_slots)},
        "/v1/fragments/{slot}": {"get": _fragment()},
        "/v1/consent": {"get": _consent(), "put": _choice()},
        "/v1/me": {"get": _access(), "delete": _forget()},
        "/v1/users/{id}/recommendations": {"get": _recommendations()},
        "/ofrep/v1/evaluate/flags": {"post": _flags()},
        "/ofrep/v1/evaluate/flags/{key}": {"post": _flag()},
        "/loader.js": {"get": _script("loader", "The page's script")},
        "/engagement.js": {
            "get": _script("engagement", "What measures scrolling and time in view")
        },
        "/openapi.json": {"get": _described()},
        "/preview": {"get": _preview()},
        "/healthz": {"get": _health()},
        "/readyz": {"get": _readiness()},
    }


def _visit() -> Json:
    reply = json("A decision for each slot, in the order asked", "VisitReply", NEW_COOKIE)
    return {
        "operationId": "visit",
        "summary": "Learn what happened, decide every slot",
        "security": ANYBODY,
        "parameters": FROM_A_PAGE,
        "requestBody": body("VisitBody"),
        "responses": {"200": reply, **refusals(*BODIES)},
    }


def _events() -> Json:
    return {
        "operationId": "events",
        "summary": "A batch of events when a page goes away; any content type is taken as JSON",
        "security": ANYBODY,
        "parameters": FROM_A_PAGE,
        "requestBody": body("EventsBody"),
        "responses": {
            "202": json("How many were taken, and which not", "EventsReply", NEW_COOKIE),
            **refusals(*BODIES, "too-many-events", "no-snapshot"),
        },
    }


def _fragments(max_slots: int) -> Json:
    name = f"[^,]{{1,{MAX_WORD}}}"
    slots = {
        "name": "slots",
        "in": "query",
        "description": "Names of slots, separated by commas",
        "schema": {"type": "string", "pattern": f"^,*({name}(,+{name}){{0,{max_slots - 1}}},*)?$"},
    }
    return {
        "operationId": "fragments",
        "summary": "Decide several slots; writes nothing",
        "security": ANYBODY,
        "parameters": [slots, *PAGE],
        "responses": {
            "200": json("A decision for each slot, in the order asked", "VisitReply"),
            **refusals("invalid-request", "query-too-long"),
        },
    }


def _fragment() -> Json:
    slot = {"name": "slot", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "operationId": "fragment",
        "summary": "What one slot shows, bare; an unknown slot is empty; writes nothing",
        "security": ANYBODY,
        "parameters": [slot, *PAGE],
        "responses": {
            "200": {
                "description": "The HTML of the slot, or its JSON if it is declared so",
                "headers": PERSONAL | FRAGMENT,
                "content": {"text/html": {"schema": {"type": "string"}}, "application/json": {}},
            },
            **refusals("query-too-long"),
        },
    }


def _consent() -> Json:
    return {
        "operationId": "consent",
        "summary": "What is granted",
        "security": ANYBODY,
        "parameters": [GPC],
        "responses": {
            "200": json("The choice that counts", "ConsentReply"),
            **refusals("internal"),
        },
    }


def _choice() -> Json:
    return {
        "operationId": "choose",
        "summary": "A new choice, which takes effect at once",
        "security": ANYBODY,
        "parameters": [*FROM_A_PAGE, GPC],
        "requestBody": body("ConsentBody"),
        "responses": {
            "200": json("The choice that counts from now on", "ConsentReply", NEW_COOKIE),
            **refusals(*BODIES, "too-many-events"),
        },
    }


def _access() -> Json:
    reply = json("What is held, and why each slot shows what it shows", "Access", READ)
    reply["content"]["text/html"] = {"schema": {"type": "string"}}
    return {
        "operationId": "access",
        "summary": "What is held of me, and why I see what I see; a page for who likes HTML better",
        "security": ANYBODY,
        "parameters": [*FROM_A_PAGE, GPC, *PLACE],
        "responses": {
            "200": reply,
            **refusals(
                "foreign-origin", "query-too-long", "too-many-events", "internal", "no-snapshot"
            ),
        },
    }


def _forget() -> Json:
    return {
        "operationId": "forget",
        "summary": "Forget me: the visitor, and the customer who is signed in",
        "security": ANYBODY,
        "parameters": FROM_A_PAGE,
        "responses": {
            "200": json("Who is forgotten", "ForgottenReply", NEW_COOKIE),
            **refusals(*WRITES, "too-many-events", "no-snapshot", "not-kept"),
        },
    }


def _recommendations() -> Json:
    purposes = "|".join(consent.PURPOSES)
    word, at_hand = f"[^,]{{1,{MAX_WORD}}}", MAX_AT_HAND - 1
    customer = {"type": "string", "minLength": 1, "maxLength": MAX_CUSTOMER}
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    return {
        "operationId": "recommendations",
        "summary": "For servers: items that go with what somebody bought and what is at hand",
        "security": A_SERVER,
        "parameters": [
            {"name": "id", "in": "path", "required": True, "schema": customer},
            query("limit", "How many at most", **limit),
            query("items", "At hand, by commas", pattern=f"^({word}(,{word}){{0,{at_hand}}})?$"),
            query("category", "Only items of this one", maxLength=MAX_WORD),
            query(
                "grants",
                "What this person granted, by commas; nothing by default",
                pattern=f"^(({purposes})(,({purposes}))*)?$",
            ),
            query("authenticated", "Whether they are signed in", enum=["0", "1"]),
        ],
        "responses": {
            "200": json("The best first; none while there is no snapshot", "RecommendationsReply"),
            **refusals(*CALLERS, "invalid-request", "query-too-long", "internal"),
        },
    }


def _flags() -> Json:
    etag = {"ETag": header("Of this reply")}
    return {
        "operationId": "flags",
        "summary": "For servers: every slot, and the experiments that this key is in",
        "security": A_SERVER,
        "parameters": [request_header("If-None-Match", "The ETag of the reply one has")],
        "requestBody": body("FlagsBody"),
        "responses": {
            "200": json("Every flag that there is for this context", "BulkReply", etag),
            "304": {"description": "No flag has changed", "headers": PERSONAL | etag},
            **_no_flag("400", "The context is none", refusals(*SERVERS, "no-snapshot")),
        },
    }


def _flag() -> Json:
    key = {"name": "key", "in": "path", "required": True, "schema": {"type": "string"}}
    refused = refusals(*SERVERS, "no-snapshot")
    refused = _no_flag("400", "The context is none, or has no key to split by", refused)
    return {
        "operationId": "flag",
        "summary": "For servers: one slot or experiment; nothing is kept",
        "security": A_SERVER,
        "parameters": [key],
        "requestBody": body("FlagsBody"),
        "responses": {
            "200": json("What the flag is for this context", "Flag"),
            **_no_flag("404", "No slot and no experiment of this name", refused),
        },
    }


def _no_flag(status: str, description: str, responses: Json) -> Json:
    """The responses with one more, in the protocol's own words."""
    return responses | {status: json(description, "NoFlag")}


def _script(name: str, summary: str) -> Json:
    script = {"text/javascript": {"schema": {"type": "string"}}}
    cached = {"ETag": header("Of this script", required=False)}
    return {
        "operationId": name,
        "summary": summary,
        "parameters": [request_header("If-None-Match", "The ETag of the script one has")],
        "responses": {
            "200": {"description": "The script", "headers": cached, "content": script},
            "304": {"description": "The script has not changed", "headers": cached},
            **refusals("internal"),
        },
    }


def _described() -> Json:
    schema = {"type": "object", "required": ["openapi", "paths"]}
    return {
        "operationId": "openapi",
        "summary": "This document",
        "responses": {
            "200": {
                "description": "OpenAPI 3.1",
                "content": {"application/json": {"schema": schema}},
            },
            **refusals("internal"),
        },
    }


def _preview() -> Json:
    page = {"text/html": {"schema": {"type": "string"}}}
    return {
        "operationId": "preview",
        "summary": "With --dev only: a page with every slot",
        "responses": {
            "200": {"description": "The page", "content": page},
            **refusals("not-found", "internal", "no-snapshot"),
        },
    }


def _health() -> Json:
    return {
        "operationId": "healthz",
        "summary": "Alive",
        "responses": {"200": text("This process answers", "alive"), **refusals("internal")},
    }


def _readiness() -> Json:
    return {
        "operationId": "readyz",
        "summary": "Has a snapshot, and was not told to stop",
        "responses": {
            "200": text("Send visitors", "ready"),
            "503": text("Send them elsewhere", "no snapshot yet", "draining"),
            **refusals("internal"),
        },
    }


def _gpc() -> Json:
    schema = {"type": "object", "required": ["gpc"]}
    return {
        "operationId": "gpc",
        "summary": "Of the host, not under the mount: Global Privacy Control is heeded",
        "responses": {
            "200": {"description": "So", "content": {"application/json": {"schema": schema}}},
            **refusals("internal"),
        },
    }


def of_the_host() -> Json:
    """The paths that every host has in the same place."""
    return {"/.well-known/gpc.json": {"get": _gpc()}}
