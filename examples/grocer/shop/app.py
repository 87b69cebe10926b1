"""The demonstration shop: its own pages, and `/_ew/` handed on to the edge, as a CDN would.

Edgewise needs nothing of this file: a site has its own pages and its own proxy. What a site does
need is `sign_in`: a token, signed by its server, that says which customer this is.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import httpx
import jwt
import pages
from articles import ARTICLES
from catalogue import load
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HERE = Path(__file__).parent
STATE = Path(os.environ["SHOP_STATE"])  # catalogue.json, written by `edgewise demo`
EDGE_URL = os.environ["EDGE_URL"]
SIGNED_IN_S = 1_800  # how long a sign-in counts as authenticated
TOKEN_S = 120  # how long the token itself may be used

CATALOGUE = load(STATE / "catalogue.json")
KEY = json.loads(Path(os.environ["IDENTIFY_KEYS"]).read_text(encoding="utf-8"))["keys"][0]
EDGE = httpx.AsyncClient(base_url=EDGE_URL, timeout=5.0)
POLICY = b"default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'"
HOP = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "content-length",
}


async def home(_: Request) -> Response:
    return HTMLResponse(pages.home(CATALOGUE))


async def department(request: Request) -> Response:
    category = request.path_params["category"]
    if category not in CATALOGUE.shelves:
        return PlainTextResponse("No such department.", 404)
    return HTMLResponse(pages.department(CATALOGUE, category))


async def product(request: Request) -> Response:
    item = CATALOGUE.find(request.path_params["item"])
    return (
        HTMLResponse(pages.product(CATALOGUE, item))
        if item
        else PlainTextResponse("No such product.", 404)
    )


async def cart(_: Request) -> Response:
    return HTMLResponse(pages.cart(CATALOGUE))


async def journal(request: Request) -> Response:
    slug = request.path_params["slug"]
    return (
        HTMLResponse(pages.journal(CATALOGUE, slug))
        if slug in ARTICLES
        else PlainTextResponse("No such article.", 404)
    )


async def households(_: Request) -> Response:
    return JSONResponse([{"id": one.id, "segments": one.segments} for one in CATALOGUE.households])


async def sign_in(request: Request) -> Response:
    """A real shop would check a password first."""
    household = str((await request.json()).get("household", ""))
    if household not in {one.id for one in CATALOGUE.households}:
        return JSONResponse({"error": "no such household"}, 404)
    now = int(time.time())
    claims = {
        "aud": "edgewise-identify",
        "sub": household,
        "iat": now,
        "exp": now + TOKEN_S,
        "auth_s": SIGNED_IN_S,
    }
    secret = jwt.utils.base64url_decode(KEY["k"])
    return JSONResponse(
        {"token": jwt.encode(claims, secret, algorithm="HS256", headers={"kid": KEY["kid"]})}
    )


async def edge(request: Request) -> Response:
    """What is the edge's, there and back. With a dead edge the page keeps its own."""
    headers = [(name, value) for name, value in request.headers.raw if name.decode() not in HOP]
    try:
        reply = await EDGE.request(
            request.method,
            request.url.path,
            params=request.url.query,
            headers=headers,
            content=await request.body(),
        )
    except httpx.HTTPError:
        return PlainTextResponse("The edge does not answer.", 502)
    answer = Response(reply.content, reply.status_code)
    answer.raw_headers = [
        (name, value)
        for name, value in reply.headers.raw
        if name.decode().lower() not in HOP | {"content-encoding"}
    ] + [(b"content-length", str(len(reply.content)).encode())]
    return answer


class Strict:
    """A strict content security policy on every reply that has none of its own: loader and
    fragments live with it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start" and not any(
                name == b"content-security-policy" for name, _ in message["headers"]
            ):
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY)]
            await send(message)

        await self.app(scope, receive, with_policy if scope["type"] == "http" else send)


app = Starlette(
    routes=[
        Route("/", home),
        Route("/d/{category}", department),
        Route("/p/{item}", product),
        Route("/cart", cart),
        Route("/journal/{slug}", journal),
        Route("/households", households),
        Route("/sign-in", sign_in, methods=["POST"]),
        Route("/.well-known/gpc.json", edge),
        Route("/_ew/{path:path}", edge, methods=["GET", "POST", "PUT", "DELETE"]),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ],
    middleware=[Middleware(Strict)],
)
