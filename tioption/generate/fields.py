"""What the Construct struct says of the option, flattened to rows that every generator can print."""

from __future__ import annotations

from typing import NamedTuple

from construct import Const, Renamed, Struct

from tioption.spec import FLOW_OPTION


class Field(NamedTuple):
    """One field of the option; `parent` names the field it is part of, "" at the top."""

    name: str
    offset: int
    octets: int
    doc: str
    parent: str = ""
    constant: int | None = None

    @property
    def path(self) -> str:
        """The name with its parent's in front, as display filters write it: `tifid.first`."""
        return f"{self.parent}.{self.name}" if self.parent else self.name


def _docs(renamed: Renamed) -> str:
    """The field's documentation, which Construct keeps on the innermost of its wrappers."""
    inner = renamed
    while not inner.docs and isinstance(inner.subcon, Renamed):
        inner = inner.subcon
    return str(inner.docs)


def _unwrapped(renamed: Renamed) -> object:
    """The construct below the names and documentation that wrap it."""
    inner: object = renamed
    while isinstance(inner, Renamed):
        inner = inner.subcon
    return inner


def _walk(struct: Struct, start: int, parent: str) -> list[Field]:
    fields: list[Field] = []
    offset = start
    for part in struct.subcons:
        inner = _unwrapped(part)
        octets = part.sizeof()
        constant = inner.value if isinstance(inner, Const) else None
        fields.append(Field(part.name, offset, octets, _docs(part), parent, constant))
        if isinstance(inner, Struct):
            fields += _walk(inner, offset, part.name)
        offset += octets
    return fields


def option_fields() -> tuple[Field, ...]:
    """Every field in wire order, each one before its parts; offsets count octets from the kind."""
    return tuple(_walk(FLOW_OPTION, 0, ""))
