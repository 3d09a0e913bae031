"""The one exception a user's input can cause."""


class KzooError(ValueError):
    """Bad input: one line that names the value and the fix. The command line prints it and exits with 2."""
