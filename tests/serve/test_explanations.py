"""The endpoint that explains a prediction."""

import pytest
from messages import assert_mentions
from served import serving
from test_page import write_values

from kzoo import runtime
from kzoo.inference.explanations import inputs as explained
from kzoo.serve import app


@pytest.fixture(scope="module")
def site(exports, tmp_path_factory):
    home = tmp_path_factory.mktemp("explained")
    write_values(home / "values")
    with serving(
        home, home / "values", *(exports / name for name in ("table", "text", "digits", "language"))
    ) as server:
        server.home = home
        yield server


def ask(server, name, inputs, query=""):
    return server.post(f"/v1/models/{name}/explain{query}", json={"inputs": inputs})


def test_the_amounts_of_a_row_are_those_of_its_linear_model(site):
    """Rent is 10 times the size plus the floor; the typical row has a size of 70.125 and the floor 2."""
    response = ask(site, "values", [{"size": 80, "floor": 5}])
    assert response.status_code == 200, response.text
    document = response.json()
    (row,) = document["rows"]
    assert document["method"] == "Shapley values" and document["version"] == "1"
    assert row["output"] == "rent" and row["scale"] == ""
    assert row["prediction"] == pytest.approx(805) and row["base"] == pytest.approx(703.25)
    amounts = {reason["name"]: reason["amount"] for reason in row["reasons"]}
    assert amounts == {"size": pytest.approx(98.75), "floor": pytest.approx(3)}
    assert {reason["name"]: reason["value"] for reason in row["reasons"]} == {
        "size": "80",
        "floor": "5",
    }
    local = runtime.load(site.home / "values").explain([{"size": 80, "floor": 5}])
    assert local.to_dict()["rows"][0]["reasons"] == row["reasons"]


def test_words_are_explained(site):
    (row,) = ask(site, "text", ["Well, the film was a joy."]).json()["rows"]
    assert "".join(text for text, _ in row["pieces"]).startswith("Well, the film was a joy")
    other = next(
        label
        for label in site.get("/v1/models/text/about").json()["answer"]["classes"]
        if label != row["output"]
    )
    (against,) = ask(site, "text", ["Well, the film was a joy."], f"?of={other}").json()["rows"]
    assert against["output"] == other


@pytest.mark.parametrize(
    ("name", "inputs", "query", "parts"),
    [
        ("values", [{"size": 1, "floor": 1}] * 2, "", ("1", "2")),
        ("values", [{"size": 1, "floor": 1}], "?of=price", ("'price'", "rent")),
        ("values", [{"size": 1}], "", ("'floor'", "missing")),
        ("digits", [[[0] * 8] * 8], "", ("digits", "rows of a table and texts")),
        ("language", ["the cat"], "", ("language",)),
        # an export of an earlier version does not know the most frequent categories
        ("table", [{}], "", ("table",)),
    ],
)
def test_what_cannot_be_explained_is_refused(site, name, inputs, query, parts):
    response = ask(site, name, inputs, query)
    assert response.status_code == 400, response.text
    assert_mentions(response.json()["error"], *parts)


def test_the_page_knows_what_can_be_explained(site):
    explains = {
        model["name"]: site.get(f"/v1/models/{model['name']}/about").json()["explains"]
        for model in site.get("/v1/models").json()["models"]
    }
    assert explains == {
        "values": True,
        "text": True,
        "table": False,
        "digits": False,
        "language": False,
    }


def test_the_page_has_each_sentence_in_both_languages():
    strings = (app.PAGE / "strings.js").read_text(encoding="utf-8")
    sentences = [
        explained.NOT_THE_WORLD,
        explained._SHARED,
        explained._ONE_ROW,
        explained._NOT_A_SUM,
        explained._OF_TOKENS,
    ]
    assert [sentence for sentence in sentences if f'"limit_{sentence}": [' not in strings] == []
    methods = (
        "Shapley values",
        "Shapley values by sampling",
        "weights of tokens",
        "words left out",
    )
    assert [method for method in methods if f'"explained_{method}": [' not in strings] == []
