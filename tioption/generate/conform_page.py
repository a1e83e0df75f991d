"""`docs/reference/conform.md`: how each rule is tested from outside, or why it cannot be."""

from __future__ import annotations

from inspect import cleandoc
from types import ModuleType

from tioption.conform import CHECKS, FAMILIES, UNTESTABLE, Check, Need
from tioption.rules import RULES

_NEEDS = {
    Need.TCP: "—",
    Need.OPTION: "an option in the SYN-ACK",
    Need.FLOW: "a flow",
    Need.RESUMABLE: "a flow that can be resumed",
    Need.RESUME: "a resume while the old transport lives",
}


def _row(check: Check) -> str:
    needs = [_NEEDS[check.need]]
    if check.echo:
        needs.append("a service that sends back what it gets")
    if check.variant is not None:
        needs.append(f"`--variant {check.variant.value}`")
    how = f"{check.title}. {' '.join(check.how.split())}".strip()
    return f"| {check.rule} | {how} | {', '.join(needs)} |"


def _family(module: ModuleType) -> str:
    title = cleandoc(module.__doc__ or "").partition("\n")[0].removesuffix(".")
    rows = [_row(check) for check in CHECKS.values() if check.run.__module__ == module.__name__]
    return "\n".join([f"## {title}", "", "| rule | what is tested | presupposes |", "|-|-|-|", *rows])


def _untestable() -> str:
    rows = [f"| {rule} | {UNTESTABLE[rule]} |" for rule in RULES if rule in UNTESTABLE]
    return "\n".join(["| rule | this rule … |", "|-|-|", *rows])


def render() -> str:
    """The text of the page."""
    families = "\n\n".join(map(_family, FAMILIES))
    return f"""\
<!-- Generated from tioption/conform/ by `python -m tioption.generate`. Do not edit. -->
# What a conformance run tests

[`tiopt conform`](cli.md#tiopt-conform-host-port) holds an implementation that listens against {len(CHECKS)} of the
{len(RULES)} [rules](rules.md), each in a check of its own. The tester is the opener of every connection and the
initiator of every resume; it sends what an honest host would, but for what a check is about.

First it finds out what the host can do: whether its SYN-ACK has the option, whether a flow can be established, and
resumed, and whether the service sends back what it gets. A check that presupposes what the host cannot do is *not
applicable*, and says so; where one rule is broken, others cannot be seen, and the reason names it. The checks run side
by side, each on ports and flows of its own. One that does not pass is done a second time, for paths lose segments: a
host has failed where it fails twice. A resume is refused by whatever is no SYN-ACK with the option; only RES-05 asks
for a RST to its SYN.

That each check finds what it is there for, and nothing else, is tested with {len(CHECKS)} builds of
[the reference endpoint](endpoint.md) that break one rule each.

{families}

## Rules that do not show from outside

{_untestable()}
"""
