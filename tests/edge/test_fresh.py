"""Facts tokens: only the site's server can make one, about one visitor, for a short time."""

from __future__ import annotations

import hmac
import re
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.base64url import encode64
from decisions.consent import FUNCTIONAL, PERSONALIZATION
from decisions.ledger import visitor_key
from decisions.profile import Profile
from edge.fresh import AUDIENCE, Cart, Fresh, FreshFacts, Line
from edge.keyring import KeyRing, key_of
from edge.metrics import Metrics
from tests.edge.shop import IDENTIFY_KEYS, NOW_S, facts_token, identify_token

CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)
GRANTS = FUNCTIONAL | PERSONALIZATION
SALT = "00" * 16
ANN = Profile(visitor="v-1", customer=visitor_key(SALT, "ann"))
SECRET = b"i" * 32
KID = {"kid": "site-1"}


def read(
    token: str, profile: Profile = ANN, now_s: float = NOW_S + 6, grants: int = GRANTS
) -> tuple[Fresh | None, dict[str, int]]:
    """What a token says, and what was counted."""
    metrics = Metrics()
    found = FreshFacts(lambda: IDENTIFY_KEYS, metrics).read(token, profile, grants, SALT, now_s)
    counted = {
        key.split('"')[1]: count
        for key, count in metrics.values().items()
        if key.startswith("edgewise_facts_tokens_total")
    }
    return found, counted


def test_a_token_says_what_is_so_now() -> None:
    token = facts_token(
        traits={"tier": "silver", "nick": None},
        scores={"propensity": 0.5},
        segments={"loyal": True},
        cart={
            "items": 2,
            "value": 30,
            "updated_at": NOW_S - 60,
            "lines": [{"item": "a", "quantity": 2, "price": 15, "title": "no concern of ours"}],
        },
    )
    values = {"traits.tier": "silver", "traits.nick": None, "scores.propensity": 0.5}
    cart = Cart(2, 30.0, NOW_S - 60, (Line("a", 2, 15.0),))
    assert read(token) == (Fresh(NOW_S + 5, values, {"loyal": True}, cart), {"taken": 1})
    assert read("") == (None, {})


def test_the_docs_show_how_to_sign_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "http-api.md").read_text(encoding="utf-8")
    (code,) = (text for text in CODE.findall(page) if "edgewise-facts" in text)
    names: dict[str, Any] = {"secret": SECRET}
    exec(code, names)  # noqa: S102 # our own page
    customer = Profile(visitor="v-1", customer=visitor_key(SALT, "customer-4711"))
    found, counted = read(names["token"], customer, names["now"])
    assert (found is not None, counted) == (True, {"taken": 1})


def told(*lines: Line, items: int = 3) -> tuple[int, set[str]]:
    facts = Cart(items, 9.0, NOW_S - 60, lines).facts(NOW_S, frozenset({"pharmacy", "pill"}))
    return facts["cart.lines"], set(facts["cart.products"])


def test_lines_name_the_products_that_may_be_and_what_they_leave_out_counts_as_one() -> None:
    both = Line("a", 2), Line("b"), Line("a", 0)
    assert told(*both) == (2, {"a", "b"})
    assert told(Line("a"), Line("a")) == (2, {"a"})
    assert told(*both, items=4) == (3, {"a", "b"})
    for hidden in (Line("x", category="pharmacy"), Line("pill"), Line("x", brand="pill"),
                   Line(""), Line("x" * 41), Line("x", 0)):  # fmt: skip
        assert told(hidden, hidden, Line("b")) == (2, {"b"})
    assert told() == (1, set())
    assert told(items=0) == (0, set())


CART = {"items": 1, "value": 2.5, "updated_at": NOW_S}
LATER = int(NOW_S) + 5


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "edgewise-identify"}, "wrong_audience"),
        ({"aud": None}, "wrong_audience"),
        ({"aud": ["other"]}, "wrong_audience"),
        ({"aud": 5}, "bad_claims"),
        ({"sub": "bob"}, "foreign"),
        ({"sub": None}, "bad_claims"),
        ({"sub": ""}, "bad_claims"),
        ({"sub": None, "visitor": "v-2"}, "foreign"),
        ({"visitor": "v-2"}, "foreign"),
        ({"sub": "bob", "visitor": "v-1"}, "foreign"),
        ({"exp": LATER + 301}, "bad_claims"),
        ({"exp": LATER}, "bad_claims"),
        ({"exp": "soon"}, "bad_claims"),
        ({"exp": None}, "bad_claims"),
        ({"iat": None}, "bad_claims"),
        ({"iat": True}, "bad_claims"),
        ({"iat": LATER - 400, "exp": LATER - 200}, "expired"),
        ({"iat": LATER + 200, "exp": LATER + 300}, "not_yet"),
        ({"nbf": LATER + 200}, "not_yet"),
        ({"traits": ["tier"]}, "bad_claims"),
        ({"segments": ["loyal"]}, "bad_claims"),
        ({"segments": {"loyal": 1}}, "bad_claims"),
        ({"cart": CART | {"items": -1}}, "bad_claims"),
        ({"cart": CART | {"items": 1.5}}, "bad_claims"),
        ({"cart": CART | {"value": -0.5}}, "bad_claims"),
        ({"cart": {"items": 1}}, "bad_claims"),
        ({"cart": CART | {"lines": {"a": 1}}}, "bad_claims"),
        ({"cart": CART | {"lines": ["a"]}}, "bad_claims"),
        ({"cart": CART | {"lines": [{"quantity": 1}]}}, "bad_claims"),
        ({"cart": CART | {"lines": [{"item": "a", "quantity": -1}]}}, "bad_claims"),
        ({"traits": {"tier": "x" * 9_000}}, "oversized"),
    ],
)
def test_a_token_that_claims_something_else_is_ignored_and_counted(
    changes: dict[str, Any], reason: str
) -> None:
    assert read(facts_token(**changes)) == (None, {reason: 1})


def signed(header: Any, payload: bytes | None = None, digest: str = "sha256") -> str:
    """A token of any header and payload under the right secret."""
    claims = facts_token().split(".")[1] if payload is None else encode64(payload).decode()
    raw = header if isinstance(header, bytes) else msgspec.json.encode(header)
    text = encode64(raw).decode() + "." + claims
    return f"{text}.{encode64(hmac.digest(SECRET, text.encode(), digest)).decode()}"


GOOD = {"alg": "HS256", "kid": "site-1"}


@pytest.mark.parametrize("header", [GOOD, {"kid": "site-1", "typ": "JWT", "alg": "HS256"}])
def test_any_library_may_write_the_header(header: dict[str, Any]) -> None:
    assert read(signed(header))[1] == {"taken": 1}


def test_an_audience_may_be_one_of_several() -> None:
    assert read(facts_token(aud=["other", AUDIENCE]))[1] == {"taken": 1}


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (signed(GOOD | {"alg": "none"}), "malformed"),
        (signed(GOOD | {"alg": "HS512"}, digest="sha512"), "malformed"),
        (signed(GOOD | {"alg": ["HS256"]}), "malformed"),
        (signed(GOOD | {"crit": ["b64"], "b64": False}), "malformed"),
        (signed(GOOD | {"crit": None}), "malformed"),
        (signed(GOOD | {"kid": ["site-1"]}), "malformed"),
        (signed({"alg": "HS256"}), "malformed"),
        (signed([GOOD]), "malformed"),
        (signed(b"[" * 3_000), "malformed"),
        (signed(b"\xff"), "malformed"),
        (signed(GOOD | {"kid": "site-2"}), "unknown_key"),
        (signed(GOOD, b"[" * 3_000), "bad_claims"),
        (signed(GOOD, b'{"aud":"edgewise-facts","iat":1e999}'), "bad_claims"),
        (signed(GOOD, b"\xff"), "bad_claims"),
        (facts_token() + "x", "forged"),
        (facts_token()[:-1], "forged"),
        (facts_token()[:-2] + "", "forged"),
        (facts_token() + "=", "forged"),
        (facts_token().replace(".", "=.", 1), "malformed"),
        (facts_token() + ".", "malformed"),
        ("..", "malformed"),
        ("a", "malformed"),
        ("é.é.é", "malformed"),
        ("\ud800", "malformed"),
        ("." * 8_000, "malformed"),
        ("x" * 9_000, "oversized"),
        (identify_token("ann"), "wrong_audience"),
        (jwt.encode({"aud": AUDIENCE}, b"x" * 32, algorithm="HS256", headers=KID), "forged"),
    ],
)
def test_what_is_no_token_of_the_site_is_ignored_and_counted(token: str, reason: str) -> None:
    assert read(token) == (None, {reason: 1})


@settings(max_examples=300)
@given(st.data())
def test_whatever_is_taken_pyjwt_would_take_too(data: st.DataObject) -> None:
    token = facts_token(
        traits=data.draw(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9))),
        sub=data.draw(st.sampled_from(["ann", "bob"])),
        visitor=data.draw(st.sampled_from([None, "v-1", "v-2"])),
    )
    at, to = data.draw(st.integers(0, len(token))), data.draw(st.integers(0, len(token)))
    bent = data.draw(
        st.sampled_from([token, token[:at] + token[to:], token[:at] + "A" + token[at + 1 :]])
    )
    found, counted = read(bent)
    options: Any = {"verify_exp": False, "verify_iat": False}
    try:
        claims = jwt.decode(bent, SECRET, ["HS256"], audience=AUDIENCE, options=options)
    except jwt.PyJWTError:
        assert found is None
    else:
        about = claims["sub"] == "ann" and claims.get("visitor") in (None, "v-1")
        assert (found is not None) == about
        assert (
            not about
            or found is None
            or found.values.keys() == {f"traits.{name}" for name in claims["traits"]}
        )
    assert sum(counted.values()) == 1 or not bent


def test_a_token_counts_for_no_one_else() -> None:
    for other in (
        Profile(visitor="v-2", customer=visitor_key(SALT, "bob")),
        Profile(visitor="v-2"),
        Profile(visitor="v-1"),
    ):
        assert read(facts_token(), other) == (None, {"foreign": 1})
    of_device = facts_token(sub=None, visitor="v-1")
    assert read(of_device, Profile(visitor="v-1"))[1] == {"taken": 1}
    assert read(of_device, Profile(visitor="v-2"))[1] == {"foreign": 1}


def test_without_a_grant_for_anything_in_it_or_a_visitor_a_token_is_not_looked_at() -> None:
    assert read(facts_token(), grants=0) == (None, {})
    assert read("nonsense", grants=0) == (None, {})
    assert read(facts_token(), Profile()) == (None, {})


def test_an_edge_without_keys_takes_no_token_and_rotated_keys_are_followed() -> None:
    metrics = Metrics()
    assert FreshFacts(None, metrics).read(facts_token(), ANN, GRANTS, SALT, NOW_S) is None
    assert metrics.values()['edgewise_facts_tokens_total{result="no_keys"}'] == 1
    rotated = KeyRing((key_of("site-2", b"j" * 32), *IDENTIFY_KEYS.keys))
    fresh = FreshFacts(lambda: rotated, metrics)
    assert fresh.read(facts_token(), ANN, GRANTS, SALT, NOW_S) is not None
