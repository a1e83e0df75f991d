"""Every command of the command line, for tests that hold for all of them."""

from __future__ import annotations

from tioption.cli import _MODULES, _declared
from tioption.cli.declare import Command

DECLARED = [_declared(name) for name in _MODULES]
"""What is called by the first word."""

CALLS: dict[tuple[str, ...], Command] = {}
for declared in DECLARED:
    if isinstance(declared, Command):
        CALLS[(declared.name,)] = declared
    else:
        CALLS |= {(declared.name, command.name): command for command in declared.commands}
"""Every command by the words that call it."""
