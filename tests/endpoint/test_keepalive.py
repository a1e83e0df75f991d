"""When a silent peer is asked."""

from __future__ import annotations

from itertools import pairwise

from tioption.endpoint.keepalive import KeepAlive
from tioption.endpoint.rtt import MS, SECOND

TIMEOUT = 200 * MS


def test_nobody_knows_how_often_a_new_peer_speaks() -> None:
    assert KeepAlive(SECOND, 75 * SECOND, 0).deadline(TIMEOUT) // SECOND in {74, 75}


def test_it_adapts_to_the_usual_gap() -> None:
    alive = KeepAlive(SECOND, 75 * SECOND, 0)
    for at in range(1, 100):
        alive.heard(at * 500 * MS, data=True)
    silence = alive.deadline(TIMEOUT) - alive.silent_since
    assert 3 * SECOND < silence < 5 * SECOND


def test_a_peer_that_answers_is_asked_ever_less_until_it_speaks() -> None:
    alive = KeepAlive(SECOND, 75 * SECOND, 0)
    now = 0
    for _ in range(200):
        now += 10 * MS
        alive.heard(now, data=True)
    silences = []
    for _ in range(8):
        silences.append((alive.deadline(TIMEOUT) - now) // SECOND)
        now = alive.deadline(TIMEOUT)
        alive.ask(now)
        now += MS
        alive.heard(now, data=False)
    assert silences == [1, 2, 4, 8, 16, 32, 64, 75]
    alive.heard(now + 10 * MS, data=True)
    assert (alive.deadline(TIMEOUT) - alive.silent_since) // SECOND == 1


def test_questions_are_repeated_with_the_timeout_doubled() -> None:
    alive = KeepAlive(SECOND, 75 * SECOND, 0)
    asked = []
    for _ in range(4):
        asked.append(alive.deadline(TIMEOUT))
        alive.ask(asked[-1])
    assert [(later - earlier) // MS for earlier, later in pairwise(asked)] == [200, 400, 800]
    assert alive.probes == 4
