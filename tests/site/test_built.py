"""The built site: its content, its search, and pages in a browser without a server, narrow and wide, light and dark."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from page_visit import Visit, browsing

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGES = (
    "index.html",
    "search.html?q=is the GPU used",
    "presets/index.html",
    "presets/cifar_resnet.html",
    "gallery/index.html",
    "gallery/practice-thresholds.html",
    "reference/api/index.html",
    "reference/api/kzoo.train.html",
    "reference/command_line/train.html",
    "reference/settings.html",
    "reference/glossary.html",
    "how_to/index.html",
    "how_to/gpu.html",
    "explanation/zoo.html",
    "development/changelog.html",
)


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Return the folder of the site: that of KZOO_SITE, else it is built once."""
    pytest.importorskip("sphinx", reason="the extra docs builds the site")
    sys.path.insert(0, str(ROOT / "docs" / "_extensions"))
    if "KZOO_SITE" in os.environ:
        return Path(os.environ["KZOO_SITE"])
    folder = tmp_path_factory.mktemp("site")
    environment = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    command = ["bash", ROOT / ".ci" / "site", folder]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def ranked(site, **asked):
    """Return what tests/site/rank.mjs answers; skip without Node."""
    if shutil.which("node") is None:
        pytest.skip("Node.js runs the search")
    command = ["node", HERE / "rank.mjs", site]
    done = subprocess.run(
        command, input=json.dumps(asked), capture_output=True, check=True, text=True
    )
    return json.loads(done.stdout)


def test_files_for_other_programs_are_there(site):
    for name in (
        "objects.inv",
        "llms.txt",
        "index.md",
        "how_to/gpu.md",
        "reference/api/kzoo.train.md",
    ):
        assert (site / name).is_file(), name
    pages = json.loads((site / "pages.json").read_text(encoding="utf-8"))
    assert [page for page in pages if not (site / f"{page}.md").is_file()] == []
    text = (site / "llms.txt").read_text(encoding="utf-8")
    assert "(how_to/gpu.md)" in text and "(presets/digits_cnn.md)" in text


def test_every_public_name_has_its_source_and_is_in_the_inventory(site):
    import api_pages
    from sphinx.util.inventory import InventoryFile

    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="")
    known = {name for domain in inventory.data.values() for name in domain}
    for module, names in api_pages.public_names().items():
        for name in names:
            assert f"{module}.{name}" in known
            text = (site / "reference" / "api" / f"{module}.{name}.html").read_text(
                encoding="utf-8"
            )
            assert "_modules/" in text, f"{module}.{name} has no link to its source"


def test_the_right_page_is_among_the_first_three(site):
    questions = json.loads((HERE / "search_questions.json").read_text(encoding="utf-8"))
    pages = ranked(site, questions=[each["question"] for each in questions])["pages"]
    wrong = [
        (each["question"], names[:3])
        for each, names in zip(questions, pages, strict=True)
        if not set(each["pages"]) & set(names[:3])
    ]
    assert len(wrong) <= 0.1 * len(questions), wrong


def test_pages_and_questions_have_the_same_stems(site):
    import search_index

    text = (site / "_static" / "search_index.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("const kzooIndex = ").rstrip(";\n"))
    terms = [term for term in index["terms"] if " " not in term]  # the others are pairs
    words = [
        *terms,
        *(f"{term}{end}" for term in terms for end in ("s", "ing", "ed", "ation", "ly")),
    ]
    assert ranked(site, words=words)["stems"] == [search_index._stem(word) for word in words]


def test_a_wrong_letter_and_the_beginning_of_a_word_find_a_page(site):
    pages = ranked(site, questions=["calibrte", "quantiz", "xyzzyq"])["pages"]
    assert any("calibrat" in page for page in pages[0][:3])
    assert any("quantize" in page for page in pages[1][:3]) and pages[2] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_pages_in_a_browser(site, width, theme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = []
    with browsing() as browser:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        for name in PAGES:
            page = context.new_page()
            visit = Visit(page, site.as_uri())
            page.goto(f"{site.as_uri()}/{name}")
            page.wait_for_load_state()
            faults = [text for kind, text in visit.console if kind == "error"]
            faults += [url for url in visit.requests if not url.startswith(("file:", "data:"))]
            if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
                faults.append("is too wide")
            faults += [
                f"{each['id']}: {each['nodes'][0]['html']}"
                for each in axe.run(page).response["violations"]
                if each["impact"] in ("serious", "critical")
            ]
            found += [(name, fault) for fault in faults]
            page.close()
    assert found == []


def test_the_search_leads_from_the_header_to_a_page_by_keys(site):
    with browsing() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{site.as_uri()}/how_to/gpu.html")
        page.keyboard.press("Control+k")
        page.keyboard.type("my classes are imbalanced")
        page.keyboard.press("Enter")
        page.wait_for_selector("#search-results li")
        assert (
            page.locator("#search-results a").first.get_attribute("href")
            == "how_to/rare_classes.html"
        )
        page.locator("#search-question").press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Enter")
        page.wait_for_url("**/how_to/rare_classes.html*")


def test_the_table_of_presets_sorts_and_filters(site):
    with browsing() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{site.as_uri()}/presets/index.html")
        rows = page.locator(".presets tbody tr:visible")
        everything = rows.count()
        page.get_by_label("Kind").select_option("text")
        assert 0 < rows.count() < everything
        page.get_by_label("Kind").select_option("")
        page.get_by_label("Name or data").fill("digits")
        assert "digits_cnn" in rows.first.inner_text() or rows.count() > 0
        page.get_by_label("Name or data").fill("")
        page.get_by_role("button", name="parameters").click()
        counts = page.locator(".presets tbody tr td:nth-child(7)").all_inner_texts()
        numbers = [int(text.replace(",", "")) for text in counts]
        assert numbers == sorted(numbers) and len(numbers) == everything
        page.get_by_role("button", name="parameters").click()
        first = page.locator(".presets tbody tr td:nth-child(7)").first.inner_text()
        assert int(first.replace(",", "")) == max(numbers)


def test_the_menu_of_versions_leads_to_the_page_or_to_the_home_page(site, tmp_path):
    import versions

    for name in ("_static", "how_to"):
        (tmp_path / name).symlink_to(site / name)
    for name in ("index.html", "pages.json"):
        shutil.copyfile(site / name, tmp_path / name)
    (tmp_path / "0.1").mkdir()
    (tmp_path / "0.1" / "index.html").write_text("<title>release 0.1</title>")
    (tmp_path / "0.1" / "pages.json").write_text('["index"]')
    (tmp_path / "versions.js").write_text(versions.script(tmp_path), encoding="utf-8")
    with browsing() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{tmp_path.as_uri()}/index.html")
        menu = page.locator(".version-menu:visible").first
        assert menu.input_value() == "dev"
        menu.select_option("0.1")
        page.wait_for_url("**/0.1/index.html")
        assert page.title() == "release 0.1"


def test_a_former_address_leads_on(site):
    with browsing() as browser:
        page = browser.new_page()
        page.goto(f"{site.as_uri()}/data.html#photos")
        page.wait_for_url("**/how_to/photo_folders.html*")
