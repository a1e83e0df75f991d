"""Boxes from text and by chance, and what is said of text that names none."""

from __future__ import annotations

from random import Random

import pytest

from tests.middlebox.packets import made, packet
from tioption.capture.segment import SYN
from tioption.errors import ParseError
from tioption.middlebox import BOXES, FAMILIES, parse_box, parse_chain, random_chain, random_specs
from tioption.middlebox.links import Delay, Lose, Queue
from tioption.middlebox.parameters import BITS, SHARE, TIME, whole
from tioption.rules import RULES


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("", "expected the name of a box"),
        ("nap", "expected the name of a box (nat?), found 'nap'"),
        ("qqqqq", "expected the name of a box (strip, overwrite, alter"),
        ("nat:forgt=2", "expected a parameter of nat (forget"),
        ("nat:forget=2", "expected forget=a time such as 10ms or 2s, found '2'"),
        ("nat:forget=", "expected forget=a time such as 10ms or 2s, found ''"),
        ("delay:-1ms", "expected time=a time"),
        ("lose:200%", "expected rate=a share such as 5% or 0.05, found '200%'"),
        ("lose:rate=5%,what", "expected a parameter of lose"),
        ("nat:address=::1", "expected an IPv4 address as address, found ::1"),
        ("nat:address=1.2.3", "expected address=an IPv4 or IPv6 address, found '1.2.3'"),
        ("strip:segment", "expected segment=all or syn or syn-ack or ack, found ''"),
        ("mss:5", "expected most=a whole number from 88 to 65495, found '5'"),
        ("queue:0", "expected rate=bits a second such as 512k or 10Mbit, found '0'"),
        ("isn:sack=maybe", "expected sack=yes or no, found 'maybe'"),
    ],
)
def test_text_that_is_no_box(spec: str, complaint: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_box(spec, Random(1))
    assert complaint in str(caught.value)
    assert caught.value.where == spec


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (TIME, "10ms", 10_000_000),
        (TIME, "1.5s", 1_500_000_000),
        (TIME, "3us", 3000),
        (TIME, "7ns", 7),
        (TIME, "2m", 120_000_000_000),
        (TIME, "1h", 3_600_000_000_000),
        (SHARE, "5%", 0.05),
        (SHARE, "0.5", 0.5),
        (SHARE, "100%", 1.0),
        (BITS, "512k", 512_000),
        (BITS, "10Mbit", 10_000_000),
        (BITS, "1.5G", 1_500_000_000),
        (BITS, "9600", 9600),
        (whole(0, 300), "0x100", 256),
    ],
)
def test_values(kind: object, text: str, value: object) -> None:
    assert kind.read(text) == value  # type: ignore[attr-defined]


def test_the_first_parameter_needs_no_name_and_a_switch_no_value() -> None:
    assert isinstance(made("delay:10ms,order=no"), Delay)
    assert isinstance(made("queue:10M,size=2000"), Queue)
    assert isinstance(made("lose:5%"), Lose)
    for spec in ("flip:fix", "flip:fix,rate=2%", "flip:2%,fix"):
        assert vars(made(spec))["_fix"] is True
    assert vars(made("flip"))["_fix"] is False


@pytest.mark.parametrize("name", BOXES)
def test_every_entry_is_whole(name: str) -> None:
    entry = BOXES[name]
    assert entry.text.endswith(".")
    assert set(entry.rules) <= set(RULES)
    assert made(name) is not None
    for parameter in entry.parameters:
        assert parameter.text.endswith((".", "?"))
        for value in parameter.usual:
            if value:
                assert made(f"{name}:{parameter.name}={value}") is not None
        # Said once and for all: a default is what the text of it means.
        if parameter.default is not None:
            assert parameter.value(parameter.default) is not None


def test_every_family_has_boxes_and_the_order_is_theirs() -> None:
    modules = [entry.make.__module__ for entry in BOXES.values()]
    assert list(dict.fromkeys(modules)) == [family.__name__ for family in FAMILIES]


def test_chains_by_chance() -> None:
    drawn = [random_specs(Random(seed)) for seed in range(400)]
    assert {spec.partition(":")[0] for specs in drawn for spec in specs} == set(BOXES)
    assert {len(specs) for specs in drawn} == {0, 1, 2, 3}
    assert not any("fix=yes" in spec for specs in drawn for spec in specs)
    for seed, specs in enumerate(drawn):
        assert len(parse_chain(specs, Random(1)).boxes) == len(specs)
        assert random_specs(Random(seed)) == specs
    raw = packet("ab", SYN, 5)
    for seed in range(50):
        one, other = (random_chain(Random(seed)).process(raw, "ab", 5) for _ in range(2))
        assert one == other
