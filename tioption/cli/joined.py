"""The report on several files: each judged by itself, and what lies in more than one of them judged jointly.

The files' reports wait in a temporary file. Where flows or connections lie in several files, a second pass takes their
segments out of those files, and the rows of the joint judgement stand in place of the files' own.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import partial
from io import TextIOWrapper
from json import dumps, loads
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, TextIO

from tioption.cli.files import is_url, size_of
from tioption.cli.validate import Judgement, judge_file, quick_validator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tioption.cli.reading import Reader
    from tioption.cli.spread import Spread
    from tioption.verdict.joining import Sightings
    from tioption.verdict.joint import Joint

_PIECE = 1 << 20
_LINES = 1 << 12
_FLOW = len("flow-d 5e1c07a9d344")


def judge_files(spread: Spread, reader: Reader, form: str, kinds: Any, *, strict: bool) -> Judgement:
    """Write the report on all files, but for its summary; what is to be known beside it."""
    files, several = spread.files, len(spread.files) > 1
    work = partial(judge_file, form="text" if form == "text" else "json", kinds=kinds, remember=several)
    with spool() as waiting:
        spans, judgements = [], []
        for number, judgement in spread.run(work, waiting, reader):
            waiting.flush()
            spans.append(waiting.buffer.tell())
            sys.stderr.writelines(reader.remarks)
            reader.remarks.clear()
            if judgement is not None and not _again(files[number]):
                judgement = judgement._replace(sightings=None)  # noqa: PLW2901
            judgements.append(judgement)
        reader.progress.clear()
        total = _sum(judgements)
        sightings = [judgement.sightings if judgement is not None else None for judgement in judgements]
        changes = _joined(spread, sightings, kinds, reader, total) if several else {}
        report = _Report(waiting, spans, changes)
        if form == "junit":
            from tioption.render.report import junit

            suites: dict[str, list[dict[str, Any]]] = {}
            for number, file in enumerate(files):
                suites.setdefault(file, []).extend(report.rows(number))
            sys.stdout.write(junit(suites, strict=strict))
        else:
            for number, file in enumerate(files):
                if several and form == "text":
                    sys.stdout.write(f"{file}:\n")
                report.write(number, sys.stdout, text=form == "text")
    return total


def spool() -> TextIO:
    """A file without a name, for text as standard output will have it."""
    encoding, errors = sys.stdout.encoding or "utf-8", sys.stdout.errors or "strict"
    return TextIOWrapper(TemporaryFile(), encoding, errors, newline="\n")


def _again(file: str) -> bool:
    """Whether the file can be read a second time."""
    return file != "-" and (is_url(file) or size_of(file) is not None)


def _sum(judgements: Sequence[Judgement | None]) -> Judgement:
    verdicts: Counter[Any] = Counter()
    severities: Counter[Any] = Counter()
    given_up = 0
    for judgement in judgements:
        if judgement is not None:
            verdicts += judgement.verdicts
            severities += judgement.severities
            given_up += judgement.given_up
    return Judgement(verdicts, severities, given_up)


class _Changes:
    """What of a file's own report gives way to the joint judgement."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[str, Any] | None] = {}
        """By the index of a connection the row in its place, None where it is a part of one that began before."""
        self.tifids: set[str] = set()
        """Flows whose rows are left out."""
        self.flows: dict[tuple[str, str], list[dict[str, Any]]] = {}
        """By variant and TIFID the rows of flows that begin in the file."""


class _Report:
    """The files' reports as they wait, with what the joint judgement has changed."""

    def __init__(self, spool: TextIO, spans: list[int], changes: Mapping[int, _Changes]) -> None:
        self._file = spool.buffer
        self._spans = [0, *spans]
        self._changes = changes

    def write(self, number: int, out: TextIO, *, text: bool) -> None:
        """Write the report of a file."""
        from tioption.render.report import report_lines

        changes = self._changes.get(number)
        if changes is None:
            out.flush()
            for octets in self._octets(number):
                out.buffer.write(octets)
            return
        out.flush()
        encoding, errors = out.encoding or "utf-8", out.errors or "strict"
        waiting: list[bytes] = []
        for one in self._blocks(number, changes, text=text):
            if isinstance(one, bytes):
                waiting.append(one)
            else:
                lines = report_lines(iter((one,))) if text else (dumps(one),)
                waiting += ((line + "\n").encode(encoding, errors) for line in lines)
            if len(waiting) >= _LINES:
                out.buffer.write(b"".join(waiting))
                waiting.clear()
        out.buffer.write(b"".join(waiting))

    def rows(self, number: int) -> Iterator[dict[str, Any]]:
        """The rows of a report that waits as JSON."""
        changes = self._changes.get(number)
        if changes is None:
            yield from map(loads, self._lines(number))
        else:
            for one in self._blocks(number, changes, text=False):
                yield loads(one) if isinstance(one, bytes) else one

    def _octets(self, number: int) -> Iterator[bytes]:
        at, end = self._spans[number : number + 2]
        self._file.seek(at)
        while at < end:
            octets = self._file.read(min(_PIECE, end - at))
            at += len(octets)
            yield octets

    def _lines(self, number: int) -> Iterator[bytes]:
        begun = b""
        for octets in self._octets(number):
            *lines, begun = (begun + octets).split(b"\n")
            yield from (line + b"\n" for line in lines)

    def _blocks(self, number: int, changes: _Changes, *, text: bool) -> Iterator[bytes | dict[str, Any]]:
        """Lines as they wait, and the rows in place of others."""
        flows = dict(changes.flows)
        left_out = False
        heads = {str(index).encode() for index in changes.rows}
        heads |= {f"{variant} {tifid}".encode() for variant in ("flow-d", "flow-c") for tifid in changes.tifids}
        for line in self._lines(number):
            if text and line[:1] == b" ":  # a finding, below what it is about
                if not left_out:
                    yield line
                continue
            left_out = False
            head = line[:_FLOW] if line[:1] == b"f" else line[: line.index(b" ")]
            if not text or head in heads:
                kind, key = _subject(line, text=text)
                left_out = key in changes.rows if kind == "connection" else key[1] in changes.tifids
            if not left_out:
                yield line
            elif kind == "connection":
                row = changes.rows[key]
                if row is not None:
                    yield row
            else:
                yield from flows.pop(key, ())
        for rows in flows.values():
            yield from rows


def _subject(line: bytes, *, text: bool) -> tuple[str, Any]:
    """What a line of a report is about: a connection by its index, or a flow by variant and TIFID."""
    if text:
        first, second = line.split(maxsplit=2)[:2]
        if first.isdigit():
            return "connection", int(first)
        return "flow", (first.decode(), second.decode())
    row = loads(line)
    return row["type"], row["index"] if row["type"] == "connection" else (row["variant"], row["tifid"])


# The joint judgement.


def _joined(
    spread: Spread, sightings: list[Sightings | None], kinds: Any, reader: Reader, total: Judgement
) -> dict[int, _Changes]:
    """What the joint judgement changes in each file's report; the counts in `total` change with it."""
    from tioption.cli.second_pass import segments_between
    from tioption.verdict.joining import concerned
    from tioption.verdict.joint import Joint, Piece

    chosen = concerned(sightings)
    if not chosen:
        return {}
    known = {
        Piece(number, seen.first_frame): seen
        for number, capture in enumerate(sightings)
        for seen in (capture.find(set(), chosen[number]) if capture is not None and number in chosen else ())
    }
    joint = Joint(known, kinds, quick_validator())
    with spool() as waiting:
        for number, excerpt in segments_between(spread, chosen, sightings, waiting, reader):
            joint.take(number, excerpt)
    return _changed(spread.files, joint, sightings, total)


def _changed(
    files: list[str], joint: Joint, sightings: list[Sightings | None], total: Judgement
) -> dict[int, _Changes]:
    from tioption.render.report import joint_connection, joint_flow

    changes: dict[int, _Changes] = defaultdict(_Changes)
    connections, flows = joint.finish()
    for one in connections:
        row = joint_connection(files, joint, one)
        for number, seen in one.parts:
            change = changes[number]
            change.rows[seen.number] = None
            if seen.complete:
                change.tifids.add(f"{seen.tifid:012x}")
            total.verdicts[seen.verdict] -= 1
            total.severities.subtract(seen.severities)
            total.severities.update(finding.severity for finding in seen.kept)
        number, seen = one.parts[0]
        changes[number].rows[seen.number] = row
        total.verdicts[one.verdict] += 1
        total.severities.update(finding.severity for finding in one.findings)
    for number, change in changes.items():
        alone = sightings[number]
        for (_, tifid), severities in alone.flows.items() if alone is not None else ():
            if f"{tifid:012x}" in change.tifids:
                total.severities.subtract(severities)
    for flow in flows:
        row = joint_flow(files, joint, flow)
        changes[flow.begun[0][0]].flows.setdefault((row["variant"], row["tifid"]), []).append(row)
        total.severities.update(finding.severity for finding in flow.findings)
    return dict(changes)
