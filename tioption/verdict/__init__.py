"""What is wrong with what was seen: findings that cite the rules."""

from tioption.verdict.segment import SEGMENT_RULES, Finding, findings, option_findings

__all__ = ["SEGMENT_RULES", "Finding", "findings", "option_findings"]
