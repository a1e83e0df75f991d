"""Sphinx configuration."""

from __future__ import annotations

import tioption

project = "tiopt"
copyright = "2026, the tiopt authors"  # noqa: A001
version = release = tioption.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"

html_theme = "furo"
html_title = f"tiopt {version}"
