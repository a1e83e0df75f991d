"""What paths do to the option and to TCP: middleboxes as pure transforms, with packets and times in and packets out."""

from __future__ import annotations

# Importing a module of boxes registers them; the order is that of the reference.
from tioption.middlebox import flow_option  # isort: skip
from tioption.middlebox import sequence  # isort: skip
from tioption.middlebox import segmentation  # isort: skip
from tioption.middlebox import tcp_options  # isort: skip
from tioption.middlebox import nat  # isort: skip
from tioption.middlebox import firewall  # isort: skip
from tioption.middlebox import proxies  # isort: skip
from tioption.middlebox import links  # isort: skip
from tioption.middlebox.box import Emitted, Middlebox, Way
from tioption.middlebox.chain import Arrival, Chain, Path
from tioption.middlebox.registry import BOXES, parse_box, parse_chain, random_chain, random_specs

FAMILIES = (flow_option, sequence, segmentation, tcp_options, nat, firewall, proxies, links)
"""The modules of boxes, in the order of the reference."""

__all__ = [
    "BOXES",
    "FAMILIES",
    "Arrival",
    "Chain",
    "Emitted",
    "Middlebox",
    "Path",
    "Way",
    "parse_box",
    "parse_chain",
    "random_chain",
    "random_specs",
]
