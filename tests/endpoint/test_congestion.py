"""Slow start, congestion avoidance, and what a loss does."""

from __future__ import annotations

from tioption.endpoint.congestion import NewReno


def test_the_initial_window() -> None:
    assert [NewReno(mss).window for mss in (536, 1460, 9000)] == [5360, 14600, 18000]


def test_slow_start_then_a_segment_a_window() -> None:
    control = NewReno(1000)
    control.acknowledged(1000)
    assert control.window == 11_000
    control.threshold = 11_000
    for _ in range(10):
        control.acknowledged(1000)
    assert control.window == 11_000
    control.acknowledged(1000)
    assert control.window == 12_000


def test_a_loss_halves_and_a_timeout_begins_anew() -> None:
    control = NewReno(1000)
    control.lost(20_000)
    assert (control.window, control.threshold) == (10_000, 10_000)
    control.timed_out(20_000)
    assert (control.window, control.threshold) == (1000, 10_000)
    control.lost(1000)
    assert control.window == 2000


def test_idleness_gives_back_what_is_above_the_initial_window() -> None:
    control = NewReno(1000)
    control.acknowledged(1000)
    control.idle()
    assert control.window == 10_000
