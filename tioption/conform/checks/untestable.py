"""The rules that no check can be about, for the tester is the opener and sees no more than what comes back."""

from __future__ import annotations

from typing import Final

_OPENER: Final = "asks something of the host that opens the flow, and here that is the tester"
_INITIATOR: Final = "asks something of the host that resumes the flow, and here that is the tester"
_INSIDE: Final = "shows only inside the host"
_PATH: Final = "is about the path between two hosts"

UNTESTABLE: Final[dict[str, str]] = {
    "OPT-02": "is about settings: --kind-d and --kind-c test a host with other kinds",
    "OPT-12": _OPENER,
    "EST-01": _OPENER,
    "EST-06": _OPENER,
    "EST-07": _OPENER,
    "EST-10": _OPENER,
    "EST-14": "needs a host that opens a connection at the same moment",
    "EST-16": "shows only under a flood of SYNs, which this is not",
    "LEG-01": _OPENER,
    "LEG-04": _OPENER,
    "LEG-06": _INITIATOR,
    "LEG-07": _OPENER,
    "MAP-06": f"{_PATH}: two captures show it (tiopt validate --compare)",
    "RES-06": _INITIATOR,
    "RES-09": _INITIATOR,
    "RES-12": _INITIATOR,
    "RES-14": _INITIATOR,
    "RES-19": _INITIATOR,
    "RES-20": _INITIATOR,
    "RES-23": _INITIATOR,
    "CTL-01": "is every other rule on the other kind: --variant flow-c",
    "CTL-04": "is about what nobody may read into two identifiers",
    "SEC-03": f"{_INSIDE}; RES-04 tests the check itself",
    "SEC-05": "is about what tools tell their users",
    "MBX-01": _PATH,
    "MBX-02": f"{_PATH}; LEG-02 and LEG-03 test what follows from it",
    "MBX-04": _PATH,
    "MBX-05": _PATH,
}
"""Why, by rule: what follows "this rule"."""
