"""Scans of the field-free point in x-space: along lines and Cartesian grids."""
