"""Outputs that pages show, and the runs that they come from: docs/outputs.json.

A block of code with an output is executed by `.ci/slow tests/test_pages_run.py`, not by a build. With
`KZOO_STORE_OUTPUTS=1`, a block whose output was the same gets an entry: a hash of code and output, and one of the
package. A changed block, or output, has no entry, and the build fails until its page has run.
"""

import hashlib
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
STORE = ROOT / "docs" / "outputs.json"
sys.path.append(str(ROOT / "tests"))
from pages import PAGES, Block, blocks


def key(block: Block) -> str:
    """Return the hash of a block's code and output."""
    return _hash(f"{block.language}\0{block.text}\0{block.output}")


def package() -> str:
    """Return the hash of the package's code."""
    files = sorted((ROOT / "kzoo").rglob("*.py"))
    return _hash("\0".join(file.read_text(encoding="utf-8") for file in files))


def _hash(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(store):
    return json.loads(store.read_text(encoding="utf-8")) if store.is_file() else {}


def shown(page: Path) -> list[Block]:
    """Return the blocks of a page that show the output of code."""
    return [
        block
        for block in blocks(page)
        if block.output is not None and block.language in ("sh", "python")
    ]


def problems(pages: list[Path] = PAGES, store: Path = STORE) -> list[str]:
    """Return a line for each block whose output no run has stored."""
    entries = _read(store)
    lines = []
    for page in pages:
        for block in shown(page):
            if key(block) not in entries:
                lines.append(
                    f"{page.name}, line {block.line}: code or output has changed since it was run. Run the page: "
                    f"KZOO_STORE_OUTPUTS=1 .ci/slow tests/test_pages_run.py -k {page.stem}"
                )
    return lines


def add(page: Path, block: Block, store: Path = STORE) -> None:
    """Store that a block has run with its output; entries that no page shows any more go."""
    entries = _read(store)
    known = {key(each) for each_page in PAGES for each in shown(each_page)}
    entries = {name: entry for name, entry in entries.items() if name in known}
    entries[key(block)] = {"page": page.relative_to(ROOT).as_posix(), "package": package()}
    text = json.dumps(dict(sorted(entries.items())), indent=1)
    store.write_text(f"{text}\n", encoding="utf-8")
