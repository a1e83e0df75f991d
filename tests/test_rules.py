"""The table of rules: complete, in order, well-formed, and the same as in the specification."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.conftest import SHARED
from tioption.cli.rules import COMMAND
from tioption.rules import RULES, Rule, Severity, Where, severity_of

FAMILIES = {"OPT": 12, "EST": 16, "LEG": 8, "MAP": 9, "RES": 23, "CTL": 4, "SEC": 5, "MBX": 5}
SEVERITIES = {"V": Severity.VIOLATION, "W": Severity.WARNING, "N": Severity.NOTE, "—": None}

every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))


def specified() -> list[tuple[str, str, str, str]]:
    """The rows of the specification's tables: identifier, source, how it is seen, severity."""
    specification = SHARED / "SPEC.md"
    if not specification.exists():
        pytest.skip("the specification does not lie beside the repository")
    rows = [line.strip("|").split("|") for line in specification.read_text().splitlines() if line.startswith("| ")]
    cells = [tuple(cell.strip() for cell in row) for row in rows]
    return [(row[0], row[2], row[3], row[4]) for row in cells if re.fullmatch(r"[A-Z]{3}-\d\d", row[0])]


def test_every_family_is_complete_and_in_order() -> None:
    expected = [f"{family}-{number:02}" for family, count in FAMILIES.items() for number in range(1, count + 1)]
    assert list(RULES) == expected
    assert [rule.id for rule in RULES.values()] == expected


def test_the_specification_has_the_same_rules_in_the_same_order() -> None:
    assert [identifier for identifier, *_ in specified()] == list(RULES)


def test_the_specification_has_the_same_severities() -> None:
    # CTL-01 takes its severity from the rule that is broken; in the table it is the gravest.
    in_words = {"as there": Severity.VIOLATION}
    for identifier, _, _, severity in specified():
        expected = in_words[severity] if severity in in_words else SEVERITIES[severity[0]]
        assert RULES[identifier].severity is expected, identifier


def test_the_specification_sees_the_same_rules_on_the_wire() -> None:
    for identifier, _, seen, _ in specified():
        assert RULES[identifier].where is (Where.ENDPOINT if seen == "—" else Where.WIRE), identifier


def test_the_specification_names_the_same_sources() -> None:
    for identifier, source, _, _ in specified():
        named = set(re.findall(r"§[IV]+|RFC \d+|Fig\. \d|[A-Z]{3}-\d\d", source))
        assert all(name in RULES[identifier].source for name in named), identifier
        assert ("our choice" in RULES[identifier].source) == ("Ø" in source), identifier


@every_rule
def test_the_text_is_one_sentence(rule: Rule) -> None:
    assert rule.text[0].isupper()
    assert rule.text.endswith(".")
    assert ". " not in rule.text


@every_rule
def test_source_and_sight_are_phrases(rule: Rule) -> None:
    for phrase in (rule.source, rule.seen):
        assert phrase == phrase.strip()
        assert not phrase.endswith(".")
        assert "|" not in phrase
    assert re.match(r"§|Fig\. |RFC |Honda |our choice: |[A-Z]{3}-\d\d$", rule.source)


@every_rule
def test_a_capture_shows_what_is_not_for_endpoints(rule: Rule) -> None:
    assert (rule.seen == "") == (rule.where is Where.ENDPOINT)
    assert rule.severity is not None or rule.where is Where.ENDPOINT


@every_rule
def test_rules_that_are_cited_exist(rule: Rule) -> None:
    for identifier in re.findall(r"\b[A-Z]{3}-\d+", f"{rule.text} {rule.source} {rule.seen}"):
        assert identifier in RULES
        assert identifier != rule.id


def test_no_two_rules_say_the_same() -> None:
    assert len({rule.text for rule in RULES.values()}) == len(RULES)


def test_a_severity_is_asked_only_of_rules_that_have_one() -> None:
    assert severity_of("EST-05") is Severity.VIOLATION
    with pytest.raises(AssertionError, match="EST-08"):
        severity_of("EST-08")


def test_json_has_the_rules_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert COMMAND.run(ids=[], format="json") == 0
    read: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    again = [
        Rule(
            row["id"],
            Severity(row["severity"]) if row["severity"] is not None else None,
            row["text"],
            row["source"],
            Where(row["where"]),
            RULES[row["id"]].seen,
        )
        for row in read
    ]
    assert again == list(RULES.values())
