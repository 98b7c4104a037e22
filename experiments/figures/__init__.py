"""Figures of single experiments."""
