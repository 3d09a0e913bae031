"""Files about the project: citation, licences, workflows, templates of issues."""

import csv
import datetime
import re
import tomllib

import pytest
from test_package import ROOT, tracked

import kzoo

pytestmark = pytest.mark.skipif(
    not (ROOT / "REUSE.toml").is_file(), reason="kzoo is installed, and this is no checkout"
)


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def yaml_of(name):
    return pytest.importorskip("yaml").safe_load(read(name))


# ---------------------------------------------------------------- citation


def test_the_citation_is_that_of_this_version():
    citation = yaml_of("CITATION.cff")
    required = {"cff-version", "message", "title", "type", "authors", "version", "license", "url"}
    assert required | {"keywords", "abstract", "repository-code"} <= set(citation)
    assert citation["cff-version"] == "1.2.0" and citation["version"] == kzoo.__version__
    assert citation["license"] == "Apache-2.0" and citation["type"] == "software"
    assert all(author.get("name") or author.get("family-names") for author in citation["authors"])


def test_the_date_of_the_citation_is_that_of_the_release():
    """A version that is not released has no date."""
    dates = dict(re.findall(r"^## v?(\d\S*)\W+(\d{4}-\d\d-\d\d)", read("CHANGELOG.md"), re.M))
    date = yaml_of("CITATION.cff").get("date-released")
    expected = dates.get(kzoo.__version__)
    assert date == (expected and datetime.date.fromisoformat(expected))


# ---------------------------------------------------------------- licences


def annotations():
    """Return a list of (regular expression of paths, entry) of REUSE.toml."""
    entries = tomllib.loads(read("REUSE.toml"))["annotations"]
    return [
        (re.compile("|".join(map(pattern, strings(entry["path"])))), entry) for entry in entries
    ]


def strings(value):
    return [value] if isinstance(value, str) else value


def pattern(glob):
    """Return the regular expression of a path of REUSE.toml: `*` stays in a folder, `**` does not."""
    parts = re.split(r"(\*\*|\*)", glob)
    return "".join({"**": ".*", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts)


def test_every_file_has_a_copyright_and_a_licence_whose_text_is_here():
    entries = annotations()
    used = set()
    for name in tracked():
        matching = [entry for expression, entry in entries if expression.fullmatch(name)]
        assert matching, name
        assert strings(matching[-1]["SPDX-FileCopyrightText"]), name
        used.add(matching[-1]["SPDX-License-Identifier"])
    assert used == {path.stem for path in (ROOT / "LICENSES").iterdir()}
    assert read("LICENSES/Apache-2.0.txt") == read("LICENSE")


def test_annotations_name_files_that_exist():
    names = tracked()
    for _, entry in annotations():
        for glob in strings(entry["path"]):
            assert any(re.fullmatch(pattern(glob), name) for name in names), glob


def test_packaged_weights_have_the_licences_of_their_data():
    spdx = {
        "CC BY 4.0": "CC-BY-4.0",
        "MIT": "MIT",
        "Apache-2.0": "Apache-2.0",
        "public domain": "Apache-2.0",  # the weights are of kzoo
        "none stated by its makers": "LicenseRef-no-data-licence",
    }
    from kzoo.zoo import weights

    for entry in weights.entries():
        name = f"kzoo/zoo/weights/{entry.preset}-{entry.name}.npz"
        (*_, annotation) = [e for expression, e in annotations() if expression.fullmatch(name)]
        assert annotation["SPDX-License-Identifier"] == spdx[entry.licence], name


# ---------------------------------------------------------------- the host's files


WORKFLOWS = sorted(path.name for path in (ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_may_only_read(name):
    """Only the publishing job has a further permission, and no checkout keeps its token."""
    workflow = yaml_of(f".github/workflows/{name}")
    assert workflow["permissions"] == {"contents": "read"}
    for job_name, job in workflow["jobs"].items():
        writes = {key for key, value in job.get("permissions", {}).items() if value != "read"}
        assert writes <= ({"id-token"} if job_name == "publish" else set()), job_name
    triggers = workflow[True]  # YAML 1.1 reads `on` as a truth value
    assert not {"pull_request_target", "workflow_run"} & set(triggers)
    for step in (step for job in workflow["jobs"].values() for step in job["steps"]):
        assert "${{ github." not in step.get("run", ""), step  # text of others would be run


def test_checkouts_of_tests_do_not_keep_a_token():
    steps = [
        s for job in yaml_of(".github/workflows/tests.yml")["jobs"].values() for s in job["steps"]
    ]
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts and all(s["with"] == {"persist-credentials": False} for s in checkouts)


def test_the_update_bot_looks_at_packages_actions_and_the_image():
    updates = yaml_of(".github/dependabot.yml")["updates"]
    assert {u["package-ecosystem"] for u in updates} == {"pip", "github-actions", "docker"}
    for update in updates:
        assert (ROOT / update["directory"].strip("/")).is_dir() and update["schedule"]["interval"]
    pinned = re.findall(r"^    ([\w-]+)==", read("setup.cfg"), re.M)
    (pip,) = [u for u in updates if u["package-ecosystem"] == "pip"]
    assert sorted(entry["dependency-name"] for entry in pip["ignore"]) == sorted(pinned)


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem
)
def test_issue_forms_are_complete(path):
    form = yaml_of(f".github/ISSUE_TEMPLATE/{path.name}")
    if path.stem == "config":
        assert all({"name", "url", "about"} == set(link) for link in form["contact_links"])
        return
    assert {"name", "description", "labels", "body"} <= set(form)
    ids = [field["id"] for field in form["body"] if field["type"] != "markdown"]
    assert len(ids) == len(set(ids)) and all(
        field["attributes"].get("label") for field in form["body"] if field["type"] != "markdown"
    )
    assert any(f.get("validations", {}).get("required") for f in form["body"])


# ---------------------------------------------------------------- the paper

SECTIONS = [
    "Summary",
    "Statement of need",
    "State of the field",
    "Software design",
    "Research impact statement",
    "AI usage disclosure",
    "Acknowledgements",
    "References",
]


def paper():
    """Return the metadata and the text of the paper."""
    _, metadata, text = read("paper.md").split("---\n", 2)
    return metadata, text


def test_the_paper_has_the_sections_and_the_length_that_joss_asks_for():
    metadata, text = paper()
    assert re.findall(r"^# (.*)$", text, re.M) == SECTIONS
    assert 750 <= len(text.partition("# References")[0].split()) <= 1_000
    for key in ("title:", "tags:", "authors:", "affiliations:", "date:", "bibliography: paper.bib"):
        assert key in metadata


def test_the_paper_cites_each_entry_of_its_bibliography():
    entries = re.findall(r"^@\w+\{(\w+),", read("paper.bib"), re.M)
    assert set(re.findall(r"@(\w+)", paper()[1])) == set(entries)
    for entry in read("paper.bib").split("\n\n"):
        assert re.search(r"doi = |url = ", entry), entry
    assert len(entries) == len(set(entries))


def test_the_scores_of_the_paper_are_those_of_the_measured_results():
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in paper()[1].splitlines()
        if line.startswith("| ")
    ][1:]
    assert len(rows) == 5
    for data, measure, preset, score, baseline, baseline_score in rows:
        with open(ROOT / "results" / f"results-{data}.csv", encoding="utf-8", newline="") as file:
            results = [*csv.DictReader(file)]
        scores = {row["model"]: float(row[measure]) for row in results if row["kind"] == "baseline"}
        best = (min if measure.startswith("mse") else max)(scores, key=scores.get)
        assert (best, f"{scores[best]:.3f}") == (baseline, baseline_score), data
        (measured,) = [float(row[measure]) for row in results if row["model"] == preset]
        assert float(score) == pytest.approx(measured, abs=0.00051), data


# ---------------------------------------------------------------- the review lists

STATES = {"met", "in part", "host", "person", "time", "no"}
SCORECARD = (
    "Binary-Artifacts Branch-Protection CI-Tests CII-Best-Practices Code-Review Contributors Dangerous-Workflow "
    "Dependency-Update-Tool Fuzzing License Maintained Packaging Pinned-Dependencies SAST SBOM Security-Policy "
    "Signed-Releases Token-Permissions Vulnerabilities Webhooks"
)


def lists():
    """Return section -> rows (item, state, where) of the page of the review lists."""
    sections = re.split(r"^## (.*)$", read("docs/development/lists.md"), flags=re.M)[1:]
    return {
        title: re.findall(r"^\| (.+?) \| (?!state )([a-z ]+) \| (.+) \|$", text, re.M)
        for title, text in zip(sections[::2], sections[1::2], strict=True)
    }


def test_the_review_lists_are_complete_and_what_is_met_is_here():
    """`test_links_lead_somewhere` checks that the linked files and sections exist."""
    found = lists()
    assert [len(rows) for rows in found.values()] == [27, 36, 16, 20, 0]
    assert " ".join(item for item, _, _ in found["Scorecard"]) == SCORECARD
    assert {item[0] for item, _, _ in found["SPECs"]} == set("0123456789")
    for item, state, where in (row for rows in found.values() for row in rows):
        assert state in STATES, item
        assert ("](../" in where) >= (state in ("met", "in part")), item


def test_what_the_lists_say_of_files_without_a_test_of_their_own():
    assert not [
        name
        for name in tracked()
        if re.search(r"\.(so|dll|dylib|exe|pyc|jar|class|a|o|whl)$", name)
    ]
    policy = read("SECURITY.md").lower()
    assert "https://" in policy and "disclos" in policy and re.search(r"\d+ days", policy)
    code = [read(name) for name in tracked() if name.startswith("kzoo/") and name.endswith(".py")]
    assert not any(
        re.search(r"np\.random\.(seed|rand|normal|shuffle|choice)\(", text) for text in code
    )
