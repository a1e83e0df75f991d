"""The text of the Wireshark plugin: a generated definition, and below it the sources in `lua/` as they stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import Final

from tioption import __version__
from tioption.dissect.definition import DERIVED_FIELDS, JUDGED, OPTION_FIELDS, OTHER_SEVERITIES, PROTOCOL
from tioption.handshake import TABLE, Step
from tioption.layout import EXPERIMENT_KINDS, EXPERIMENTS, FIELDS, LENGTH
from tioption.option import DEFAULT_KINDS, Kinds
from tioption.rules import RULES, Severity, severity_of

_HEADER: Final = """\
-- Generated from tioption/layout.py, tioption/rules, tioption/handshake/table.py and tioption/dissect by
-- `python -m tioption.generate`. Do not edit.
--
-- TI-flow, the transport-independent flow TCP option, in Wireshark 3.4 and later (Lua 5.2 and 5.4).
"""

_GUARD: Final = """\
-- Installed and given with -X, it would be loaded twice: the one that is there does what the other is asked for.
if rawget(_G, "tiflow_version") then
  if rawget(_G, "tiflow_run") then
    tiflow_run({{ ... }})
  end
  return
end
tiflow_version = {version}
set_plugin_info({{
  version = tiflow_version,
  description = "The transport-independent flow TCP option",
  license = "BSD-2-Clause",
}})

-- What the files below share.
local ti = {{ arguments = {{ ... }} }}
-- Whether the frame being dissected has an option on one of the kinds: the option's dissector tells the analysis.
local carrier = false
"""


def render(kinds: Kinds = DEFAULT_KINDS) -> str:
    """The plugin as one Lua file, with these kinds as the defaults of its preferences."""
    parts = [_HEADER, _GUARD.format(version=_string(__version__)), "\n".join(_definition(kinds))]
    parts += [f"do -- {name}\n{text}end" for name, text in sources()]
    return "\n".join(parts) + "\n"


def sources() -> Iterator[tuple[str, str]]:
    """The Lua sources by name, in the order in which they are put together."""
    folder = files("tioption.dissect") / "lua"
    for source in sorted(folder.iterdir(), key=lambda one: one.name):
        if source.name.endswith(".lua"):
            yield source.name, source.read_text(encoding="utf-8")


def _string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _octets(octets: bytes) -> str:
    return '"' + "".join(f"\\{octet:03}" for octet in octets) + '"'


def _set(values: Iterable[int]) -> str:
    return "{ " + ", ".join(f"[{value}] = true" for value in sorted(values)) + " }"


def _definition(kinds: Kinds) -> Iterator[str]:
    yield "local definition = {"
    yield f"  length = {LENGTH},"
    yield f"  kinds = {{ d = {kinds.flow_d}, c = {kinds.flow_c} }},"
    yield f"  experiment_kinds = {_set(EXPERIMENT_KINDS)},"
    yield "  -- Where each field begins in the option's octets, counted from 1 as Lua does."
    yield "  at = {"
    yield from (f'    ["{name}"] = {offset + 1},' for name, offset, _, _ in FIELDS)
    yield "  },"
    yield from _fields()
    yield "  experiments = {"
    for name, title, exid, on, lengths in EXPERIMENTS:
        yield f"    {{ name = {_string(name)}, title = {_string(title)}, exid = {_octets(exid)},"
        yield f"      kinds = {_set(on)}" + (f", lengths = {_set(lengths)} }}," if lengths else " },")
    yield "  },"
    yield from _rules()
    yield from _table()
    yield "}"
    yield ""


def _fields() -> Iterator[str]:
    yield "  fields = {"
    for field, (_, offset, octets, _) in zip(OPTION_FIELDS, FIELDS, strict=True):
        yield f"    {{ name = {_string(field.name)}, offset = {offset}, octets = {octets},"
        yield f"      base = {_string(field.base)}, title = {_string(field.title)}, doc = {_string(field.doc)} }},"
    yield "  },"
    yield "  derived = {"
    for field in DERIVED_FIELDS:
        yield f"    {{ name = {_string(field.name)}, type = {_string(field.type)}, base = {_string(field.base)},"
        yield f"      title = {_string(field.title)}, doc = {_string(field.doc)} }},"
    yield "  },"


def _rules() -> Iterator[str]:
    yield "  rules = {"
    for rule in JUDGED:
        yield f'    ["{rule}"] = {{ severity = "{severity_of(rule).value}",'
        yield f"      text = {_string(RULES[rule].text)} }},"
    yield "  },"
    yield "  experts = {"
    for rule in JUDGED:
        own = severity_of(rule)
        for severity in (own, *OTHER_SEVERITIES.get(rule, ())):
            yield f'    {{ rule = "{rule}", severity = "{severity.value}", name = "{_expert(rule, severity)}",'
            yield f"      text = {_string(f'{rule}: {RULES[rule].text}')} }},"
    yield "  },"


def _expert(rule: str, severity: Severity) -> str:
    name = f"{PROTOCOL}.expert.{rule.lower()}"
    return name if severity is severity_of(rule) else f"{name}.{severity.value}"


def _table() -> Iterator[str]:
    """The handshake's table without the steps that change and break nothing."""
    yield "  -- State, then event: the next state, and the rule that is broken or noted."
    yield "  table = {"
    for state, row in TABLE.items():
        steps = {event: step for event, step in row.items() if step != Step(state)}
        if not steps:
            continue
        yield f'    ["{state.value}"] = {{'
        for event, step in steps.items():
            rule = f', "{step.rule}"' if step.rule else ""
            yield f'      {event.name} = {{ "{step.state.value}"{rule} }},'
        yield "    },"
    yield "  },"
