"""`tiopt conform` as far as it goes without a host: the list, mistakes, hosts that are not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Outcome
from tioption.conform import CHECKS, UNTESTABLE
from tioption.rules import RULES

Run = Callable[..., Outcome]


def test_the_list_has_every_rule(tiopt: Run) -> None:
    status, out, err = tiopt("conform", "--list")
    assert (status, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == [*RULES]
    assert "RES-05  tested  A resume of a flow that the host does not know is answered by RST" in out
    assert "RES-06  -       this rule asks something of the host that resumes the flow" in out
    rows = [json.loads(line) for line in tiopt("conform", "--list", "--format", "json").out.splitlines()]
    assert [row["rule"] for row in rows] == [*RULES]
    assert {row["rule"] for row in rows if row["tested"]} == set(CHECKS)
    assert all(row["text"] for row in rows)


def test_the_list_of_some(tiopt: Run) -> None:
    out = tiopt("conform", "--list", "--only", "res-05,EST-05", "--only", "RES-04").out
    assert [line.split()[0] for line in out.splitlines()] == ["EST-05", "RES-04", "RES-05"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "expected a host and a port"),
        (("192.0.2.1",), "expected a host and a port"),
        (("192.0.2.1", "7", "8"), "expected a host and a port"),
        (("192.0.2.1", "0"), "expected a port from 1 to 65535, found 0"),
        (("no host", "7"), "no host: no address has this name"),
        (("192.0.2.1", "7", "--only", "EST-99"), "--only EST-99: no such rule; the nearest are EST-09"),
        (("192.0.2.1", "7", "--only", "xyz"), "--only xyz: no such rule; --list has all of them"),
        (("192.0.2.1", "7", "--only", "RES-06"), "--only RES-06: cannot be tested from outside"),
        (("192.0.2.1", "7", "--kind-d", "254"), "--kind-d and --kind-c must differ"),
        (("--list", "--format", "junit"), "--list prints text or json"),
        (("192.0.2.1", "7", "--timeout", "0"), "--timeout"),
        (("-6", "192.0.2.1", "7"), "no address of IPv6 has this name"),
    ],
)
def test_mistakes(words: tuple[str, ...], complaint: str, tiopt: Run) -> None:
    status, out, err = tiopt("conform", *words)
    assert (status, out) == (2, "")
    assert complaint in err


def test_a_folder_that_cannot_be_made(tiopt: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, out, err = tiopt("conform", "--pcap-dir", tmp_path / "file", "192.0.2.1", 7)
    assert (status, out) == (2, "")
    assert err == f"tiopt conform: --pcap-dir {tmp_path}/file: file exists\n"


def test_every_untestable_rule_says_why_as_the_end_of_a_sentence() -> None:
    for why in UNTESTABLE.values():
        assert why[0].islower()
        assert not why.endswith(".")
