"""The checks by their rules: how one is declared, and what it presupposes."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from inspect import cleandoc
from typing import Final, NamedTuple

from tioption.conform.case import Case, Facts, Script
from tioption.option import Variant
from tioption.rules import RULES


class Need(IntEnum):
    """What a host has to be capable of, so that a check says anything; each includes those before it."""

    TCP = 0
    OPTION = 1
    """Its SYN-ACK has the option, right or wrong."""
    FLOW = 2
    """A flow can be established."""
    RESUMABLE = 3
    """A flow can be resumed in some circumstances."""
    RESUME = 4
    """A flow can be resumed while its transport lives."""


class Check(NamedTuple):
    """One check: the rule it is about, what it does, and what it presupposes."""

    rule: str
    title: str
    how: str
    run: Callable[[Case], Script[None]]
    need: Need
    echo: bool
    """Whether the service has to send back what it gets."""
    alone: bool
    """Whether nothing else may go on meanwhile."""
    variant: Variant | None

    def obstacle(self, facts: Facts, variant: Variant) -> str:
        """Why this check says nothing about a host; empty where it does."""
        if self.variant is not None and variant is not self.variant:
            return f"only for {self.variant.value}: --variant {self.variant.value}"
        if self.need >= Need.OPTION and facts.silent:
            return f"the host does not speak the option: {facts.silent}"
        if self.need >= Need.FLOW and facts.flowless:
            return f"no flow can be established: {facts.flowless}"
        if self.need >= Need.RESUMABLE and not (facts.alive or facts.broken):
            return "the host refuses every resume (RES-03)"
        if self.need >= Need.RESUME and not facts.alive:
            return "the host refuses a resume while the old transport lives (RES-10)"
        if self.echo and not facts.echoes:
            return "the service does not send back what it gets"
        return ""


CHECKS: Final[dict[str, Check]] = {}
"""Every check by its rule, filled by the modules of `tioption.conform.checks`."""


def check(
    rule: str, need: Need, *, echo: bool = False, alone: bool = False, variant: Variant | None = None
) -> Callable[[Callable[[Case], Script[None]]], Callable[[Case], Script[None]]]:
    """Declare a check of a rule; its docstring's first sentence is its title, the rest says how it is done."""

    def enter(run: Callable[[Case], Script[None]]) -> Callable[[Case], Script[None]]:
        assert rule in RULES, f"no rule {rule}"
        assert rule not in CHECKS, f"two checks of {rule}"
        title, _, how = cleandoc(run.__doc__ or "").partition("\n\n")
        CHECKS[rule] = Check(rule, " ".join(title.split()).removesuffix("."), how, run, need, echo, alone, variant)
        return run

    return enter
