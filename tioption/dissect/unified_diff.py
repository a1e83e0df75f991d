"""Unified diffs as git writes them, from hunks rather than from two trees: files changed, text and binary files added.

`git apply` takes all of it; `patch` takes everything but binary files.
"""

from __future__ import annotations

from base64 import b85encode
from collections.abc import Iterable, Iterator
from hashlib import sha1
from struct import pack
from typing import Final, NamedTuple
from zlib import adler32

_BINARY_LINE: Final = 52
_STORED_BLOCK: Final = 0xFFFF


class Hunk(NamedTuple):
    """One change: the line of the old file where it begins, its lines with their marks (blank, +, -), its function."""

    line: int
    body: str
    function: str = ""


def changed(path: str, hunks: Iterable[Hunk]) -> str:
    """The diff of a text file that exists, hunks in the order of their lines."""
    out = [f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n"]
    shift = 0
    for line, body, function in hunks:
        marks = [text[:1] for text in body.splitlines()]
        added, removed = marks.count("+"), marks.count("-")
        kept = len(marks) - added - removed
        place = f"@@ -{line},{kept + removed} +{line + shift},{kept + added} @@ {function}".rstrip()
        out.append(f"{place}\n{body}")
        shift += added - removed
    return "".join(out)


def added(path: str, text: str) -> str:
    """The diff of a text file that is new."""
    lines = "".join(f"+{line}\n" for line in text.splitlines())
    head = f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n"
    return f"{head}@@ -0,0 +1,{lines.count(chr(10))} @@\n{lines}"


def added_binary(path: str, octets: bytes) -> str:
    """The diff of a binary file that is new: git's own notation, a zlib stream in base 85."""
    name = sha1(b"blob %d\0" % len(octets) + octets, usedforsecurity=False).hexdigest()
    head = f"diff --git a/{path} b/{path}\nnew file mode 100644\nindex {'0' * 40}..{name}\nGIT binary patch\n"
    lines = "".join(f"{line}\n" for line in _binary_lines(_stored(octets)))
    return f"{head}literal {len(octets)}\n{lines}\nliteral 0\nHcmV?d00001\n\n"


def _stored(octets: bytes) -> bytes:
    """A zlib stream (RFC 1950) that compresses nothing, so that every release of every zlib makes the same."""
    out = [b"\x78\x01"]
    starts = range(0, max(1, len(octets)), _STORED_BLOCK)
    for start in starts:
        block = octets[start : start + _STORED_BLOCK]
        out.append(pack("<BHH", start == starts[-1], len(block), len(block) ^ 0xFFFF) + block)
    return b"".join(out) + pack(">I", adler32(octets))


def _binary_lines(octets: bytes) -> Iterator[str]:
    """Lines of up to 52 octets, each begun by a letter for their number: A to Z for 1 to 26, a to z for 27 to 52."""
    for start in range(0, len(octets), _BINARY_LINE):
        line = octets[start : start + _BINARY_LINE]
        letter = chr(ord("A") - 1 + len(line)) if len(line) <= 26 else chr(ord("a") - 27 + len(line))
        yield letter + b85encode(line, pad=True).decode()
