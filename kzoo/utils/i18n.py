"""Translations: the command line's help and `callbacks.teaching`, into the language of `$KZOO_LANG`; limits of models.

`$LANG` is not read: it would change output that scripts parse. The English sentence is the key of a gettext catalogue
in `kzoo/locale/`; a sentence without a translation stays English. `python .ci/translations.py` updates the catalogues.
Standard library only.
"""

import gettext
import os
from collections.abc import Callable
from pathlib import Path

from kzoo.utils.errors import KzooError

LANGUAGES = ("en", "zh")
LOCALE = Path(__file__).parents[1] / "locale"


def language() -> str:
    """Return the language that `$KZOO_LANG` names; English without it.

    Raises:
        KzooError: the language is not supported.
    """
    name = os.environ.get("KZOO_LANG") or "en"
    if name not in LANGUAGES:
        raise KzooError(f"KZOO_LANG={name!r} is not supported. Use one of: {', '.join(LANGUAGES)}.")
    return name


def translator(domain: str, into: str | None = None) -> Callable[[str], str]:
    """Return the function that translates the messages of a domain: `help`, `teaching` or `limits`.

    Args:
        domain: name of the catalogue.
        into: one of `LANGUAGES`; None means `language()`.

    Raises:
        KzooError: the language is not supported.
    """
    catalogue = gettext.translation(domain, LOCALE, [into or language()], fallback=True)
    # gettext translates "" to the catalogue's header
    return lambda message: message and catalogue.gettext(message)


def gettext_noop(message: str) -> str:
    """Mark a message for the catalogues where it is defined; it is translated where it is shown."""
    return message
