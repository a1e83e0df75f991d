"""The registry of scenarios: a function that lets a conversation happen, under a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from tioption.build.conversation import Conversation

Story = Callable[[Conversation], None]


class Scenario(NamedTuple):
    """A named capture; `rule` and `kept` are set where it shows one rule kept or broken (or the case it notes)."""

    name: str
    text: str
    story: Story
    settings: dict[str, Any]
    rule: str | None = None
    kept: bool = True

    def conversation(self, seed: int = 1) -> Conversation:
        """The conversation after it has happened; its `expected` lists the rules broken on purpose by frame."""
        talk = Conversation(seed, **self.settings)
        self.story(talk)
        return talk

    def pcap(self, seed: int = 1, at: Literal["A", "B", "path"] = "path") -> bytes:
        """The octets of its capture file."""
        return self.conversation(seed).pcap(at)


SCENARIOS: Final[dict[str, Scenario]] = {}
"""Every scenario by name, in the order of the specification."""


def _add(scenario: Scenario) -> None:
    assert scenario.name not in SCENARIOS, scenario.name
    SCENARIOS[scenario.name] = scenario


def scenario(name: str, text: str, **settings: Any) -> Callable[[Story], Story]:
    """Register a story under a name; `settings` are those of its Conversation."""

    def register(story: Story) -> Story:
        _add(Scenario(name, text, story, settings))
        return story

    return register


def keeps(*rules: str, text: str, **settings: Any) -> Callable[[Story], Story]:
    """Register a story that keeps these rules, as `RULE-right` each."""

    def register(story: Story) -> Story:
        for rule in rules:
            _add(Scenario(f"{rule.lower()}-right", text, story, settings, rule, kept=True))
        return story

    return register


def breaks(rule: str, text: str, **settings: Any) -> Callable[[Story], Story]:
    """Register a story that breaks a rule, or shows the case the rule only notes, as `RULE-wrong`."""

    def register(story: Story) -> Story:
        _add(Scenario(f"{rule.lower()}-wrong", text, story, settings, rule, kept=False))
        return story

    return register
