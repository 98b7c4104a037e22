"""Regularized Kaczmarz: row by row, in blocks, factored for many frames, and randomized."""
