"""The report of a search: its numbers are right, and it warns of luck and of failed trials."""

import re
from html import unescape

import pytest
from made_search import LOSS, make_search
from messages import assert_mentions, missing_from
from test_report import Page
from trained import SCRIPT

import kzoo
from kzoo.cli import main
from kzoo.utils.files import read_json, write_json


@pytest.fixture
def page_of(tmp_path):
    def write(count=6, **options):
        return Page(kzoo.report(make_search(tmp_path / "search", count, **options)))

    return write


def cells(page, heading):
    """Return the rows of the table after the heading with a word."""
    headings = re.finditer("<h[23]>(.*?)</h[23]>", page.source)
    start = next(match.end() for match in headings if not missing_from(match[1], [heading]))
    part = page.source[start:].split("</table>")[0]
    rows = re.findall("<tr>(.*?)</tr>", part, re.DOTALL)
    return [
        [unescape(c) for c in re.findall("<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL)]
        for row in rows
    ]


def test_the_best_trial_has_its_gain_over_the_preset(search_run, report_of):
    page = Page(report_of(search_run))
    best = search_run.best_trial()
    assert_mentions(page.title(), "iris_fnn", "iris")
    value, label, sentence = page.score()
    assert value.replace("\xa0", " ") == f"{100 * best['score']:.1f} %"
    assert_mentions(label, "val accuracy", f"trial {best['trial']}", "40 trials")
    gain = best["score"] - search_run.trials[0]["score"]
    assert_mentions(sentence, "preset", f"{100 * gain:.1f} points", f"{round(12 * gain)} of 12")
    warnings = page.warnings()
    for parts in (
        ("score", "loss was nan"),
        ("retrain", "preset"),
        ("12 examples", "points", "folds=5"),
    ):
        assert sum(not missing_from(warning, parts) for warning in warnings) == 1, (parts, warnings)
    page.assert_headings("score", "curves", "leaderboard", "winner's settings", "use")
    assert page.count("svg") == 3


def test_the_leaderboard_is_that_of_the_search(search_run, report_of):
    head, *rows = cells(Page(report_of(search_run)), "leaderboard")
    board = search_run.leaderboard()
    assert len(rows) == 40 and [row[0] for row in rows] == [str(i) for i in range(1, 41)]
    assert [row[1].split("\xa0")[0] for row in rows] == [str(n) for n in board["trial"]]
    assert [row[2] for row in rows] == board["status"].tolist()
    column = head.index("optimizer")
    assert [row[column] for row in rows] == board["hp.optimizer"].tolist()
    assert head[-1] == "error" and rows[-1][-1] == "loss was nan"


def test_changed_settings_are_shown_before_and_after(search_run, report_of):
    rows = {row[0]: row[1:3] for row in cells(Page(report_of(search_run)), "winner's settings")[1:]}
    before = search_run.config["spec"]
    after = search_run.best_spec()
    assert rows["optimizer"] == [
        before["training"]["optimizer"],
        f"<b>{after['training']['optimizer']}</b>",
    ]
    changed = {
        name
        for part in ("config", "training")
        for name, value in after[part].items()
        if (list(value) if isinstance(value, tuple) else value) != before[part][name]
    }
    assert set(rows) == changed


def test_a_winner_that_is_the_preset_and_a_search_too_short(page_of):
    page = page_of(4, score=lambda values, noise: 0.5, status=lambda number: "completed", planned=9)
    value, _, sentence = page.score()
    assert_mentions(value, "50.0")
    assert_mentions(sentence, "preset")
    assert missing_from(sentence, ["points"])  # no gain
    sections = dict(part.split("</h2>") for part in page.source.split("<h2>")[1:])
    (settings,) = [
        text for heading, text in sections.items() if not missing_from(heading, ["settings"])
    ]
    assert "<b>" not in settings  # of changed settings
    assert_mentions(page.text, "4 of 9")
    (warning,) = page.warnings()  # of the end of the search, and not of luck
    assert_mentions(warning, "kzoo.tune")
    assert_mentions(page.text, "importance", "15", "trials", "4")
    assert page.count("svg") == 2


def test_importance_no_better_than_chance_is_left_out(page_of):
    page = page_of(
        20, score=lambda values, noise: noise.random(), status=lambda number: "completed"
    )
    assert_mentions(page.text, "R²", "chance", "folds=5")
    assert page.count("svg") == 2 and page.count("h3") == 3  # of the pictures and the leaderboard


def test_a_search_of_failed_trials_has_a_page(page_of):
    page = page_of(3, status=lambda number: "failed")
    (warning,) = page.warnings()
    assert_mentions(warning, "3 trials", "score")
    assert 'class="score"' not in page.source and not page.has_heading("use")


def test_a_loss_has_no_percentages_and_a_long_board_ends(page_of):
    page = page_of(120, objective=LOSS)
    value, label, sentence = page.score()
    assert_mentions(label, "val loss", "trial", "120 trials")
    assert "%" not in value and missing_from(sentence, ["points"])
    assert_mentions(page.note("leaderboard"), "20", "leaderboard.csv")
    assert len(cells(page, "leaderboard")) == 101


def test_nothing_becomes_markup(page_of, tmp_path):
    page_of(6, status=lambda number: "failed" if number == 5 else "completed")
    file = tmp_path / "search" / "trials" / "0005" / "trial.json"
    write_json(file, read_json(file) | {"error": SCRIPT})
    config = read_json(tmp_path / "search" / "search.json")
    config["data"]["name"] = SCRIPT
    write_json(tmp_path / "search" / "search.json", config)
    page = Page(kzoo.report(tmp_path / "search"))
    assert SCRIPT in page.text and SCRIPT not in page.source


def test_the_command_and_its_refusal_of_data(tmp_path, capsys):
    make_search(tmp_path / "s", 6)
    assert main(["report", str(tmp_path / "s"), "--out", str(tmp_path / "a.html")]) == 0
    assert str(tmp_path / "a.html") in capsys.readouterr().out
    assert str(tmp_path) not in (tmp_path / "a.html").read_text(encoding="utf-8")
    assert main(["report", str(tmp_path / "s"), "--data", "iris"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert_mentions(line, "--data", "search", "retrain()")
