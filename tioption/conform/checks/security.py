"""SEC: values that nobody can guess, and bounds on what strangers cost."""

from __future__ import annotations

from typing import Final

from tioption.conform.case import Case, Script
from tioption.conform.checks.establishment import pattern, samples
from tioption.conform.checks.option import unknown_resume
from tioption.conform.registry import Need, check
from tioption.handshake.values import first_half

_LIVE: Final = 8
_FLOOD: Final = 250


@check("SEC-01", Need.FLOW)
def halves(case: Case) -> Script[None]:
    """Second halves do not repeat and do not count up, over several flows."""
    found = pattern([option.tifid.second for option in (yield from samples(case))], 24)
    case.require(not found, "second halves that nobody can guess", found)


@check("SEC-02", Need.FLOW)
def unique(case: Case) -> Script[None]:
    """Flows that live at once have different TIFIDs, even where their first halves are the same."""
    half = first_half(case.bits)
    tifids = []
    for _ in range(_LIVE):
        flow = yield from case.established(case.offer(first=half))
        tifids.append(flow.tifid)
    twice = [str(tifid) for tifid in tifids if tifids.count(tifid) > 1]
    case.require(not twice, f"{_LIVE} different TIFIDs", f"{twice[0] if twice else ''} more than once")


@check("SEC-04", Need.OPTION, alone=True)
def flood(case: Case) -> Script[None]:
    """Of 250 resumes of unknown flows that come at once, not all are answered, and a connection is still taken."""
    transport = case.transport()
    for _ in range(_FLOOD):
        transport.iss = case.bits(32)
        transport.syn(unknown_resume(case))
    yield from case.until(lambda: len(transport.arrivals) >= _FLOOD, max(case.quiet, case.setting.timeout // 2))
    count = sum(arrival.segment.rst for arrival in transport.arrivals)
    case.require(count < _FLOOD, f"fewer than {_FLOOD} RSTs to as many resumes at once", f"{count}")
    plain = yield from case.open()
    case.require(plain.answer is not None, "a connection to be taken after that", plain.told)
