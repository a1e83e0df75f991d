"""The isolation boundary, rule by rule: two hosts, and a path that breaks in the one way the rule is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.endpoint.hosts import A2, CONFIG, Hosts, config
from tioption.capture.segment import ACK, FIN, PSH, RST, SYN
from tioption.endpoint.config import FlowConfig, TcpConfig
from tioption.endpoint.events import (
    Closed,
    EndReceived,
    Failed,
    FlowBroken,
    FlowResumed,
    Opened,
    ResumeRejected,
    Writable,
)
from tioption.endpoint.isolation import IsolationBoundary
from tioption.endpoint.link import Way
from tioption.endpoint.wire import TcpSegment
from tioption.handshake import Limits
from tioption.handshake.registry import SECOND
from tioption.option import FlowOption, Variant
from tioption.seq import SEQ48


def error(boundary: IsolationBoundary) -> type[Exception] | None:
    return type(boundary.error) if boundary.error is not None else None


def established(**options: Any) -> tuple[Hosts, IsolationBoundary]:
    hosts = Hosts(**options)
    return hosts, hosts.connect()


def reset_both(hosts: Hosts) -> None:
    """A middlebox resets both sides, at exactly the right places."""
    for boundary in (hosts.at_a, hosts.at_b):
        assert boundary is not None
        transport = boundary.transport
        assert transport is not None
        receiver = transport.receiver
        transport.receive_segment(TcpSegment(receiver.seq(receiver.nxt), 0, RST, 0), hosts.now)
        stack = hosts.a if boundary is hosts.at_a else hosts.b
        stack.touch(boundary)


class TestEstablishment:
    def test_a_flow(self) -> None:
        hosts, a = established()
        assert hosts.events[a] == [Opened("flow")]
        assert hosts.events[hosts.at_b] == [Opened("flow")]
        assert a.tifid == hosts.at_b.tifid
        assert a.tifid is not None

    @pytest.mark.parametrize(("a_on", "b_on"), [(True, False), (False, True), (False, False)])
    def test_legacy_where_one_does_not_speak_it(self, a_on: bool, b_on: bool) -> None:
        hosts, a = established(a=replace(CONFIG, enabled=a_on), b=replace(CONFIG, enabled=b_on))
        assert (hosts.events[a], hosts.events[hosts.at_b]) == ([Opened("legacy")], [Opened("legacy")])
        assert (a.tifid, len(hosts.a.registry), len(hosts.b.registry)) == (None, 0, 0)

    def test_off_unless_enabled(self) -> None:
        from tioption.endpoint.config import StackConfig

        assert not StackConfig().enabled

    def test_data_first_where_the_third_ack_is_lost(self) -> None:
        """EST-12."""
        hosts = Hosts()
        hosts.path.loses("ab", ACK, 1)
        hosts.at_a = a = hosts.a.connect("198.51.100.2", 443, hosts.now)
        a.write(b"hello")
        hosts.run(100)
        assert hosts.events[hosts.at_b][0] == Opened("unconfirmed")
        assert hosts.read(hosts.at_b) == b"hello"
        a.resume(hosts.now)
        hosts.run(100)
        assert (a.transports, hosts.at_b.transports) == (2, 2)

    def test_a_syn_ack_that_comes_again_gets_the_same_option(self) -> None:
        """EST-10."""
        hosts = Hosts()
        hosts.path.loses("ab", ACK, 1)
        hosts.connect()
        hosts.run(1100)
        first, again = (option for option in hosts.options("ab") if option.tifid.second)
        assert first == again
        assert hosts.events[hosts.at_b] == [Opened("flow")]

    def test_the_option_is_repeated_until_the_answerer_speaks(self) -> None:
        """EST-13."""
        repeat = config(tcp=TcpConfig(confirm_repeat=True))
        hosts = Hosts(a=repeat, b=repeat)
        hosts.path.loses("ab", ACK, 1)
        hosts.at_a = a = hosts.a.connect("198.51.100.2", 443, hosts.now)
        a.write(b"x" * 3000)
        hosts.run(500)
        a.write(b"y" * 100)
        hosts.run(500)
        carried = [bool(segment.option) for way, _, segment in hosts.path.seen if way == "ab" and segment.payload]
        assert carried == [True, True, True, False]
        assert hosts.events[hosts.at_b][0] == Opened("flow")
        sizes = [len(segment.payload) for way, _, segment in hosts.path.seen if way == "ab" and segment.option]
        assert max(sizes) == 1460 - 12 - 20

    def test_control_never_reaches_a_legacy_host(self) -> None:
        """CTL-03."""
        hosts = Hosts(b=replace(CONFIG, enabled=False))
        hosts.at_a = a = hosts.a.connect("198.51.100.2", 443, hosts.now, variant=Variant.FLOW_C)
        a.write(b"control")
        hosts.seconds(5)
        assert error(a) is ConnectionRefusedError
        assert not hosts.told(a, Opened)
        assert not any(segment.payload for _, _, segment in hosts.path.seen)

    def test_a_listener_takes_the_variant_it_was_asked_for(self) -> None:
        hosts = Hosts(variant=Variant.FLOW_C)
        a = hosts.connect(variant=Variant.FLOW_C)
        assert hosts.events[a] == [Opened("flow")]
        hosts = Hosts(variant=Variant.FLOW_C)  # which is no use for data, nor is plain TCP for control (CTL-03)
        a = hosts.connect()
        assert hosts.events[a][0] == Opened("legacy")
        assert isinstance(a.error, ConnectionResetError)
        assert hosts.accepted == []

    def test_a_refusal_and_silence(self) -> None:
        hosts = Hosts(listen=False)
        assert error(hosts.connect()) is ConnectionRefusedError
        hosts = Hosts(a=config(tcp=TcpConfig(syn_retries=2)))
        hosts.path.loses()
        a = hosts.connect()
        hosts.seconds(10)
        assert error(a) is TimeoutError
        syns = [bool(segment.option) for _, _, segment in hosts.path.seen]
        assert syns == [True, True, False]  # LEG-04


class TestResuming:
    def test_exactly_where_it_stopped(self) -> None:
        """R1, RES-02, MAP-04: the specification's example, with other numbers."""
        hosts, a = established()
        a.write(b"x" * 1000)
        hosts.at_b.write(b"y" * 500)
        hosts.run(100)
        hosts.path.loses()
        a.write(b"lost on the way")
        hosts.at_b.write(b"this, too")
        hosts.run(10)
        a.resume(hosts.now)
        hosts.path.passes()
        hosts.run(1000)
        assert (a.transports, hosts.at_b.transports) == (2, 2)
        assert hosts.read(hosts.at_b) == b"x" * 1000 + b"lost on the way"
        assert hosts.read(a) == b"y" * 500 + b"this, too"
        syn, ack = hosts.options("ab")[-2:]
        syn_ack = hosts.options("ba")[-1]
        s_a = hosts.options("ab")[0].tiseq
        assert SEQ48.difference(syn.tiseq, s_a) == 1015
        assert (syn_ack.tiseq, ack.tiseq, ack.tiack) == (syn.tiack, syn_ack.tiack, syn_ack.tiseq)
        assert SEQ48.difference(syn_ack.tiack, s_a) == 1000

    def test_from_a_fresh_port_with_a_fresh_isn(self) -> None:
        """RES-12."""
        hosts, a = established()
        a.resume(hosts.now)
        hosts.run(100)
        syns = [(ports.sport, segment.seq) for _, ports, segment in hosts.path.seen if segment.flags == SYN]
        assert len({port for port, _ in syns}) == len({isn for _, isn in syns}) == 2

    @pytest.mark.parametrize("seconds", [0, 30])
    def test_silence_is_noticed_by_retransmissions(self, seconds: int) -> None:
        """RES-19."""
        hosts, a = established()
        hosts.path.loses()
        a.write(b"anybody there?")
        hosts.run(900)
        assert hosts.told(a, FlowBroken) == [FlowBroken("2 transmissions without an answer")]
        hosts.seconds(seconds)
        hosts.path.passes()
        hosts.seconds(70)
        assert hosts.read(hosts.at_b) == b"anybody there?"
        assert (a.transports, a.error) == (2, None)

    def test_a_pure_receiver_asks_and_resumes(self) -> None:
        hosts, a = established()
        for _ in range(50):
            hosts.at_b.write(b"tick")
            hosts.run(100)
        old = hosts.at_b.transport
        assert old is not None
        blocked = {port.sport for way, port, _ in hosts.path.seen if way == "ab"}
        hosts.path.rule = lambda segment, _way: segment
        hosts.path.process = _without(hosts, blocked)  # type: ignore[method-assign]
        hosts.at_b.write(b"lost")
        hosts.seconds(4)
        assert (a.transports, hosts.at_b.transports) == (2, 2)
        assert hosts.read(a) == b"tick" * 50 + b"lost"

    def test_a_reset_is_answered_by_one_resume(self) -> None:
        """RES-20."""
        hosts, a = established()
        a.write(b"before")
        hosts.run(100)
        reset_both(hosts)
        a.write(b", after")
        hosts.run(100)
        assert hosts.read(hosts.at_b) == b"before, after"
        assert hosts.told(a, FlowBroken) == [FlowBroken("reset")]
        (resumed,) = hosts.told(a, FlowResumed)
        assert resumed == FlowResumed(2, 20_000_000)

    def test_a_reset_to_that_is_econnreset(self) -> None:
        """RES-20: the other application has gone."""
        hosts, a = established()
        hosts.at_b.abort(hosts.now)
        hosts.run(100)
        assert error(a) is ConnectionResetError
        assert [segment.flags for _, _, segment in hosts.path.seen][-3:] == [RST | ACK, SYN, RST | ACK]

    def test_make_before_break(self) -> None:
        """RES-07, RES-10: the old transport goes on until the new one is confirmed."""
        hosts, a = established()
        hosts.path.loses("ab", ACK, 0)
        a.resume(hosts.now)
        hosts.run(12)
        b = hosts.at_b
        assert (b.transports, len(b.pending)) == (1, 1)
        old = b.transport
        hosts.run(100)
        assert (b.transports, len(b.pending)) == (2, 0)
        assert b.transport is not old
        assert not any(segment.flags & (FIN | RST) for _, _, segment in hosts.path.seen)  # RES-11

    def test_data_confirms_where_the_third_ack_is_lost(self) -> None:
        """RES-07, MAP-03."""
        hosts, a = established()
        hosts.path.loses("ab", ACK, 1)
        a.resume(hosts.now)
        a.write(b"data at once")
        hosts.run(100)
        assert hosts.at_b.transports == 2
        assert hosts.read(hosts.at_b) == b"data at once"

    def test_a_resume_that_is_not_confirmed_is_reset_and_the_old_transport_kept(self) -> None:
        """RES-08: something on the path strips the third ACK."""
        hosts, a = established()
        hosts.path.rule = lambda segment, _way: segment._replace(option=None) if segment.flags == ACK else segment
        old = hosts.at_b.transport
        a.resume(hosts.now)
        hosts.run(60)
        assert hosts.at_b.transport is old
        assert hosts.at_b.transports == 1

    @pytest.mark.parametrize("answer", ["plain", "echo", "gap"])
    def test_what_is_no_right_answer_is_reset(self, answer: str) -> None:
        """RES-06, LEG-07, MAP-05; the old transport goes on."""
        hosts, a = established()
        offers: list[FlowOption] = []

        def rule(segment: TcpSegment, way: Way) -> TcpSegment:
            if segment.flags == SYN and segment.option is not None:
                offers.append(segment.option)
            if segment.flags != SYN | ACK or segment.option is None:
                return segment
            wrong = {"plain": None, "echo": offers[-1], "gap": segment.option.replace(tiseq=segment.option.tiseq + 1)}
            return segment._replace(option=wrong[answer])

        hosts.path.rule = rule
        a.resume(hosts.now)
        hosts.run(100)
        assert RST in {segment.flags for way, _, segment in hosts.path.seen if way == "ab"}
        assert len(hosts.told(a, ResumeRejected)) == 1
        a.write(b"on the old one")
        hosts.run(1000)
        assert hosts.read(hosts.at_b) == b"on the old one"
        assert a.transports == 1

    @pytest.mark.parametrize("how", ["refused", "lost"])
    def test_a_resume_that_fails_harms_no_flow_that_is_well(self, how: str) -> None:
        """The application asked for it; the path will have no second connection, and the first is as good as ever."""
        hosts, a = established()

        def rule(segment: TcpSegment, way: Way) -> TcpSegment | None:
            if segment.flags == SYN:
                return None if how == "lost" else segment._replace(option=segment.option.replace(tiseq=1))  # type: ignore[union-attr]
            return segment

        hosts.path.rule = rule
        a.resume(hosts.now)
        hosts.seconds(700)
        a.write(b"still here")
        hosts.seconds(1)
        assert hosts.read(hosts.at_b) == b"still here"
        assert (a.transports, a.error, hosts.at_b.error) == (1, None, None)
        assert len(hosts.told(a, ResumeRejected)) == 1

    def test_octets_that_a_proxy_acknowledged_and_lost_are_an_error(self) -> None:
        """RES-14."""
        hosts, a = established()
        hosts.path.loses("ab", ACK | PSH)
        a.write(b"swallowed")
        hosts.run(10)
        assert a.transport is not None
        a.transport.sender.acknowledged(10, (), hosts.now, None)
        hosts.path.passes()
        a.resume(hosts.now)
        hosts.run(100)
        assert error(a) is ConnectionResetError

    @pytest.mark.parametrize("who", ["A", "B"])
    def test_half_closed_across_a_break(self, who: str) -> None:
        """RES-15: the closed side says its end again, the other hears it once."""
        hosts, a = established()
        b = hosts.at_b
        closed, other = (a, b) if who == "A" else (b, a)
        closed.write(b"all I had")
        closed.close()
        hosts.run(100)
        assert closed.transport is not None
        assert closed.transport.sender.finished
        a.resume(hosts.now)
        hosts.run(100)
        other.write(b"still here")
        hosts.run(100)
        assert hosts.read(closed) == b"still here"
        assert hosts.read(other) == b"all I had"
        assert len(hosts.told(other, EndReceived)) == 1
        other.close()
        hosts.seconds(120)
        assert (hosts.told(a, Closed), hosts.told(b, Closed)) == ([Closed()], [Closed()])
        assert (a.over, b.over) == (True, True)

    def test_only_the_opener_resumes(self) -> None:
        """RES-18."""
        hosts, _ = established()
        assert not hosts.at_b.resume(hosts.now)
        hosts, a = established(b=config(flow=FlowConfig(answerer_resumes=True)))
        assert hosts.at_b.resume(hosts.now)
        hosts.run(100)
        assert (a.transports, hosts.at_b.transports) == (2, 2)
        a.write(b"backwards")
        hosts.run(100)
        assert hosts.read(hosts.at_b) == b"backwards"

    def test_of_crossing_attempts_the_opener_s_wins(self) -> None:
        """RES-18."""
        both = config(flow=FlowConfig(answerer_resumes=True))
        hosts, a = established(a=both, b=both)
        a.resume(hosts.now)
        hosts.at_b.resume(hosts.now)
        hosts.run(200)
        assert (a.transports, hosts.at_b.transports) == (2, 2)
        resumes = [
            one for one in hosts.path.seen if one[2].flags == SYN and one[2].option and one[2].option.tifid.second
        ]
        (syn,) = (ports for way, ports, _ in resumes if way == "ab")
        assert hosts.a.ports(a) == syn

    def test_a_flow_that_nobody_resumes_is_etimedout(self) -> None:
        """RES-21, on both sides; unacknowledged octets were kept until then."""
        hosts, a = established()
        hosts.path.loses()
        a.write(b"never")
        hosts.at_b.write(b"heard of")
        hosts.seconds(290)
        assert (error(a), error(hosts.at_b)) == (None, None)
        assert hosts.at_b.send_stream.retained == 8
        hosts.seconds(60)
        assert (error(a), error(hosts.at_b)) == (TimeoutError, TimeoutError)
        assert (len(hosts.a.registry), len(hosts.b.registry)) == (0, 0)

    def test_a_resume_after_that_is_reset(self) -> None:
        """RES-05, RES-21."""
        short = config(limits=Limits(dormant=100 * SECOND))
        hosts, a = established(b=short)
        hosts.path.loses()
        a.write(b"x")
        hosts.at_b.write(b"y")
        hosts.seconds(150)
        hosts.path.passes()
        hosts.seconds(100)
        assert (error(a), error(hosts.at_b)) == (ConnectionResetError, TimeoutError)

    def test_migration(self) -> None:
        """RES-03."""
        hosts, a = established()
        a.write(b"from one address")
        hosts.run(100)
        assert hosts.a.migrate(a, A2, hosts.now)
        hosts.run(100)
        a.write(b" to another")
        hosts.run(100)
        assert hosts.read(hosts.at_b) == b"from one address to another"
        ports = hosts.b.ports(hosts.at_b)
        assert ports is not None
        assert ports.destination == bytes((192, 0, 2, 9))

    def test_a_lost_address(self) -> None:
        """RES-19."""
        hosts, a = established()
        hosts.a.remove_address("192.0.2.1", hosts.now)
        hosts.run(100)
        assert (a.transports, hosts.told(a, FlowBroken)) == (2, [FlowBroken("address 192.0.2.1 lost")])

    def test_a_flow_without_any_address_waits_for_one(self) -> None:
        hosts, a = established()
        hosts.a.remove_address(A2, hosts.now)
        hosts.a.remove_address("192.0.2.1", hosts.now)
        hosts.seconds(20)
        hosts.a.add_address(A2, hosts.network.now)
        hosts.seconds(40)
        assert a.transports == 2

    def test_an_address_that_comes_back_needs_no_resume(self) -> None:
        hosts, a = established()
        hosts.a.remove_address(A2, hosts.now)
        hosts.a.remove_address("192.0.2.1", hosts.now)
        a.write(b"from nowhere")
        hosts.seconds(5)
        seen = len(hosts.path.seen)
        hosts.seconds(15)
        assert len(hosts.path.seen) == seen
        hosts.a.add_address("192.0.2.1", hosts.network.now)
        hosts.seconds(60)
        assert hosts.read(hosts.at_b) == b"from nowhere"

    def test_a_transport_that_lives_after_all_goes_on(self) -> None:
        """The answerer saw silence; then the path was well again, and nobody has resumed."""
        hosts, a = established(a=config(flow=FlowConfig(threshold=100, user_timeout=1000 * SECOND)))
        hosts.path.loses()
        hosts.at_b.write(b"x")
        hosts.seconds(5)
        assert len(hosts.told(hosts.at_b, FlowBroken)) == 1
        hosts.path.passes()
        hosts.seconds(30)
        assert (a.transports, hosts.read(a), hosts.at_b.error) == (1, b"x", None)
        assert hosts.at_b.flow is not None
        assert hosts.at_b.flow.dormant_since is None

    def test_a_flow_of_which_one_side_knows_nothing_is_reset(self) -> None:
        """The third ACK was stripped: A believes in the flow, B does not; the first resume finds out."""
        hosts = Hosts()
        hosts.path.rule = lambda segment, _way: segment._replace(option=None) if segment.flags == ACK else segment
        a = hosts.connect()
        assert (hosts.events[a], hosts.events[hosts.at_b]) == ([Opened("flow")], [Opened("legacy")])
        hosts.path.rule = lambda segment, way: None if way == "ba" and not segment.flags & (SYN | RST) else segment
        a.write(b"x")
        hosts.seconds(60)
        assert error(a) is ConnectionResetError
        assert error(hosts.at_b) is ConnectionResetError


def _without(hosts: Hosts, blocked: set[int]) -> Any:
    """The path of a NAT that has forgotten these ports, silently."""
    process = type(hosts.path).process

    def lose(packet: bytes, way: Way, now: int) -> Any:
        passed = process(hosts.path, packet, way, now)
        ports = hosts.path.seen[-1][1]
        return [] if (ports.sport if way == "ab" else ports.dport) in blocked else passed

    return lose


class TestApplications:
    def test_a_full_stream_takes_no_more_and_says_when_there_is_room(self) -> None:
        hosts, a = established(a=config(send_buffer=1000))
        assert (a.write(b"x" * 1500), a.write(b"y")) == (1000, 0)
        hosts.run(100)
        assert hosts.told(a, Writable) == [Writable()]
        assert a.write(b"x" * 500) == 500

    def test_unread_octets_close_the_window(self) -> None:
        hosts, a = established(b=config(receive_buffer=5000))
        hosts.reading = False
        a.write(b"x" * 20_000)
        hosts.seconds(30)
        assert hosts.at_b.receive_stream.unread == 5000
        assert (a.transports, a.error) == (1, None)
        hosts.reading = True
        hosts.seconds(70)
        assert hosts.read(hosts.at_b) == b"x" * 20_000

    def test_an_error_is_raised_by_whoever_writes_then(self) -> None:
        hosts, a = established()
        a.abort(hosts.now)
        hosts.run(10)
        with pytest.raises(ConnectionAbortedError):
            a.write(b"x")
        assert [type(event.error) for event in hosts.told(a, Failed)] == [ConnectionAbortedError]

    def test_a_legacy_connection_fails_as_tcp_does(self) -> None:
        hosts, a = established(b=replace(CONFIG, enabled=False))
        hosts.at_b.abort(hosts.now)
        hosts.run(100)
        assert error(a) is ConnectionResetError
        assert not a.resume(hosts.now)
        hosts, a = established(b=replace(CONFIG, enabled=False))
        hosts.path.loses()
        a.write(b"x")
        hosts.seconds(400)
        assert (error(a), error(hosts.at_b)) == (TimeoutError, TimeoutError)

    def test_a_flow_ends_with_its_streams_and_its_name_rests(self) -> None:
        """RES-22."""
        hosts, a = established()
        assert a.flow is not None
        name = a.flow.name
        a.close()
        hosts.at_b.close()
        hosts.seconds(70)
        assert (a.over, hosts.at_b.over, hosts.a.connections, hosts.b.connections) == (True, True, 0, 0)
        assert all(len(host.registry) == 0 and host.registry.in_use(name, hosts.now) for host in (hosts.a, hosts.b))
