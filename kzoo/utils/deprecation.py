"""Deprecation warnings: old names work until the version in their warning. Standard library only.

    def old_name(*arguments, **options):
        deprecated("kzoo.old_name()", use="kzoo.new_name()", goes="0.4")
        return new_name(*arguments, **options)

CONTRIBUTING.md has the policy. `tests/test_deprecation.py` reads every call, and fails in the version of removal.
"""

from kzoo.utils.errors import KzooWarning, warn


class KzooDeprecationWarning(KzooWarning, FutureWarning):
    """A deprecated name is used. The message has the version of its removal and the replacement."""


def deprecated(what: str, *, use: str, goes: str) -> None:
    """Warn the caller of the function that calls this.

    Args:
        what: the old name, as written in code.
        use: the replacement.
        goes: the version in which it is removed, such as "0.4": two minor versions after the one that warns first.
    """
    warn(
        f"{what} is deprecated and will be removed in kzoo {goes}. Use {use}.",
        KzooDeprecationWarning,
    )
