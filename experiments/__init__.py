"""One module per published result: ``python -m experiments.NAME``."""
