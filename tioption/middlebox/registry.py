"""The registry of middleboxes: classes under names, with typed parameters; boxes from a line of text, or by chance."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from random import Random
from typing import Any, Final, Literal, NamedTuple, TypeVar

from tioption.errors import ParseError
from tioption.middlebox.box import Middlebox
from tioption.middlebox.chain import Chain
from tioption.middlebox.parameters import YES, Parameter
from tioption.option import DEFAULT_KINDS, Kinds

_B = TypeVar("_B", bound=Middlebox)

Need = Literal["random", "kinds"]
"""What a box is given beside its parameters: a source of randomness, or the option kinds in use."""


class Entry(NamedTuple):
    """A kind of middlebox that can be asked for by name."""

    name: str
    text: str
    rules: tuple[str, ...]
    """The rules that are about what it does."""
    parameters: tuple[Parameter, ...]
    needs: tuple[Need, ...]
    make: Callable[..., Middlebox]


BOXES: Final[dict[str, Entry]] = {}
"""Every kind of middlebox by name."""


def box(
    name: str, text: str, *parameters: Parameter, rules: tuple[str, ...] = (), needs: tuple[Need, ...] = ()
) -> Callable[[type[_B]], type[_B]]:
    """Register a class of middleboxes; its constructor takes the parameters, and what it `needs`, by their names."""

    def register(made: type[_B]) -> type[_B]:
        assert name not in BOXES, name
        BOXES[name] = Entry(name, text, rules, parameters, needs, made)
        return made

    return register


def parse_box(spec: str, random: Random, kinds: Kinds = DEFAULT_KINDS) -> Middlebox:
    """The box that a text such as `nat:after=100,how=rst` asks for.

    The first parameter may stand without its name (`delay:10ms`), and `fix` alone is `fix=yes`. Raises ParseError where
    there is no such box or parameter, or a value is not what it should be.
    """
    name, colon, rest = spec.partition(":")
    entry = BOXES.get(name)
    if entry is None:
        raise ParseError("the name of a box" + _near(name, BOXES), repr(name), spec)
    texts = {parameter.name: parameter.default for parameter in entry.parameters}
    for number, word in enumerate(rest.split(",") if colon else ()):
        key, value = _assignment(entry, word, first=number == 0)
        if key not in texts:
            expected = f"a parameter of {name}" + (_near(key, texts) if texts else ", which has none")
            raise ParseError(expected, repr(key), spec)
        texts[key] = value
    values: dict[str, Any] = {}
    for parameter in entry.parameters:
        try:
            values[parameter.name] = parameter.value(texts[parameter.name])
        except ValueError as error:
            expected, _, found = str(error).partition(", found ")
            raise ParseError(expected.replace(": expected ", "="), found, spec) from None
    given: dict[Need, Any] = {"random": random, "kinds": kinds}
    try:
        return entry.make(**values, **{need: given[need] for need in entry.needs})
    except ParseError as error:
        raise ParseError(error.expected, error.found, spec) from None


def _assignment(entry: Entry, word: str, *, first: bool) -> tuple[str, str]:
    """Name and value of `name=value`, of a bare value of the first parameter, or of a bare switch."""
    key, equals, value = word.partition("=")
    if equals:
        return key, value
    if any(parameter.name == key and parameter.kind is YES for parameter in entry.parameters):
        return key, "yes"
    if first and entry.parameters and all(parameter.name != key for parameter in entry.parameters):
        return entry.parameters[0].name, word
    return key, ""


def _near(word: str, words: Iterable[str]) -> str:
    close = ", ".join(get_close_matches(word, words, 3))
    return f" ({close}?)" if close else f" ({', '.join(words)})"


def parse_chain(specs: Iterable[str], random: Random, kinds: Kinds = DEFAULT_KINDS) -> Chain:
    """A chain of the boxes that texts ask for, each with a source of randomness of its own."""
    return Chain([parse_box(spec, Random(random.getrandbits(64)), kinds) for spec in specs])  # noqa: S311


def random_specs(random: Random, most: int = 3) -> list[str]:
    """Up to `most` different boxes as texts for `parse_chain`, drawn from what paths usually do.

    They harm a transfer in ways TCP or the flow's hosts can notice: of one flipped bit in a segment its checksum always
    tells, of several it might not.
    """
    specs = []
    for entry in random.sample(list(BOXES.values()), random.randint(0, most)):
        drawn = [(one.name, random.choice(one.usual)) for one in entry.parameters if one.usual]
        words = [f"{name}={value}" for name, value in drawn if value]
        specs.append(":".join([entry.name, ",".join(words)]) if words else entry.name)
    return specs


def random_chain(random: Random, most: int = 3, kinds: Kinds = DEFAULT_KINDS) -> Chain:
    """A chain of up to `most` boxes drawn by chance (`random_specs`): the same seed makes the same chain."""
    return parse_chain(random_specs(random, most), random, kinds)
