"""Failures that are expected, and what is said of them."""

import re

EXPECTED = (ValueError, TypeError, OSError, FloatingPointError, RuntimeError, ImportError, MemoryError)


def text(error: BaseException) -> str:
    """One line."""
    if isinstance(error, MemoryError):
        return f"not enough memory ({error}); choose fewer voxels (--shape) or frequencies."
    return re.sub(r"\[Errno \d+\] ", "", str(error))
