"""`docs/reference/option-layout.md`: the layout, the experiments and the arithmetic of option space, as tables."""

from __future__ import annotations

from tioption import spec
from tioption.generate.fields import option_fields


def _fields_table() -> str:
    rows = ["| offset | octets | field | what it is |", "|-:|-:|-|-|"]
    rows += [f"| {field.offset} | {field.octets} | `{field.path}` | {field.doc} |" for field in option_fields()]
    return "\n".join(rows)


def _experiments_table() -> str:
    rows = ["| name | kinds | ExID | lengths | experiment | source |", "|-|-|-|-|-|-|"]
    for item in spec.EXPERIMENTS:
        lengths = "any" if item.lengths is None else ", ".join(map(str, sorted(item.lengths)))
        kinds = ", ".join(map(str, sorted(item.kinds)))
        rows.append(
            f"| `{item.name}` | {kinds} | `0x{item.exid.hex().upper()}` | {lengths} | {item.title} | {item.source} |"
        )
    return "\n".join(rows)


def _space_table() -> str:
    rows = ["| system | SYN options | octets | left | with padding removed |", "|-|-|-:|-:|-:|"]
    for system, layout in spec.SYN_LAYOUTS.items():
        names = ",".join(layout)
        left, repacked = spec.space_left(layout), spec.space_left(spec.repacked(layout))
        verdict = "fits" if spec.fits(layout) else "fits only repacked"
        rows.append(f"| {system} | `{names}` | {spec.option_octets(layout)} | {left} ({verdict}) | {repacked} |")
    return "\n".join(rows)


def render() -> str:
    """The text of the page."""
    return f"""\
<!-- Generated from tioption/spec.py by `python -m tioption.generate`. Do not edit. -->
# The option on the wire

{spec.LENGTH} octets, big-endian. Flow-D and Flow-C differ in kind alone:
{spec.KIND_FLOW_D} and {spec.KIND_FLOW_C} unless configured otherwise (OPT-01, OPT-02).

{_fields_table()}

## Who else uses the kinds

RFC 6994 shares kinds 253 and 254 among experiments by an identifier after the length. An option is a flow option
only if its kind is configured, its length is {spec.LENGTH}, and its octets do not begin with one of these identifiers
at one of its lengths.

{_experiments_table()}

## What a SYN leaves

A TCP header holds {spec.OPTION_SPACE} octets of options. The flow option starts at the next multiple of 4 (OPT-08)
and is left out where it does not fit; nothing is shed for it (OPT-11).

{_space_table()}
"""
