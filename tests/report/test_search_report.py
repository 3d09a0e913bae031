"""The report of a search: what it says is true, and what is doubtful about it is said."""

import re
from html import unescape

import pytest
from made_search import LOSS, make_search
from small_reports import SCRIPT
from test_report import Page

import kzoo
from kzoo.cli import main
from kzoo.utils.files import read_json, write_json


@pytest.fixture
def page_of(tmp_path):
    def write(count=6, **options):
        return Page(kzoo.report(make_search(tmp_path / "search", count, **options)))

    return write


def cells(page, heading):
    """Return the rows of the table after a heading."""
    part = page.source[page.source.index(f">{heading}<") :].split("</table>")[0]
    rows = re.findall("<tr>(.*?)</tr>", part, re.DOTALL)
    return [[unescape(c) for c in re.findall("<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL)] for row in rows]


def test_the_best_trial_stands_beside_the_preset(search_run, report_of):
    page, best = Page(report_of(search_run)), search_run.best_trial()
    assert "<h1>iris_fnn tuned on iris</h1>" in page.source
    assert f"{100 * best['score']:.1f} % val accuracy of trial {best['trial']}, the best of 40 trials" in page.text
    gain = best["score"] - search_run.trials[0]["score"]
    assert f"a gain of {100 * gain:.1f} points, which is {round(12 * gain)} of 12 examples" in page.text
    for words in ("partly luck", "chance with 12 examples", "ended without a score", "× loss was nan"):
        assert words in page.text
    headings = [
        "Score per trial",
        "Learning curves",
        "Hyperparameter importance",
        "Leaderboard",
        "The winner's settings",
        "Use it",
    ]
    assert [h for h in page.headings() if h in headings] == headings
    assert page.count("svg") == 3


def test_the_leaderboard_is_the_searchs(search_run, report_of):
    head, *rows = cells(Page(report_of(search_run)), "Leaderboard")
    board = search_run.leaderboard()
    assert len(rows) == 40 and [row[0] for row in rows] == [str(i) for i in range(1, 41)]
    assert [row[1].split("\xa0")[0] for row in rows] == [str(n) for n in board["trial"]]
    assert [row[2] for row in rows] == board["status"].tolist()
    place = head.index("optimizer")
    assert [row[place] for row in rows] == board["hp.optimizer"].tolist()
    assert head[-1] == "error" and rows[-1][-1] == "loss was nan"


def test_what_changed_is_shown_before_and_after(search_run, report_of):
    rows = {row[0]: row[1:3] for row in cells(Page(report_of(search_run)), "The winner's settings")[1:]}
    before, after = search_run.config["spec"], search_run.best_spec()
    assert rows["optimizer"] == [before["training"]["optimizer"], f"<b>{after['training']['optimizer']}</b>"]
    changed = {
        name
        for part in ("config", "training")
        for name, value in after[part].items()
        if (list(value) if isinstance(value, tuple) else value) != before[part][name]
    }
    assert set(rows) == changed


def test_a_winner_that_is_the_preset_and_a_search_too_short(page_of):
    page = page_of(4, score=lambda values, noise: 0.5, status=lambda number: "completed", planned=9)
    assert "The best trial is the preset itself" in page.text and "no trial scored better" in page.text
    assert "4 of 9" in page.text and "The search is not finished" in page.text and "luck" not in page.text
    assert "Importance needs at least 15 finished trials, and there are 4" in page.text and page.count("svg") == 2


def test_a_picture_that_would_say_nothing_is_left_out(page_of):
    page = page_of(20, score=lambda values, noise: noise.random(), status=lambda number: "completed")
    assert "no better than chance, so it is not shown" in page.text
    assert "Hyperparameter importance" not in page.headings() and page.count("svg") == 2


def test_all_failed_is_a_page_too(page_of):
    page = page_of(3, status=lambda number: "failed")
    assert "No trial has a score" in page.text and "3 trials ended without a score" in page.text
    assert "Use it" not in page.headings()


def test_a_loss_has_no_percentages_and_a_long_board_ends(page_of):
    page = page_of(120, objective=LOSS)
    assert "val loss of trial" in page.text and "points" not in page.text
    assert "The other 20 are in leaderboard.csv" in page.text
    assert len(cells(page, "Leaderboard")) == 101


def test_nothing_becomes_markup(page_of, tmp_path):
    page_of(6, status=lambda number: "failed" if number == 5 else "completed")
    file = tmp_path / "search" / "trials" / "0005" / "trial.json"
    write_json(file, read_json(file) | {"error": SCRIPT})
    config = read_json(tmp_path / "search" / "search.json")
    config["data"]["name"] = SCRIPT
    write_json(tmp_path / "search" / "search.json", config)
    page = Page(kzoo.report(tmp_path / "search"))
    assert SCRIPT in page.text and SCRIPT not in page.source


def test_the_command_and_what_it_refuses(tmp_path, capsys):
    make_search(tmp_path / "s", 6)
    assert main(["report", str(tmp_path / "s"), "--out", str(tmp_path / "a.html")]) == 0
    assert str(tmp_path / "a.html") in capsys.readouterr().out
    assert str(tmp_path) not in (tmp_path / "a.html").read_text(encoding="utf-8")
    assert main(["report", str(tmp_path / "s"), "--data", "iris"]) == 2
    err = capsys.readouterr().err
    assert "retrain()" in err and err.count("\n") == 1
