"""Lines for people and rows for programs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.endpoint.hosts import Silent
from tests.probe.paths import CLIENT, PORT, SERVER, Router, probe, server
from tioption.option import Variant
from tioption.probe import Answer, Reply, TargetSeen
from tioption.probe.report import lines, rows, text

BOTH = (Variant.FLOW_D, Variant.FLOW_C)


def test_a_host_that_speaks() -> None:
    assert "".join(text(SERVER, probe(server(), Router(1)).seen)) == (
        "198.51.100.2:443  flow-d  speaks: The host speaks flow-d, and the path lets the option through in the SYN, "
        "the SYN-ACK and the ACK.\n"
        "    control       SYN-ACK, 20.0 ms\n"
        "    SYN           SYN-ACK with the option, as it should be, 20.0 ms\n"
        "    ACK           its option arrived: the flow can be resumed\n"
        "    resume        SYN-ACK with the option, as it should be, 20.0 ms\n"
        "    7 packets sent to 198.51.100.2:443 in 0.11 s\n"
    )


def test_a_path_that_strips() -> None:
    out = "".join(text("host.example", probe(server(), Router(1), "strip", Router(2), ipv6=True).seen))
    assert out == (
        "[2001:db8:2::2]:443 (host.example)  flow-d  stripped-syn: The option is taken out of the SYN between hop 1 "
        "(2001:db8:ffff::1) and hop 2 (2001:db8:ffff::2), so that the host never sees it: connections work, as plain "
        "TCP.\n"
        "    control       SYN-ACK, 20.0 ms\n"
        "    SYN           SYN-ACK without the option, 20.0 ms\n"
        "    unknown flow  SYN-ACK without the option, 20.0 ms\n"
        "    hop 1         2001:db8:ffff::1  the option is there, 5.0 ms\n"
        "    hop 2         2001:db8:ffff::2  the option is gone, 15.0 ms\n"
        "    8 packets sent to [2001:db8:2::2]:443 (host.example) in 0.08 s\n"
    )


def test_a_target_that_is_not_there() -> None:
    assert "".join(text(SERVER, probe(Silent()).seen)) == (
        "198.51.100.2:443  unreachable: Nothing answers, in 3 transmissions, even without the option.\n"
        "    3 packets sent to 198.51.100.2:443 in 4.00 s\n"
    )


def test_every_line_is_to_be_taken_somehow() -> None:
    run = probe(server(), Router(1), variants=BOTH)
    assert [line.mood for line in lines(SERVER, run.seen) if line.indent == 0] == ["good", "plain"]
    run = probe(server(), "drop-unknown")
    assert next(lines(SERVER, run.seen)).mood == "bad"


KEYS = {"host", "address", "port", "source", "variant", "verdict", "text", "rules", "notes", "control", "syn"}
KEYS |= {"ack", "resume", "again", "hops", "packets", "seconds"}


@pytest.mark.parametrize("spec", [(), ("strip",), ("drop-unknown",), ("drop-unknown:rst",), ("echo",)], ids=str)
def test_rows(spec: tuple[str, ...]) -> None:
    run = probe(server(), Router(1), *spec, variants=BOTH)
    found = list(rows("host.example", run.seen))
    assert [row["variant"] for row in found] == ["flow-d", "flow-c"]
    assert [row["verdict"] for row in found] == run.verdicts
    for row in found:
        assert set(row) == KEYS
        assert (row["host"], row["address"], row["port"], row["source"]) == ("host.example", SERVER, PORT, CLIENT)
        assert row["control"]["answer"] == "syn-ack"


def test_values_of_a_row() -> None:
    run = probe(server(), Router(1))
    (row,) = rows(SERVER, run.seen)
    reply: dict[str, Any] = row["syn"]
    answer = run.seen.variants[0].syn
    assert answer is not None
    assert answer.option is not None
    assert reply == {
        "answer": "syn-ack",
        "sent": 1,
        "rtt": 0.02,
        "option": "intact",
        "tifid": str(answer.option.tifid),
        "tiseq": f"{answer.option.tiseq:012x}",
        "tiack": f"{answer.option.tiack:012x}",
        "icmp": None,
        "by": None,
    }
    assert (row["ack"], row["resume"]["tifid"], row["hops"]) == ("arrived", reply["tifid"], [])


def test_a_row_without_variants() -> None:
    seen = TargetSeen(SERVER, PORT, "", control=Reply(Answer.ICMP, 0, icmp="network is unreachable"))
    (row,) = rows(SERVER, seen)
    assert (row["source"], row["variant"], row["syn"], row["hops"]) == (None, None, None, [])
    assert row["text"] == "This machine cannot send there: network is unreachable."
