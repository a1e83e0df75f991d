"""Translation and what is left of it when the box forgets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.middlebox.packets import A6, OFFER, TIMES, A, Out, made, only, packet, read, through
from tioption.build.packet import Host
from tioption.capture.segment import ACK, RST, SYN
from tioption.middlebox import Middlebox, Way
from tioption.middlebox.nat import Nat

S = 1_000_000_000
OUTSIDE = Host("203.0.113.1", 0, b"")
OUTSIDE6 = Host("2001:db8:cb00::1", 0, b"")


def back(port: int, flags: int = ACK, *, six: bool = False, **more: object) -> bytes:
    """What B sends to a port of the NAT."""
    return packet("ba", flags, 9000, 101, client=(OUTSIDE6 if six else OUTSIDE)._replace(port=port), six=six, **more)


def opened(box: Middlebox, client: Host = A, now_ns: int = 0) -> int:
    """The port outside of a connection that a host opens."""
    return only(box, "ab", packet("ab", SYN, 100, client=client, six=client is A6), now_ns).sport


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("ports", ["preserve", "random"])
def test_both_ways_are_translated(ports: str, six: bool) -> None:
    box = made(f"nat:ports={ports}")
    out = only(box, "ab", packet("ab", SYN, 100, six=six, options=OFFER))
    assert out.src.hex() == ("20010db8cb0000000000000000000001" if six else "cb007101")
    assert (out.sport == 40000) == (ports == "preserve")
    assert (out.options, out.dport) == (OFFER, 443)
    inside = only(box, "ba", back(out.sport, SYN | ACK, six=six, options=OFFER))
    original = read(packet("ab", SYN, six=six))
    assert (inside.dst, inside.dport, inside.src) == (original.src, 40000, original.dst)


def test_other_addresses() -> None:
    out = only(made("nat:address=192.0.2.99,address6=2001:db8::99"), "ab", packet("ab", SYN))
    assert out.src == bytes((192, 0, 2, 99))


HOSTS = [
    A._replace(address=f"10.0.{high}.{low}", port=port) for high in (0, 1) for low in (1, 2) for port in (5000, 5001)
]


@given(
    seed=st.integers(0, 99),
    ports=st.sampled_from(["preserve", "random"]),
    order=st.lists(st.sampled_from(HOSTS), max_size=30),
)
def test_translation_is_a_bijection(seed: int, ports: str, order: list[Host]) -> None:
    """No two hosts share a port, a host keeps its own, and everything comes back to who it is for."""
    box = made(f"nat:ports={ports}", seed)
    outside: dict[Host, int] = {}
    for client in order:
        port = opened(box, client)
        assert outside.setdefault(client, port) == port
        assert len(set(outside.values())) == len(outside)
        for host, own in outside.items():
            inside = only(box, "ba", back(own))
            assert inside.dst == bytes(map(int, host.address.split(".")))
            assert inside.dport == host.port


def test_one_port_serves_several_hosts_outside() -> None:
    box = made("nat")
    first = only(box, "ab", packet("ab", SYN))
    other = only(box, "ab", packet("ab", SYN, six=True))
    assert first.sport == other.sport == 40000


REFUSALS: list[tuple[str, list[tuple[Way, int, int, int]]]] = [
    ("silent", []),
    ("rst", [("ba", RST, 9001, 0)]),
    ("both", [("ba", RST, 9001, 0), ("ab", RST | ACK, 101, 9001)]),
]


def told(left: list[Out]) -> list[tuple[Way, int, int, int]]:
    return [(one.way, one.segment.flags, one.segment.seq, one.segment.ack) for one in left]


@pytest.mark.parametrize(("how", "refusal"), REFUSALS, ids=[how for how, _ in REFUSALS])
@pytest.mark.parametrize("trigger", ["command", "forget=2s", "after=3", "timeout=1s"])
def test_what_the_box_forgets(trigger: str, how: str, refusal: list[tuple[Way, int, int, int]]) -> None:
    box = made(f"nat:how={how}" + ("" if trigger == "command" else f",{trigger}"))
    assert isinstance(box, Nat)
    port = opened(box)
    assert only(box, "ba", back(port), S // 2).dport == 40000
    if trigger == "command":
        box.forget()
    assert told(through(box, "ab", packet("ab", ACK, 101, 9001, options=TIMES), 2 * S)) == refusal
    # The other way round both RSTs change their directions, too.
    backward = [("ab", RST, 101, 0), ("ba", RST | ACK, 9000, 101)][: len(refusal)]
    assert told(through(box, "ba", back(port), 2 * S)) == backward
    assert through(box, "ba", back(port, RST), 2 * S) == []  # a RST is never answered
    # A new connection is translated again.
    assert opened(box, now_ns=2 * S) == 40000
    assert only(box, "ba", back(40000), 3 * S).dport == 40000


def test_a_box_forgets_once() -> None:
    box = made("nat:forget=2s,after=5")
    opened(box)
    assert through(box, "ab", packet("ab", ACK, 101, 1), 2 * S) == []
    opened(box, now_ns=2 * S)
    only(box, "ab", packet("ab", ACK, 101, 1), 9 * S)
    assert through(box, "ab", packet("ab", ACK, 101, 1), 9 * S) == []  # the fifth packet
    opened(box, now_ns=9 * S)
    for _ in range(9):
        only(box, "ab", packet("ab", ACK, 101, 1), 9 * S)


def test_traffic_keeps_a_binding() -> None:
    box = made("nat:timeout=1s")
    port = opened(box)
    for second in range(1, 9):
        only(box, "ab", packet("ab", ACK, 101, 1), second * S)
        only(box, "ba", back(port), second * S)


def test_a_loose_box_takes_up_what_it_does_not_know() -> None:
    box = made("nat:loose")
    assert through(box, "ba", back(40000)) == []
    assert only(box, "ab", packet("ab", ACK, 101, 9001)).sport == 40000
    assert only(box, "ba", back(40000)).dport == 40000


def test_memory_is_finite_and_the_oldest_goes() -> None:
    box = made("nat:size=2")
    first, second, third = (A._replace(port=port) for port in (1001, 1002, 1003))
    opened(box, first)
    opened(box, second)
    only(box, "ab", packet("ab", ACK, client=first))  # used since
    opened(box, third)
    assert through(box, "ba", back(1002)) == []
    for port in (1001, 1003):
        assert only(box, "ba", back(port)).dport == port


def test_no_port_is_free() -> None:
    box = made("nat:ports=random,size=100000")
    clients = [A._replace(address=f"10.{at >> 16}.{at >> 8 & 255}.{at & 255}") for at in range(64512)]
    for client in clients[:3]:
        opened(box, client)
    assert isinstance(box, Nat)
    remote = next(iter(box._taken))[0]
    for port in range(1024, 65536):
        box._taken.setdefault((remote, port), read(packet("ab", SYN)).src)  # type: ignore[arg-type]
    assert through(box, "ab", packet("ab", SYN, client=clients[5])) == []


def test_what_is_not_for_the_box_has_no_binding() -> None:
    box = made("nat")
    opened(box)
    assert through(box, "ba", packet("ba", ACK, 9000, 101)) == []
    assert through(box, "ba", back(4)) == []
