"""The one error that reading and writing MDF files raises."""


class MDFError(ValueError):
    """A file that cannot be read or written as MDF; the message says what was found and what to do."""
