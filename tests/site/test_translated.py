"""The Chinese pages of the site: catalogues, and sources made with them."""

import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("babel", reason="the extra dev has it")
sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "_extensions"))

import translated
from babel.messages import pofile

PAGE = """---
key: value
---

# A title

A paragraph
in two lines, [a link](how_to/gpu.md#gpu), [another](tutorials/table.md) [here](https://a.b/c.md).

* one item
  goes on
* two

| head | |
|---|---|
| a cell | `code` |

```sh
kzoo train iris_fnn
```

```{toctree}
:hidden:

tutorials/index
how_to/index
```
"""


def test_messages_are_headings_paragraphs_items_and_cells_in_one_line():
    assert translated.messages(PAGE) == [
        "A title",
        "A paragraph in two lines, [a link](how_to/gpu.md#gpu), [another](tutorials/table.md) [here](https://a.b/c.md).",
        "one item goes on",
        "two",
        "head",
        "a cell",
        "`code`",
    ]


def test_a_page_keeps_code_and_what_has_no_translation():
    page = translated.translated(PAGE, lambda text: {"two": "二", "a cell": "格"}.get(text, text))
    assert "* one item goes on\n* 二\n" in page and "| 格 | `code` |\n" in page
    assert page.startswith("---\nkey: value\n---\n\n# A title\n")
    assert "```sh\nkzoo train iris_fnn\n```" in page


def test_links_to_pages_without_a_translation_lead_to_the_english_site():
    page = translated.with_english_links(
        PAGE, "index.md", {"index.md", "tutorials/index.md", "tutorials/table.md"}
    )
    assert '<a href="../how_to/gpu.html#gpu">a link</a>' in page
    assert "[another](tutorials/table.md) [here](https://a.b/c.md)" in page
    assert "tutorials/index\n" in page and "how_to/index" not in page


@pytest.mark.parametrize("domain", translated.DOMAINS)
def test_catalogues_have_the_messages_of_the_pages_with_their_code_and_links(domain):
    path = translated.LOCALE / "zh" / "LC_MESSAGES" / f"{domain}.po"
    with path.open("rb") as file:
        entries = {entry.id: entry.string for entry in pofile.read_po(file) if entry.id}
    assert [*entries] == translated.sources()[domain], "run .ci/translations.py"
    for english, chinese in entries.items():
        if not chinese:
            continue
        for pattern in (r"`[^`]+`", r"\]\(([^)#]+)"):
            spans = [sorted(re.findall(pattern, text)) for text in (english, chinese)]
            assert spans[0] == [span.replace("README.zh.md", "README.md") for span in spans[1]]
