"""Packets and captures made on purpose: single frames, whole conversations, named scenarios."""

from tioption.build.conversation import Conversation, Transport

__all__ = ["Conversation", "Transport"]
