"""What is wrong with what was seen: findings that cite the rules."""

from tioption.verdict.segment import Finding, findings, option_findings

__all__ = ["Finding", "findings", "option_findings"]
