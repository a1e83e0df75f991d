"""The option in other people's tools: what is generated for them, how it gets there, and whether it agrees."""
