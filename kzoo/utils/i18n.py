"""English, or Chinese where `KZOO_LANG=zh` says so: the command line's help, and what `callbacks.teaching` says.

Never by `LANG`, which would change what scripts parse. The English sentence stands where it is said, and is the key of
its Chinese in `kzoo/utils/chinese/`, which nobody loads but for it. Standard library only.
"""

import os
from collections.abc import Mapping
from importlib import import_module

from kzoo.utils.errors import KzooError

LANGUAGES = ("en", "zh")


def language() -> str:
    """Return the language that `$KZOO_LANG` names; English without it.

    Raises:
        KzooError: another word than these two.
    """
    said = os.environ.get("KZOO_LANG") or "en"
    if said not in LANGUAGES:
        raise KzooError(f"KZOO_LANG={said!r} is not a language of kzoo's: en or zh.")
    return said


def translations(area: str) -> Mapping[str, str]:
    """Return English -> Chinese of an area of `kzoo/utils/chinese/`; empty where English is asked for."""
    return {} if language() == "en" else import_module(f"kzoo.utils.chinese.{area}").WORDS
