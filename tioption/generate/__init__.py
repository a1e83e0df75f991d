"""Files derived from `tioption.spec`: committed, reviewed like any other, and checked for drift.

`python -m tioption.generate` writes them, `python -m tioption.generate --check` compares.
"""
