"""The results of a run: lines for people, rows for programs, JUnit for continuous integration, a capture a check."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from tioption.build.capture_file import LINKTYPE_RAW, file_header, record
from tioption.conform.checks import UNTESTABLE
from tioption.conform.outcome import Result, Verdict
from tioption.conform.registry import Check
from tioption.render.junit import Case, document
from tioption.rules import RULES

_COLOURS: Final = {Verdict.PASS: "32", Verdict.FAIL: "1;31", Verdict.NOT_APPLICABLE: "2"}
_SHORT: Final = {Verdict.PASS: "pass", Verdict.FAIL: "FAIL", Verdict.NOT_APPLICABLE: "n/a "}


def in_order(results: Iterable[Result]) -> list[Result]:
    """The results in the order of the rules."""
    places = {rule: place for place, rule in enumerate(RULES)}
    return sorted(results, key=lambda result: places[result.rule])


def lines(result: Result, *, colour: bool = False) -> str:
    """A result in words: a line, and for a failure what was expected, what was found and what the rule says."""
    verdict = _SHORT[result.verdict]
    if colour:
        verdict = f"\x1b[{_COLOURS[result.verdict]}m{verdict}\x1b[0m"
    text = f"{verdict}  {result.rule}  {result.title}\n"
    if result.verdict is Verdict.FAIL:
        text += f"        expected {result.expected}\n        found    {result.found}\n"
        text += f"        {result.rule}: {RULES[result.rule].text}\n"
    elif result.reason:
        text += f"        {result.reason}\n"
    return text


def summary(results: Sequence[Result], host: str, port: int, variant: str) -> dict[str, Any]:
    """The summary row."""
    row: dict[str, Any] = {"type": "summary", "host": host, "port": port, "variant": variant, "checks": len(results)}
    return row | {verdict.value: sum(one.verdict is verdict for one in results) for verdict in Verdict}


def summary_line(row: dict[str, Any]) -> str:
    """The summary row in words."""
    counts = f"{row['pass']} passed, {row['fail']} failed, {row['not-applicable']} not applicable"
    return f"{row['checks']} rules, {row['variant']}: {counts}\n"


def row_of(result: Result, capture: str | None) -> dict[str, Any]:
    """The row of a result; `capture` is the file of its packets."""
    severity = RULES[result.rule].severity
    return {
        "type": "check",
        "rule": result.rule,
        "verdict": result.verdict.value,
        "title": result.title,
        "severity": severity.value if severity is not None else None,
        "source": RULES[result.rule].source,
        "expected": result.expected or None,
        "found": result.found or None,
        "reason": result.reason or None,
        "capture": capture,
    }


def junit(results: Iterable[Result], suite: str) -> str:
    """A JUnit document: a case per rule."""
    cases = []
    for result in results:
        failed = result.verdict is Verdict.FAIL
        text = f"expected {result.expected}\nfound {result.found}\n{RULES[result.rule].text}"
        cases.append(
            Case(
                f"{suite}.{result.rule.partition('-')[0]}",
                f"{result.rule} {result.title}",
                message=f"expected {result.expected}, found {result.found}" if failed else "",
                failure=text if failed else "",
                skipped=result.reason,
            )
        )
    return document("tiopt conform", {suite: cases})


def capture(result: Result) -> bytes:
    """The octets of a capture file with the packets of a check: raw IP, times in nanoseconds."""
    packets = (record(time_ns, packet) for time_ns, packet in result.packets)
    return b"".join((file_header(LINKTYPE_RAW, nanoseconds=True), *packets))


def listing(checks: Iterable[Check]) -> list[dict[str, Any]]:
    """A row per rule, in the order of the rules: what is tested, or why it is not."""
    tested = {one.rule: one for one in checks}
    return [
        {
            "rule": rule,
            "tested": rule in tested,
            "text": tested[rule].title if rule in tested else f"this rule {UNTESTABLE[rule]}",
        }
        for rule in RULES
        if rule in tested or rule in UNTESTABLE
    ]
