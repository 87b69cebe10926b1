"""Cookie keys change by file while a visitor goes on, from one real node to another and back."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from edge.cli import main
from edge.commands.keys import add, create, retire, rotate
from edge.cookies import CONSENT, PROFILE
from edge.errors import CannotServe
from edge.keyring import MAX_KEYS, KeyFile
from edge.worker import COOKIE_FILE, KEYS_S
from tests.edge.nodes import PERSON, Node, publish, wait_until

REFUSED = f'edgewise_cookies_refused_total{{cookie="{PROFILE}",reason="unknown_key"}}'


class Visitor:
    """A browser whose page loads go to whichever node is named, over a connection of their own."""

    def __init__(self) -> None:
        self.cookies: dict[str, str] = {}

    def send(self, node: Node, method: str, path: str, body: Any) -> None:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = PERSON | {"sec-fetch-site": "same-origin", "cookie": cookie}
        reply = httpx.request(method, f"{node.url}/v1/{path}", json=body, headers=headers)
        assert reply.status_code < 300, reply.text
        for line in reply.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            self.cookies[name] = rest.partition(";")[0]

    def agree(self, node: Node) -> None:
        self.send(node, "PUT", "consent", {"grants": ["functional", "personalization"]})

    def visit(self, node: Node) -> tuple[str, str]:
        """Who the node takes this for, and the key of the cookie that it gave."""
        self.send(node, "POST", "visit", {"slots": ["hero"], "page": {"path": "/"}})
        profile = self.cookies[PROFILE]
        claims = jwt.decode(profile, options={"verify_signature": False})
        return claims["sub"], jwt.get_unverified_header(profile)["kid"]


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[Node, Node]]:
    """Two edges of one site, each with a copy of the keys."""
    near, far = Node(make(tmp_path / "near")), Node(make(tmp_path / "far"))
    shutil.copy(near.folder / "keys" / COOKIE_FILE, far.folder / "keys" / COOKIE_FILE)
    for node in (near, far):
        publish(node.folder)
    with near.running(), far.running():  # one after the other: each has its seconds to start
        for node in (near, far):
            wait_until(lambda node=node: node.answers("readyz") == 200)  # type: ignore[misc]
        yield near, far


def make(folder: Path) -> Path:
    folder.mkdir()
    create(folder / "keys")
    (folder / "store").mkdir()
    return folder


def test_keys_rotate_file_by_file_and_no_visitor_is_logged_out_until_the_old_one_is_dropped(
    nodes: tuple[Node, Node],
) -> None:
    near, far = nodes
    ours, theirs = (node.folder / "keys" for node in nodes)
    visitor, sleeper = Visitor(), Visitor()
    for one in (visitor, sleeper):
        one.agree(near)
    who, old = visitor.visit(near)
    asleep, _ = sleeper.visit(near)

    new = add(ours)
    shutil.copy(ours / COOKIE_FILE, theirs / COOKIE_FILE)
    wait_for(nodes, 2)
    assert [visitor.visit(node) for node in (far, near)] == [(who, old)] * 2, "it only verifies"

    rotate(ours, kid=new)

    def taken() -> bool:
        found, kid = visitor.visit(near)
        assert found == who
        assert visitor.visit(far) == (who, old), "whose file is the one before, and knows the new"
        return kid == new

    wait_until(taken)
    shutil.copy(ours / COOKIE_FILE, theirs / COOKIE_FILE)
    wait_until(lambda: visitor.visit(far) == (who, new))
    assert all(REFUSED not in node.metrics() for node in nodes), "nobody was a stranger anywhere"

    kept = dict(sleeper.cookies)
    assert sleeper.visit(near) == (asleep, new), "the old key still reads"
    sleeper.cookies = kept
    visitor.agree(near)
    for keys in (ours, theirs):
        retire(keys, "cookie", old)
    wait_for(nodes, 1)
    assert [visitor.visit(node) for node in nodes] == [(who, new)] * 2, "who came meanwhile stays"
    sleeper.cookies[CONSENT] = visitor.cookies[CONSENT]
    assert sleeper.visit(far)[0] != asleep
    assert REFUSED in far.metrics()


def wait_for(nodes: tuple[Node, Node], keys: int) -> None:
    """Until every worker has looked at its file, which now holds so many keys."""
    for node in nodes:
        assert len(KeyFile(node.folder / "keys" / COOKIE_FILE).ring.keys) == keys
    time.sleep(2 * KEYS_S)


# The command.


def ring_of(keys: Path) -> list[str]:
    return [key.kid for key in KeyFile(keys / COOKIE_FILE).ring.keys]


def test_adding_and_rotating_say_what_is_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = make(tmp_path / "site") / "keys"
    (old,) = ring_of(keys)

    assert main(["keys", "add", str(keys)]) == 0
    first, new = ring_of(keys)
    assert first == old
    assert f"then: edgewise keys rotate {keys} {new}\n" in capsys.readouterr().out

    assert main(["keys", "rotate", str(keys), new]) == 0
    assert ring_of(keys) == [new, old]
    assert main(["keys", "add", str(keys), "--of", "identify"]) == 0
    assert capsys.readouterr().out.endswith(" --of identify\n")


@pytest.mark.parametrize(
    ("code", "words", "message"),
    [
        (1, ["rotate", "KEYS", "nobody"], "got nobody - at"),
        (2, ["add", "KEYS", "name"], "expected a KID with retire, perhaps with rotate"),
        (2, ["retire", "KEYS"], "expected a KID with retire, perhaps with rotate"),
        (2, ["add", "KEYS", "--of", "publisher"], "rotate alone"),
        (2, ["rotate", "KEYS", "name", "--of", "publisher"], "rotate alone"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    code: int, words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = make(tmp_path / "site") / "keys"
    before = ring_of(keys)
    assert main(["keys", *[str(keys) if word == "KEYS" else word for word in words]]) == code
    assert message in capsys.readouterr().err
    assert ring_of(keys) == before


def test_a_file_never_gets_more_keys_than_an_edge_takes(tmp_path: Path) -> None:
    keys = make(tmp_path / "site") / "keys"
    for _ in range(MAX_KEYS - 1):
        add(keys)
    for more in (add, rotate):
        with pytest.raises(CannotServe, match="expected fewer than 16 keys, retire one first"):
            more(keys)
    assert len(ring_of(keys)) == MAX_KEYS
