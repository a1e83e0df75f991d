"""Values, their octets, and the walk of an option area: vectors first, then properties."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tioption.errors import OptionError
from tioption.layout import EXPERIMENTS
from tioption.option import (
    DEFAULT_KINDS,
    Fault,
    FlowOption,
    Kinds,
    TcpOption,
    Tifid,
    Variant,
    experiment_of,
    parse_hex48,
    walk,
)

tifids = st.builds(Tifid, st.integers(0, 2**48 - 1))
positions = st.integers(0, 2**48 - 1)
flow_options = st.builds(FlowOption, st.sampled_from(Variant), tifids, positions, positions)

# The options of the paper's traces, as octets.
VECTORS = [
    ("fd144b220900000000000000001f000000000000", "flow-d tifid 4b2209000000 tiseq 00000000001f tiack 000000000000"),
    ("fd140a453000000000000000001d000000000000", "flow-d tifid 0a4530000000 tiseq 00000000001d tiack 000000000000"),
    ("fd140a4530be79bf00000000001f00000000001d", "flow-d tifid 0a4530be79bf tiseq 00000000001f tiack 00000000001d"),
    ("fe14ffffffffffffffffffffffff800000000000", "flow-c tifid ffffffffffff tiseq ffffffffffff tiack 800000000000"),
]


@pytest.mark.parametrize(("octets", "text"), VECTORS)
def test_vectors_both_ways(octets: str, text: str) -> None:
    option = FlowOption.parse(bytes.fromhex(octets))
    assert str(option) == text
    assert bytes(option).hex() == octets
    words = text.split()
    again = FlowOption(
        Variant(words[0]),
        Tifid.from_text(words[2]),
        parse_hex48(words[4], "tiseq", 8),
        parse_hex48(words[6], "tiack", 14),
    )
    assert again == option


class TestTifid:
    def test_halves(self) -> None:
        tifid = Tifid(0x0A4530BE79BF)
        assert (tifid.first, tifid.second) == (0x0A4530, 0xBE79BF)
        assert tifid == Tifid.from_halves(0x0A4530, 0xBE79BF)
        assert str(tifid) == "0a4530be79bf"

    @pytest.mark.parametrize(
        ("value", "complete"), [(0x0A4530BE79BF, True), (0x0A4530000000, False), (0x000000BE79BF, False), (0, False)]
    )
    def test_is_complete_with_both_halves(self, value: int, complete: bool) -> None:
        assert Tifid(value).is_complete is complete

    @given(tifids)
    def test_text_round_trip(self, tifid: Tifid) -> None:
        assert len(str(tifid)) == 12
        assert Tifid.from_text(str(tifid)) == tifid

    @pytest.mark.parametrize(
        "text", ["0a4530be79b", "0a4530be79bf0", "", "0a4530be79bg", " a4530be79bf", "0x0a4530be79"]
    )
    def test_anything_but_twelve_digits_is_refused(self, text: str) -> None:
        with pytest.raises(OptionError, match=r"octet 2: expected 12 hexadecimal digits of tifid, found") as caught:
            Tifid.from_text(text)
        assert caught.value.offset == 2

    @pytest.mark.parametrize("value", [-1, 2**48])
    def test_out_of_range(self, value: int) -> None:
        with pytest.raises(OptionError, match="48 bits"):
            Tifid(value)

    @pytest.mark.parametrize(("first", "second"), [(2**24, 0), (1, 2**24), (-1, 0)])
    def test_halves_out_of_range(self, first: int, second: int) -> None:
        with pytest.raises(OptionError, match="24 bits"):
            Tifid.from_halves(first, second)


class TestFlowOption:
    @given(flow_options, st.sampled_from([DEFAULT_KINDS, Kinds(77, 78), Kinds(254, 253)]))
    def test_octets_round_trip(self, option: FlowOption, kinds: Kinds) -> None:
        octets = option.encode(kinds)
        assert len(octets) == 20
        if experiment_of(octets) is None:
            assert FlowOption.parse(octets, kinds) == option

    @given(flow_options)
    def test_is_a_value(self, option: FlowOption) -> None:
        for other in (copy.copy(option), copy.deepcopy(option), pickle.loads(pickle.dumps(option)), option.replace()):
            assert other == option
            assert hash(other) == hash(option)
        assert option != option.replace(tiseq=option.tiseq ^ 1)
        assert option != bytes(option)

    def test_is_immutable(self) -> None:
        option = FlowOption(Variant.FLOW_D, Tifid(1), 2, 3)
        with pytest.raises(AttributeError, match="immutable"):
            option.tiseq = 5
        with pytest.raises(AttributeError, match="immutable"):
            del option.tifid.value
        assert option.tiseq == 2

    def test_has_no_order(self) -> None:
        option = FlowOption(Variant.FLOW_D, Tifid(1), 2, 3)
        with pytest.raises(TypeError):
            option < option  # type: ignore[operator]  # noqa: B015, PLR0124

    @pytest.mark.parametrize("field", ["tiseq", "tiack"])
    @pytest.mark.parametrize("value", [-1, 2**48])
    def test_positions_out_of_range(self, field: str, value: int) -> None:
        with pytest.raises(OptionError, match=f"a {field} of 48 bits"):
            FlowOption(Variant.FLOW_D, Tifid(1), 0, 0).replace(**{field: value})

    @pytest.mark.parametrize(
        ("octets", "message"),
        [
            ("", "octet 0: expected 20 octets, found none"),
            ("08", "octet 0: expected kind 253 (flow-d) or 254 (flow-c), found 8"),
            ("fd", "octet 1: expected 20 octets, found the end after 1"),
            ("fd16" + "00" * 18, "octet 1: expected length 20, found 22"),
            ("fd14" + "11" * 10, "octet 12: expected 20 octets, found the end after 12"),
            ("fd14" + "11" * 19, "octet 20: expected the end of the option, found 1 more octets"),
            ("fe14f989" + "11" * 16, "octet 2: expected a TIFID, found the experiment identifier of tfo (RFC 6994)"),
        ],
    )
    def test_errors_say_expected_found_and_where(self, octets: str, message: str) -> None:
        with pytest.raises(OptionError) as caught:
            FlowOption.parse(bytes.fromhex(octets))
        assert str(caught.value) == message

    @given(st.binary(max_size=44))
    def test_parse_accepts_or_refuses_but_never_fails_otherwise(self, octets: bytes) -> None:
        try:
            option = FlowOption.parse(octets)
        except OptionError as error:
            assert 0 <= error.offset <= len(octets)  # noqa: PT017  either is fine, but nothing else
        else:
            assert bytes(option) == octets


class TestForeignUses:
    """SPEC: ours only with a configured kind, length 20, and no known identifier at a length it uses."""

    def test_fast_open_with_a_cookie_of_sixteen_octets_is_not_ours(self) -> None:
        octets = bytes.fromhex("fe14f989") + bytes(range(16))
        (option,) = walk(octets)
        assert option.flow is None
        assert option.experiment == "tfo"

    def test_identifier_at_a_length_its_experiment_does_not_use_is_ours(self) -> None:
        octets = bytes.fromhex("fd14e2d4c3d9") + bytes(14)
        (option,) = walk(octets)
        assert option.flow is not None
        assert option.experiment is None

    def test_experiment_identifiers_exist_only_on_the_experimental_kinds(self) -> None:
        octets = bytes.fromhex("4d14f989") + bytes(16)
        (option,) = walk(octets, kinds=Kinds(0x4D, 0x4E))
        assert option.flow is not None

    def test_configured_away_kinds_are_foreign(self) -> None:
        octets = bytes(FlowOption(Variant.FLOW_D, Tifid(0x123456789ABC), 1, 2))
        (option,) = walk(octets, kinds=Kinds(77, 78))
        assert (option.flow, option.experiment, option.fault) == (None, None, None)

    @pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment[0])
    @pytest.mark.parametrize("kind", [253, 254])
    def test_every_known_experiment_is_named(
        self, kind: int, experiment: tuple[str, str, bytes, tuple[int, ...], tuple[int, ...] | None]
    ) -> None:
        name, _, exid, kinds, lengths = experiment
        for length in lengths or (2 + len(exid), 20, 30):
            octets = bytes((kind, length)) + exid + bytes(length - 2 - len(exid))
            (option,) = walk(octets)
            assert option.experiment == (name if kind in kinds else None)
            assert (option.flow is None) == (kind in kinds or length != 20)

    @pytest.mark.parametrize("length", [8, 19, 21, 22])
    def test_other_lengths_are_not_ours(self, length: int) -> None:
        octets = bytes((253, length)) + bytes(range(1, length - 1))
        assert all(option.flow is None for option in walk(octets))


FLOW = "fd140a4530be79bf00000000001f00000000001d"


class TestWalk:
    @given(st.binary(max_size=44), st.one_of(st.none(), st.integers(0, 44)))
    def test_is_lossless_and_never_raises(self, area: bytes, length: int | None) -> None:
        options = list(walk(area, length))
        assert b"".join(option.octets for option in options) == area[:length]
        at = 0
        for option in options:
            assert option.offset == at
            at += len(option.octets)
        stops = [option.fault in {Fault.BAD_LENGTH, Fault.PAST_END, Fault.CUT} for option in options]
        assert not any(stops[:-1])
        if length is not None and length > len(area) and (not stops or options[-1].fault is Fault.CUT):
            assert options[-1].fault is Fault.CUT

    @given(st.lists(flow_options, max_size=2), st.lists(st.just(b"\x01"), max_size=3))
    def test_finds_what_was_put_in(self, flows: list[FlowOption], padding: list[bytes]) -> None:
        flows = [flow for flow in flows if experiment_of(bytes(flow)) is None]
        area = b"".join(padding) + b"".join(map(bytes, flows))
        assert [option.flow for option in walk(area) if option.flow is not None] == flows

    @pytest.mark.parametrize(
        ("area", "length", "expected"),
        [
            ("", None, []),
            ("0101", None, [(1, 0, "01", None), (1, 1, "01", None)]),
            ("020405b4" + FLOW, None, [(2, 0, "020405b4", None), (253, 4, FLOW, None)]),
            ("0200", None, [(2, 0, "0200", Fault.BAD_LENGTH)]),
            ("01080101", None, [(1, 0, "01", None), (8, 1, "080101", Fault.BAD_LENGTH)]),
            ("080a0001", None, [(8, 0, "080a0001", Fault.PAST_END)]),
            ("01fd", None, [(1, 0, "01", None), (253, 1, "fd", Fault.PAST_END)]),
            ("0000", None, [(0, 0, "0000", None)]),
            ("0001ff", None, [(0, 0, "00", None), (None, 1, "01ff", Fault.AFTER_EOL)]),
            ("020405b4fd14", 24, [(2, 0, "020405b4", None), (253, 4, "fd14", Fault.CUT)]),
            ("fd", 20, [(253, 0, "fd", Fault.CUT)]),
            ("020405b4", 24, [(2, 0, "020405b4", None), (None, 4, "", Fault.CUT)]),
            ("", 20, [(None, 0, "", Fault.CUT)]),
            ("00", 4, [(0, 0, "00", None), (None, 1, "", Fault.CUT)]),
            (FLOW, 12, [(253, 0, FLOW[:24], Fault.PAST_END)]),
        ],
    )
    def test_vectors(
        self, area: str, length: int | None, expected: list[tuple[int | None, int, str, Fault | None]]
    ) -> None:
        found = [
            (option.kind, option.offset, option.octets.hex(), option.fault)
            for option in walk(bytes.fromhex(area), length)
        ]
        assert found == expected

    def test_flow_option_behind_eol_is_not_one(self) -> None:
        options = list(walk(bytes.fromhex("00" + FLOW)))
        assert options[-1] == TcpOption(None, 1, bytes.fromhex(FLOW), Fault.AFTER_EOL)
