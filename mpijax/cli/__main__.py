"""``python -m mpijax.cli``."""

from mpijax.cli import main

if __name__ == "__main__":
    main()
