"""The exceptions that a user's input can cause."""


class KzooError(ValueError):
    """Bad input: one line that names the value and the fix. The command line prints it and exits with 2."""


class DownloadError(KzooError):
    """A file that is not here cannot be downloaded either."""
