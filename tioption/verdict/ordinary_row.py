"""Ordinary connections as a report needs them: rows of fixed size, made in C (`_row.h`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from struct import Struct
from typing import Final, NamedTuple

from tioption.option import Kinds
from tioption.verdict.outcome import Outcome

ROW_FIELDS: Final = (
    ("index", 0, "Q"),
    ("tifid", 8, "Q"),
    ("sent_a", 16, "Q"),
    ("sent_b", 24, "Q"),
    ("first_frame", 32, "Q"),
    ("s_a", 40, "Q"),
    ("code", 48, "H"),
    ("client_port", 50, "H"),
    ("server_port", 52, "H"),
    ("kind", 54, "B"),
    ("address", 55, "B"),
    ("flow", 56, "B"),
    ("client", 57, "16s"),
    ("server", 73, "16s"),
    ("spare", 89, "7s"),
)
"""Name, octet in the row and struct format of each field, in the machine's byte order and without padding."""

ROW: Final = Struct("=" + "".join("7x" if name == "spare" else form for name, _, form in ROW_FIELDS))
"""A row of 96 octets."""


class OrdinaryRow(NamedTuple):
    """An ordinary connection, or the flow it carries."""

    connection: int
    """Index of the connection."""
    tifid: int
    """48 bits as far as they are known, 0 where there was no option."""
    sent_a: int
    """Octets of the client's stream."""
    sent_b: int
    """Octets of the server's stream."""
    first_frame: int
    s_a: int
    """TISeq of the SYN, 0 where there was no option."""
    code: int
    """A key of `OrdinaryRows.outcomes`."""
    client_port: int
    server_port: int
    kind: int
    """Of its options, 0 where there was none."""
    address: int
    """Octets of each address, 4 or 16."""
    flow: int
    """Whether it carries a flow."""
    client: bytes
    """The address, with zeros behind 4 octets."""
    server: bytes


class OrdinaryRows(NamedTuple):
    """Consecutive ordinary connections of a report, or their flows: octets of one ROW each."""

    octets: bytes
    kinds: Kinds
    outcomes: Mapping[int, Outcome]
    flows: bool

    def rows(self) -> Iterator[OrdinaryRow]:
        """The rows as values."""
        return map(OrdinaryRow._make, ROW.iter_unpack(self.octets))
