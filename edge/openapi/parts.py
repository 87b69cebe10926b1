"""What operations share: problems, headers, parameters and bodies, all as plain JSON."""

from __future__ import annotations

from typing import Any, TypeAlias

from edge import problems

Json: TypeAlias = dict[str, Any]

# Code: status, and what it means. docs/http-api.md says the same of each.
PROBLEMS: dict[str, tuple[int, str]] = {
    "malformed-json": (400, "the body is not JSON, or not UTF-8"),
    "invalid-request": (400, "not what the route takes: the detail says what, and where"),
    "unauthorized": (401, "no credential that counts: `WWW-Authenticate` says which would"),
    "insufficient-scope": (403, "the credential counts, and not for this"),
    "not-for-pages": (403, "a browser asked what only servers may"),
    "foreign-origin": (403, "a page of another site tried to write"),
    "not-found": (404, "no such path here"),
    "method-not-allowed": (405, "the path has other methods: `Allow` lists them"),
    "body-too-slow": (408, "the body did not come in time"),
    "body-too-large": (413, "the body is larger than this edge takes"),
    "query-too-long": (414, "the query is longer than this edge takes"),
    "too-many-events": (429, "wait as long as `Retry-After` says"),
    "too-many-requests": (429, "of one credential, or with none that counts: wait"),
    "internal": (500, "a fault of this edge: counted and logged"),
    "no-snapshot": (503, "nothing to decide with yet: try again"),
    "not-kept": (503, "the erasure could not be kept, nobody was forgotten: try again"),
}
WRITES = ("foreign-origin", "body-too-slow", "body-too-large", "internal")
BODIES = ("malformed-json", "invalid-request", *WRITES)
CALLERS = ("unauthorized", "insufficient-scope", "not-for-pages", "too-many-requests")
SERVERS = (*CALLERS, "body-too-slow", "body-too-large", "internal")

CREDENTIALS = {
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "A key that `edgewise keys api new` printed.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The same key, or an access token (RFC 9068) of the issuer that is trusted.",
    },
}
COOKIES = {
    "consent": {
        "type": "apiKey",
        "in": "cookie",
        "name": "consent",
        "description": "What is granted: a JWT that PUT v1/consent sets. One that does not hold is"
        " none, never an error.",
    },
    "profile": {
        "type": "apiKey",
        "in": "cookie",
        "name": "user_interest_score",
        "description": "The visitor's profile: a JWT that this edge sets where a purpose that needs"
        " it is granted. One that does not hold is none, never an error.",
    },
}


A_SERVER: list[Json] = [{"apiKey": []}, {"bearer": []}]
ANYBODY: list[Json] = [{}, {"consent": []}, {"consent": [], "profile": []}]


def ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def body(schema: str) -> Json:
    return {"required": True, "content": {"application/json": {"schema": ref(schema)}}}


def json(description: str, schema: str, headers: Json | None = None) -> Json:
    return {
        "description": description,
        "headers": PERSONAL | (headers or {}),
        "content": {"application/json": {"schema": ref(schema)}},
    }


def text(description: str, *said: str) -> Json:
    schema = {"type": "string", "enum": [f"{word}\n" for word in said]}
    return {"description": description, "content": {"text/plain": {"schema": schema}}}


def refusals(*codes: str) -> Json:
    """The problem documents that a route answers, by status; each status with its codes."""
    found: Json = {}
    for status in sorted({PROBLEMS[code][0] for code in codes}):
        these = [code for code in codes if PROBLEMS[code][0] == status]
        kinds = {"properties": {"type": {"enum": [problems.TYPE + code for code in these]}}}
        schema = {"allOf": [ref("Problem"), kinds]}
        found[str(status)] = {
            "description": "; ".join(f"`{code}`: {PROBLEMS[code][1]}" for code in these),
            "headers": NEVER_STORED | _MORE.get(status, {}),
            "content": {"application/problem+json": {"schema": schema}},
        }
    return found


def header(description: str, *, required: bool = True, **schema: Any) -> Json:
    told = {"type": "string", **schema}
    return {"description": description, "required": required, "schema": told}


def request_header(name: str, description: str, *words: str) -> Json:
    schema: Json = {"type": "string", "enum": words} if words else {"type": "string"}
    return {"name": name, "in": "header", "description": description, "schema": schema}


def query(name: str, description: str, **schema: Any) -> Json:
    told = {"type": "string"} | schema
    return {"name": name, "in": "query", "description": description, "schema": told}


NEVER_STORED = {
    name.decode().title(): header("Always this", const=value.decode())
    for name, value in problems.NEVER_STORED
}
PERSONAL = NEVER_STORED | {
    "Server-Timing": header("How long deciding took, ms", pattern=r"^decide;dur=\d+\.\d{3}$")
}
FRAGMENT = {
    "Content-Security-Policy": header("Of HTML: opened by itself, nothing runs", required=False)
}
NEW_COOKIE = {"Set-Cookie": header("`consent` or `user_interest_score`, new", required=False)}
RETRY = {"Retry-After": header("Seconds", pattern=r"^[1-9]\d*$")}
_CHALLENGE = header("Which credential would help (RFC 6750)", pattern="^Bearer ")
_MORE: dict[int, Json] = {
    401: {"WWW-Authenticate": _CHALLENGE},
    403: {"WWW-Authenticate": _CHALLENGE | {"required": False}},
    429: RETRY,
    503: RETRY,
}
FROM_A_PAGE = [
    request_header("Origin", "Of the page that asks, as browsers say it"),
    request_header(
        "Sec-Fetch-Site",
        "The same, in one word; with neither, no page asks",
        "same-origin",
        "same-site",
        "cross-site",
        "none",
    ),
]
GPC = request_header("Sec-GPC", "`1` takes away what the site's settings say")
PLACE = [
    query("path", "Of the page, with its query percent-encoded; longer than 2,048: left out"),
    query("category", "What the page is about; longer than 128: left out"),
    query("referrer", "Where the visitor came from; longer than 2,048: left out"),
    query("locale", "Of the page; longer than 64: left out"),
    query("zone", "Time zone of the page; longer than 64: left out"),
]
PAGE = [
    *PLACE,
    query("preview", "A token of `edgewise preview`; one that does not hold is none"),
]
READ = {"Vary": header("Always this", const="accept")}
