"""A Wireshark profile for TI-flows: columns, colours and filter buttons, in the names of the plugin's fields.

The files are those of a profile's folder: `preferences`, `colorfilters` and `dfilter_buttons`, as releases from 3.4 to
4.6 read them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from tioption.dissect.definition import FIELDS_BY_NAME, PROTOCOL

NAME: Final = "TI-flow"
"""The profile's name, and that of its folder."""

_HEADER: Final = "# Generated from tioption/dissect/definition.py by `python -m tioption.generate`. Do not edit.\n"


def field(name: str) -> str:
    """A field of the plugin as display filters write it; raises KeyError where there is none of this name."""
    return f"{PROTOCOL}.{FIELDS_BY_NAME[name].name}"


def _own(name: str) -> str:
    return f"%Cus:{field(name)}:0:R"


COLUMNS: Final = (
    ("No.", "%m"),
    ("Time", "%t"),
    ("Source", "%s"),
    ("Destination", "%d"),
    ("Protocol", "%p"),
    ("Flow", _own("flow")),
    ("Transport", _own("transport")),
    ("Position", _own("position.relative")),
    ("Length", "%L"),
    ("Info", "%i"),
)
"""Title and format of each column; %Cus is a field, its occurrence (0: all), and R for its value in words."""


class Colour(NamedTuple):
    """A rule of the packet list: a name, a display filter, background and text as red, green and blue of 16 bits."""

    name: str
    filter: str
    background: tuple[int, int, int]
    text: tuple[int, int, int] = (0, 0, 0)


COLOURS: Final = (
    Colour(
        "TI-flow violation", f'{field("severity")} == "violation"', (0xA4A4, 0x0000, 0x0000), (0xFFFF, 0xFCFC, 0x9C9C)
    ),
    Colour("TI-flow warning", f'{field("severity")} == "warning"', (0xFCFC, 0xE9E9, 0x4F4F)),
    Colour("TI-flow resume", f'{field("phase")} contains "resume"', (0xADAD, 0x7F7F, 0xA8A8), (0xFFFF,) * 3),
    Colour("TI-flow handshake", field("phase"), (0x7272, 0x9F9F, 0xCFCF)),
    Colour("TI-flow, resumed transport", f"{field('transport')} > 1", (0xEFEF, 0xE0E0, 0xF5F5)),
    Colour("TI-flow", field("flow"), (0xDADA, 0xE8E8, 0xF5F5)),
)
"""The first that matches wins."""

BUTTONS: Final = (
    ("TI-flow", PROTOCOL, "every segment of a flow, and every option"),
    ("Options", field("kind"), "segments with an option on one of the kinds"),
    ("Resumes", f'{field("phase")} contains "resume"', "the handshakes that carry a flow on"),
    ("Reconnected", field("reconnect_time"), "the segments that confirm a resume, with its time and the outage"),
    ("Violations", f'{field("severity")} == "violation"', "segments that break a rule"),
    ("Findings", field("rule"), "segments that break a rule, or that one notes"),
)
"""Label, display filter and comment of each button."""


def render() -> dict[str, str]:
    """The texts of the profile's files by their names."""
    return {
        "preferences": _HEADER + "".join(_preferences()),
        "colorfilters": _HEADER + "".join(_colour(colour) for colour in COLOURS),
        "dfilter_buttons": _HEADER
        + "".join(f'"TRUE",{_quoted(label)},{_quoted(text)},{_quoted(about)}\n' for label, text, about in BUTTONS),
    }


def _preferences() -> Iterator[str]:
    columns = ",\n".join(f'\t"{title}", "{how}"' for title, how in COLUMNS)
    yield f"gui.column.format: \n{columns}\n"


def _colour(colour: Colour) -> str:
    background, text = (",".join(map(str, part)) for part in (colour.background, colour.text))
    return f"@{colour.name}@{colour.filter}@[{background}][{text}]\n"


def _quoted(text: str) -> str:
    r"""A text as Wireshark's tables hold it: quotes and backslashes in it as \x and two digits."""
    return '"' + text.replace("\\", "\\x5c").replace('"', "\\x22") + '"'
