"""A real S3 server on loopback: SeaweedFS, with identities, so that signatures are checked."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.snapshots.store.origins import free_ports

BUCKET = "bundles"
KEY, SECRET = "publisher", "a secret of the tests"  # of a server that lives for them
START_S = 30.0


def settings(port: int, secret: str = SECRET) -> dict[str, str]:
    """What an operator sets to reach it: the variables that AWS's own tools read."""
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[int]:
    """SeaweedFS with one bucket; the port of its S3 interface."""
    identity = {
        "name": KEY,
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    config = folder / "identities.json"
    config.write_text(json.dumps({"identities": [identity]}))
    names = ("master", "volume", "filer", "s3")
    ports = dict(zip((*names, *(f"{name}.grpc" for name in names)), free_ports(8), strict=True))
    command = [
        *(weed(), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *("-filer", "-s3", f"-s3.config={config}", "-s3.port.iceberg=0"),
        *(
            "-s3.port.lance=0",
            f"-s3.localSocket={folder}/s3.sock",
            f"-filer.localSocket={folder}/f.sock",
        ),
        *("-volume.max=8", "-master.volumeSizeLimitMB=64", "-master.telemetry=false"),
        *(f"-{name}.port={ports[name]}" for name in names),
        *(f"-{name}.port.grpc={ports[f'{name}.grpc']}" for name in names),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        bucket = f"http://127.0.0.1:{ports['filer']}/buckets/{BUCKET}/"
        make_bucket(bucket, f"http://127.0.0.1:{ports['s3']}/{BUCKET}", process, folder / "log")
        yield ports["s3"]
    finally:
        process.kill()  # asked to stop, it takes half a minute to say goodbye
        process.wait(20)


def make_bucket(bucket: str, interface: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """A bucket is a folder of the filer. Raises RuntimeError unless both answer in time."""
    until_s = time.monotonic() + START_S
    while time.monotonic() < until_s and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(interface).is_client_error and httpx.post(bucket).is_success:
                return  # who has no signature is refused, and the bucket is made
        time.sleep(0.1)
    raise RuntimeError(log.read_text()[-2_000:])


def weed() -> str:
    """SeaweedFS's command: beside this Python, or on the path."""
    found = shutil.which(
        "weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    if found is None:
        raise FileNotFoundError("expected the command `weed` of SeaweedFS")
    return found


@pytest.fixture(scope="session")
def s3_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """One server for all tests of a run; each takes a folder of its own in the bucket."""
    with s3_server(tmp_path_factory.mktemp("s3")) as port:
        yield port


@pytest.fixture
def s3_url(s3_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store's address that nobody used before, with the settings that reach it."""
    for name, value in settings(s3_port).items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{tmp_path.name}"
