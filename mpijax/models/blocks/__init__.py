"""Building blocks that several networks share, and the base class of all of them."""
