"""Readable float64 NumPy twins of the fast kernels, used as references by the tests."""
