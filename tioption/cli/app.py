"""The typer application, made from the commands' declarations: help, completion, and errors for people.

It only parses: the command it understood is returned, and runs outside, where the quick path runs too.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any

import typer

from tioption import __version__
from tioption.cli.declare import Command, Flag, Group, Option

_HELP = "Decode and examine the transport-independent flow TCP option in captures."
_EXAMPLES = (
    "Examples:",
    "tiopt decode capture.pcap",
    "tcpdump -w - -i eth0 tcp | tiopt decode -",
    "tiopt decode --format json *.pcapng.gz | jq .tifid",
    "tiopt explain fd140a4530be79bf00000000001d00000000001f",
    "tiopt rules EST-05",
)


def _epilog(examples: Sequence[str]) -> str:
    """Each example on a line of its own: both of typer's help formats break lines only at empty ones."""
    return "\n\n".join(examples)


def _parameter(option: Option | Flag) -> inspect.Parameter:
    settings: dict[str, Any] = {"help": option.help}
    annotation: Any
    default: Any
    if isinstance(option, Flag):
        annotation, default = bool, False
    else:
        default = option.default
        settings["metavar"] = option.metavar or None
        if option.choices:
            annotation = _choices(option)
            default = annotation(default) if default is not None else None
        else:
            annotation = option.type
        if option.type is int:
            settings |= {"min": option.least, "max": option.most}
        if option.repeated:
            annotation = list[str]
        if default is None:
            annotation = annotation | None
    annotation = Annotated[annotation, typer.Option(*option.flags, **settings)]
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _choices(option: Option) -> type[Enum]:
    """The only form of a choice that every typer release understands."""
    members: Any = {choice: choice for choice in option.choices}
    make: Any = Enum  # the type checker wants names it can read in the call
    kind: type[Enum] = make(option.name.capitalize(), members)
    return kind


def _signature(command: Command) -> inspect.Signature:
    if command.argument is None:
        return inspect.Signature(list(map(_parameter, command.options)))
    name, metavar, text, required, instead = command.argument
    required = required and not instead
    kind: Any = list[str] if required else list[str] | None
    argument = inspect.Parameter(
        name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=inspect.Parameter.empty if required else None,
        annotation=Annotated[kind, typer.Argument(metavar=metavar, help=text)],
    )
    return inspect.Signature([argument, *map(_parameter, command.options)])


class _Parser:
    """The application and what it understood."""

    def __init__(self, commands: Sequence[Command | Group]) -> None:
        self.chosen: tuple[Command, dict[str, Any]] | None = None
        self.app = typer.Typer(
            name="tiopt",
            help=_HELP,
            epilog=_epilog(_EXAMPLES),
            no_args_is_help=True,
            pretty_exceptions_enable=False,
            context_settings={"help_option_names": ["-h", "--help"]},
        )
        self.app.callback()(self._global_options)
        for command in commands:
            if isinstance(command, Command):
                self._add(self.app, command)
            else:
                self._add_group(command)

    @staticmethod
    def _global_options(
        version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)] = False,
    ) -> None:
        if version:
            typer.echo(f"tiopt {__version__}")
            raise typer.Exit

    def _add_group(self, group: Group) -> None:
        under = typer.Typer(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
        under.callback()(lambda: None)  # keeps the command's word where the group has only one
        for command in group.commands:
            self._add(under, command)
        self.app.add_typer(under, name=group.name, help=group.summary)

    def _add(self, app: typer.Typer, command: Command) -> None:
        def understood(**values: Any) -> None:
            plain = {name: value.value if isinstance(value, Enum) else value for name, value in values.items()}
            for option in command.options:
                if isinstance(option, Option) and option.repeated:
                    plain[option.name] = plain[option.name] or []
            if command.argument is not None:
                plain[command.argument.name] = plain[command.argument.name] or []
            self.chosen = command, plain

        signature = _signature(command)
        understood.__signature__ = signature  # type: ignore[attr-defined]
        understood.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
        app.command(
            command.name,
            short_help=command.summary,
            help=command.description,
            epilog=_epilog(("Examples:", *command.examples)),
            no_args_is_help=command.argument is not None and command.argument.required,
        )(understood)


def parse(commands: Sequence[Command | Group], words: list[str]) -> tuple[Command, dict[str, Any]] | int:
    """The command that `words` call and its values, or the exit status where there is nothing left to do."""
    parser = _Parser(commands)
    try:
        parser.app(args=words, prog_name="tiopt")
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if status or parser.chosen is None:
            return status
    assert parser.chosen is not None
    return parser.chosen
