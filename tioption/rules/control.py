"""CTL: what is different about Flow-C, the variant whose stream is for control."""

from __future__ import annotations

from typing import Final

from tioption.rules.rule import NOTE, VIOLATION, WIRE, Rule

RULES: Final = (
    Rule(
        "CTL-01",
        VIOLATION,
        "Flow-C keeps the format and every rule of Flow-D, from which only its kind and the use of its stream set it "
        "apart.",
        "§VI",
        WIRE,
        "as with Flow-D, and with the severity of the rule that is broken",
    ),
    Rule(
        "CTL-02",
        VIOLATION,
        "A resume has the variant of its flow, and the same TIFID on the other kind names another flow.",
        "our choice: data never turns into control",
        WIRE,
        "a resume on the kind that its flow does not have",
    ),
    Rule(
        "CTL-03",
        VIOLATION,
        "A host that finds no support for its Flow-C flow closes the connection before any data, so that control bytes "
        "never reach an application that does not expect them.",
        "our choice: safety of those applications",
        WIRE,
        "payload after the fallback",
    ),
    Rule(
        "CTL-04",
        NOTE,
        "Nobody may read a meaning into equal TIFIDs of a Flow-C and a Flow-D flow, nor expect a certain payload of "
        "Flow-C.",
        "§VI",
        WIRE,
        "a flow of each variant with the same TIFID",
    ),
)
