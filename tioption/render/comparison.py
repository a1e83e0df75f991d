"""The comparison of two captures: lines for people, rows for programs.

Keys and their order are the command line's contract: rows of the type comparison, and a summary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from tioption.render.report import summary
from tioption.render.values import peer_text
from tioption.rules import Severity
from tioption.verdict.capture_point import CapturePoint, Sighting
from tioption.verdict.comparison import Change, Comparison


def _side(sighting: Sighting | None) -> dict[str, Any] | None:
    if sighting is None:
        return None
    verdict, reason = sighting.judged.outcome
    return {"index": sighting.connection.index, "verdict": verdict.value, "reason": reason}


def _change(change: Change) -> dict[str, Any]:
    return {**change._asdict(), "severity": change.severity.value if change.severity is not None else None}


def comparison_row(comparison: Comparison) -> dict[str, Any]:
    """The row of one connection; a point that has not seen it is null."""
    variant, tifid = comparison.flow or (None, None)
    return {
        "type": "comparison",
        "client": _side(comparison.client),
        "server": _side(comparison.server),
        "variant": variant.value if variant is not None else None,
        "tifid": str(tifid) if tifid is not None else None,
        "changes": [_change(change) for change in comparison.changes],
        "lost": list(comparison.lost),
    }


def comparison_summary(points: Iterable[CapturePoint], comparisons: Iterable[Comparison]) -> dict[str, Any]:
    """The summary row: connections and verdicts of both captures, and of the findings those on what was changed."""
    counts = Counter(change.severity for comparison in comparisons for change in comparison.changes)
    verdicts = Counter(judged.outcome.verdict for point in points for judged in point.validator.judged.values())
    return summary(verdicts, {severity: counts[severity] for severity in Severity})


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """One connection in words: who speaks, what either side must believe, and below that what was changed."""
    seen = comparison.client or comparison.server
    assert seen is not None
    numbers = "/".join("-" if one is None else str(one.connection.index) for one in comparison[:2])
    peers = " > ".join(peer_text(one.address, one.port) for one in (seen.connection.client, seen.connection.server))
    flow = f"  {comparison.flow[0].value} {comparison.flow[1]}" if comparison.flow is not None else ""
    yield f"{numbers}  {peers}  {_beliefs(comparison)}{flow}"
    for change in comparison.changes:
        yield f"    {_change_line(change)}"
    for count, way in zip(comparison.lost, ("client to server", "server to client"), strict=True):
        if count:
            yield f"    {count} segment{'s' * (count != 1)} lost from {way}"
    if None not in comparison[:2] and not comparison.changes and not any(comparison.lost):
        yield "    nothing changed"


def _beliefs(comparison: Comparison) -> str:
    words = []
    for name, sighting in (("client", comparison.client), ("server", comparison.server)):
        if sighting is None:
            words.append(f"{name}: not seen")
            continue
        verdict, reason = sighting.judged.outcome
        words.append(f"{name}: {verdict.value}{f' ({reason})' if reason else ''}")
    return ", ".join(words)


def _change_line(change: Change) -> str:
    frames = [
        f"{name} frame {frame}"
        for name, frame in (("client", change.client_frame), ("server", change.server_frame))
        if frame is not None
    ]
    rule = f"{change.rule} {change.severity.value}: " if change.rule and change.severity is not None else ""
    values = f" (sent {change.expected}, arrived {change.found})" if change.expected and change.found else ""
    return f"{', '.join(frames)}: {rule}{change.text}{values}"
