"""Join the fragments in changes/ to the notes of the next release, sorted by kind and area.

python .ci/changes.py                   print the notes of the version in kzoo/utils/version.py
python .ci/changes.py --check           only look for mistakes; exit with code 2 if there is one
python .ci/changes.py --write DATE      move the fragments into CHANGELOG.md, under the version and its date

changes/README.md says what a fragment is. Items that CHANGELOG.md already has for this version are part of the notes.
"""

import argparse
import datetime
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
KINDS = ("added", "changed", "deprecated", "removed", "fixed", "security")
# First word of a fragment's name -> title in the notes, in their order.
AREAS = {
    "data": "Data",
    "series": "Series and forecasts",
    "models": "Presets and networks",
    "training": "Training",
    "search": "Search and auto",
    "scores": "Checks, baselines and scores",
    "predictions": "Predictions and explanations",
    "exports": "Exports and the light runtime",
    "serve": "Server",
    "cli": "Command line and notebooks",
    "project": "Package and documentation",
}
OTHER = "Other"
_NAME = re.compile(rf"([a-z0-9][a-z0-9_]*)(-[a-z0-9_-]+)?\.({'|'.join(KINDS)})\.md")
_HEADING = re.compile(r"## v?(\S+)(?: \((.+)\))?")


class Mistake(Exception):
    """A file that is not as changes/README.md says, in one line."""


def version(root=ROOT):
    text = (root / "kzoo" / "utils" / "version.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "(.+)"$', text, re.M)[1]


def items_of(text):
    """Return the items of a fragment: paragraphs, with or without a dash in front, as items of a list."""
    items = []
    for paragraph in re.split(r"\n\s*\n|\n(?=- )", text.strip()):
        first, *lines = paragraph.strip().removeprefix("- ").split("\n")
        items.append("\n".join([f"- {first.strip()}", *(f"  {line.strip()}" for line in lines)]))
    return items


def fragments(folder):
    """Return (kind, area, item) of each item in a folder's fragments, by name; raise Mistake."""
    found = []
    for path in sorted(folder.glob("*")) if folder.is_dir() else []:
        if path.name == "README.md":
            continue
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise Mistake(
                f"changes/{path.name}: the name is not NAME.KIND.md, with KIND one of {', '.join(KINDS)} "
                "and NAME of lower-case letters, digits, _ and -."
            )
        text = path.read_text(encoding="utf-8")
        if not text.strip(" \n\t-"):
            raise Mistake(f"changes/{path.name}: the file is empty. Write what users notice.")
        if re.search(r"^#", text, re.M):
            raise Mistake(f"changes/{path.name}: a heading; the name has the kind and the area.")
        area = AREAS.get(match[1], OTHER)
        found += [(match[3], area, item) for item in items_of(text)]
    return found


def sections(changelog):
    """Return (introduction, {version: (date or None, text)}) of CHANGELOG.md; raise Mistake for `Unreleased`."""
    parts = re.split(r"^(?=## )", changelog, flags=re.M)
    versions = {}
    for part in parts[1:]:
        heading, _, text = part.partition("\n")
        match = _HEADING.fullmatch(heading.strip())
        if match is None or not match[1][0].isdigit():
            line = changelog[: changelog.index(part)].count("\n") + 1
            raise Mistake(
                f"CHANGELOG.md:{line}: {heading.strip()!r} is no version. Move lines that are not released to "
                "changes/NAME.KIND.md."
            )
        versions[match[1]] = (match[2], text.strip("\n"))
    return parts[0], versions


def items_of_section(text):
    """Return (introduction, [(kind, area, item)]) of the notes of a version."""
    introduction, kind, area, found = [], None, OTHER, []
    for line in text.split("\n"):
        if line.startswith("### "):
            kind, area = line[4:].strip().lower(), OTHER
        elif line.startswith("#### "):
            area = line[5:].strip()
        elif line.startswith("- ") and kind:
            found.append([kind, area, line])
        elif line.startswith("  ") and found:
            found[-1][2] += "\n" + line
        elif line.strip():
            if kind:
                raise Mistake(f"CHANGELOG.md: {line.strip()[:60]!r} is not part of an item.")
            introduction.append(line)
    for kind, area, _ in found:
        if kind not in KINDS or area not in (*AREAS.values(), OTHER):
            raise Mistake(f"CHANGELOG.md: {kind!r} or {area!r} is no heading of the notes.")
    return "\n".join(introduction), [tuple(item) for item in found]


def joined(introduction, items):
    """Return notes as Markdown: kinds, in them areas, in them items; an item that is twice is there once."""
    lines = [introduction, ""] if introduction else []
    areas = [*AREAS.values(), OTHER]
    for kind in KINDS:
        of_kind = [item for item in dict.fromkeys(items) if item[0] == kind]
        if of_kind:
            lines += [f"### {kind.capitalize()}", ""]
        for area in areas:
            texts = [text for _, name, text in of_kind if name == area]
            if texts:
                lines += [f"#### {area}", "", *texts, ""]
    return "\n".join(lines).strip("\n")


def notes(root=ROOT, number=None):
    """Return (notes of a version with the fragments, date or None); raise Mistake where there are none."""
    number = number or version(root)
    _, versions = sections((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    date, text = versions.get(number, (None, ""))
    introduction, items = items_of_section(text)
    found = fragments(root / "changes")
    released = date is not None and date[:1].isdigit()
    if found and released:
        raise Mistake(
            f"changes/: kzoo {number} was released on {date}. Set the next version in kzoo/utils/version.py."
        )
    if not items and not found:
        raise Mistake(
            f"kzoo {number} has no notes: CHANGELOG.md has no '## {number}', and changes/ no fragments."
        )
    return joined(introduction, items + found), date if released else None


def write(date, root=ROOT):
    """Move the fragments into CHANGELOG.md, under the version with its date."""
    number = version(root)
    introduction, versions = sections((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    text, _ = notes(root, number)
    new = {number: (date, text)} | {n: v for n, v in versions.items() if n != number}
    parts = [introduction.rstrip("\n")]
    parts += [f"## {n} ({d})\n\n{t}" if d else f"## {n}\n\n{t}" for n, (d, t) in new.items()]
    temporary = root / "CHANGELOG.md.new"
    temporary.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    temporary.replace(root / "CHANGELOG.md")
    for path in (root / "changes").glob("*.md"):
        if path.name != "README.md":
            path.unlink()


def day(text):
    return datetime.date.fromisoformat(text).isoformat()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="only look for mistakes")
    parser.add_argument("--write", type=day, metavar="DATE", help="move fragments to CHANGELOG.md")
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout")
    arguments = parser.parse_args()
    try:
        if arguments.write:
            write(arguments.write, arguments.root)
        else:
            text, _ = notes(arguments.root)
            if not arguments.check:
                print(text)
    except Mistake as mistake:
        print(mistake, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
