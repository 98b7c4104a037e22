"""Alternating direction method of multipliers with the L1 norm and total variation."""
