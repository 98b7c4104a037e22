from pathlib import Path

DATA = Path(__file__).resolve().parent / "data"
"""Reference values and measured files; see the README there."""
