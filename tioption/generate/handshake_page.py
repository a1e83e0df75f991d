"""`docs/reference/handshake.md`: the handshake's table as a state diagram and as a table to look things up in."""

from __future__ import annotations

from collections.abc import Iterator

from tioption.handshake import FINAL, TABLE, Event, State, Step


def _telling(state: State) -> Iterator[tuple[Event, Step]]:
    """The events that change the state or break a rule there."""
    return ((event, step) for event, step in TABLE[state].items() if step.state is not state or step.rule is not None)


def _node(state: State) -> str:
    """The state's name as Mermaid's identifiers are spelled, without dashes."""
    return state.value.replace("-", "_")


def _diagram() -> str:
    lines = ["stateDiagram-v2"]
    lines += [f'    state "{state.value}" as {_node(state)}' for state in State if _node(state) != state.value]
    lines.append(f"    [*] --> {_node(State.IDLE)}")
    for state in State:
        for event, step in _telling(state):
            if step.state is not state:
                rule = f" [{step.rule}]" if step.rule is not None else ""
                lines.append(f"    {_node(state)} --> {_node(step.state)} : {event.value}{rule}")
    lines += [f"    {_node(state)} --> [*]" for state in State if state in FINAL]
    return "\n".join(lines)


def _table() -> str:
    rows = ["| state | event | leads to | rule |", "|-|-|-|-|"]
    for state in State:
        telling = list(_telling(state))
        for event, step in telling:
            rows.append(f"| `{state.value}` | {event.value} | `{step.state.value}` | {step.rule or '—'} |")
        if not telling:
            rows.append(f"| `{state.value}` | — | — | — |")
    return "\n".join(rows)


def render() -> str:
    """The text of the page."""
    final = ", ".join(f"`{state.value}`" for state in State if state in FINAL)
    return f"""\
<!-- Generated from tioption/handshake/table.py by `python -m tioption.generate`. Do not edit. -->
# The states of a handshake

What each segment does to the handshake of a transport, for a host as for an observer of a capture. The opener sent the
SYN, the answerer the SYN-ACK. "Option" is the flow option, and a rule stands where a segment breaks it, or is noted, by
coming then ([the rules](rules.md)). In {final} the handshake is over.

## As a table

An event that a state does not name leaves it as it is and breaks nothing. Where values are wrong and no rule stands,
the values say which rule.

{_table()}

## As a diagram

All transitions between different states, in the language of [Mermaid](https://mermaid.js.org), which draws them.

```{{code-block}} text
{_diagram()}
```
"""
