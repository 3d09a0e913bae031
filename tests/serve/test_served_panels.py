"""Forecasts of many series, served: CSV and JSON, a band for each, and bad tables refused in a line."""

import pytest
from hand_made import write_panel
from messages import assert_mentions
from served import serving

from kzoo.runtime import load

PATH = "/v1/models/shops/answer"
ROWS = [
    dict(
        shop=shop,
        day=f"2024-05-{day:02d}",
        sales=level + day if day < 7 else None,
        promo=int(promo and day > 6),
    )
    for shop, level, promo in (("east", 10, False), ("west", 50, True))
    for day in range(1, 10)
]
BAD = {
    "no known number": (
        [*ROWS[:16], ROWS[16] | dict(promo=None), *ROWS[17:]],
        ("'promo'", "'west'", "2024-05-08"),
    ),
    "a gap ahead": (ROWS[:16] + ROWS[17:], ("'promo'", "'west'", "2024-05-08")),
    "a pair twice": ([*ROWS, ROWS[3]], ("'east'", "2024-05-04", "two rows")),
    "no id": ([*ROWS[:-1], ROWS[-1] | dict(shop=None)], ("'shop'", "fill")),
    "no past": (ROWS[6:], ("'east'", "'sales'")),
    "no time": ([*ROWS[:-1], ROWS[-1] | dict(day="soon")], ("'day'", "'soon'")),
    "numbers for times": (
        [row | dict(day=number) for number, row in enumerate(ROWS)],
        ("'day'", "numbers"),
    ),
    "a text ahead": (
        [*ROWS[:-1], ROWS[-1] | dict(sales="much")],
        ("'sales'", "'west'", "2024-05-09", "'much'"),
    ),
    "a column too few": (
        [{k: v for k, v in row.items() if k != "promo"} for row in ROWS],
        ("'promo'",),
    ),
}


def as_csv(rows):
    lines = [",".join("" if cell is None else str(cell) for cell in row.values()) for row in rows]
    return "\n".join([",".join(rows[0]), *lines]) + "\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = write_panel(tmp_path_factory.mktemp("panel") / "shops")
    with serving(tmp_path_factory.mktemp("log"), folder) as running:
        running.folder = folder
        yield running


def test_each_series_has_a_band_by_its_id(server):
    expected = load(server.folder).predict(ROWS)
    headers = {"Content-Type": "text/csv"}
    for response in (
        server.post(PATH, json=ROWS),
        server.post(PATH, as_csv(ROWS), headers=headers),
    ):
        document = response.json()["predictions"]
        assert [row["input"] for row in document] == ["east", "west"] == list(expected.inputs)
        assert document[1]["times"] == ["2024-05-07", "2024-05-08", "2024-05-09"]
        assert document[1]["quantiles"] == expected.quantiles[1].tolist()
        # the mean of 53 to 56, and 10 for the promotion
        assert document[1]["quantiles"][0] == [[63.5, 64.5, 65.5]]
    text = server.post(PATH, json=ROWS, headers={"Accept": "text/csv"}).text
    assert (
        text.splitlines()[0] == "shop,day,step,sales_q0.1,sales_q0.5,sales_q0.9"
        and text.count("west,") == 3
    )
    past = server.post(f"{PATH}?history=true", json=ROWS).json()["predictions"][0]
    assert past["history"] == [[13], [14], [15], [16]] and past["history_times"][-1] == "2024-05-06"


@pytest.mark.parametrize("case", BAD)
def test_a_bad_table_is_refused_in_a_line(server, case):
    rows, parts = BAD[case]
    replies = [
        server.post(PATH, json=rows),
        server.post(PATH, as_csv(rows), headers={"Content-Type": "text/csv"}),
    ]
    for reply in replies:
        assert reply.status_code == 400, reply.text
        message = reply.json()["error"]
        assert "\n" not in message
        assert_mentions(message, *parts)
