"""The codec of many options against the codec of one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tioption.columns import OPTION, WIRE, decode_options, encode_options
from tioption.errors import OptionError
from tioption.layout import FIELDS, LENGTH, unpack
from tioption.option import FlowOption, Tifid, Variant


def test_the_dtypes_are_the_fields_of_the_definition() -> None:
    names = tuple(name for name, *_ in FIELDS if "." not in name)
    assert OPTION.names == WIRE.names == names
    assert WIRE.itemsize == LENGTH
    assert WIRE.fields is not None
    ends = {name: WIRE.fields[name][1] + WIRE.fields[name][0].itemsize for name in names}
    assert ends == {name: offset + octets for name, offset, octets, _ in FIELDS if "." not in name}


@given(st.lists(st.binary(min_size=LENGTH, max_size=LENGTH), max_size=30))
def test_decoded_as_one_by_one(options: list[bytes]) -> None:
    octets = b"".join(options)
    made = decode_options(octets)
    assert made.tolist() == [unpack(option) for option in options]
    assert decode_options(bytearray(octets)).tolist() == made.tolist()
    assert decode_options(np.frombuffer(octets, np.uint8).reshape(-1, LENGTH)).tolist() == made.tolist()


@given(st.lists(st.binary(min_size=LENGTH, max_size=LENGTH), max_size=30))
def test_encoded_is_what_was_decoded(options: list[bytes]) -> None:
    expected = b"".join(option[:1] + bytes((LENGTH,)) + option[2:] for option in options)
    assert encode_options(decode_options(b"".join(options))).tobytes() == expected


def test_more_options_than_are_worked_on_at_a_time() -> None:
    octets = np.random.default_rng(1).integers(0, 256, (50_000, LENGTH), np.uint8)
    octets[:, 1] = LENGTH
    made = decode_options(octets)
    assert made[::4999].tolist() == [unpack(row.tobytes()) for row in octets[::4999]]
    assert np.array_equal(encode_options(made), octets)
    assert np.array_equal(decode_options(octets[::-1]), made[::-1])


def test_columns_of_any_kind_are_encoded() -> None:
    made = encode_options({"kind": 253, "tifid": [1, 2**48 - 1], "tiseq": np.array([3, 4], "i4"), "tiack": 5})
    options = [FlowOption(Variant.FLOW_D, Tifid(tifid), tiseq, 5) for tifid, tiseq in ((1, 3), (2**48 - 1, 4))]
    assert [row.tobytes() for row in made] == [bytes(option) for option in options]


GOOD = {"kind": 253, "tifid": [1, 2], "tiseq": [1, 2], "tiack": [1, 2]}


@pytest.mark.parametrize(
    ("name", "value", "offset", "found"),
    [
        ("tifid", [1, 2**48], 2, "0x1000000000000"),
        ("tiseq", [-1, 5], 8, "-0x1"),
        ("tiack", 2**64 - 1, 14, "0xffffffffffffffff"),
        ("kind", [3, 256], 0, "0x100"),
        ("tiack", [1.0, 2.0], 14, "float64"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, value: object, offset: int, found: str) -> None:
    with pytest.raises(OptionError) as error:
        encode_options({**GOOD, name: value})
    assert (error.value.offset, error.value.found) == (offset, found)


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shape mismatch"):
        encode_options({**GOOD, "tiack": [1, 2, 3]})


@pytest.mark.parametrize("octets", [bytes(19), bytes(21), np.zeros((2, 10), np.uint8), np.zeros((3, 19), np.uint8)])
def test_parts_of_options_are_refused(octets: bytes) -> None:
    with pytest.raises(OptionError, match="20 octets an option"):
        decode_options(octets)
