"""GET preview, with `--dev` only: a page with every slot, for who has no page yet."""

from __future__ import annotations

import html

from edge import exchange
from edge.errors import Refused
from edge.exchange import Reply, Scope
from edge.problems import Headers
from edge.services import Services

RETRY_S = 1  # somebody sits before it and builds the site

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{name}: preview</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; }}
  edge-slot {{ display: block; min-height: 2rem; padding: 1rem; border: 1px dashed #999; }}
</style>
<script src="{mount}/loader.js"></script>
<h1>{name}</h1>
<p>Every slot of version {version}. This visitor has agreed to
  <button onclick="edgewise.consent(['functional', 'analytics', 'personalization'])">all but
    what is sensitive</button>
  <button onclick="edgewise.consent([])">nothing</button></p>
{slots}
"""


def preview(services: Services, _: Scope, __: dict[bytes, bytes], ___: bytes) -> Reply:
    """200 with the page. Raises Refused without `--dev`."""
    if not services.config.dev:
        raise Refused(404, "not-found", "no such path here: see docs/http-api.md")
    current = services.served.current
    if current is None:
        raise Refused(503, "no-snapshot", "this edge has no snapshot yet", retry_after_s=RETRY_S)
    slots = "".join(
        f'<h2>{html.escape(name)}</h2>\n<edge-slot name="{html.escape(name)}"></edge-slot>\n'
        for name in current.program.slots
    )
    text = _PAGE.format(
        name=html.escape(current.program.name),
        mount=html.escape(services.config.mount),
        version=current.version,
        slots=slots,
    )
    headers: Headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"frame-ancestors 'none'"),
        (b"referrer-policy", b"same-origin"),
    ]
    body = text.encode()
    return exchange.Reply(200, [*headers, (b"content-length", b"%d" % len(body))], body)
