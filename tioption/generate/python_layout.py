"""`tioption/layout.py`: the option's layout for code that runs per packet, without Construct."""

from __future__ import annotations

from json import dumps

from tioption import spec
from tioption.generate.fields import Field, option_fields

# struct has no 3- and 6-octet integers: such a field is read as the pieces listed here, most significant first.
_PIECES = {1: (8,), 2: (16,), 3: (16, 8), 4: (32,), 6: (16, 32), 8: (64,)}
_CODES = {8: "B", 16: "H", 32: "I", 64: "Q"}

_HEADER = '''\
# Generated from tioption/spec.py by `python -m tioption.generate`. Do not edit.
"""The flow option's layout for code that runs per packet: offsets, one struct, known experiments (OPT-01)."""

from __future__ import annotations

from struct import Struct
from typing import Final

'''


def _quoted(text: str) -> str:
    return dumps(text, ensure_ascii=False)


def _pack_expression(field: Field) -> list[str]:
    pieces = _PIECES[field.octets]
    shift = sum(pieces)
    terms = []
    for index, bits in enumerate(pieces):
        shift -= bits
        shifted = f"{field.name} >> {shift}" if shift else field.name
        terms.append(shifted if index == 0 else f"{shifted} & 0x{(1 << bits) - 1:X}")
    return terms


def _join_expression(field: Field) -> tuple[list[str], str]:
    """The names a field's pieces are unpacked into, and the expression that joins them."""
    pieces = _PIECES[field.octets]
    if len(pieces) == 1:
        return [field.name], field.name
    names = [f"{field.name}_{word}" for word in ("high", "middle", "low")[: len(pieces) - 1]] + [f"{field.name}_low"]
    shift = sum(pieces)
    terms = []
    for name, bits in zip(names, pieces, strict=True):
        shift -= bits
        terms.append(f"{name} << {shift}" if shift else name)
    return names, " | ".join(terms)


def _field_rows(fields: tuple[Field, ...]) -> str:
    rows = "".join(
        f"    ({_quoted(field.path)}, {field.offset}, {field.octets}, {_quoted(field.doc)}),\n" for field in fields
    )
    return f"FIELDS: Final = (\n{rows})\n"


def _experiment_rows() -> str:
    rows = []
    for item in spec.EXPERIMENTS:
        lengths = tuple(sorted(item.lengths)) if item.lengths is not None else None
        exid, kinds = f'bytes.fromhex("{item.exid.hex()}")', tuple(sorted(item.kinds))
        rows.append(f"    ({_quoted(item.name)}, {_quoted(item.title)}, {exid}, {kinds}, {lengths}),\n")
    row = "tuple[str, str, bytes, tuple[int, ...], tuple[int, ...] | None]"
    return f"EXPERIMENTS: Final[tuple[{row}, ...]] = (\n{''.join(rows)})\n"


def _syn_rows() -> str:
    def names(layout: tuple[str, ...]) -> str:
        return f"({', '.join(_quoted(name) for name in layout)})"

    rows = []
    for system, layout in spec.SYN_LAYOUTS.items():
        with_option = names(spec.with_flow_option(layout))
        rows.append(f"    {_quoted(system)}: (\n        {names(layout)},\n        {with_option},\n    ),\n")
    return f"SYN_LAYOUTS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {{\n{''.join(rows)}}}\n"


def render() -> str:
    """The text of `tioption/layout.py`."""
    fields = option_fields()
    top = [field for field in fields if not field.parent]
    codes = ">" + "".join(_CODES[bits] for field in top for bits in _PIECES[field.octets])
    variable = [field for field in top if field.constant is None]
    unpacked: list[str] = []
    joined: list[str] = []
    packed: list[str] = []
    for field in top:
        names, expression = _join_expression(field)
        unpacked += names
        joined.append(expression)
        packed += [str(field.constant)] if field.constant is not None else _pack_expression(field)
    out = [_HEADER]
    out.append(f"KIND_FLOW_D: Final = {spec.KIND_FLOW_D}\nKIND_FLOW_C: Final = {spec.KIND_FLOW_C}\n")
    out.append(f"LENGTH: Final = {spec.LENGTH}\nOPTION_SPACE: Final = {spec.OPTION_SPACE}\n\n")
    out.append("# (field, offset in octets from the kind, octets, what it is)\n")
    out.append(_field_rows(fields))
    out.append(f"\nEXPERIMENT_KINDS: Final = frozenset({{{', '.join(map(str, sorted(spec.EXPERIMENT_KINDS)))}}})\n\n")
    out.append("# (name, title, experiment identifier, kinds, values of the length octet or None where they vary)\n")
    out.append(_experiment_rows())
    out.append("\n# system: (options of its SYN, options of its SYN beside a flow option)\n")
    out.append(_syn_rows())
    out.append(f'\n_OPTION: Final = Struct("{codes}")\n\n\n')
    out.append(f"def unpack(octets: bytes, offset: int = 0) -> tuple[{', '.join('int' for _ in top)}]:\n")
    contents = ", ".join(field.name for field in top)
    out.append(f'    """{contents} of the {spec.LENGTH} octets at `offset`, which must be there."""\n')
    out.append("    (\n" + "".join(f"        {name},\n" for name in unpacked))
    out.append("    ) = _OPTION.unpack_from(octets, offset)\n")
    out.append(f"    return {', '.join(joined)}\n\n\n")
    out.append(f"def pack({', '.join(f'{field.name}: int' for field in variable)}) -> bytes:\n")
    out.append('    """The octets of an option with these values, each of which must fit its field."""\n')
    out.append("    return _OPTION.pack(\n" + "".join(f"        {term},\n" for term in packed) + "    )\n")
    return "".join(out)
