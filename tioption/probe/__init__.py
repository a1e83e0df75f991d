"""What a host, and the path to it, do to the option: a few SYNs with and without it, and what comes back.

Packets and times go in, packets and what was seen come out (`Prober` is a `tioption.network.Host`); verdicts are a pure
function of what was seen. Kinds 253 and 254 are everybody's to experiment with (RFC 4727): a probe is what its user
asked for, sends `Settings.most_packets` at most, never any payload, and ends every connection by RST.
"""

from tioption.probe.observed import (
    Answer,
    Confirmation,
    Fate,
    Hop,
    Reply,
    TargetSeen,
    VariantSeen,
)
from tioption.probe.prober import Prober, Target
from tioption.probe.session import Settings
from tioption.probe.verdict import Judgement, Verdict, judge_target, judge_variants

__all__ = [
    "Answer",
    "Confirmation",
    "Fate",
    "Hop",
    "Judgement",
    "Prober",
    "Reply",
    "Settings",
    "Target",
    "TargetSeen",
    "VariantSeen",
    "Verdict",
    "judge_target",
    "judge_variants",
]
