"""Packets and captures made on purpose."""
