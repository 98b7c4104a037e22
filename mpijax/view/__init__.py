"""A local page in the browser: look at a matrix and at measurements, and reconstruct while a slider moves."""
