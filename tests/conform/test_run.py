"""Runs against hosts that are not ours: without the option or a service, behind bad paths, out of their minds."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conform.hosts import CONFIG, Service, run_of, service, verdicts
from tests.endpoint.hosts import Silent
from tioption.capture.segment import ACK, FIN, PSH, RST, SYN
from tioption.conform import CHECKS, Run, Verdict
from tioption.endpoint import Stack
from tioption.middlebox import parse_box
from tioption.option import FlowOption, Tifid, Variant
from tioption.packet import TcpHeader, read_ip, read_tcp, write_ip, write_tcp
from tioption.seq import SEQ32

_OF_TCP = ["EST-03", "LEG-02", "LEG-08"]


def reasons(run: Run) -> set[str]:
    return {result.reason for result in run.results if result.verdict is Verdict.NOT_APPLICABLE}


def test_a_host_without_the_option() -> None:
    run = run_of(service(config=replace(CONFIG, enabled=False)))
    found = verdicts(run.results)
    assert (found[Verdict.PASS], found[Verdict.FAIL]) == (_OF_TCP, [])
    assert {"the host does not speak the option: its SYN-ACK has none"} == {
        reason for reason in reasons(run) if "--variant" not in reason
    }


def test_a_host_of_the_other_variant() -> None:
    found = verdicts(run_of(service(), variant=Variant.FLOW_C).results)
    assert (found[Verdict.PASS], found[Verdict.FAIL]) == (_OF_TCP, [])


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ("echo", "the SYN's own option: an echo, not support (LEG-07)"),
        ("strip:segment=syn-ack", "its SYN-ACK has none"),
        ("drop-unknown", "it answers a SYN with it by no answer"),
    ],
)
def test_paths_that_harm_the_option(box: str, reason: str) -> None:
    boxes = [parse_box(box, Random(1))]
    host = service(config=replace(CONFIG, enabled=box != "echo"))
    run = run_of(host, boxes=boxes)
    assert any(reason in one for one in reasons(run))
    assert verdicts(run.results)[Verdict.FAIL] in ([], ["LEG-08"] if box == "drop-unknown" else [])


def test_a_service_that_says_nothing() -> None:
    run = run_of(service(echo=False))
    found = verdicts(run.results)
    assert found[Verdict.FAIL] == []
    assert sorted(found[Verdict.NOT_APPLICABLE]) == ["CTL-03", "MAP-04", "MAP-08"]


@pytest.mark.parametrize(
    "boxes", [["lose:2%"], ["duplicate:10%"], ["reorder:10%"], ["isn"], ["delay:50ms,jitter=20ms"]]
)
def test_a_bad_path_is_not_the_host_s_fault(boxes: list[str]) -> None:
    run = run_of(service(), boxes=[parse_box(box, Random(3)) for box in boxes])
    assert verdicts(run.results)[Verdict.FAIL] == []


def test_only_some_and_what_they_leave() -> None:
    run = run_of(service(), only=["RES-05", "EST-05"])
    assert sorted(result.rule for result in run.results) == ["EST-05", "RES-05"]
    for result in run.results:
        times = [time for time, _ in result.packets]
        assert times == sorted(times)
        assert len(times) >= 3


class Mad(Silent):
    """A host that answers each segment with anything."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.mostly = self.random.choice([SYN | ACK, ACK, RST | ACK, FIN | ACK, None])
        self.out: list[bytes] = []
        self.budget = 3000

    def packets_to_send(self, now: int) -> list[bytes]:
        out, self.out = self.out, []
        return out

    def receive_packet(self, packet: bytes, now: int) -> None:
        random = self.random
        if self.budget <= 0:
            return
        self.budget -= 1
        if random.random() < 0.05:
            self.out.append(random.randbytes(random.randrange(80)))
            return
        ip = read_ip(packet)
        ports, header, payload = read_tcp(ip.source, ip.destination, ip.payload)
        flags = self._flags(header)
        seq = random.choice([header.ack, 0, random.getrandbits(32)]) if header.flags & ACK else random.getrandbits(32)
        ack = random.choice([SEQ32.add(header.seq, 1 + len(payload)), header.seq, random.getrandbits(32)])
        said = TcpHeader(seq, ack, flags, 65535, self._area(header))
        text = random.choice([b"", payload, random.randbytes(random.randrange(40))])
        self.out.append(write_ip(ip.destination, ip.source, write_tcp(ports.back, said, text)))

    def _flags(self, header: TcpHeader) -> int:
        if header.flags & SYN and self.random.random() < 0.7:
            return SYN | ACK
        if self.mostly is not None and self.random.random() < 0.6:
            return self.mostly
        return self.random.choice([SYN, SYN | ACK, ACK, PSH | ACK, FIN | ACK, RST, RST | ACK, 0])

    def _area(self, header: TcpHeader) -> bytes:
        random = self.random
        draw = random.random()
        if draw < 0.3:
            return random.randbytes(random.randrange(41))
        offered = header.options[-20:]
        if draw < 0.7 and len(offered) == 20 and offered[:2] in (b"\xfd\x14", b"\xfe\x14"):
            option = FlowOption.parse(offered)
            half = option.tifid.second or random.getrandbits(24)
            position = option.tiack or random.getrandbits(48)
            whole = Tifid.from_halves(option.tifid.first, half)
            return FlowOption(option.variant, whole, position, option.tiseq).encode()
        return b""


def test_nobody_answers() -> None:
    run = run_of(Silent())
    assert str(run.unreachable) == "expected a SYN-ACK from the host, found no answer"
    assert run.results == []


def test_a_closed_port() -> None:
    random = Random(1)
    stack = Stack(["198.51.100.2"], CONFIG, bits=random.getrandbits, secret=random.randbytes(16))
    run = run_of(Service(stack, port=8))
    assert str(run.unreachable) == "expected a SYN-ACK from the host, found a RST"


@settings(max_examples=40)
@given(st.integers(0, 1 << 32))
def test_mad_hosts_get_verdicts(seed: int) -> None:
    run = run_of(Mad(seed))
    if run.unreachable is None:
        assert {result.rule for result in run.results} == set(CHECKS)
