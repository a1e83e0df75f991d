"""Every scenario by name: the rows of the paper, and every rule that shows on the wire, kept and broken."""

from __future__ import annotations

# Importing a module of stories registers them; the order is that of the specification.
from tioption.build.scenarios import paper  # isort: skip
from tioption.build.scenarios import option  # isort: skip
from tioption.build.scenarios import establishment  # isort: skip
from tioption.build.scenarios import legacy  # isort: skip
from tioption.build.scenarios import mapping  # isort: skip
from tioption.build.scenarios import resumption  # isort: skip
from tioption.build.scenarios import control  # isort: skip
from tioption.build.scenarios import security  # isort: skip
from tioption.build.scenarios import middleboxes  # isort: skip
from tioption.build.scenarios.registry import SCENARIOS, Scenario

FAMILIES = (paper, option, establishment, legacy, mapping, resumption, control, security, middleboxes)
"""The modules of stories, in the order of the specification."""

__all__ = ["FAMILIES", "SCENARIOS", "Scenario"]
