"""The edge image, without a container engine: each RUN step of the Dockerfile, run as a command."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
IMAGE_PREFIX = "/opt/edgewise"


def instructions(word: str) -> list[str]:
    """What follows each instruction `word`, in order."""
    return re.findall(rf"^{word} (.*)$", TEXT, re.MULTILINE)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first stage, carried out: what COPY names, then what RUN says, with /opt/edgewise moved.

    Packages come from this environment instead of an index, so that no test leaves the machine.
    """
    source, prefix = tmp_path_factory.mktemp("src"), tmp_path_factory.mktemp("opt") / "edgewise"
    for words in (line.split() for line in instructions("COPY") if not line.startswith("--from")):
        for name in words[:-1]:
            target = source / (words[-1] if words[-1] != "./" else name)
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, target)
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    for step in instructions("RUN")[0].split("&&"):
        command = step.strip().replace(IMAGE_PREFIX, str(prefix)).split()
        command[0] = sys.executable if command[0] == "python" else command[0]
        ran = subprocess.run(command, cwd=source, env=os.environ | offline, capture_output=True)
        assert ran.returncode == 0, ran.stderr.decode()
        if "venv" in command:
            borrow(prefix)
    return prefix


def borrow(prefix: Path) -> None:
    """Let the new environment see this one's packages, but none of this project's own."""
    inside = next(prefix.glob("lib/python*/site-packages"))
    ours = sysconfig.get_paths()["purelib"]
    (inside / "borrowed.pth").write_text(f"import sys; sys.path.insert(1, {ours!r})\n", "utf-8")


def run(image: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [image / "bin" / words[0], *words[1:]],
        cwd="/",
        env={"PATH": f"{image / 'bin'}:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        timeout=60,
    )


def test_the_image_runs_the_command_that_it_names(image: Path) -> None:
    assert instructions("ENTRYPOINT") == ['["edgewise"]'] and instructions("CMD") == ['["serve"]']
    helped = run(image, "edgewise", "serve", "--help")
    assert helped.returncode == 0 and b"--store" in helped.stdout


def test_the_image_holds_the_loader_and_no_builder_is_needed(image: Path) -> None:
    code = "import edge, importlib.resources as r; print(edge.__file__); r.files('edge') / 'static'"
    told = run(image, "python", "-c", code)
    assert str(image).encode() in told.stdout, told.stderr
    assert list(image.glob("lib/python*/site-packages/edge/static/loader.min.js"))


def test_the_health_check_is_the_command_itself_and_fails_without_a_node(image: Path) -> None:
    (check,) = re.findall(r'HEALTHCHECK .*CMD \["edgewise", "(\w+)"\]', TEXT)
    assert run(image, "edgewise", check).returncode == 1


def test_the_image_runs_as_a_user_who_may_write_only_its_cache() -> None:
    assert instructions("USER") == ["edgewise"]
    assert instructions("VOLUME") == ["/var/lib/edgewise"]
    assert "EDGEWISE_CACHE=/var/lib/edgewise" in TEXT
