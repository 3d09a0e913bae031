"""The repository's address: `Source` in setup.cfg is the setting, and other files repeat it.

python .ci/addresses.py                                    exit with code 2 if a file differs, or has OWNER
python .ci/addresses.py --set https://github.com/me/kzoo   write an address into all of them
"""

import argparse
import configparser
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACEHOLDER = "OWNER"
# What the host, installers and readers read as it stands. The site reads setup.cfg (docs/_extensions/staging.py).
FILES = (
    "setup.cfg",
    "CITATION.cff",
    "SECURITY.md",
    "SUPPORT.md",
    ".github/ISSUE_TEMPLATE/config.yml",
)


def source(root=ROOT):
    """Return the repository's address, without a slash at its end."""
    config = configparser.RawConfigParser()
    config.read(root / "setup.cfg", encoding="utf-8")
    urls = config["metadata"]["project_urls"].strip().splitlines()
    return dict(re.split(r"\s*=\s*", url.strip(), maxsplit=1) for url in urls)["Source"].rstrip("/")


def mistakes(root=ROOT, allow_placeholder=False):
    """Return a line for each address that is not the setting, or has a placeholder."""
    address = source(root)
    name = re.escape(address.rsplit("/", 1)[1])
    other = re.compile(rf"https://[^\s)\"'<>]*?/{name}(?![\w.-])")
    lines = []
    for file in FILES:
        for number, line in enumerate(
            (root / file).read_text(encoding="utf-8").splitlines(), start=1
        ):
            for found in other.findall(line):
                if f"/{PLACEHOLDER}/" in found and not allow_placeholder:
                    lines.append(
                        f"{file}:{number}: {found} has the placeholder {PLACEHOLDER}: python "
                        ".ci/addresses.py --set https://HOST/NAME/kzoo writes the repository's address into all files"
                    )
                elif found != address:
                    lines.append(
                        f"{file}:{number}: {found} is not {address}, the Source in setup.cfg"
                    )
    return lines


def set_address(address, root=ROOT):
    """Write an address into all files in the place of the present one."""
    old = source(root)
    for file in FILES:
        path = root / file
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(rf"{re.escape(old)}(?![\w.-])", address, text), encoding="utf-8")


def address_of(text):
    text = text.rstrip("/").removesuffix(".git")
    if not re.fullmatch(r"https://[\w.-]+(/[\w.-]+)+", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no address such as https://github.com/me/kzoo"
        )
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--set", type=address_of, metavar="URL", help="write this address")
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout")
    arguments = parser.parse_args()
    if arguments.set:
        set_address(arguments.set, arguments.root)
    lines = mistakes(arguments.root)
    if lines:
        print("\n".join(lines), file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
