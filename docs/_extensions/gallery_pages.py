"""The gallery: a page for each recipe, with its picture, measured table, code, and files to download."""

import ast
import json
import posixpath
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "recipes"
sys.path.insert(0, str(ROOT / ".ci"))
import notebooks

GROUPS = {
    "": "Tasks",
    "practice": "Practice",
    "foundations": "Foundations",
    "frameworks": "Frameworks",
}
# The column that a card shows, with what is better.
SCORES = {
    "accuracy": max, "test_accuracy": max, "f1_macro": max, "network": max, "mse": min, "mae": min, "rmse": min,
    "deviance": min, "pinball": min, "log_loss": min, "bits_per_character": min, "mean": max,
    "average_precision": max, "bias": min,
}  # fmt: skip


_INTRODUCTION = (
    "Scripts that run as they are. Each page has the picture that the script draws, its measured scores, its code, and "
    "the script and a notebook to download."
)


def recipes() -> list[str]:
    """Return the names of the recipes with a picture, such as `practice/thresholds`, in the order of the groups."""
    names = [path.stem for path in RECIPES.glob("pictures/*.png")]
    known = [name.replace("-", "/", 1) for name in sorted(names)]
    return sorted(known, key=lambda name: [*GROUPS].index(posixpath.dirname(name)))


def pages() -> dict[str, str]:
    """Return the path of each page -> its text."""
    measured = json.loads((RECIPES / "measured.json").read_text(encoding="utf-8"))
    result = {page_of(name): _page(name, measured.get(name)) for name in recipes()}
    toctree = ["```{toctree}", ":hidden:", "", *(_slug(name) for name in recipes()), "```", ""]
    result["gallery/index.md"] = "\n".join([list_of_recipes(), *toctree])
    return result


def list_of_recipes(translate=str, site: str = "..") -> str:
    """Return the page that lists the recipes.

    Args:
        translate: returns a message of `messages()` in the language of the page.
        site: the way from the folder of the page to the English site.
    """
    measured = json.loads((RECIPES / "measured.json").read_text(encoding="utf-8"))
    lines = [f"# {translate('Gallery')}", "", translate(_INTRODUCTION), ""]
    for folder, title in GROUPS.items():
        lines += [f"## {translate(title)}", "", "```{raw} html", '<ul class="gallery">']
        lines += [
            _card(name, measured.get(name), translate, site)
            for name in recipes()
            if posixpath.dirname(name) == folder
        ]
        lines += ["</ul>", "```", ""]
    return "\n".join(lines)


def messages() -> list[str]:
    """Return what the list of recipes says, for the catalogues of translations."""
    return ["Gallery", _INTRODUCTION, *GROUPS.values(), *map(title_of, recipes())]


def twins() -> dict[str, str]:
    """Return pages whose plain text is not their source: the list."""
    lines = ["# Gallery", ""]
    for folder, title in GROUPS.items():
        lines += [f"## {title}", ""]
        lines += [
            f"* [{title_of(name)}]({_slug(name)}.md)"
            for name in recipes()
            if posixpath.dirname(name) == folder
        ]
        lines.append("")
    return {"gallery/index.md": "\n".join(lines)}


def files() -> dict[str, bytes]:
    """Return path -> content of the scripts, the notebooks and the pictures."""
    result = {}
    for name in recipes():
        result[f"_files/{_slug(name)}.py"] = (RECIPES / f"{name}.py").read_bytes()
        result[f"_files/{_slug(name)}.ipynb"] = notebook(name).encode()
        result[f"_pictures/recipes-pictures-{_slug(name)}.png"] = _picture(name).read_bytes()
    return result


def page_of(name: str) -> str:
    """Return the page of a recipe."""
    return f"gallery/{_slug(name)}.md"


def _slug(name):
    return name.replace("/", "-")


def _picture(name):
    return RECIPES / "pictures" / f"{_slug(name)}.png"


def _docstring(name):
    return ast.get_docstring(ast.parse((RECIPES / f"{name}.py").read_text(encoding="utf-8")))


def title_of(name: str) -> str:
    """Return the first sentence of a recipe's docstring."""
    return _docstring(name).partition("\n\n")[0].replace("\n", " ").rstrip(".")


def notebook(name: str) -> str:
    """Return a recipe as a notebook: the tested one of recipes/notebooks if it has one, else its cells."""
    for tested, (recipe, *_) in notebooks.NOTEBOOKS.items():
        if recipe == name:
            return notebooks.notebook(tested)
    notebooks.NOTEBOOKS[_slug(name)] = (name, [], {})
    try:
        return notebooks.notebook(_slug(name))
    finally:
        del notebooks.NOTEBOOKS[_slug(name)]


def _best(table):
    """Return (label, column, value) of the row with the best score of a recipe's table, or None."""
    rows = (table or {}).get("rows") or []
    for column, better in SCORES.items():
        scored = [row for row in rows if isinstance(row.get(column), float)]
        if scored:
            best = better(scored, key=lambda row: row[column])
            label = next((str(value) for value in best.values() if isinstance(value, str)), "")
            return label, column.replace("_", " "), best[column]
    return None


def _card(name, table, translate, site):
    best = _best(table)
    score = f"<p>{best[0]}: {best[1]} {best[2]:.4g}</p>" if best else ""
    picture = f"{site}/_images/recipes-pictures-{_slug(name)}.png"
    return (
        f'<li><a href="{site}/gallery/{_slug(name)}.html"><img src="{picture}" alt="" loading="lazy">'
        f"<span>{translate(title_of(name))}</span></a>{score}</li>"
    )


def _page(name, table):
    title, *paragraphs = _docstring(name).split("\n\n")
    heading, _, rest = title.replace("\n", " ").rstrip(".").partition(": ")
    body = []
    for paragraph in paragraphs:
        if paragraph.startswith("Measured:"):
            continue
        if "python recipes/" in paragraph:
            body += ["```text", paragraph, "```", ""]
        else:
            body += [re.sub(r"\*", r"\\*", paragraph), ""]
    lines = [
        f"# {heading}",
        "",
        *([f"{rest[:1].upper()}{rest[1:]}.", ""] if rest else []),
        f"![Figure of recipes/{name}.py: {title_of(name)}](../_pictures/recipes-pictures-{_slug(name)}.png)",
        "",
        f"Download: {{download}}`script <../_files/{_slug(name)}.py>`, "
        f"{{download}}`notebook <../_files/{_slug(name)}.ipynb>`.",
        "",
        *body,
    ]
    if table:
        heads = list(table["rows"][0])
        lines += [
            "## Measured",
            "",
            f"| {' | '.join(head.replace('_', ' ') for head in heads)} |",
            "|---" * len(heads) + "|",
            *(
                f"| {' | '.join(_value(row.get(head)) for head in heads)} |"
                for row in table["rows"]
            ),
            "",
            f"`{table['command']}`: {table['seconds']:.0f} s, {table['machine']}, {table['created'][:10]}.",
            "",
        ]
    code = (RECIPES / f"{name}.py").read_text(encoding="utf-8")
    return "\n".join([*lines, "## Code", "", "```python", code.rstrip(), "```", ""])


def _value(value):
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value).replace("|", "\\|")
