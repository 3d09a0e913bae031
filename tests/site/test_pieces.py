"""The pieces of the site, without a build: docstrings, plain pages, links, drawings, versions, checks of the output."""

import json
import re
import sys
from pathlib import Path

import pytest

import kzoo

pytest.importorskip("sphinx", reason="the extra docs builds the site")
sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "_extensions"))

import api_pages
import check_output
import docstrings
import gallery_pages
import plain_pages
import preset_pages
import reference_pages
import staging
import versions


def test_docstrings_become_restructured_text():
    lines = """Train `x_` on *rows* (see [a page](https://example.org/a_b)).

    model = build(**options)

| bundle | meaning |
|---|---|
| `quick` | a|

Args:
    x: rows of (N, F)

Returns:
    Classes: the labels,
        of each row.
    Values: numbers.

>>> kzoo.build("iris_fnn").name
'iris_fnn'""".splitlines()
    text = "\n".join(docstrings.rst(lines))
    assert "Train ``x_`` on \\*rows* (see `a page <https://example.org/a_b>`__)." in text
    assert ".. code-block:: python\n\n    model = build(**options)" in text
    assert ".. list-table::" in text and "   * - ``quick``\n     - a" in text
    assert (
        ":Returns:\n    * Classes: the labels,\n      of each row.\n    * Values: numbers." in text
    )
    assert ".. code-block:: pycon" in text and "    'iris_fnn'" in text


def test_every_public_name_has_a_page():
    names = api_pages.public_names()
    assert set(names) == {*api_pages.MODULES, *api_pages.TYPES}
    functions = {name for name in kzoo._PUBLIC if f"kzoo.{name}" not in api_pages.MODULES}
    assert functions == {*names["kzoo"]}
    pages = api_pages.pages()
    assert {
        f"reference/api/{module}.{name}.md" for module in names for name in names[module]
    } <= set(pages)
    assert all(
        api_pages.twin(f"kzoo.{name}").startswith(f"# kzoo.{name}\n") for name in names["kzoo"]
    )


def test_every_command_and_option_is_listed():
    from kzoo.cli import COMMANDS, make_parser

    pages = reference_pages.pages()
    commands = make_parser(COMMANDS)._subparsers._group_actions[0].choices
    for name, parser in commands.items():
        text = pages[f"reference/command_line/{name}.md"]
        listed = set(
            re.findall(r"--[a-z][a-z-]+", "\n".join(re.findall(r"^```{option} (.*)$", text, re.M)))
        )
        expected = {option for option in parser.options() if option.startswith("--")} - {"--help"}
        assert listed == expected, name


def test_every_setting_option_and_check_is_listed():
    from kzoo.checks import CHECKS
    from kzoo.problems.data_arguments import OPTIONS
    from kzoo.zoo.registry.arguments import TRAINING

    pages = reference_pages.pages()
    assert all(f"| `{name}` |" in pages["reference/settings.md"] for name in TRAINING)
    assert all(
        f"\n## {option.name or name}\n" in pages["reference/data_options.md"]
        for name, option in OPTIONS.items()
    )
    assert all(f"| `{name}` |" in pages["reference/checks.md"] for name in CHECKS)


def test_a_drawing_has_every_layer_and_connection():
    layers = [
        dict(name=name, type="Dense", output_shape=[4], parameters=1_000)
        for name in ("inputs", "block1_dense", "block1_relu", "block2_dense", "add", "outputs")
    ]
    sources = {
        "block1_dense": ["inputs"],
        "block1_relu": ["block1_dense"],
        "block2_dense": ["block1_relu"],
        "add": ["block2_dense", "block1_relu"],
        "outputs": ["add"],
    }
    svg = preset_pages.drawing("mine", layers, sources)
    assert svg.count("<rect") == 5 and svg.count("marker-end") == 5  # block1 is one block
    assert "2 × Dense" in svg and "2,000" in svg
    assert (
        'aria-label="The network of mine: inputs, block1, block2, add, outputs, with 1 connections'
        in svg
    )


def test_every_recipe_with_a_picture_has_a_page_a_script_and_a_notebook():
    names = gallery_pages.recipes()
    assert len(names) == len([*(staging.ROOT / "recipes" / "pictures").glob("*.png")])
    assert all((staging.ROOT / "recipes" / f"{name}.py").is_file() for name in names)
    files = gallery_pages.files()
    for name in names:
        slug = name.replace("/", "-")
        notebook = json.loads(files[f"_files/{slug}.ipynb"])
        code = [
            "".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"
        ]
        assert f"_files/{slug}.py" in files and code
    tested = (staging.ROOT / "recipes" / "notebooks" / "image.ipynb").read_text(encoding="utf-8")
    assert gallery_pages.notebook("digits_cnn") == tested


def test_links_of_the_repository_lead_to_pages_of_the_site(tmp_path):
    names = {
        "how_to/gpu.md",
        "gallery/index.md",
        "gallery/practice-thresholds.md",
        "development/code.md",
        "index.md",
    }

    def linked(text):
        return staging._linked(text, "docs/how_to/gpu.md", "how_to/gpu.md", names, tmp_path)

    assert linked("[a](../../recipes/README.md)") == "[a](../gallery/index.md)"
    assert (
        linked("[a](../../recipes/practice/thresholds.py)")
        == "[a](../gallery/practice-thresholds.md)"
    )
    assert linked("[a](../../kzoo/README.md#rules)") == "[a](../development/code.md#rules)"
    assert linked("[a](../../README.md)") == "[a](../index.md)"
    assert linked("[a](../../setup.cfg)") == f"[a]({staging.SOURCE}setup.cfg)"
    assert (
        linked("[a](nowhere.md), [b](#c), [c](https://keras.io)")
        == "[a](nowhere.md), [b](#c), [c](https://keras.io)"
    )
    assert linked("```sh\n[a](../../setup.cfg)\n```") == "```sh\n[a](../../setup.cfg)\n```"
    assert (
        linked("![text](../../recipes/pictures/page.png)")
        == "![text](../_pictures/recipes-pictures-page.png)"
    )
    assert (tmp_path / "_pictures" / "recipes-pictures-page.png").is_file()


def test_plain_pages_have_no_directives():
    pages = {
        "how_to/index.md": "# How-to\n\n```{toctree}\n:glob:\n\n*\n```\n",
        "how_to/gpu.md": "---\nmyst: 1\n---\n\n# Is the GPU used?\n\nAsk [Keras](x.md).\n\n```{raw} html\n<b>\n```\n",
        "index.md": "# kzoo\n\nA zoo.\n",
    }
    plain = {name: plain_pages.plain(name, text, pages) for name, text in pages.items()}
    assert plain["how_to/index.md"] == "# How-to\n\n* [Is the GPU used?](gpu.md)\n"
    assert plain["how_to/gpu.md"] == "# Is the GPU used?\n\nAsk [Keras](x.md).\n"
    assert (
        plain_pages.plain("a.md", "# a\n\n```{option} --x N\nHelp.\n```\n", pages)
        == "# a\n\n* `--x N`: Help.\n"
    )
    text = plain_pages.list_for_models(pages)
    assert (
        text.startswith("# kzoo\n\n> A zoo.\n")
        and "- [Is the GPU used?](how_to/gpu.md): Ask Keras." in text
    )


def test_versions_are_the_folders_with_pages(tmp_path):
    for folder, pages in (("", ["index", "how_to/gpu"]), ("0.1", ["index"])):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "pages.json").write_text(json.dumps(pages))
    listed = json.loads(
        versions.script(tmp_path).removeprefix("const kzooVersions = ").rstrip(";\n")
    )
    assert [(version["name"], version["folder"]) for version in listed] == [
        ("dev", ""),
        ("0.1", "0.1/"),
    ]
    assert listed[1]["pages"] == ["index"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (
            '<a href="b.html#there">b</a> <a href="#here" id="here">a</a> <img src="p.png" alt="">',
            None,
        ),
        ('<a href="c.html">c</a>', "a.html: c.html does not exist"),
        ('<a href="b.html#gone">b</a>', "a.html: b.html#gone has no such anchor"),
        ('<img src="p.png">', "a.html: p.png has no text"),
        ('<img src="q.png" alt="">', "a.html: loads q.png, which does not exist"),
        (
            '<script src="https://cdn.example.org/x.js"></script>',
            "a.html: loads https://cdn.example.org/x.js",
        ),
        (
            '<link rel="stylesheet" href="//fonts.example.org/a.css">',
            "a.html: loads //fonts.example.org/a.css",
        ),
        ('<a href="https://example.org">another host</a>', None),
        ("x" * 2_000, "a.html: 2,000 bytes"),
    ],
)
def test_the_check_of_the_output_finds_what_is_wrong(tmp_path, body, problem):
    (tmp_path / "a.html").write_text(body)
    (tmp_path / "b.html").write_text('<p id="there"></p>')
    (tmp_path / "p.png").write_bytes(b"")
    assert check_output.problems(tmp_path, largest=1_000) == ([] if problem is None else [problem])


def test_a_changed_block_or_output_is_found(tmp_path):
    import stored_outputs

    page, store = stored_outputs.ROOT / "README.md", tmp_path / "outputs.json"
    first, second = stored_outputs.shown(page)[:2]
    stored_outputs.add(page, first, store)
    stored_outputs.add(page, second, store)
    changed = tmp_path / "README.md"
    text = page.read_text(encoding="utf-8")
    changed.write_text(text, encoding="utf-8")
    assert stored_outputs.problems([changed], store) == []
    for old, new in (("epochs=10", "epochs=11"), (second.output.split()[0], "tabular_fnn")):
        assert old in text
        changed.write_text(text.replace(old, new), encoding="utf-8")
        (problem,) = stored_outputs.problems([changed], store)
        assert problem.startswith("README.md, line ") and "has changed since it was run" in problem


def test_terms_are_stems_of_words_and_of_parts_of_names():
    import search_index

    assert search_index.terms("How do I use early_stopping with GridSearchCV?") == [
        *("early_stop", "earli", "stop"),
        *("gridsearchcv", "grid", "search", "cv"),
    ]
    assert search_index.phrases("prediction interval, rare classes") == [
        "predict interv",
        "rare class",
    ]


def test_an_index_counts_fields_by_their_weight():
    import search_index

    def page(**fields):
        return dict.fromkeys(search_index.FIELDS, "") | fields, [["", fields["title"], ""]]

    pages = {
        "how_to/a": page(title="calibration"),
        "how_to/b": page(title="other", text="calibration"),
    }
    numbers = search_index.index(pages)["terms"]["calibr"]
    in_title, in_text = dict(zip(numbers[::2], numbers[1::2], strict=True)).values()
    assert in_title > 3 * in_text


def test_outputs_on_pages_are_those_of_stored_runs():
    import stored_outputs

    assert stored_outputs.problems() == []
