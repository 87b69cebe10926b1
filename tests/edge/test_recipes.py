"""The recipes of docs/operations.md, each run by the program that it is for, in front of a node."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from edge.node import free_port
from tests.edge.nodes import PERSON, Node, publish, wait_until

SYSTEMD, VARNISH = shutil.which("systemd-analyze") or "", shutil.which("varnishd") or ""
OPERATIONS = Path(__file__).parent.parent.parent / "docs" / "operations.md"
GRANTS = {"grants": ["functional", "analytics", "personalization"]}


def recipe(language: str) -> str:
    """The one block of this language."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", OPERATIONS.read_text("utf-8"), re.S)
    return str(block)


class Site(BaseHTTPRequestHandler):
    """The shop's own server: a page with a slot in it, by SSI."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        (slot,) = re.findall("ssi on;   # (.*)", recipe("nginx"))
        page = b"<p>Shop</p>" + slot.replace("…", "<p>Own</p>").encode()
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("cache-control", "public, max-age=60")
        self.send_header("content-length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *_: object) -> None:
        """Says nothing."""


class Echo(BaseHTTPRequestHandler):
    """An edge that tells which headers reached it."""

    def do_GET(self) -> None:
        lines = [f"{name.lower()}: {value}" for name, value in self.headers.items()]
        body = "\n".join(lines).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    log_message = Site.log_message


@contextlib.contextmanager
def served_by(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """A server on the loopback; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def nginx(folder: Path, edge: int, site: int) -> Iterator[str]:
    """nginx with the recipe, the site behind it; its address. Where nginx's GeoIP module would put
    a country stands one by hand."""
    port = free_port("127.0.0.1", 0)
    text = recipe("nginx").replace("127.0.0.1:8080", f"127.0.0.1:{edge}")
    listen = f"listen 127.0.0.1:{port};\n set $geoip2_country_code FR;"
    text = text.replace("# …", listen)
    text = text.replace(
        "ssi on;", f"ssi on; proxy_pass http://127.0.0.1:{site}; proxy_cache pages;"
    )
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    conf = folder / "nginx.conf"
    user = "user root;" if os.getuid() == 0 else ""  # else it reads as one who may not look in here
    conf.write_text(
        f"{user} daemon off; pid {folder}/pid; error_log {folder}/error.log;\n"
        + "events {}\nhttp {\n access_log off;\n"
        + f"{temporary} proxy_cache_path {folder}/pages keys_zone=pages:1m;\n{text}\n}}\n"
    )
    process = subprocess.Popen([str(shutil.which("nginx")), "-p", str(folder), "-c", str(conf)])
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.poll() is not None or _answers(url))
        assert process.poll() is None, (folder / "error.log").read_text()
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/_ew/healthz", timeout=1.0).status_code > 0
    except httpx.HTTPError:
        return False


@pytest.mark.needs("nginx")
def test_nginx_caches_pages_and_never_the_fragments_in_them(tmp_path: Path) -> None:
    node = Node(tmp_path, "--cookie-path", "/")
    publish(tmp_path, "<h1>One</h1>")
    Site.asked = 0
    with node.running(), served_by(Site) as site, nginx(tmp_path, node.port, site) as url:
        wait_until(lambda: node.answers("readyz") == 200)
        with httpx.Client(base_url=url, headers=PERSON, timeout=10.0) as visitor:
            assert visitor.get("/").text == "<p>Shop</p><h1>One</h1>"
            publish(tmp_path, "<h1>Two</h1>")
            wait_until(lambda: node.hero() == "<h1>Two</h1>")

            assert visitor.get("/").text == "<p>Shop</p><h1>Two</h1>"
            assert Site.asked == 1

            said = visitor.put("/_ew/v1/consent", json=GRANTS)
            assert "Path=/;" in said.headers["set-cookie"]
            told = visitor.post("/_ew/v1/visit", json={"slots": ["hero"]})
            assert told.headers["cache-control"] == "private, no-store"
            assert told.json()["decisions"][0]["html"] == "<h1>Two</h1>"
            page = visitor.get("/_ew/v1/fragments/hero", headers={"origin": url})
            assert page.headers["cdn-cache-control"] == "no-store"
            foreign = {"origin": "https://evil.example"}
            assert visitor.put("/_ew/v1/consent", json=GRANTS, headers=foreign).status_code == 403
            own = {"origin": url}
            assert visitor.put("/_ew/v1/consent", json=GRANTS, headers=own).status_code == 200
            assert visitor.get("/_ew/loader.js").headers["cache-control"].startswith("public")

            node.stop()

            assert visitor.get("/").text == "<p>Shop</p><p>Own</p>"


@pytest.mark.needs("nginx")
def test_nginx_hands_on_its_own_word_on_place_and_address(tmp_path: Path) -> None:
    lies = {
        f"X-Geo-{name}": "Atlantis"
        for name in ("Country", "Region", "City", "Continent", "Timezone")
    }
    with served_by(Echo) as echo, served_by(Site) as site, nginx(tmp_path, echo, site) as url:
        forged = lies | {"X-Forwarded-For": "203.0.113.9", "X_Geo_City": "Atlantis"}
        told = httpx.get(f"{url}/_ew/healthz", headers=forged).text

    assert "x-geo-country: FR" in told
    assert "Atlantis" not in told
    assert "x-forwarded-for: 203.0.113.9, 127.0.0.1" in told
    assert f"host: {url.removeprefix('http://')}" in told


@pytest.mark.needs("systemd")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "edgewise.service"
    text = recipe("ini").replace("/opt/edgewise/bin/edgewise", sys.executable)
    unit.write_text(text.replace("User=edgewise", "User=daemon"))

    done = subprocess.run(
        [SYSTEMD, "verify", "--man=no", str(unit)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    about = [line for line in done.stderr.splitlines() if "edgewise" in line]
    assert about == [], done.stderr


@pytest.mark.needs("varnish")
def test_varnish_compiles_the_recipe(tmp_path: Path) -> None:
    for folder in (tmp_path, *list(tmp_path.parents)[:3]):
        if folder.name.startswith(("pytest-", "popen-", "test_")):
            folder.chmod(0o755)  # its compiler runs as another user
    vcl = tmp_path / "edgewise.vcl"
    backend = 'backend default { .host = "127.0.0.1"; .port = "8080"; }\n'
    vcl.write_text("vcl 4.1;\n" + backend + recipe("vcl"))

    done = subprocess.run(
        [VARNISH, "-C", "-n", str(tmp_path / "n"), "-f", str(vcl)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
