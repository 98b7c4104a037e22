"""Engines of the simulator: sums over time, phase nodes, separable fields."""
