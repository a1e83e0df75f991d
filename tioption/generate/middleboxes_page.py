"""`docs/reference/middleboxes.md`: what paths do, by family, with every parameter."""

from __future__ import annotations

from inspect import cleandoc
from types import ModuleType

from tioption.middlebox import BOXES, FAMILIES
from tioption.middlebox.parameters import Parameter
from tioption.middlebox.registry import Entry


def _parameter(parameter: Parameter) -> str:
    default = f"`{parameter.default}`" if parameter.default is not None else "—"
    return f"| `{parameter.name}` | {parameter.kind.expects} | {default} | {parameter.text} |"


def _plain(text: str) -> str:
    """A docstring in Markdown: paragraphs stay, names in backquotes are as they are."""
    return cleandoc(text).strip()


def _box(entry: Entry) -> str:
    parts = [f"### {entry.name}", _plain(entry.make.__doc__ or "")]
    if entry.rules:
        parts.append(f"Rules: {', '.join(entry.rules)}.")
    if entry.parameters:
        rows = ["| parameter | value | default | meaning |", "|-|-|-|-|", *map(_parameter, entry.parameters)]
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def _family(module: ModuleType) -> str:
    title, _, text = _plain(module.__doc__ or "").partition("\n\n")
    boxes = [_box(entry) for entry in BOXES.values() if entry.make.__module__ == module.__name__]
    return "\n\n".join([f"## {title.removesuffix('.')}", text, *boxes])


def render() -> str:
    """The text of the page."""
    families = "\n\n".join(map(_family, FAMILIES))
    return f"""\
<!-- Generated from tioption/middlebox/ by `python -m tioption.generate`. Do not edit. -->
# Middleboxes

What paths do to the option and to TCP. Each is a pure transform: a raw IP packet, its way and the time go in, packets
with ways and delays come out; nothing waits, and whatever is random comes from a seed. `tiopt mangle` sends captures
through them ([the command line](cli.md#tiopt-mangle-in-out)), `tioption.middlebox` is
[the library](library.md#middleboxes).

A box is written `NAME:PARAMETER=VALUE,…`, for example `nat:after=100,how=rst`. The first parameter may stand without
its name (`delay:20ms`), and a switch without its value (`flip:fix`). A stands at one end of the path and opens
connections, B at the other; `ab` is the way from A to B.

Whatever a box changes, lengths and checksums follow; a checksum that was wrong before stays wrong by as much. What is
not TCP passes all boxes but those of the links untouched, and so do fragments, packets that are not whole, and headers
that make no sense. IPv4 and IPv6 are treated alike. A box remembers 65,536 connections at most and forgets those it has
not seen for longest.

{families}
"""
