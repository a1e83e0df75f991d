"""tiopt: the toolkit for the transport-independent flow TCP option.

The names below load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tioption.capture import Capture, CutSegment, Segment
    from tioption.columns import decode_options, encode_options, read_batches, read_table
    from tioption.errors import CaptureError, OptionError, ParseError, TioptError, TraceError
    from tioption.option import DEFAULT_KINDS, FlowOption, Kinds, TcpOption, Tifid, Variant, walk
    from tioption.seq import SEQ32, SEQ48, SerialSpace, Unwrapper

__version__ = "0.1.0"

_HOMES = {
    "Capture": "tioption.capture",
    "CutSegment": "tioption.capture",
    "Segment": "tioption.capture",
    "decode_options": "tioption.columns",
    "encode_options": "tioption.columns",
    "read_batches": "tioption.columns",
    "read_table": "tioption.columns",
    "CaptureError": "tioption.errors",
    "OptionError": "tioption.errors",
    "ParseError": "tioption.errors",
    "TioptError": "tioption.errors",
    "TraceError": "tioption.errors",
    "DEFAULT_KINDS": "tioption.option",
    "FlowOption": "tioption.option",
    "Kinds": "tioption.option",
    "TcpOption": "tioption.option",
    "Tifid": "tioption.option",
    "Variant": "tioption.option",
    "walk": "tioption.option",
    "SEQ32": "tioption.seq",
    "SEQ48": "tioption.seq",
    "SerialSpace": "tioption.seq",
    "Unwrapper": "tioption.seq",
}

__all__ = [
    "DEFAULT_KINDS",
    "SEQ32",
    "SEQ48",
    "Capture",
    "CaptureError",
    "CutSegment",
    "FlowOption",
    "Kinds",
    "OptionError",
    "ParseError",
    "Segment",
    "SerialSpace",
    "TcpOption",
    "Tifid",
    "TioptError",
    "TraceError",
    "Unwrapper",
    "Variant",
    "__version__",
    "decode_options",
    "encode_options",
    "read_batches",
    "read_table",
    "walk",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
