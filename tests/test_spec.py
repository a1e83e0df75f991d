"""The definition itself, and the proof that the layout generated from it says the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tioption import layout, spec

bits24 = st.integers(0, 2**24 - 1)
bits48 = st.integers(0, 2**48 - 1)


@given(kind=st.integers(0, 255), first=bits24, second=bits24, tiseq=bits48, tiack=bits48)
def test_layout_and_definition_agree_on_every_value(kind: int, first: int, second: int, tiseq: int, tiack: int) -> None:
    values = {"kind": kind, "tifid": {"first": first, "second": second}, "tiseq": tiseq, "tiack": tiack}
    built = spec.FLOW_OPTION.build(values)
    assert built == layout.pack(kind, first << 24 | second, tiseq, tiack)
    assert layout.unpack(built) == (kind, spec.LENGTH, first << 24 | second, tiseq, tiack)


@given(st.binary(min_size=18, max_size=18), st.binary(max_size=40))
def test_layout_and_definition_agree_on_every_octet_string(octets: bytes, before: bytes) -> None:
    option = octets[:1] + bytes([spec.LENGTH]) + octets
    option = option[: spec.LENGTH]
    parsed = spec.FLOW_OPTION.parse(option)
    kind, length, tifid, tiseq, tiack = layout.unpack(before + option, len(before))
    assert (kind, length, tiseq, tiack) == (parsed.kind, parsed.length, parsed.tiseq, parsed.tiack)
    assert tifid == parsed.tifid.first << 24 | parsed.tifid.second


def test_option_is_twenty_octets_of_documented_fields() -> None:
    assert spec.FLOW_OPTION.sizeof() == spec.LENGTH == layout.LENGTH == 20
    covered = [0] * 20
    for name, offset, octets, doc in layout.FIELDS:
        assert doc, name
        if "." not in name:
            for octet in range(offset, offset + octets):
                covered[octet] += 1
    assert covered == [1] * 20


def test_defaults_are_the_experimental_kinds() -> None:
    assert (layout.KIND_FLOW_D, layout.KIND_FLOW_C) == (253, 254)


@pytest.mark.parametrize(
    ("system", "octets", "left", "fits"),
    [
        ("Linux", 20, 20, True),
        ("FreeBSD", 20, 20, True),
        ("Windows", 12, 28, True),
        ("macOS", 24, 16, False),
        ("OpenBSD", 24, 16, False),
    ],
)
def test_what_a_syn_leaves(system: str, octets: int, left: int, fits: bool) -> None:
    syn = spec.SYN_LAYOUTS[system]
    assert spec.option_octets(syn) == octets
    assert spec.space_left(syn) == left
    assert spec.fits(syn) is fits


@pytest.mark.parametrize("system", spec.SYN_LAYOUTS)
def test_every_syn_fits_once_repacked(system: str) -> None:
    syn = spec.repacked(spec.SYN_LAYOUTS[system])
    assert spec.option_octets(syn) % 4 == 0
    assert spec.fits(syn)
    assert {name for name in syn if name != "nop"} == {
        name for name in spec.SYN_LAYOUTS[system] if name not in {"nop", "eol"}
    }


def test_no_room_for_an_experiment_identifier() -> None:
    full = spec.SYN_LAYOUTS["Linux"]
    assert spec.fits(full, 20)
    assert not spec.fits(full, 22)


def test_experiments_are_distinct_and_their_lengths_hold_the_identifier() -> None:
    assert len({item.exid for item in spec.EXPERIMENTS}) == len({item.name for item in spec.EXPERIMENTS})
    assert len(layout.EXPERIMENTS) == len(spec.EXPERIMENTS)
    for item in spec.EXPERIMENTS:
        assert len(item.exid) in {2, 4}
        assert all(length >= 2 + len(item.exid) for length in item.lengths or ())
