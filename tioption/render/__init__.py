"""Segments and options in, text out: printed lines, rows for programs, tables for terminals."""
