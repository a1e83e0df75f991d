"""RFC 6298, by its own numbers."""

from __future__ import annotations

from tioption.endpoint.rtt import MS, SECOND, RoundTrip


def test_before_anything_was_measured_it_is_a_second() -> None:
    assert RoundTrip(200 * MS, 60 * SECOND).timeout == SECOND


def test_the_first_sample_and_the_next() -> None:
    rtt = RoundTrip(1, 60 * SECOND)
    rtt.sample(100 * MS)
    assert rtt.timeout == 300 * MS
    rtt.sample(200 * MS)
    assert (rtt.smoothed, rtt.variation) == (112_500_000, 62_500_000)


def test_it_backs_off_up_to_its_most_and_comes_back_with_progress() -> None:
    rtt = RoundTrip(200 * MS, SECOND)
    rtt.sample(1 * MS)
    timeouts = []
    for _ in range(5):
        timeouts.append(rtt.timeout // MS)
        rtt.back_off()
    assert timeouts == [200, 400, 800, 1000, 1000]
    rtt.progress()
    assert rtt.timeout == 200 * MS
