"""Update the table of packages in kzoo/README.md: `python .ci/packages.py` reads their docstrings."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "kzoo"
README = PACKAGE / "README.md"
BEGIN, END = "<!-- packages -->\n", "<!-- end of packages -->\n"


def summary(path: Path) -> str:
    """Return the first sentence of a file's docstring, without its full stop."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(docstring.partition("\n\n")[0].split())
    return paragraph.partition(". ")[0].removesuffix(".").replace("|", "\\|")


def table() -> str:
    """Return the table: a row for each package, and one for each module beside them."""
    rows = ["| package | what it is | modules |", "|---|---|---|"]
    for init in sorted(PACKAGE.rglob("__init__.py")):
        folder = init.parent
        name = "kzoo/" if folder == PACKAGE else f"{folder.relative_to(PACKAGE).as_posix()}/"
        modules = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
        rows.append(f"| `{name}` | {summary(init)} | {', '.join(modules)} |")
    return "\n".join([*rows, ""])


def updated(text: str) -> str:
    """Return the text of the page with the table of today."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    README.write_text(updated(README.read_text(encoding="utf-8")), encoding="utf-8")
