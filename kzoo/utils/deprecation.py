"""What is on its way out: old names work until the version that their warning names. Standard library only.

    def old_name(*arguments, **options):
        deprecated("kzoo.old_name()", use="kzoo.new_name()", goes="0.4")
        return new_name(*arguments, **options)

CONTRIBUTING.md has the policy. `tests/test_deprecation.py` reads every call, and fails in the version that it names, so
that nothing stays longer than was said.
"""

from kzoo.utils.errors import KzooWarning, warn


class KzooDeprecationWarning(KzooWarning, FutureWarning):
    """Something that works today and goes in a later version: what, when, and what to use."""


def deprecated(what: str, *, use: str, goes: str) -> None:
    """Warn the caller of the function that calls this.

    Args:
        what: the old name, as the caller writes it.
        use: what does the same.
        goes: the version in which it is gone, such as "0.4": two minor versions after the one that warns first.
    """
    warn(f"{what} goes in kzoo {goes}: use {use}.", KzooDeprecationWarning)
