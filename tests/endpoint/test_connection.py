"""One connection: playbooks of RFC 9293, RFC 5961, RFC 7323; then two of them over a path that loses and reorders."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.endpoint.playbook import ACK, FIN, PSH, RST, SYN, Playbook, Wait, sent
from tioption.endpoint.config import TcpConfig
from tioption.endpoint.connection import Connection
from tioption.endpoint.events import (
    Answered,
    OwnFinished,
    PeerFinished,
    TransportBroken,
    TransportClosed,
    TransportEstablished,
    TransportReset,
    TransportTimedOut,
    Unanswered,
)
from tioption.endpoint.opening import ActiveOpening, PassiveOpening
from tioption.endpoint.rtt import MS, SECOND
from tioption.endpoint.state import TcpState
from tioption.endpoint.streams import ReceiveStream, SendStream
from tioption.endpoint.wire import TcpSegment
from tioption.handshake import Handle

BARE = TcpConfig(timestamps=False, sack=False, window_scaling=False, delayed_ack=0, keep_alive=False)


def active(config: TcpConfig = BARE, iss: int = 1000, buffer: int = 65535) -> Connection:
    return Connection(ActiveOpening(), iss, SendStream(1 << 20), ReceiveStream(buffer), config)


def passive(config: TcpConfig = BARE, iss: int = 1000, buffer: int = 65535) -> Connection:
    return Connection(PassiveOpening(None, Handle(b"", 0)), iss, SendStream(1 << 20), ReceiveStream(buffer), config)


def established(config: TcpConfig = BARE, window: int = 65535, **options: Any) -> Playbook:
    """A connection this side has opened, with nothing in flight."""
    book = Playbook(active(config))
    syn_ack = book.peer(SYN | ACK, 0, 1, window=window, mss=1000, **options)
    return book >> book.connection.open << sent(SYN, 0) >> syn_ack << sent(ACK, 1, 1) << TransportEstablished()


def writes(book: Playbook, octets: bytes) -> Callable[[int], object]:
    return lambda _: book.connection.send(octets)


def closes(book: Playbook) -> Callable[[int], object]:
    return lambda _: book.connection.close()


def state(book: Playbook) -> TcpState:
    return book.connection.state


def says_goodbye(book: Playbook) -> Callable[[int], object]:
    def act(_: int) -> None:
        book.connection.send(b"bye")
        book.connection.close()

    return act


def reads(book: Playbook) -> Callable[[int], object]:
    def act(_: int) -> None:
        book.connection.receiver.stream.read()
        book.connection.has_read()

    return act


class TestHandshake:
    def test_the_syn_offers_what_the_configuration_allows(self) -> None:
        book = Playbook(active(TcpConfig(), buffer=1 << 18))
        offered: dict[str, Any] = {"mss": 1460, "window_scale": 3, "sack_permitted": True, "window": 65535}
        book >> book.connection.open << sent(SYN, 0, **offered)

    def test_answering(self) -> None:
        book = Playbook(passive())
        book >> book.peer(SYN, 0) << sent(SYN | ACK, 0, 1) >> book.peer(ACK, 1, 1) << TransportEstablished()
        assert state(book) is TcpState.ESTABLISHED

    def test_the_syn_ack_offers_only_what_the_syn_did(self) -> None:
        book = Playbook(passive(TcpConfig()))
        nothing: dict[str, Any] = {"window_scale": None, "sack_permitted": False, "timestamps": None}
        book >> book.peer(SYN, 0, mss=1400) << sent(SYN | ACK, 0, 1, **nothing)

    def test_data_with_the_third_segment_is_taken(self) -> None:
        book = Playbook(passive())
        book >> book.peer(SYN, 0) << sent(SYN | ACK, 0, 1)
        book >> book.peer(ACK | PSH, 1, 1, b"hello") << sent(ACK, 1, 6)
        assert book.connection.receiver.stream.read() == b"hello"

    def test_a_syn_goes_again_with_the_timeout_doubled_and_then_no_more(self) -> None:
        book = Playbook(active(TcpConfig(syn_retries=2)))
        book >> book.connection.open << sent(SYN, 0) >> Wait(999) << None >> Wait(1) << sent(SYN, 0)
        book >> Wait(1999) << None >> Wait(1) << sent(SYN, 0) >> Wait(4000)
        book << TransportTimedOut("no answer to the SYN")
        assert state(book) is TcpState.CLOSED

    def test_a_syn_ack_goes_again(self) -> None:
        book = Playbook(passive())
        book >> book.peer(SYN, 0) << sent(SYN | ACK, 0, 1) >> Wait(1000) << sent(SYN | ACK, 0, 1)
        book >> book.peer(SYN, 0) << sent(SYN | ACK, 0, 1)

    def test_simultaneous_open(self) -> None:
        book = Playbook(active())
        book >> book.connection.open << sent(SYN, 0) >> book.peer(SYN, 0) << sent(SYN | ACK, 0, 1)
        book >> book.peer(SYN | ACK, 0, 1) << TransportEstablished()
        assert state(book) is TcpState.ESTABLISHED

    def test_a_reset_that_answers_the_syn_is_a_refusal(self) -> None:
        book = Playbook(active())
        book >> book.connection.open << sent(SYN, 0) >> book.peer(RST | ACK, 0, 1) << TransportReset(refused=True)

    @pytest.mark.parametrize("flags", [SYN | ACK, ACK, RST | ACK])
    def test_what_acknowledges_another_syn_is_refused(self, flags: int) -> None:
        book = Playbook(active())
        book >> book.connection.open << sent(SYN, 0) >> book.peer(flags, 0, 77)
        book << (None if flags & RST else sent(RST, 77))
        assert state(book) is TcpState.SYN_SENT

    def test_a_wrong_acknowledgment_of_the_syn_ack_is_refused(self) -> None:
        book = Playbook(passive())
        book >> book.peer(SYN, 0) << sent(SYN | ACK, 0, 1) >> book.peer(ACK, 1, 9) << sent(RST, 9)
        assert state(book) is TcpState.SYN_RECEIVED

    def test_a_syn_ack_that_comes_again_is_acknowledged_again(self) -> None:
        book = established()
        book >> book.peer(SYN | ACK, 0, 1, mss=1000) << sent(ACK, 1, 1)


class TestClose:
    def test_this_side_first(self) -> None:
        book = established()
        book >> closes(book) << sent(FIN | ACK, 1, 1) >> book.peer(ACK, 1, 2) << OwnFinished()
        assert state(book) is TcpState.FIN_WAIT_2
        book >> book.peer(FIN | ACK, 1, 2) << sent(ACK, 2, 2) << PeerFinished()
        assert state(book) is TcpState.TIME_WAIT
        book >> book.peer(FIN | ACK, 1, 2) << sent(ACK, 2, 2)  # its ACK was lost
        book >> Wait(59_999) << None >> Wait(1) << TransportClosed()

    def test_the_other_side_first(self) -> None:
        book = established()
        book >> book.peer(FIN | ACK, 1, 1) << sent(ACK, 1, 2) << PeerFinished()
        assert state(book) is TcpState.CLOSE_WAIT
        book >> writes(book, b"more") << sent(ACK | PSH, 1, 2, b"more") >> closes(book) << sent(FIN | ACK, 5, 2)
        assert state(book) is TcpState.LAST_ACK
        book >> book.peer(ACK, 2, 6) << TransportClosed()

    def test_both_at_once(self) -> None:
        book = established()
        book >> closes(book) << sent(FIN | ACK, 1, 1) >> book.peer(FIN | ACK, 1, 1) << sent(ACK, 2, 2)
        assert state(book) is TcpState.CLOSING
        book >> book.peer(ACK, 2, 2)
        assert state(book) is TcpState.TIME_WAIT

    def test_the_fin_goes_with_the_last_octets_and_again_when_it_is_lost(self) -> None:
        book = established()
        (book >> says_goodbye(book) << sent(FIN | PSH | ACK, 1, 1, b"bye"))
        book >> Wait(1000) << sent(FIN | PSH | ACK, 1, 1, b"bye") << Unanswered(1, book.now - 1000 * MS)

    def test_data_after_the_fin_is_not_taken(self) -> None:
        book = established()
        book >> book.peer(FIN | ACK | PSH, 1, 1, b"end") << sent(ACK, 1, 5)
        book >> book.peer(ACK | PSH, 5, 1, b"more") << sent(ACK, 1, 5)
        assert book.connection.receiver.stream.read() == b"end"

    def test_abort_resets(self) -> None:
        book = established()
        book >> book.connection.abort << sent(RST | ACK, 1, 1)
        assert state(book) is TcpState.CLOSED


class TestSegments:
    def test_in_order_data_is_delivered_and_acknowledged(self) -> None:
        book = established()
        (
            book
            >> book.peer(ACK | PSH, 1, 1, b"one")
            << sent(ACK, 1, 4)
            >> book.peer(ACK | PSH, 4, 1, b"two")
            << sent(ACK, 1, 7)
        )
        assert book.connection.receiver.stream.read() == b"onetwo"

    def test_delayed_acknowledgments(self) -> None:
        book = established(TcpConfig(timestamps=False, delayed_ack=40 * MS, keep_alive=False))
        book >> book.peer(ACK | PSH, 1, 1, b"x") << None >> Wait(39) << None >> Wait(1) << sent(ACK, 1, 2)
        full = b"x" * 1000
        book >> book.peer(ACK, 2, 1, full) << None >> book.peer(ACK, 1002, 1, full) << sent(ACK, 1, 2002)

    def test_a_gap_is_told_at_once_and_by_sack(self) -> None:
        book = established(TcpConfig(timestamps=False, keep_alive=False), sack_permitted=True)
        gap = ((book.irs + 4, book.irs + 7),)
        book >> book.peer(ACK | PSH, 4, 1, b"two") << sent(ACK, 1, 1, sack=gap)
        book >> book.peer(ACK | PSH, 1, 1, b"one") << sent(ACK, 1, 7, sack=())
        assert book.connection.receiver.stream.read() == b"onetwo"

    def test_segments_are_cut_at_the_mss(self) -> None:
        book = established()
        book >> writes(book, b"x" * 2500) << sent(ACK | PSH, 1) << sent(ACK | PSH, 1001) << sent(ACK | PSH, 2001)

    def test_what_is_lost_goes_again_with_the_timeout_doubled(self) -> None:
        book = established()
        book >> writes(book, b"lost") << sent(ACK | PSH, 1, 1, b"lost")
        begun = book.now
        book >> Wait(200) << sent(ACK | PSH, 1, 1, b"lost") << Unanswered(1, begun)
        book >> Wait(399) << None >> Wait(1) << sent(ACK | PSH, 1, 1, b"lost") << Unanswered(2, begun)
        book >> book.peer(ACK, 1, 5) << Answered() >> Wait(60_000) << None

    def test_three_duplicates_make_a_fast_retransmit(self) -> None:
        book = established()
        book >> writes(book, b"x" * 5000)
        for at in range(5):
            book << sent(ACK | PSH, 1 + 1000 * at)
        for _ in range(2):
            book >> book.peer(ACK, 1, 1) << None
        book >> book.peer(ACK, 1, 1) << sent(ACK | PSH, 1)
        book >> book.peer(ACK, 1, 2001) << sent(ACK | PSH, 2001)  # a partial acknowledgment (RFC 6582)
        book >> book.peer(ACK, 1, 5001) << None

    def test_sack_tells_which_to_send_again(self) -> None:
        book = established(TcpConfig(timestamps=False, keep_alive=False), sack_permitted=True)
        book >> writes(book, b"x" * 6000)
        for at in range(6):
            book << sent(ACK | PSH, 1 + 1000 * at)
        iss = book.connection.sender.iss
        book >> book.peer(ACK, 1, 1, sack=((iss + 1001, iss + 2001), (iss + 3001, iss + 6001)))
        book << sent(ACK | PSH, 1) << sent(ACK | PSH, 2001)

    def test_a_closed_window_is_probed_until_it_opens(self) -> None:
        book = established(window=0)
        book >> writes(book, b"data") << None >> Wait(200) << sent(ACK | PSH, 1, 1, b"d")
        book >> book.peer(ACK, 1, 1, window=0) << None >> Wait(400) << sent(ACK | PSH, 1, 1, b"d")
        book >> book.peer(ACK, 1, 1, window=1000) << sent(ACK | PSH, 1, 1, b"d") << sent(ACK | PSH, 2, 1, b"ata")

    def test_a_closed_window_that_answers_is_no_silence(self) -> None:
        book = established(TcpConfig(user_timeout=5 * SECOND, timestamps=False, keep_alive=False), window=0)
        book >> writes(book, b"data")
        for _ in range(8):
            while not book.out:
                book >> Wait(100)
            book << sent(ACK | PSH, 1) >> book.peer(ACK, 1, 1, window=0)
        assert state(book) is TcpState.ESTABLISHED

    def test_no_more_than_the_window(self) -> None:
        book = established(window=1500)
        book >> writes(book, b"x" * 4000) << sent(ACK | PSH, 1) << None
        (
            book
            >> book.peer(ACK, 1, 1001, window=3000)
            << sent(ACK | PSH, 1001)
            << sent(ACK | PSH, 2001)
            << sent(ACK | PSH, 3001)
        )

    def test_reading_opens_the_window(self) -> None:
        book = Playbook(active(buffer=2000))
        book >> book.connection.open << sent(SYN, 0, window=2000)
        book >> book.peer(SYN | ACK, 0, 1, mss=1000) << sent(ACK, 1, 1, window=2000)
        book >> book.peer(ACK, 1, 1, b"x" * 2000) << sent(ACK, 1, 2001, window=0)
        book >> reads(book) << sent(ACK, 1, 2001, window=2000)

    def test_nagle(self) -> None:
        book = established(TcpConfig(timestamps=False, nagle=True, keep_alive=False))
        book >> writes(book, b"a") << sent(ACK | PSH, 1) >> writes(book, b"b") << None
        book >> book.peer(ACK, 1, 2) << sent(ACK | PSH, 2, 1, b"b")

    def test_data_that_nobody_acknowledges_ends_the_connection(self) -> None:
        book = established(TcpConfig(user_timeout=5 * SECOND, timestamps=False, keep_alive=False))
        book >> writes(book, b"x") << sent(ACK | PSH, 1)
        book.connection.segments_to_send(book.now)
        while state(book) is TcpState.ESTABLISHED:
            book >> Wait(100)
            book.out.clear()
        book << TransportTimedOut("data unacknowledged")


class TestAttacks:
    """RFC 5961."""

    @pytest.mark.parametrize("seq", [2, 60_000])
    def test_a_reset_that_is_not_exact_is_challenged(self, seq: int) -> None:
        book = established()
        book >> book.peer(RST, seq) << sent(ACK, 1, 1)
        assert state(book) is TcpState.ESTABLISHED

    def test_a_reset_out_of_the_window_is_ignored(self) -> None:
        book = established()
        book >> book.peer(RST, 70_000) << None >> book.peer(RST, -1) << None
        assert state(book) is TcpState.ESTABLISHED

    def test_an_exact_reset_ends_the_connection(self) -> None:
        book = established()
        book >> book.peer(RST, 1) << TransportReset()

    def test_a_syn_is_challenged(self) -> None:
        book = established()
        book >> book.peer(SYN, 100) << sent(ACK, 1, 1)

    @pytest.mark.parametrize("ack", [5000, -70_000])
    def test_an_acknowledgment_from_nowhere_is_challenged_and_its_data_not_taken(self, ack: int) -> None:
        book = established()
        book >> book.peer(ACK | PSH, 1, ack, b"evil") << sent(ACK, 1, 1)
        assert book.connection.receiver.stream.unread == 0

    def test_challenges_are_limited(self) -> None:
        book = established(TcpConfig(timestamps=False, challenge_acks=3, keep_alive=False))
        for _ in range(3):
            book >> book.peer(SYN, 100) << sent(ACK, 1, 1)
        book >> book.peer(SYN, 100) << None >> Wait(1000) >> book.peer(SYN, 100) << sent(ACK, 1, 1)


class TestTimestamps:
    """RFC 7323."""

    config = TcpConfig(sack=False, delayed_ack=0, keep_alive=False)

    def test_they_are_echoed(self) -> None:
        book = established(self.config, timestamps=(700, 1))
        book >> book.peer(ACK | PSH, 1, 1, b"x", timestamps=(750, 1))
        (segment,) = book.out
        assert segment.timestamps is not None
        assert segment.timestamps[1] == 750

    def test_an_old_duplicate_is_not_taken(self) -> None:
        book = established(self.config, timestamps=(700, 1))
        book >> book.peer(ACK | PSH, 1, 1, b"old", timestamps=(699, 1)) << sent(ACK, 1, 1)
        assert book.connection.receiver.stream.unread == 0

    def test_they_wrap(self) -> None:
        book = established(self.config, timestamps=(2**32 - 1, 1))
        book >> book.peer(ACK | PSH, 1, 1, b"new", timestamps=(5, 1)) << sent(ACK, 1, 4)

    def test_a_segment_without_them_is_dropped_but_a_reset_is_not(self) -> None:
        book = established(self.config, timestamps=(700, 1))
        book >> book.peer(ACK | PSH, 1, 1, b"x") << None >> book.peer(RST, 1) << TransportReset()

    def test_windows_are_scaled_except_in_syns(self) -> None:
        book = established(TcpConfig(keep_alive=False), window=10, window_scale=7, timestamps=(1, 1))
        sender = book.connection.sender
        assert sender.limit == 11
        book >> book.peer(ACK, 1, 1, window=10, timestamps=(2, 1))
        assert sender.limit == 1281


class TestKeepAlive:
    def test_a_silent_peer_is_asked_and_given_up(self) -> None:
        book = established(TcpConfig(timestamps=False, user_timeout=60 * SECOND))
        silent = book.now
        book >> Wait(75_000) << sent(ACK, 0, 1, b"") >> Wait(200) << sent(ACK, 0, 1) << Unanswered(1, silent)
        while state(book) is TcpState.ESTABLISHED:
            book >> Wait(100)
            book.out.clear()
        book << TransportTimedOut("no answer to probes")

    def test_a_probe_is_answered(self) -> None:
        book = established()
        book >> book.peer(ACK, 0, 1) << sent(ACK, 1, 1)

    def test_a_busy_peer_that_falls_silent_is_asked_soon(self) -> None:
        book = established(TcpConfig(timestamps=False, delayed_ack=0))
        for at in range(40):
            book >> Wait(50) >> book.peer(ACK | PSH, 1 + at, 1, b"x") << sent(ACK, 1, 2 + at)
        book >> Wait(1000) << sent(ACK, 0, 41)
        book >> book.peer(ACK, 41, 1) >> Wait(1999) << None >> Wait(1) << sent(ACK, 0, 41)  # it lives, and can wait


class TestBeyondOneTransport:
    def test_a_frozen_connection_neither_sends_nor_takes_anything(self) -> None:
        book = established()
        book >> writes(book, b"x") << sent(ACK | PSH, 1)
        book.connection.freeze()
        book >> book.peer(ACK | PSH, 1, 2, b"no") << None >> Wait(5000) << None
        book >> book.connection.thaw << None >> Wait(200) << sent(ACK | PSH, 1)

    def test_a_connection_that_thaws_asks_whether_the_other_side_is_there(self) -> None:
        book = established(TcpConfig(timestamps=False, delayed_ack=0))
        book.connection.freeze()
        book >> book.connection.thaw << sent(ACK, 0, 1) >> book.peer(ACK, 1, 1) << Answered()

    def test_what_an_earlier_transport_delivered_is_trimmed(self) -> None:
        book = established()
        stream = book.connection.receiver.stream
        stream.deliver(0, b"already")
        book >> book.peer(ACK | PSH, 1, 1, b"already here") << sent(ACK, 1, 13)
        assert stream.read() == b"already here"

    def test_octets_beyond_the_end_of_the_stream_reset_the_transport(self) -> None:
        book = established()
        stream = book.connection.receiver.stream
        stream.deliver(0, b"all")
        stream.end(3)
        book >> book.peer(ACK | PSH, 1, 1, b"all and more") << sent(RST | ACK, 1)
        assert any(isinstance(one, TransportBroken) for one in book.events)

    def test_a_path_that_takes_less_gets_less(self) -> None:
        book = established()
        book >> writes(book, b"x" * 1000) << sent(ACK | PSH, 1, None, b"x" * 1000)
        quoted = book.connection.sender.seq(1)
        book >> (lambda _: book.connection.packet_too_big(576, quoted)) << sent(ACK | PSH, 1, None, b"x" * 536)


class Path:
    """Two connections, a path that loses, repeats and delays, by chance."""

    def __init__(self, seed: int, loss: float, config: TcpConfig, buffer: int) -> None:
        self.random = Random(seed)
        self.loss = loss
        self.ends = (active(config, 0xFFFFFF00, buffer), passive(config, 0xFFFFFFF0, buffer))
        self.now = SECOND
        self.flying: list[tuple[int, int, int, TcpSegment]] = []
        self.count = 0

    def collect(self) -> None:
        for side, end in enumerate(self.ends):
            for segment in end.segments_to_send(self.now):
                for _ in range(2 if self.random.random() < self.loss / 2 else 1):
                    if self.random.random() >= self.loss:
                        self.count += 1
                        arrival = (
                            self.now + 10 * MS + self.random.randrange(20 * MS) * (self.random.random() < self.loss)
                        )
                        self.flying.append((arrival, self.count, 1 - side, segment))

    def run(self, octets: tuple[bytes, bytes], until: int) -> tuple[bytearray, bytearray]:
        received, written = (bytearray(), bytearray()), [0, 0]
        self.ends[0].open(self.now)
        while self.now < until:
            self.collect()
            for side, end in enumerate(self.ends):
                received[side].extend(end.receiver.stream.read())
                end.has_read()
                written[side] += end.send(octets[side][written[side] :]) if written[side] < len(octets[side]) else 0
                if written[side] == len(octets[side]):
                    end.close()
            self.collect()
            if all(end.sender.finished and end.receiver.finished for end in self.ends):
                break
            timers = [timer for end in self.ends if (timer := end.next_timer()) is not None]
            following = min([arrival for arrival, *_ in self.flying] + timers, default=None)
            assert following is not None, "nothing would ever happen again"
            self.now = max(self.now, following)
            due = sorted(one for one in self.flying if one[0] <= self.now)
            self.flying = [one for one in self.flying if one[0] > self.now]
            for _, _, side, segment in due:
                self.ends[side].receive_segment(segment, self.now)
            for end in self.ends:
                end.handle_timer(self.now)
        return received


@given(
    seed=st.integers(0, 1 << 32),
    loss=st.sampled_from([0.0, 0.02, 0.1, 0.3]),
    sizes=st.tuples(st.sampled_from([0, 1, 3000, 40_000]), st.sampled_from([0, 1, 3000, 40_000])),
    buffer=st.sampled_from([600, 5000, 1 << 17]),
    timestamps=st.booleans(),
    sack=st.booleans(),
    scaling=st.booleans(),
    nagle=st.booleans(),
    delayed=st.sampled_from([0, 40 * MS]),
)
def test_two_connections_deliver_exactly_over_a_lossy_path(
    *,
    seed: int,
    loss: float,
    sizes: tuple[int, int],
    buffer: int,
    timestamps: bool,
    sack: bool,
    scaling: bool,
    nagle: bool,
    delayed: int,
) -> None:
    config = TcpConfig(
        timestamps=timestamps,
        sack=sack,
        window_scaling=scaling,
        nagle=nagle,
        delayed_ack=delayed,
        user_timeout=None,
        syn_retries=30,
        most_timeout=2 * SECOND,
    )
    path = Path(seed, loss, config, buffer)
    random = Random(seed)
    octets = random.randbytes(sizes[0]), random.randbytes(sizes[1])
    received = path.run(octets, 3600 * SECOND)
    assert (bytes(received[1]), bytes(received[0])) == octets
    assert path.now < 3600 * SECOND
