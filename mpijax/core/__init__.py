"""Foundations: array vocabulary, constants, pytree containers, checks, memory-capped maps, files."""
