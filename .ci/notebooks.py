"""Write recipes/notebooks/*.ipynb, one for each kind of data, from the cells of recipes.

python .ci/notebooks.py             write them
python .ci/notebooks.py --check     exit with code 1 if one differs from its recipe
"""

import ast
import json
import sys
from pathlib import Path

RECIPES = Path(__file__).parents[1] / "recipes"
FOLDER = RECIPES / "notebooks"
# Name -> recipe, lines after its `arguments` that make it short, title of a cell -> what the cell shows at its end.
NOTEBOOKS = {
    "table": ("tabular_fnn", [], {"Train": "runs[name]"}),
    "image": ("digits_cnn", [], {"Train": "run"}),
    "text": ("text_reviews", ['args.presets = ["text_gru"]'], {"Train": 'runs["text_gru"]'}),
    "series": (
        "series_forecast",
        ['args.presets, args.epochs = ["series_linear", "series_gru"], 3'],
        {"Train": 'kzoo.compare([*runs.values()])[["run", "metric", "score", "seconds"]]'},
    ),
}


def cells_of(recipe):
    """Return the title of each `# %%` cell of a recipe, and its code without blank lines around it."""
    text = (RECIPES / f"{recipe}.py").read_text(encoding="utf-8")
    titled = (part.partition("\n") for part in text.split("\n# %% ")[1:])
    return [(title.strip(), code.strip("\n")) for title, _, code in titled]


def introduction(recipe):
    """Return the recipe's docstring as Markdown, without its commands and measurements."""
    doc = ast.get_docstring(ast.parse((RECIPES / f"{recipe}.py").read_text(encoding="utf-8")))
    title, *paragraphs = doc.split("\n\n")
    kept = [
        text
        for text in paragraphs
        if "python recipes/" not in text and not text.startswith("Measured:")
    ]
    origin = f"The cells are those of [`recipes/{recipe}.py`](../{recipe}.py), in which all options are explained."
    return "\n\n".join([f"# {title.rstrip('.')}", *kept, origin])


def with_lines(code, lines):
    """Return the code of a cell with lines after its call of `kzoo.recipes.arguments`."""
    call = next(
        (n for n in ast.parse(code).body if "kzoo.recipes.arguments(" in ast.unparse(n)), None
    )
    if call is None or not lines:
        return code
    rows = code.split("\n")
    note = "# few and small, so that the notebook takes a minute"
    return "\n".join([*rows[: call.end_lineno], note, *lines, *rows[call.end_lineno :]])


def shown(code, value):
    """Return the code of a cell that ends with a value, which the notebook shows; `print(data)` becomes `data`."""
    *rows, last = code.split("\n")
    if last.startswith("print(") and last.removeprefix("print(").removesuffix(")").isidentifier():
        last = last.removeprefix("print(").removesuffix(")")
    return "\n".join([*rows, last, *([value] if value else [])])


def notebook(name):
    """Return a notebook as text: JSON in version 4.5 of the format, without outputs."""
    recipe, lines, values = NOTEBOOKS[name]
    cells = [("markdown", introduction(recipe))]
    for title, code in cells_of(recipe):
        heading = title.partition(":")[0]
        value = values.get(heading, "figure" if heading == "Plot" else "")
        cells += [("markdown", f"## {title}"), ("code", shown(with_lines(code, lines), value))]
    document = {
        "cells": [
            {
                "cell_type": kind,
                "id": f"{name}-{number}",
                "metadata": {},
                "source": source.splitlines(keepends=True),
            }
            | ({"execution_count": None, "outputs": []} if kind == "code" else {})
            for number, (kind, source) in enumerate(cells)
        ],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main():
    differing = []
    for name in NOTEBOOKS:
        file = FOLDER / f"{name}.ipynb"
        text = notebook(name)
        if "--check" not in sys.argv:
            FOLDER.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        elif not file.is_file() or file.read_text(encoding="utf-8") != text:
            differing.append(file.name)
    if differing:
        sys.exit(f"{', '.join(differing)}: run python .ci/notebooks.py")


if __name__ == "__main__":
    main()
