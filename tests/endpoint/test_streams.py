"""The streams that outlive transports."""

from __future__ import annotations

import pytest

from tioption.endpoint.streams import ReceiveStream, SendStream


class TestSendStream:
    def test_unacknowledged_octets_are_retained(self) -> None:
        stream = SendStream(10)
        assert stream.write(b"hello world!") == 10
        assert (stream.room, stream.end, stream.retained) == (0, 10, 10)
        stream.mark_sent(8)
        assert stream.acknowledge(5) == 5
        assert (stream.read(5, 3), stream.room, stream.acked, stream.sent) == (b" wo", 5, 5, 8)

    def test_an_acknowledgment_never_goes_back_nor_beyond_what_was_written(self) -> None:
        stream = SendStream(10)
        stream.write(b"hello")
        assert (stream.acknowledge(3), stream.acknowledge(2), stream.acknowledge(9)) == (3, 0, 2)
        assert stream.acked == 5

    def test_a_closed_stream_takes_nothing(self) -> None:
        stream = SendStream(10)
        stream.closed = True
        with pytest.raises(ValueError, match="expected an open stream"):
            stream.write(b"x")

    def test_what_was_not_sent_can_be_forgotten(self) -> None:
        stream = SendStream(10)
        stream.write(b"hello")
        stream.mark_sent(2)
        stream.discard()
        assert (stream.end, stream.read(0, 9)) == (2, b"he")


class TestReceiveStream:
    def test_what_is_here_already_is_trimmed(self) -> None:
        stream = ReceiveStream(100)
        assert (stream.deliver(0, b"hello"), stream.deliver(0, b"hello"), stream.deliver(3, b"lo wo")) == (5, 0, 3)
        assert (stream.read(), stream.received) == (b"hello wo", 8)

    def test_reading_moves_the_limit(self) -> None:
        stream = ReceiveStream(10)
        stream.deliver(0, b"hello")
        assert (stream.limit, stream.read(2), stream.limit, stream.unread) == (10, b"he", 12, 3)

    def test_the_end_is_news_once(self) -> None:
        stream = ReceiveStream(10)
        stream.deliver(0, b"all")
        assert (stream.end(3), stream.end(3), stream.deliver(0, b"all")) == (True, False, 0)

    def test_nothing_follows_the_end_and_it_does_not_move(self) -> None:
        stream = ReceiveStream(10)
        stream.deliver(0, b"all")
        stream.end(3)
        with pytest.raises(ValueError, match="no octets beyond the end of the stream at 3, found 2"):
            stream.deliver(1, b"llxy")
        with pytest.raises(ValueError, match="the end of the stream at 3, found it at 2"):
            stream.end(2)
