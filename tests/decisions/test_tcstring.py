"""TC strings: real ones are read; what is cut, changed, too long or contradictory is refused; and
what is read is what the bits say."""

from __future__ import annotations

import re
from itertools import accumulate

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from decisions.errors import TcStringError
from decisions.tcstring import (
    DISCLOSED_FROM_S,
    MAX_CHARACTERS,
    MAX_PADDING,
    MAX_RESTRICTIONS,
    Restriction,
    TcString,
    Vendors,
    decode,
)
from tests.decisions.tcstrings import (
    CHARACTERS,
    MADE_S,
    REAL,
    among,
    bits_of,
    characters,
    core,
    encode,
    in_any_spelling,
    publisher,
    restricted,
    said,
    section,
    segments,
)

# The example of the specification's chapter "TC String Format", TCF 2.3.
OF_THE_SPECIFICATION = (
    "CQSbk4AQSbk4ANwAAAENAwCgAAAAAAAAAAYgACPAAAAA.IDKQA4AAgAKAGQAygAAA.YAAAAAAAAAAA"
)


def numbers(most: int) -> st.SearchStrategy[frozenset[int]]:
    return st.frozensets(st.integers(1, most)) if most else st.just(frozenset())


IDS = st.integers(1, 0xFFFF)
PAIRS = st.tuples(IDS, IDS).map(lambda pair: (min(pair), max(pair))) | IDS.map(lambda n: (n, n))
RANGES = st.lists(PAIRS, max_size=4).map(lambda pairs: tuple(pairs))
FIELDS = st.lists(st.integers(1, 300), max_size=9).map(lambda ids: among(*ids))
RANGED = RANGES.filter(bool).map(lambda ranges: Vendors(0xFFFF, ranges=ranges))
VENDORS = FIELDS | RANGED
RESTRICTIONS = st.builds(
    Restriction, st.integers(1, 24), st.integers(0, 2), RANGES.map(lambda r: Vendors(0xFFFF, 0, r))
)
PUBLISHERS = st.integers(0, 63).flatmap(
    lambda most: st.builds(
        lambda one, two, three, four: publisher(
            one,
            purposes_li_transparency=two,
            num_custom_purposes=most,
            custom_purposes_consent=three,
            custom_purposes_li_transparency=four,
        ),
        numbers(24), numbers(24), numbers(most), numbers(most),
    )
)  # fmt: skip
LETTERS = st.text("ABCXYZ", min_size=2, max_size=2)
TENTHS = (st.integers(0, 17_000_000_000) | st.integers(0, 2**36 - 1)).map(lambda n: n / 10)
SAID = st.builds(
    said,
    created_s=TENTHS,
    last_updated_s=TENTHS,
    cmp_id=st.integers(0, 4_095),
    cmp_version=st.integers(0, 4_095),
    consent_screen=st.integers(0, 63),
    consent_language=LETTERS,
    vendor_list_version=st.integers(0, 4_095),
    tcf_policy_version=st.integers(0, 63),
    is_service_specific=st.booleans(),
    use_non_standard_texts=st.booleans(),
    special_feature_opt_ins=numbers(12),
    purposes_consent=numbers(24),
    purposes_li_transparency=numbers(24),
    purpose_one_treatment=st.booleans(),
    publisher_cc=LETTERS,
    vendor_consents=VENDORS,
    vendor_legitimate_interests=VENDORS,
    publisher_restrictions=st.lists(RESTRICTIONS, max_size=3).map(tuple),
    disclosed_vendors=VENDORS,
    allowed_vendors=st.none() | VENDORS,
    publisher_tc=st.none() | PUBLISHERS,
)


def refusal(text: str) -> str:
    """Why this is no TC string."""
    with pytest.raises(TcStringError) as raised:
        decode(text)
    return str(raised.value)


def says_no_more_than_its_bits(text: str) -> bool:
    """Whether a string is refused, or what is read of it has its very bits again, and zeros."""
    try:
        read = decode(text)
    except TcStringError:
        return True
    mine = {bits[:3] if n else "": bits for n, bits in enumerate(bits_of(text))}
    written = enumerate(segments(read, in_any_spelling))
    again = {bits[:3] if n else "": bits for n, bits in written}
    if mine.keys() != again.keys():
        return False
    for kind, bits in again.items():
        got = mine[kind]
        if kind == "001" and read.disclosed_vendors and not read.disclosed_vendors.ranges:
            got = got.ljust(len(bits), "0")  # disclosed vendors of old ended early
        if not re.fullmatch(f"{bits}0*", got):
            return False
    return True


@pytest.mark.parametrize("text", [*REAL, OF_THE_SPECIFICATION], ids=lambda text: text[:10])
def test_real_strings_are_read_to_the_bit(text: str) -> None:
    assert says_no_more_than_its_bits(text)
    assert decode(text).cmp_id


def test_a_real_string_says_what_its_makers_say() -> None:
    read = decode(REAL[1])

    assert (read.created_s, read.last_updated_s) == (1_597_744_209.6, 1_597_744_209.6)
    assert (read.cmp_id, read.cmp_version, read.consent_screen) == (31, 1602, 1)
    assert (read.consent_language, read.publisher_cc) == ("DE", "EU")
    assert read.is_service_specific
    assert read.special_feature_opt_ins == {1, 2}
    assert read.purposes_consent == set(range(1, 11))
    assert read.purposes_li_transparency == set(range(2, 11))
    assert len(read.publisher_restrictions) == 20
    assert [7 in r.vendors for r in read.publisher_restrictions] == [True, False] * 10
    assert (read.disclosed_vendors, read.publisher_tc) == (None, None)


def test_a_range_of_one_vendor_is_that_vendor_however_it_is_spelled() -> None:
    tc = said(vendor_consents=ranges((7, 7), (9, 12)), allowed_vendors=ranges((3, 3)))
    _, *rest = encode(tc).split(".")

    longer = characters(core(tc, lambda first, last: f"1{first:016b}{last:016b}"))
    text = ".".join([longer, *rest])

    assert text != encode(tc)
    assert decode(text) == tc
    assert says_no_more_than_its_bits(text)


def test_segments_come_in_any_order() -> None:
    head, *rest = encode(said(allowed_vendors=among(3))).split(".")

    assert decode(".".join([head, *reversed(rest)])) == said(allowed_vendors=among(3))


@given(SAID)
def test_what_is_written_is_what_is_read(tc: TcString) -> None:
    assert decode(encode(tc)) == tc


@given(SAID)
def test_padding_of_three_bytes_is_passed_over_and_no_more(tc: TcString) -> None:
    head, *rest = encode(tc).split(".")
    room = (MAX_PADDING - -len(core(tc)) % 6) // 6

    assert decode(".".join([head + "A" * room, *rest])) == tc
    assert "bits of padding" in refusal(".".join([head + "A" * (room + 1), *rest]))


@given(SAID, st.data())
def test_a_string_that_is_cut_is_refused_or_ends_where_a_segment_does(
    tc: TcString, data: st.DataObject
) -> None:
    text = encode(tc)
    cut = data.draw(st.integers(0, len(text) - 1))
    ends = [len(characters(bits)) for bits in segments(tc)]
    whole = {end + place for place, end in enumerate(accumulate(ends))}
    old = max(tc.created_s, tc.last_updated_s) < DISCLOSED_FROM_S

    if cut not in whole:
        if old and says_no_more_than_its_bits(text[:cut]):
            return
        refusal(text[:cut])
    elif old:
        assert decode(text[:cut]).cmp_id == tc.cmp_id
    elif cut == ends[0]:
        assert "disclosed vendors" in refusal(text[:cut])


@given(SAID, st.data())
@example(said(created_s=0.0, last_updated_s=0.0), None)
def test_a_string_that_is_changed_says_no_more_than_its_bits(
    tc: TcString, data: st.DataObject | None
) -> None:
    text = encode(tc)
    if data is None:
        for place, old in enumerate(text):
            for new in "A_." if old != "." else "A":
                assert says_no_more_than_its_bits(text[:place] + new + text[place + 1 :])
        return
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text) - 1))
        new = data.draw(st.sampled_from(CHARACTERS + "."))
        text = text[:place] + new + text[place + 1 :]
    assert says_no_more_than_its_bits(text)


@given(st.text(max_size=60) | st.text(CHARACTERS + ".", max_size=400))
def test_any_text_is_read_to_the_bit_or_refused(text: str) -> None:
    assert says_no_more_than_its_bits(text)
    assert says_no_more_than_its_bits("CQSbk4A" + text)


def ranges(*pairs: tuple[int, int], most: int = 900) -> Vendors:
    return Vendors(most, ranges=pairs)


WRONG = {
    "": "expected 6 bits of Version, got 0 - at bit 0 of segment 1",
    "B" + encode(said())[1:]: "expected version 2, got 1 - at bit 0 of segment 1",
    encode(said())[:40] + "=": "expected base64url, got '=' - at bit 240 of segment 1",
    "C\ud800": r"expected base64url, got '\ud800' - at bit 6 of segment 1",
    encode(said()) + ".": "expected 3 bits of SegmentType, got 0 - at bit 0 of segment 4",
    encode(said()) + ".A": "expected a segment of type 1, 2 or 3, got 0 - at bit 0 of segment 4",
    encode(said()) + ".gAAAAA": (
        "expected a segment of type 1, 2 or 3, got 4 - at bit 0 of segment 4"
    ),
    encode(said()) + ".YAAAAAAAAAAA": (
        "expected one segment of publisher_tc, got a second - at bit 0 of segment 4"
    ),
    "C....": "expected the core and at most 3 segments, got more - at bit 0 of segment 5",
    characters(core(said())[:108] + "1" * 12 + core(said())[120:]): (
        "expected two letters of ConsentLanguage, got 63 and 63 - at bit 108 of segment 1"
    ),
    characters(core(said()) + "0" * 24): (
        "expected at most 23 bits of padding, got 24 - at bit 1014 of segment 1"
    ),
    characters(core(said()) + "1"): (
        "expected zeros after the last field, got ones - at bit 1014 of segment 1"
    ),
    encode(said(vendor_consents=ranges((0, 0)))): (
        "expected vendors between 1 and 900 in order, got 0 to 0 - at bit 242 of segment 1"
    ),
    encode(said(vendor_consents=ranges((9, 8)))): (
        "expected vendors between 1 and 900 in order, got 9 to 8 - at bit 242 of segment 1"
    ),
    encode(said(vendor_consents=ranges((1, 2), (899, 901)))): (
        "expected vendors between 1 and 900 in order, got 899 to 901 - at bit 275 of segment 1"
    ),
    encode(said(publisher_restrictions=(restricted(0, 0, 1),))): (
        "expected a purpose from 1 to 24, got 0 - at bit 1014 of segment 1"
    ),
    encode(said(publisher_restrictions=(restricted(25, 0, 1),))): (
        "expected a purpose from 1 to 24, got 25 - at bit 1014 of segment 1"
    ),
    encode(said(publisher_restrictions=(restricted(1, 3, 1),))): (
        "expected a restriction of type 0 to 2, got 3 - at bit 1020 of segment 1"
    ),
    encode(said(publisher_restrictions=(restricted(1, 0),) * (MAX_RESTRICTIONS + 1))): (
        "expected at most 72 restrictions, got 73 - at bit 1002 of segment 1"
    ),
    encode(said(disclosed_vendors=None)): (
        "expected a segment of disclosed vendors, as TCF 2.3 asks for since 2026-03-01, got none"
        " - at bit 0 of segment 3"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "why"), WRONG.items(), ids=range(len(WRONG)))
def test_a_refusal_says_what_was_expected_what_came_and_where(text: str, why: str) -> None:
    assert refusal(text) == why


def test_ranges_that_are_not_there_are_refused_before_they_are_read() -> None:
    announced = core(said())[:213] + f"{0xFFFF:016b}1{4_095:012b}"

    assert "expected 4095 entries, got" in refusal(characters(announced + "0" * 99))
    cut = core(said())[:213] + f"{900:016b}1{2:012b}" + f"1{1:016b}{2:016b}" + "1" + "0" * 9
    assert "expected 33 bits of an entry, got" in refusal(characters(cut))


def test_what_is_too_long_is_not_looked_at() -> None:
    assert "expected at most 4096 characters, got 4097" in refusal("\0" * (MAX_CHARACTERS + 1))


@pytest.mark.parametrize("made_s", [DISCLOSED_FROM_S - 0.1, DISCLOSED_FROM_S])
def test_disclosed_vendors_are_asked_for_since_march_2026(made_s: float) -> None:
    old = MADE_S - 400 * 86_400
    for tc in (
        said(created_s=made_s, last_updated_s=old, disclosed_vendors=None),
        said(created_s=old, last_updated_s=made_s, disclosed_vendors=None),
    ):
        if made_s < DISCLOSED_FROM_S:
            assert decode(encode(tc)) == tc
        else:
            assert "disclosed vendors" in refusal(encode(tc))


def test_only_disclosed_vendors_of_old_may_lack_the_end_of_their_field() -> None:
    early = "001" + section(among(733))[:45]
    old = said(created_s=0.0, last_updated_s=0.0, disclosed_vendors=None, publisher_tc=None)
    new = said(disclosed_vendors=None, publisher_tc=None)

    read = decode(f"{encode(old)}.{characters(early)}").disclosed_vendors
    assert read == Vendors(733)
    assert "733 bits of BitField" in refusal(f"{encode(new)}.{characters(early)}")
    allowed = "010" + early[3:]
    assert "733 bits of BitField" in refusal(f"{encode(old)}.{characters(allowed)}")
    assert "bits of MaxVendorId" in refusal(f"{encode(old)}.{characters(early[:12])}")


@given(VENDORS, st.integers(-2, 0x10001))
def test_a_vendor_is_among_those_that_the_bits_name(vendors: Vendors, id_: int) -> None:
    assume(vendors.most)
    named = {vendors.most - bit for bit in range(vendors.most) if vendors.field >> bit & 1} | {
        n for first, last in vendors.ranges for n in range(first, last + 1)
    }

    assert (id_ in vendors) is (id_ in named)


def test_the_work_is_bounded_by_the_bits_however_wide_the_ranges_are() -> None:
    everyone = ranges(*[(1, 0xFFFF)] * 180, most=0xFFFF)
    tc = said(
        vendor_consents=everyone,
        vendor_legitimate_interests=everyone,
        disclosed_vendors=everyone,
        publisher_restrictions=(Restriction(1, 0, Vendors(0xFFFF, ranges=everyone.ranges[:20])),),
    )

    read = decode(encode(tc))
    assert read == tc
    assert 40_000 in read.vendor_consents
