"""The page of the handshake's states says what the table says, no more and no less."""

from __future__ import annotations

import re

from tioption.generate import handshake_page
from tioption.handshake import FINAL, TABLE, State

PAGE = handshake_page.render()
TELLING = {
    (state, event, step.state, step.rule)
    for state, events in TABLE.items()
    for event, step in events.items()
    if step.state is not state or step.rule is not None
}


def test_the_table_has_every_state_and_every_event_that_tells() -> None:
    rows = re.findall(r"^\| `(.+)` \| (.+) \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)
    expected = {(state.value, event.value, f"`{to.value}`", rule or "—") for state, event, to, rule in TELLING}
    silent = {state.value for state in State} - {state.value for state, *_ in TELLING}
    assert len(rows) == len(set(rows))
    assert set(rows) == expected | {(state, "—", "—", "—") for state in silent}


def test_the_diagram_has_every_change_of_state_once() -> None:
    names = dict.fromkeys(state.value for state in State)
    names |= {node: name for name, node in re.findall(r'state "(.+)" as (\w+)', PAGE)}
    arrows = re.findall(r"^    (\w+) --> (\w+) : (.+?)(?: \[([A-Z]{3}-\d\d)\])?$", PAGE, re.MULTILINE)
    drawn = [(names[a] or a, names[b] or b, label, rule or None) for a, b, label, rule in arrows]
    changes = {(one.value, event.value, to.value, rule) for one, event, to, rule in TELLING if one is not to}
    assert len(drawn) == len(changes)
    assert {(one, label, to, rule) for one, to, label, rule in drawn} == changes


def test_the_diagram_begins_idle_and_ends_where_the_handshake_is_over() -> None:
    assert re.findall(r"\[\*\] --> (\w+)", PAGE) == ["idle"]
    assert set(re.findall(r"(\w+) --> \[\*\]", PAGE)) == {state.value for state in FINAL}


def test_labels_have_nothing_that_mermaid_reads_as_its_own() -> None:
    for label in re.findall(r" : (.+)$", PAGE, re.MULTILINE):
        assert not set(label) & set(':;"#%<>{}')
