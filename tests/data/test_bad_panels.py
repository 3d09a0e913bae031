"""Bad tables of many series: each is refused in one line, or read with a note, on all roads."""

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, notes_with
from shortcuts import undrawn, untraced

import kzoo
import kzoo.runtime
from kzoo.cli import main
from kzoo.utils.errors import KzooError, KzooWarning

OPTIONS = dict(
    target="sales",
    series_id="shop",
    time="day",
    known_covariates=["promo", "kind"],
    static_covariates="region",
    horizon=3,
    input_shape=6,
)


def shops():
    """Return daily sales of three shops until 2024-06-30: rows 0 to 29 are of a, 30 to 54 of b, 55 to 74 of c."""
    random = np.random.default_rng(0)
    frames = []
    for level, (shop, days) in enumerate((("a", 30), ("b", 25), ("c", 20)), start=1):
        promo = random.integers(0, 2, days)
        frames.append(
            pd.DataFrame(
                dict(
                    shop=shop,
                    day=pd.date_range("2024-06-30", periods=days, freq="-1D")[::-1].strftime(
                        "%Y-%m-%d"
                    ),
                    sales=(10 * level * (1 + promo) + random.normal(0, 0.5, days)).round(3),
                    promo=promo,
                    kind=np.where(promo, "deal", "none"),
                    region="north" if level < 3 else "south",
                )
            )
        )
    return pd.concat(frames, ignore_index=True)


PAST = shops()
FUTURE = pd.DataFrame(
    dict(
        shop=np.repeat(["a", "b", "c"], 3),
        day=["2024-07-01", "2024-07-02", "2024-07-03"] * 3,
        sales=None,
        promo=1,
        kind="deal",
        region=np.repeat(["north", "north", "south"], 3),
    )
)
PLANNED = pd.concat(
    [PAST, FUTURE.astype(PAST.dtypes.to_dict() | {"sales": float})], ignore_index=True
)


def put(frame, column, row, value):
    changed = frame.copy()
    changed[column] = changed[column].astype(object)
    changed.loc[row, column] = value
    return changed


def days(frame, change):
    """Return rows whose days are counted from the start of 2020 and changed."""
    return frame.assign(
        day=[change((pd.Timestamp(day) - pd.Timestamp("2024-06-01")).days) for day in frame.day]
    )


def weekly(days):
    return str((pd.Timestamp("2020-01-01") + pd.Timedelta(days=7 * days)).date())


C = PAST[PAST["shop"] == "c"]
LATE = pd.date_range("2020-01-05", periods=20, freq="7D").strftime("%Y-%m-%d")
UNEVEN = [str((pd.Timestamp("2020-01-05") + pd.Timedelta(days=i * i)).date()) for i in range(20)]
# Table, other options, parts of the message.
REFUSED_IN_TRAINING = {
    "a pair twice": (
        pd.concat([PAST, PAST.iloc[[5]]]),
        {},
        ("'a'", "2024-06-06", "two rows", "remove one"),
    ),
    "two rows of a day": (
        pd.concat([PAST, PAST.iloc[[5]].assign(day="2024-06-06 12:00")]),
        {},
        ("'a'", "2024-06-06 12:00", "24 hours"),
    ),
    "two steps": (
        pd.concat([PAST, C.assign(shop="w", day=LATE)]),
        {},
        ("'w'", "1 week", "1 day", "one step"),
    ),
    "no step": (
        pd.concat([PAST, C.assign(shop="w", day=UNEVEN)]),
        {},
        ("'w'", "not at regular times"),
    ),
    "a text for a time": (
        put(PAST, "day", 7, "tomorrow"),
        {},
        ("'day'", "row 8", "'tomorrow'", "correct"),
    ),
    "texts for times": (PAST.assign(day="day one"), {}, ("'day'", "row 1", "'day one'")),
    "no time": (put(PAST, "day", 7, None), {}, ("'day'", "row 8")),
    "an empty id": (put(PAST, "shop", 3, None), {}, ("'shop'", "row 4", "fill")),
    "a blank id": (put(PAST, "shop", 3, "  "), {}, ("'shop'", "row 4", "fill")),
    "another id column": (PAST, dict(series_id="town"), ("'town'", "shop, day")),
    "the time is the id": (PAST, dict(series_id="day"), ("'day'", "series_id=", "time=", "remove")),
    "the target is the id": (PAST, dict(series_id="sales"), ("'sales'", "series_id=", "target=")),
    "the id is left out": (PAST, dict(drop="shop"), ("'shop'", "series_id=", "drop=")),
    "the time is left out": (PAST, dict(drop="day"), ("'day'", "time=", "drop=")),
    "the target is known": (
        PAST,
        dict(known_covariates="sales"),
        ("'sales'", "known_covariates=", "target="),
    ),
    "the target is static": (
        PAST,
        dict(static_covariates="sales"),
        ("'sales'", "static_covariates=", "target="),
    ),
    "the id is known": (PAST, dict(known_covariates="shop"), ("'shop'", "series_id=")),
    "the time is known": (PAST, dict(known_covariates="day"), ("'day'", "time=")),
    "known twice": (
        PAST,
        dict(known_covariates=["promo", "promo"]),
        ("'promo'", "known_covariates="),
    ),
    "known and static": (
        PAST,
        dict(static_covariates="promo"),
        ("'promo'", "known_covariates", "static_covariates"),
    ),
    "known and left out": (PAST, dict(drop="promo"), ("'promo'", "drop=")),
    "no known column": (PAST.drop(columns="promo"), {}, ("'promo'", "shop, day")),
    "no static column": (PAST.drop(columns="region"), {}, ("'region'",)),
    "a known column is empty": (PAST.assign(promo=None), {}, ("'promo'", "empty", "drop=")),
    "a static column is empty": (PAST.assign(region=None), {}, ("'region'", "empty", "drop=")),
    "a known column is empty in a series": (
        PAST.assign(promo=PAST.promo.where(PAST["shop"] != "b")),
        {},
        ("'promo'", "'b'", "fill"),
    ),
    "a static number is empty in a series": (
        PAST.assign(region=PAST["shop"].map({"a": 1.5, "c": 2.5})),
        {},
        ("'region'", "'b'", "fill"),
    ),
    "a static column changes": (
        put(PAST, "region", 3, "south"),
        {},
        ("'region'", "'a'", "2024-06-04", "correct"),
    ),
    "a known column is infinite": (
        put(PAST, "promo", 9, np.inf),
        {},
        ("'promo'", "row 10", "inf", "correct"),
    ),
    "too many texts": (
        PAST.assign(kind=[f"k{i}" for i in range(len(PAST))]),
        {},
        ("'kind'", "75", "at most 20", "drop="),
    ),
    "no target": (PAST.assign(sales=None), {}, ("no numeric column", "sales")),
    "texts as the target": (PAST.assign(sales="much"), {}, ("no numeric column", "sales")),
    "an unknown target": (PAST, dict(target=["sales", "visits"]), ("'visits'",)),
    "a negative horizon": (PAST, dict(horizon=-1), ("horizon=-1", "at least 1")),
    "a horizon above all": (PAST, dict(horizon=200), ("horizon=200", "30 rows", "lower")),
    "one row a series": (
        PAST.groupby("shop", as_index=False).head(1),
        {},
        ("'day'", "regular step", "1 row"),
    ),
    "no rows": (PAST.head(0), {}, ("no rows",)),
    "groups": (PAST, dict(group="region"), ("group='region'", "remove")),
    "weights": (PAST, dict(sample_weight="promo"), ("sample_weight='promo'", "remove")),
    "labels": (PAST, dict(task="series_classification"), ("known_covariates", "labelled")),
    "segments": (PAST, dict(segment=10), ("segment=10", "remove")),
}
NOTED_IN_TRAINING = {
    "few rows": (pd.concat([PAST, C.tail(4).assign(shop="w")]), ("'w'", "repeated", "6 steps")),
    "fewer rows": (pd.concat([PAST, C.tail(1).assign(shop="w")]), ("'w'", "left out", "3 rows")),
    "a series without a target": (
        PAST.assign(sales=PAST.sales.where(PAST["shop"] != "b")),
        ("'b'", "left out"),
    ),
    "a text in the target": (put(PAST, "sales", 9, "many"), ("'sales'", "row 10", "'many'")),
    "infinity in the target": (put(PAST, "sales", 9, np.inf), ("'sales'", "row 10", "inf")),
    "missing rows": (
        PAST.drop(index=[9, 10]),
        ("2 rows", "'a'", "2024-06-09", "2024-06-12", "filled"),
    ),
    "a time far ahead": (
        put(PAST, "day", 7, "2124-06-30"),
        ("'a'", "2024-06-30", "2124-06-30", "missing"),
    ),
    "blanks in ids": (
        PAST.assign(shop=np.where(PAST.index % 2, PAST["shop"], PAST["shop"] + " ")),
        ("'shop'", "'a'"),
    ),
    "ids in capitals": (PAST.replace({"shop": {"c": "A"}}), ("'a'", "'A'", "two series")),
    "numbers and texts": (
        put(PAST, "promo", 9, "yes"),
        ("'promo'", "'yes'", "3 values", "category"),
    ),
    "a static text is empty in a series": (
        PAST.assign(region=PAST.region.where(PAST["shop"] != "b")),
        ("'region'", "'b'", "none of the values"),
    ),
}
REFUSED_OF_NEW_ROWS = {
    "no known number": (
        put(PLANNED, "promo", 79, None),
        ("'promo'", "'b'", "2024-07-02", "--make-future"),
    ),
    "no known text": (put(PLANNED, "kind", 79, None), ("'kind'", "'b'", "2024-07-02")),
    "a known text": (put(PLANNED, "promo", 79, "yes"), ("'promo'", "row 80", "'yes'", "correct")),
    "a gap ahead": (PLANNED.drop(index=79), ("'promo'", "'b'", "2024-07-02", "1 such step")),
    "fewer rows ahead": (PLANNED.drop(index=80), ("'promo'", "'b'", "2024-07-03")),
    "no rows ahead": (PAST, ("'promo'", "'a'", "2024-07-01", "9 such steps")),
    "an early end": (PLANNED.drop(index=range(50, 55)), ("'promo'", "'b'", "2024-06-26")),
    "no past": (FUTURE.assign(sales=np.nan), ("'a', 'b', 'c'", "'sales'", "add the rows before")),
    "no past of a series": (
        PLANNED.assign(sales=PLANNED.sales.where(PLANNED["shop"] != "b")),
        ("'b'", "'sales'"),
    ),
    "another id ahead": (
        PLANNED.replace({"shop": {"b": "b"}}).pipe(put, "shop", 79, "B"),
        ("'B'", "'sales'"),
    ),
    "a pair twice": (pd.concat([PLANNED, PLANNED.iloc[[76]]]), ("'a'", "2024-07-02", "two rows")),
    "a text for a number at the end": (
        put(PLANNED, "sales", 29, "many"),
        ("'sales'", "'a'", "2024-06-30", "'many'"),
    ),
    "a text ahead": (
        put(PLANNED, "sales", 76, "?"),
        ("'sales'", "'a'", "2024-07-02", "'?'", "leave it empty"),
    ),
    "weeks": (days(PLANNED, weekly), ("'a'", "1 week", "1 day", "training")),
    "numbers for times": (days(PLANNED, int), ("'day'", "numbers", "dates", "as in training")),
    "a text for a time": (put(PLANNED, "day", 76, "soon"), ("'day'", "row 77", "'soon'")),
    "an empty id": (put(PLANNED, "shop", 76, None), ("'shop'", "row 77")),
    "a static column changes": (
        put(PLANNED, "region", 76, "south"),
        ("'region'", "'a'", "2024-07-02"),
    ),
    **{
        f"no {name}": (PLANNED.drop(columns=name), (f"'{name}'", "panel"))
        for name in ("shop", "day", "sales", "promo", "region")
    },
}
NOTED_OF_NEW_ROWS = {
    "another id": (
        PLANNED.replace({"shop": {"b": "z"}}),
        ("1 series not in the training rows", "'z'"),
    ),
    "another known text": (
        put(PLANNED, "kind", 79, "sale"),
        ("'kind'", "'sale'", "none of the others"),
    ),
    "another static text": (PLANNED.replace({"region": {"south": "west"}}), ("'region'", "'west'")),
    "no static text": (PLANNED.assign(region=None), ("'region'", "'a'", "3 such series")),
    "a text in the past": (put(PLANNED, "sales", 9, "many"), ("'sales'", "row 10", "'many'")),
    "infinity": (put(PLANNED, "sales", 9, np.inf), ("'sales'", "row 10", "inf")),
    "missing rows": (PLANNED.drop(index=[26, 27]), ("2 rows", "'a'", "2024-06-26", "2024-06-29")),
    "more rows ahead": (
        pd.concat([PLANNED, FUTURE.tail(1).assign(day="2024-07-04")]),
        ("1 row", "3 steps", "'c'", "2024-07-04"),
    ),
    "blanks in an id": (put(PLANNED, "shop", 79, "b "), ("'shop'", "'b'", "blanks")),
    "a time zone": (
        PLANNED.assign(day=PLANNED.day + "T00:00:00+02:00"),
        ("'day'", "+02:00", "no zone"),
    ),
    "no known past": (
        put(PLANNED, "promo", range(75), None),
        ("'promo'", "75", "most frequent value"),
    ),
    "two rows of a new series": (
        pd.concat([PLANNED, PLANNED[(PLANNED["shop"] == "c")].tail(5).assign(shop="n")]),
        ("'n'", "6 rows", "repeated"),
    ),
}


def load(frame, **options):
    preset = kzoo.zoo.registry.get_preset("series_linear")
    options = OPTIONS | options
    config = dict(horizon=options.pop("horizon"), input_shape=(options.pop("input_shape"), 1))
    preset = type(preset)(
        **{name: getattr(preset, name) for name in preset.__dataclass_fields__}
        | {"config": {**preset.config, **config}}
    )
    return kzoo.load_data(frame, preset=preset, **options)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with untraced(), undrawn():
        return kzoo.train(
            "series_linear",
            PAST,
            out=tmp_path_factory.mktemp("panel") / "run",
            epochs=1,
            batch_size=64,
            baselines=False,
            progress=False,
            **OPTIONS,
        )


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    pytest.importorskip("tf2onnx"), pytest.importorskip("onnxruntime")
    return kzoo.export(
        run, tmp_path_factory.mktemp("x") / "shops", formats="onnx", verify=False, progress=False
    ).path


def message_of(call):
    """Return the message of the error that a call must raise, which is one line."""
    with pytest.raises(KzooError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text and len(text) < 400, text
    return text


@pytest.mark.parametrize("case", REFUSED_IN_TRAINING)
def test_a_table_is_refused_in_training(case):
    frame, options, parts = REFUSED_IN_TRAINING[case]
    if "horizon" in options:
        train = dict(OPTIONS, out=None, epochs=1, progress=False) | options
        assert_mentions(message_of(lambda: kzoo.train("series_linear", frame, **train)), *parts)
    else:
        assert_mentions(message_of(lambda: load(frame, **options)), *parts)


@pytest.mark.parametrize("case", NOTED_IN_TRAINING)
def test_a_table_is_read_with_a_note(case):
    frame, parts = NOTED_IN_TRAINING[case]
    notes = load(frame).notes
    assert len(notes_with(notes, *parts)) == 1, notes
    assert not notes_with(load(PAST).notes, *parts)


def test_the_command_line_refuses_a_table_in_a_line(tmp_path, capsys):
    words = [
        "--target",
        "sales",
        "--series-id",
        "shop",
        "--time",
        "day",
        "--known",
        "promo",
        "--static",
        "region",
    ]
    for case in (
        "a pair twice",
        "two steps",
        "a text for a time",
        "an empty id",
        "a static column changes",
    ):
        frame, _, parts = REFUSED_IN_TRAINING[case]
        frame.drop(columns="kind").to_csv(tmp_path / "shops.csv", index=False)
        code = main(
            [
                "train",
                "series_linear",
                "--data",
                str(tmp_path / "shops.csv"),
                *words,
                "--out",
                str(tmp_path),
            ]
        )
        printed = capsys.readouterr()
        assert code == 2 and "Traceback" not in printed.err, case
        assert_mentions(printed.err, *parts)


@pytest.mark.parametrize("case", REFUSED_OF_NEW_ROWS)
def test_new_rows_are_refused_by_a_run_and_its_export(case, run, exported):
    frame, parts = REFUSED_OF_NEW_ROWS[case]
    message = message_of(lambda: kzoo.predict(run, frame))
    assert_mentions(message, *parts)
    assert message_of(lambda: kzoo.runtime.load(exported).predict(frame)) == message


@pytest.mark.parametrize("case", NOTED_OF_NEW_ROWS)
def test_new_rows_are_predicted_with_a_note_by_a_run_and_its_export(case, run, exported):
    frame, parts = NOTED_OF_NEW_ROWS[case]
    answers = []
    for predict in (
        lambda: kzoo.predict(run, frame),
        lambda: kzoo.runtime.load(exported).predict(frame),
    ):
        with pytest.warns(KzooWarning) as caught:
            answers.append(predict())
        notes = [str(warning.message) for warning in caught]
        assert len(notes_with(notes, *parts)) == 1, notes
    assert np.isfinite(answers[0].values).all() and np.allclose(
        answers[0].values, answers[1].values, rtol=1e-4
    )


@pytest.mark.parametrize(
    "case", ["no known number", "weeks", "a text ahead", "numbers for times", "no promo"]
)
def test_the_command_line_refuses_new_rows_in_a_line(case, run, tmp_path, capsys):
    frame, parts = REFUSED_OF_NEW_ROWS[case]
    frame.to_csv(tmp_path / "shops.csv", index=False)
    assert main(["predict", str(run.path), str(tmp_path / "shops.csv")]) == 2
    printed = capsys.readouterr().err
    assert "Traceback" not in printed and len(printed.splitlines()) == 1
    assert_mentions(printed, *parts)
