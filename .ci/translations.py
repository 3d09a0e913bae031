"""Update the catalogues of translations: `python .ci/translations.py`.

Collect the English messages, merge them into `kzoo/locale/*/LC_MESSAGES/*.po` and compile these. A sentence that has
changed keeps its old translation marked `fuzzy`, which is not compiled: English is shown until someone translates it.
Those of the site, its home, tutorials and gallery, are in `docs/locale/`, and are read when the site is built.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

os.environ["KZOO_LANG"] = "en"

from babel.messages import Catalog, extract, mofile, pofile

from kzoo.cli import COMMANDS, make_parser
from kzoo.cli.translation import translate
from kzoo.export import card
from kzoo.problems.tasks import problems
from kzoo.utils.i18n import LANGUAGES, LOCALE

sys.path.append(str(Path(__file__).parents[1] / "docs" / "_extensions"))
import translated

CALLBACKS = Path(__file__).parents[1] / "kzoo" / "callbacks"
HEADER = "# Translations of kzoo. `python .ci/translations.py` updates and compiles them."
KEYWORDS = {"gettext_noop": None, "_translate": None, "_print": None}


def help_messages():
    """Return the messages of the command line's help, in the order in which they are printed."""
    messages = {}
    translate(make_parser(COMMANDS), lambda message: messages.setdefault(message, message))
    return list(messages)


def teaching_messages():
    """Return the messages of `callbacks.teaching`: the literals that are marked in `kzoo/callbacks/`."""
    messages = {}
    for path in sorted(CALLBACKS.glob("*.py")):
        with path.open("rb") as file:
            messages.update(
                dict.fromkeys(
                    message for _, message, _, _ in extract.extract("python", file, KEYWORDS)
                )
            )
    return list(messages)


def limit_messages():
    """Return the sentences of model cards and pages on the limits of a model."""
    with Path(card.__file__).open("rb") as file:
        marked = [message for _, message, _, _ in extract.extract("python", file, KEYWORDS)]
    tasks = [line for solved in problems().values() for line in solved.limits()]
    return list(dict.fromkeys([*marked, *tasks]))


def update(path, messages, compiled=True):
    """Merge the English messages into one catalogue, compile it, and return how many have no translation."""
    template = Catalog()
    for message in messages:
        formatted = compiled and "{" in message
        template.add(message, flags={"python-brace-format"} if formatted else ())
    catalogue = Catalog(locale=path.parts[-3])
    if path.exists():
        with path.open("rb") as file:
            catalogue = pofile.read_po(file, locale=path.parts[-3])
    catalogue.update(template, update_header_comment=False, update_creation_date=False)
    catalogue.obsolete.clear()
    catalogue.header_comment = HEADER
    catalogue.fuzzy = False
    catalogue.project, catalogue.version = "kzoo", ""
    catalogue.msgid_bugs_address = catalogue.last_translator = catalogue.language_team = ""
    # git knows the true one
    catalogue.creation_date = catalogue.revision_date = datetime(2026, 1, 1, tzinfo=UTC)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        pofile.write_po(file, catalogue, width=120)
    if compiled:
        with path.with_suffix(".mo").open("wb") as file:
            mofile.write_mo(file, catalogue)
    return sum(not message.string or message.fuzzy for message in catalogue if message.id)


if __name__ == "__main__":
    for language in LANGUAGES[1:]:
        for domain, messages in (
            ("help", help_messages()),
            ("teaching", teaching_messages()),
            ("limits", limit_messages()),
        ):
            path = LOCALE / language / "LC_MESSAGES" / f"{domain}.po"
            print(
                f"{language}/{domain}: {update(path, messages)} of {len(messages)} messages have no translation"
            )
    for language in translated.LANGUAGES:
        for domain, messages in translated.sources().items():
            path = translated.LOCALE / language / "LC_MESSAGES" / f"{domain}.po"
            missing = update(path, messages, compiled=False)
            print(f"{language}/{domain}: {missing} of {len(messages)} messages have no translation")
