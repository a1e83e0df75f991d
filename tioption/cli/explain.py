"""`tiopt explain`: an option or a TCP header, octet by octet."""

from __future__ import annotations

import sys
from typing import Any

from tioption.cli.declare import KIND_OPTIONS, Argument, Command, Option, UsageError, chosen_kinds

_SEPARATORS = str.maketrans("", "", " \t\r\n:-,.|")


def run(octets: list[str], format: str, what: str, kind_d: int, kind_c: int) -> int:  # noqa: A002
    """Explain the octets and return the exit status."""
    from tioption.render.explanation import explain_header, explain_options

    kinds = chosen_kinds(kind_d, kind_c)
    data = _octets(" ".join(octets))
    if what == "auto":
        what = "header" if _is_header(data, kinds) else "option"
    if what == "header" and len(data) < 20:
        raise UsageError(f"expected a TCP header of at least 20 octets, found {len(data)}")
    explanation = explain_header(data, kinds) if what == "header" else explain_options(data, kinds)
    sys.stdout.write(_json(explanation) if format == "json" else _text(explanation))
    return 0


def _octets(text: str) -> bytes:
    """The octets that hexadecimal digits in any of the usual notations stand for."""
    digits = "".join(word.removeprefix("0x").removeprefix("0X") for word in text.split()).translate(_SEPARATORS)
    bad = next((digit for digit in digits if digit not in "0123456789abcdefABCDEF"), None)
    if bad is not None:
        raise UsageError(f"expected hexadecimal digits, found {bad!r}")
    if not digits or len(digits) % 2:
        raise UsageError(f"expected an even number of hexadecimal digits, found {len(digits)}")
    if len(digits) > 2 * 65535:
        raise UsageError(f"expected at most 65535 octets, found {len(digits) // 2}")
    return bytes.fromhex(digits)


def _is_header(data: bytes, kinds: Any) -> bool:
    """Whether octets look more like a TCP header than like options: long enough, with a data offset that fits."""
    if kinds.variant(data[0]) is not None and len(data) > 1 and data[1] == len(data):
        return False
    return len(data) >= 20 and 20 <= data[12] >> 4 << 2 <= len(data)


def _text(explanation: Any) -> str:
    rows = [("offset", "octets", "field", "value", "meaning")]
    for offset, octets, field, value, meaning in explanation.pieces:
        last = offset + len(octets) - 1
        place = f"{offset}" if last <= offset else f"{offset}-{last}"
        shown = octets[:8].hex(" ") + (" …" if len(octets) > 8 else "")
        rows.append((place, shown, field, value, meaning))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [explanation.what, ""]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, row[4]]).rstrip())
    if explanation.findings:
        lines.append("")
        lines += [f"{found.rule} {found.severity.value}: {found.text}" for found in explanation.findings]
    return "\n".join(lines) + "\n"


def _json(explanation: Any) -> str:
    from json import dumps

    pieces = [
        {"offset": piece.offset, "octets": piece.octets.hex(), "field": piece.field, "value": piece.value}
        | {"meaning": piece.meaning}
        for piece in explanation.pieces
    ]
    found = [
        {"rule": finding.rule, "severity": finding.severity.value, "offset": finding.offset, "text": finding.text}
        for finding in explanation.findings
    ]
    return dumps({"what": explanation.what, "pieces": pieces, "findings": found}) + "\n"


COMMAND = Command(
    "explain",
    "Explain an option or a TCP header, octet by octet.",
    "Explain an option, several options or a whole TCP header, octet by octet. Digits may be separated by blanks, "
    "colons, dashes, dots or commas and begin with 0x.",
    (
        "tiopt explain fd140a4530be79bf00000000001d00000000001f",
        "tiopt explain 02 04 05 b4 01 03 03 03",
        "tiopt explain --as header 0016:2c29:0000:01c8:0000:006f:a012:ffff:0000:0000",
    ),
    Argument("octets", "HEX", "Octets in hexadecimal."),
    (
        Option("format", ("--format", "-f"), "How to print.", default="text", choices=("text", "json")),
        Option("what", ("--as",), "What the octets are.", default="auto", choices=("auto", "option", "header")),
        *KIND_OPTIONS,
    ),
    run,
)
