"""Capture files in, TCP segments out: file formats, link layers and tunnels."""

from tioption.capture.batch import Batch
from tioption.capture.reader import Capture
from tioption.capture.segment import CutSegment, Segment
from tioption.capture.selection import Select
from tioption.capture.source import Source
from tioption.capture.undecoded import Undecoded

__all__ = ["Batch", "Capture", "CutSegment", "Segment", "Select", "Source", "Undecoded"]
