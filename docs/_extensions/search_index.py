"""The index of the search: `search_index.js`, which works without a server.

Terms are stems. The frequency of a term in a page is the sum over its fields (title, keywords, headings, first
paragraph, text), weighted and divided by the length of the field, as in BM25F. `_static/search.js` ranks.
"""

import json
import re
from collections import Counter, defaultdict
from itertools import pairwise

from docutils import nodes
from snowballstemmer import stemmer
from sphinx import addnodes

# Field -> weight, and how much its length counts.
FIELDS = {
    "title": (6.0, 0.4),
    "keywords": (4.0, 0.2),
    "headings": (2.5, 0.4),
    "lead": (1.5, 0.4),
    "text": (1.0, 0.65),
}
WITH_PHRASES = ("title", "keywords", "headings")
# Beginning of a page's name -> factor of its score: an answer comes before the list in which it is looked up.
PRIORS = {
    "how_to/index": 0.5,
    "tutorials/index": 0.5,
    "explanation/index": 0.5,
    "how_to/": 1.0,
    "tutorials/": 0.95,
    "explanation/": 0.9,
    "presets/index": 0.9,
    "reference/api/": 0.65,
    "reference/": 0.75,
    "presets/": 0.5,
    "gallery/": 0.7,
    "development/changelog": 0.25,
    "development/": 0.5,
    "": 0.6,
}
LABELS = {
    "how_to/": "How-to",
    "tutorials/": "Tutorial",
    "explanation/": "Explanation",
    "reference/": "Reference",
    "presets/": "Preset",
    "gallery/": "Gallery",
    "development/": "Development",
}
_UNIMPORTANT = """
    a about above after again all also am an and any are as at be because been before being both
    but by can could did do does doing don down during each every for from further get gets
    given had has have having he her here how i if in into is it its itself just like made make
    me might most much my need nor now of off on once only or other our out please she should so
    some such than that the their them then there these they this those through to too try until
    up use used uses using very want was way we were what when where whether which while who
    whom why will with would yet you your
"""
STOP_WORDS = frozenset(_UNIMPORTANT.split())
EXCERPT = 320  # characters of a section that results show
_WORD = re.compile(r"[^\W_]+(?:[_.][^\W_]+)*", re.UNICODE)
_stem = stemmer("porter").stemWord


def terms(text: str) -> list[str]:
    """Return the stems of a text: those of words, and of the parts of names such as `early_stopping`."""
    result = []
    for word in _WORD.findall(text):
        parts = [part for part in re.split(r"[_.]|(?<=[a-z])(?=[A-Z])", word) if part]
        for part in dict.fromkeys([word, *parts]):
            lower = part.lower()
            if lower not in STOP_WORDS:
                result.append(_stem(lower))
    return result


def phrases(text: str) -> list[str]:
    """Return the pairs of neighbouring terms of a text with short phrases: titles, keywords."""
    found = (terms(phrase) for phrase in re.split(r"[,;:?!()\n]", text))
    return [f"{first} {second}" for each in found for first, second in pairwise(each)]


def fields_of(doctree: nodes.document, keywords: str) -> tuple[dict[str, str], list[list[str]]]:
    """Return the text of each field of a page, and (anchor, heading, beginning of the text) of each of its sections."""
    fields = dict.fromkeys(FIELDS, "")
    fields["keywords"] = keywords
    sections = []
    for section in doctree.findall(nodes.section):
        title = section.next_node(nodes.title)
        heading = title.astext()
        text = _text(section)
        if not sections:
            fields["title"] = heading
            first = next(iter(section.findall(nodes.paragraph)), None)
            fields["lead"] = first.astext() if first is not None else ""
        else:
            fields["headings"] += f"{heading}\n"
        fields["text"] += f"{text}\n"
        sections.append([section["ids"][0] if len(sections) else "", heading, _shortened(text)])
    return fields, sections


def _text(section):
    """Return the text of a section without its heading and its subsections."""
    parts = []

    def walk(node):
        for child in node.children:
            if isinstance(
                child, nodes.section | nodes.title | nodes.raw | nodes.comment | addnodes.toctree
            ):
                continue
            if isinstance(child, addnodes.desc_signature):
                parts.append(child.get("fullname", ""))  # types are listed with the arguments
            elif isinstance(child, nodes.image):
                parts.append(child.get("alt", ""))
            elif isinstance(child, nodes.TextElement):
                parts.append(_shown(child))
            else:
                walk(child)

    walk(section)
    return "\n".join(parts)


def _shown(element):
    """Return the text of an element, with each name of a type once: before links are resolved, it has two forms."""
    element = element.deepcopy()
    for form in list(element.findall(addnodes.pending_xref_condition)):
        if form["condition"] == "*":
            form.parent.remove(form)
    return element.astext()


def _shortened(text):
    text = " ".join(text.split())
    return text if len(text) <= EXCERPT else text[:EXCERPT].rpartition(" ")[0] + " ..."


def _of(table, name, default=None):
    return next((value for start, value in table.items() if name.startswith(start)), default)


def index(pages: dict[str, tuple[dict[str, str], list[list[str]]]]) -> dict:
    """Return the index of all pages.

    Args:
        pages: page -> its fields and sections, as `fields_of` returns them.
    """
    names = sorted(pages)
    counted = {
        name: {
            field: Counter(terms(text) + (phrases(text) if field in WITH_PHRASES else []))
            for field, text in pages[name][0].items()
        }
        for name in names
    }
    mean = {
        field: sum(counted[name][field].total() for name in names) / max(len(names), 1) or 1.0
        for field in FIELDS
    }
    postings: dict[str, list[int]] = defaultdict(list)
    for number, name in enumerate(names):
        frequencies: dict[str, float] = defaultdict(float)
        for field, (weight, length_share) in FIELDS.items():
            counts = counted[name][field]
            length = 1 - length_share + length_share * counts.total() / mean[field]
            for term, count in counts.items():
                frequencies[term] += weight * count / length
        for term, frequency in frequencies.items():
            postings[term] += [number, max(1, round(10 * frequency))]
    return {
        "pages": [
            [
                name,
                pages[name][0]["title"],
                _of(LABELS, name, ""),
                _of(PRIORS, name),
                pages[name][1],
            ]
            for name in names
        ],
        "terms": dict(sorted(postings.items())),
        "stop": sorted(STOP_WORDS),
    }


def script(pages: dict) -> str:
    """Return `search_index.js`."""
    text = json.dumps(index(pages), ensure_ascii=False, separators=(",", ":"))
    return f"const kzooIndex = {text};\n"
