"""README and docs/: their commands, options and names exist, links lead to every page, and both languages agree.

`tests/test_pages_run.py` (slow) runs the code.
"""

import ast
import builtins
import configparser
import json
import re
import symtable
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from pages import (
    CHINESE,
    DOCS,
    PAGES,
    README,
    ROOT,
    Block,
    anchors,
    blocks,
    calls,
    comments,
    lines,
    links,
    reachable,
    targets,
    without_comment,
)

import kzoo
from kzoo.cli import COMMANDS, make_parser, shared
from kzoo.zoo.registry import AUTO, get_preset, resolve

SHELL = [
    (page, line)
    for page in PAGES
    for block in blocks(page)
    if block.language == "sh"
    for line in lines(block)
] + [(page, f"kzoo {words}") for page in DOCS for words in comments(page, "assumes")]
WITH_AUTO = {("train", AUTO), ("tune", AUTO)}  # commands that choose a preset
PYTHON = [(page, block) for page in PAGES for block in blocks(page) if block.language == "python"]


def name(page):
    return page.relative_to(ROOT).as_posix()


def test_the_first_page_is_short_and_leads_to_all_others():
    assert len(README.read_bytes()) <= 9_000
    for page in (README, CHINESE):
        assert [name(doc) for doc in DOCS if doc not in reachable(page)] == []
    assert README.name in links(CHINESE) and CHINESE.name in links(README)


@pytest.mark.parametrize("page", [CHINESE, *PAGES], ids=name)
def test_links_lead_somewhere(page):
    for target in targets(page):
        link, _, anchor = target.partition("#")
        file = page.parent / link if link else page
        if not made_by_the_build(file):
            assert file.exists(), target
            assert not anchor or anchor in anchors(file), target


def made_by_the_build(file):
    """Return whether the build of the site makes a page, and checks links to it."""
    name = file.resolve().relative_to(ROOT).as_posix().removeprefix("docs/")
    references = ("api/", "command_line/", "settings.md", "data_options.md", "checks.md")
    return name.startswith(("presets/", "gallery/", *(f"reference/{each}" for each in references)))


def test_former_addresses_lead_to_pages_of_today():
    redirects = json.loads((ROOT / "docs" / "redirects.json").read_text(encoding="utf-8"))
    for former, targets_of_today in redirects.items():
        assert not (ROOT / "docs" / f"{former}.md").exists() and "" in targets_of_today
        for target in targets_of_today.values():
            link, _, anchor = target.partition("#")
            assert made_by_the_build(file := ROOT / "docs" / f"{link}.md") or file.exists(), target
            assert not anchor or made_by_the_build(file) or anchor in anchors(file), target


def test_comments_of_pages_are_known():
    for page in DOCS:
        text = page.read_text(encoding="utf-8").partition("\n# ")[0]
        known = [*comments(page, "assumes"), *comments(page, "run by")]
        assert len(known) == text.count("<!--"), name(page)


def test_commands_are_parsed_and_name_presets_and_settings_that_exist():
    parser = make_parser(COMMANDS)
    called = [(line, words) for _, line in SHELL for words in calls(line)]
    assert {words[0] for _, words in called} >= {
        "train",
        "tune",
        "check",
        "predict",
        "export",
        "compare",
        "show",
    }
    for line, words in called:
        args, unknown = parser.parse_known_args(words)
        assert not unknown, line
        named = getattr(args, "preset", None) or getattr(args, "run", None)
        if isinstance(named, str) and "/" not in named and (words[0], named) not in WITH_AUTO:
            assert named in kzoo.list_presets(), line
            resolve(get_preset(named), shared.parse_settings(getattr(args, "set", ())))


@pytest.mark.parametrize("page", [CHINESE, *PAGES], ids=name)
def test_sentences_name_commands_and_options_that_exist(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    parser = make_parser(COMMANDS)
    options = {
        o
        for sub in (parser, *parser._subparsers._group_actions[0].choices.values())
        for o in sub.options()
    }
    spans = re.findall(r"`([^`]+)`", text)
    commands = {match[1] for span in spans if (match := re.match(r"kzoo (\w[\w-]*)", span))} - {
        "COMMAND"
    }
    assert commands <= {*COMMANDS}
    calls_of_kzoo = [span for span in spans if span.startswith(("kzoo ", "--"))]
    named = {match[0] for span in calls_of_kzoo for match in re.finditer(r"(?<!\S)--[a-z-]+", span)}
    assert named - options - {"--resources"} == set()  # Dask's
    presets = {
        match[1]
        for span in spans
        if (match := re.match(r"kzoo (?:train|show|tune) ([a-z_]+)(?![\w./])", span))
    }
    assert presets - {*kzoo.list_presets(), AUTO} == set()


def test_python_compiles_and_its_names_of_kzoo_exist():
    assert len(PYTHON) > 8
    for page, block in PYTHON:
        tree = ast.parse(block.text, f"{name(page)}, line {block.line}")
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and re.fullmatch(
                r"kzoo(\.\w+)+", dotted := ast.unparse(node)
            ):
                assert exists(dotted), dotted
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("kzoo"):
                assert [a.name for a in node.names if not exists(f"{node.module}.{a.name}")] == []
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "kzoo.build",
                "kzoo.train",
                "kzoo.tune",
            ):
                first = node.args[0]
                known = [*kzoo.list_presets(), AUTO]
                assert not isinstance(first, ast.Constant) or first.value in known, ast.unparse(
                    node
                )


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_python_blocks_run_when_pasted_after_those_above(page):
    assert undefined(blocks(page)) == []


def undefined(blocks):
    """Return a line for each name that a block of Python uses and no block above it defines."""
    known, lines = set(dir(builtins)), []
    for block in blocks:
        if block.language == "python":
            table = symtable.symtable(block.text, "block", "exec")
            defined = {
                symbol.get_name()
                for symbol in table.get_symbols()
                if symbol.is_assigned() or symbol.is_imported()
            }
            # a block with its output runs in a process of its own
            above = known if block.output is None else set(dir(builtins))
            missing = global_names(table) - above - defined
            lines += [f"line {block.line}: {missing_name}" for missing_name in sorted(missing)]
            known |= defined
    return lines


def global_names(table):
    """Return the global names that a block, its functions and classes read."""
    names = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module")
    }
    return names.union(*map(global_names, table.get_children()))


def test_a_name_that_no_block_defines_is_found():
    first = Block("python", "import numpy as np\n\nx = np.ones(3)\n", 1)
    assert undefined([first, Block("python", "print(x, [i for i in x], y)\n", 9)]) == ["line 9: y"]
    alone = Block("python", "def f(a):\n    return a + np.sum(x)\n", 9, output="1\n")
    assert undefined([first, alone]) == ["line 9: np", "line 9: x"]


def exists(dotted):
    """Return whether `kzoo.a.b` exists, without importing Keras."""
    first, *rest = dotted.split(".")[1:]
    if not rest:
        return first in dir(kzoo) or find_spec(f"kzoo.{first}") is not None
    module = find_spec(f"kzoo.{first}")
    if module is None:
        return first in dir(kzoo)  # an object's attribute
    names = set()
    tree = ast.parse(Path(module.origin).read_text(encoding="utf-8"))
    for node in ast.walk(tree):  # the tables of names that are imported on first use
        if isinstance(node, ast.Dict):
            names |= {getattr(key, "value", None) for key in node.keys}
    for node in tree.body:
        names |= {getattr(node, "name", "")} | {
            a.asname or a.name for a in getattr(node, "names", ())
        }
        names |= {
            target.id for target in getattr(node, "targets", ()) if isinstance(target, ast.Name)
        }
    return rest[0] in names or (Path(module.origin).parent / f"{rest[0]}.py").is_file()


def test_the_page_on_installation_lists_every_extra_for_users():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    page = (ROOT / "docs" / "how_to" / "install.md").read_text(encoding="utf-8")
    first_cells = re.findall(r"^\| (`.*?) \|", page, re.M)
    named = {extra for cell in first_cells for extra in re.findall(r"`(\w+)`", cell)}
    assert named == {*setup["options.extras_require"]} - {"dev", "docs"}


def test_toml_blocks_can_be_read():
    files = [
        tomllib.loads(block.text)
        for page in PAGES
        for block in blocks(page)
        if block.language == "toml"
    ]
    assert [preset["base"] for file in files for preset in file.values()] == ["tabular_fnn"]


def test_both_languages_have_the_same_blocks():
    def code(page):
        return [
            (
                block.language,
                [without_comment(line) for line in block.text.splitlines()],
                block.output,
            )
            for block in blocks(page)
        ]

    assert code(CHINESE) == code(README)
    assert re.findall(r"^<!-- .*$", CHINESE.read_text("utf-8"), re.M) == [
        "<!-- command 1 -->",
        "<!-- command 2 -->",
    ]
    for start in ("^## ", r"^\|"):  # sections, and rows of tables
        assert (
            len(
                {
                    len(re.findall(start, page.read_text("utf-8"), re.M))
                    for page in (README, CHINESE)
                }
            )
            == 1
        )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "kzoo predict runs/a x.csv --out a.csv | head -3",
            [["predict", "runs/a", "x.csv", "--out", "a.csv"]],
        ),
        ("pip install x && .venv/bin/kzoo train digits_cnn", [["train", "digits_cnn"]]),
        ("kzoo show cifar_cnn --code > model.py", [["show", "cifar_cnn", "--code"]]),
        ("dask scheduler --port 8786", []),
    ],
)
def test_calls_of_kzoo_are_read_from_a_shell_line(line, expected):
    assert calls(line) == expected


# a measured difference, factor or share, and a file or page with its measurement
CLAIM = re.compile(
    r"\d points\b|\d %? against \d|\d times (?:as|more|less|faster|slower)\b|covered \d|\d % of the suspects"
)
MEASUREMENT = re.compile(r"tests/|recipes/|results/|gallery/|presets/|kzoo/export/README|https?://")


def unmeasured(text):
    """Return the claims of those sections of a page that name no measurement."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    sections = re.split(r"^(?=#+ )", prose, flags=re.M)
    return [
        match[0]
        for section in sections
        if not MEASUREMENT.search(section)
        for match in CLAIM.finditer(re.sub(r"`[^`]*`", "", section))
    ]


@pytest.mark.parametrize("page", DOCS, ids=name)
def test_measured_numbers_name_their_measurement(page):
    assert unmeasured(page.read_text(encoding="utf-8")) == []


def test_a_number_without_a_measurement_is_found():
    assert unmeasured("# Trees\n\nThey are 1.7 points better.\n\n## Rows\n\nSee recipes/a.py.\n")
    assert not unmeasured("# Trees\n\nThey are 1.7 points better (`tests/benchmarks/README.md`).\n")
    assert not unmeasured("# Trees\n\nIt prints `+1.7 points`.\n")
