"""`tiopt explain`: options and headers, octet by octet."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ROOT, Outcome, tiopt_process
from tioption.render.explanation import explain_header, explain_options

Run = Callable[..., Outcome]
OPTION = "fd140a4530be79bf00000000001d00000000001f"


def test_an_option(tiopt: Run) -> None:
    status, out, err = tiopt("explain", OPTION)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "one TCP option, 20 octets"
    rows = [line.split(None, 1) for line in lines[3:]]
    assert [row[0] for row in rows] == ["0", "1", "2-4", "5-7", "8-13", "14-19"]
    assert "253 = flow-d" in lines[3]
    assert "tifid.second  be79bf" in lines[6]
    assert "tiack         00000000001f" in lines[8]


@pytest.mark.parametrize(
    "words",
    [
        [OPTION.upper()],
        ["0x" + OPTION],
        [OPTION[at : at + 2] for at in range(0, 40, 2)],
        [":".join(OPTION[at : at + 2] for at in range(0, 40, 2))],
        ["0x" + OPTION[:20], "0X" + OPTION[20:]],
        ["-".join(("fd14", OPTION[4:]))],
    ],
)
def test_notations(words: list[str], tiopt: Run) -> None:
    assert tiopt("explain", *words) == tiopt("explain", OPTION)


def header(name: str, frame: int) -> str:
    capture = (ROOT / f"pcaps/{name}/{name}.pcap").read_bytes()
    at = 24
    for _ in range(frame - 1):
        at += 16 + int.from_bytes(capture[at + 8 : at + 12], "little")
    return capture[at + 16 + 34 : at + 16 + int.from_bytes(capture[at + 8 : at + 12], "little")].hex()


def test_a_header(tiopt: Run) -> None:
    _, out, _ = tiopt("explain", header("trace2", 2))
    assert out.startswith("a TCP header of 60 octets\n")
    assert "data offset, flags     60 octets, [S.]" in out
    assert "TS val 138 ecr 109" in out
    assert "42-44   be 79 bf" not in out  # the halves begin at octet 42: 40 of header and options, kind, length
    assert "45-47   be 79 bf" in out


def test_a_header_as_json_with_payload_and_findings(tiopt: Run) -> None:
    _, out, _ = tiopt("explain", "--format", "json", header("trace2", 1) + "aabb")
    explanation = json.loads(out)
    assert explanation["pieces"][-1] == {
        "offset": 60,
        "octets": "aabb",
        "field": "payload",
        "value": "2 octets",
        "meaning": "",
    }
    assert [(found["rule"], found["offset"]) for found in explanation["findings"]] == [("EST-15", 40), ("EST-02", 40)]
    assert "".join(piece["octets"] for piece in explanation["pieces"]) == header("trace2", 1) + "aabb"


def test_a_header_may_be_named_as_options(tiopt: Run) -> None:
    assert tiopt("explain", "--as", "option", header("trace2", 2)).out.startswith("2 TCP options, 60 octets")


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        ("fe14f989" + "00" * 16, "TCP Fast Open (RFC 6994 experiment), not a flow option"),
        ("fd16" + "11" * 20, "a kind of ours without its length of 20: not a flow option (OPT-01)"),
        ("fd14" + "11" * 10, "runs past the end of the header"),
        ("0200", "length octet below 2"),
        ("020405b4", "mss 1460"),
        ("0001", "octets after the end-of-list option"),
        ("fd14000000be79bf" + "00" * 12, "OPT-06 violation: first half of the TIFID is zero"),
    ],
)
def test_what_is_said_of_octets(octets: str, said: str, tiopt: Run) -> None:
    status, out, _ = tiopt("explain", octets)
    assert status == 0
    assert said in out


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_terminal_that_knows_only_ascii(form: str) -> None:
    done = tiopt_process("explain", "--format", form, OPTION, env={"PYTHONIOENCODING": "ascii"})
    assert (done.status, done.err) == (0, "")
    if form == "json":
        assert json.loads(done.out)["pieces"][2]["value"] == "0a4530"


def test_other_kinds(tiopt: Run) -> None:
    out = tiopt("explain", "--kind-c", 77, "4d14" + OPTION[4:]).out
    assert "77 = flow-c" in out
    assert "as configured kind of flow-c" in out


@given(st.binary(min_size=1, max_size=80))
def test_pieces_are_the_octets(octets: bytes) -> None:
    assert b"".join(piece.octets for piece in explain_options(octets).pieces) == octets


@given(st.binary(min_size=20, max_size=80))
def test_pieces_of_a_header_are_its_octets(octets: bytes) -> None:
    pieces = explain_header(octets).pieces
    at = 0
    for piece in pieces:
        assert piece.offset == at
        at += len(piece.octets)
    assert octets.startswith(b"".join(piece.octets for piece in pieces))
