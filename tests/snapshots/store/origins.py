"""Real HTTP origins on loopback, each serving a folder: Python's own server, and nginx."""

from __future__ import annotations

import email.utils
import hashlib
import http.server
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

BaseHandler = http.server.BaseHTTPRequestHandler
Answer = Callable[[BaseHandler], None]


class Origin:
    """A server of the folder `store` in a directory; `start` gives its address."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "store").mkdir()

    def put(self, path: str, data: bytes) -> None:
        file = self.directory / "store" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    def start(self) -> str:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError


class QuietServer(http.server.ThreadingHTTPServer):
    """Says nothing of clients that went away: here they have their reasons."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass


class ScriptedOrigin(Origin):
    """A server whose every GET is answered by a function; it keeps its port over restarts."""

    port = 0

    def __init__(self, directory: Path, answer: Answer) -> None:
        super().__init__(directory)
        self.answer = answer
        self.requests: list[str] = []

    def start(self) -> str:
        origin = self

        class Handler(BaseHandler):
            protocol_version = "HTTP/1.1"
            timeout: ClassVar[float] = 30.0

            def do_GET(self) -> None:  # noqa: N802 # the name that http.server looks for
                origin.requests.append(self.path)
                origin.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = QuietServer(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class FileOrigin(ScriptedOrigin):
    """Files with tags of their content, 304 and 404."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, self.serve)

    def serve(self, request: BaseHandler) -> None:
        file = self.directory / request.path.lstrip("/")
        if not file.is_file():
            reply(request, 404, b"nothing here")
            return
        data = file.read_bytes()
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        if request.headers.get("If-None-Match") == tag:
            reply(request, 304, b"", ETag=tag)
        else:
            reply(request, 200, data, ETag=tag)


def reply(request: BaseHandler, status: int, body: bytes, **headers: str) -> None:
    """A whole reply; header names are written with _ for -."""
    request.send_response(status)
    if status != 304:
        request.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.end_headers()
    if status != 304:
        request.wfile.write(body)


def http_date(at_s: float) -> str:
    return email.utils.formatdate(at_s, usegmt=True)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now, all different."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


NGINX = """
daemon off; master_process off; pid {directory}/nginx.pid; error_log {directory}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off; client_body_temp_path {directory}/t1; proxy_temp_path {directory}/t2;
    fastcgi_temp_path {directory}/t3; uwsgi_temp_path {directory}/t4; scgi_temp_path {directory}/t5;
    server {{ listen 127.0.0.1:{port}; root {directory}; }}
}}
"""


class NginxOrigin(Origin):
    """A real nginx over the same folder."""

    def start(self) -> str:
        (port,) = free_ports(1)
        config = self.directory / "nginx.conf"
        config.write_text(NGINX.format(directory=self.directory, port=port))
        command = ["nginx", "-c", str(config), "-e", str(self.directory / "error.log")]
        self.process = subprocess.Popen(command)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return f"http://127.0.0.1:{port}"
            time.sleep(0.02)
        self.stop()
        raise RuntimeError((self.directory / "error.log").read_text())

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
