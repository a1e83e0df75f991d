"""`tiopt rules`: the rules of the protocol, all of them or some in full."""

from __future__ import annotations

import sys
from typing import Any

from tioption.cli.declare import Argument, Command, Option, UsageError


def run(ids: list[str], format: str) -> int:  # noqa: A002  the names are those of the options
    """Print the rules and return the exit status."""
    from tioption.rules import RULES

    chosen = [RULES[identifier] for identifier in _known(ids, RULES)] if ids else list(RULES.values())
    if format == "json":
        text = "".join(_json(rule) for rule in chosen)
    elif ids:
        text = "\n".join(_in_full(rule) for rule in chosen)
    else:
        text = "".join(_line(rule) for rule in chosen)
    sys.stdout.write(text)
    return 0


def _known(ids: list[str], rules: dict[str, Any]) -> list[str]:
    """The identifiers as the rules have them, each once, in the order given."""
    known = []
    for word in ids:
        identifier = word.upper()
        if identifier not in rules:
            from difflib import get_close_matches

            nearest = get_close_matches(identifier, rules)
            hint = f"the nearest are {', '.join(nearest)}" if nearest else "tiopt rules lists all of them"
            raise UsageError(f"no rule {word!r}: {hint}")
        known.append(identifier)
    return list(dict.fromkeys(known))


def _line(rule: Any) -> str:
    severity = rule.severity.value if rule.severity is not None else "endpoint"
    return f"{rule.id}  {severity:9}  {rule.text}\n"


def _in_full(rule: Any) -> str:
    """All there is to say of one rule, as a paragraph of its own."""
    severity = rule.severity.value if rule.severity is not None else "none: only an endpoint can be tested"
    fields = {"source": rule.source, "severity": severity, "where": rule.where.value, "seen": rule.seen}
    lines = [f"{rule.id}  {rule.text}"]
    lines += [f"  {name:8}  {value}" for name, value in fields.items() if value]
    return "\n".join(lines + _examples(rule)) + "\n"


def _examples(rule: Any) -> list[str]:
    """An exchange that keeps the rule and one that breaks it, from the scenarios `tiopt build` makes captures of."""
    from tioption.build.catalogue import SCENARIOS
    from tioption.build.exchange import exchange_lines

    lines = []
    for side in ("right", "wrong"):
        scenario = SCENARIOS.get(f"{rule.id.lower()}-{side}")
        if scenario is not None:
            lines += ["", f"  {side}: {scenario.text} (tiopt build {scenario.name})"]
            lines += [f"    {line}" for line in exchange_lines(scenario.conversation())]
    return lines


def _json(rule: Any) -> str:
    from json import dumps

    values = {
        "id": rule.id,
        "severity": rule.severity.value if rule.severity is not None else None,
        "text": rule.text,
        "source": rule.source,
        "where": rule.where.value,
    }
    return dumps(values) + "\n"


COMMAND = Command(
    "rules",
    "Print the rules of the protocol.",
    "Print the rules of the protocol, one line each: identifier, severity of a finding (endpoint where there is none, "
    "since only an endpoint can be tested), and what is asked of whom. With identifiers, print those rules in full: "
    "also where they come from and how a capture shows them kept or broken.",
    (
        "tiopt rules",
        "tiopt rules EST-05 res-04",
        "tiopt rules --format json > rules.jsonl",
    ),
    Argument("ids", "ID", "Identifiers of rules; all rules where none is given.", required=False),
    (Option("format", ("--format", "-f"), "How to print.", default="text", choices=("text", "json")),),
    run,
)
