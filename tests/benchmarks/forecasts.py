"""Forecasts with bands of kzoo beside simple ones, AutoETS, AutoTheta and LightGBM, on panels from several origins.

python tests/benchmarks/forecasts.py plan FOLDER     print the cells that are missing, and their hours
python tests/benchmarks/forecasts.py run FOLDER      compute them, each in a process of one thread; resumable
python tests/benchmarks/forecasts.py table FOLDER    print the comparison, and write it to FOLDER/forecasts.json

A cell is a way on a panel from an origin: it sees the rows before the origin and forecasts the horizon after it.
Origins are counted back from the last one, 0. The earliest is for validation: the way that is best there is what
`auto` is compared with by its regret. Simulated panels are made from a seed; `--data` is a folder with the real ones
(`forecast_files.py`). AutoETS, AutoTheta and
LightGBM are computed by `--python`, that of an environment with statsforecast and lightgbm.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import numpy as np
from forecast_panels import REAL, SIMULATED, available, grid, panel_of
from forecast_scores import LEVELS, scores, summary
from forecast_ways import RIVALS, SIMPLE, kzoo_forecasts, rival_quantiles, simple_quantiles

KZOO = (
    "ets",
    "auto_ets",
    "theta_method",
    "series_linear",
    "series_fnn",
    "series_gru",
    "series_tcn",
    "auto",
)
ORIGINS = 5  # the earliest one, which has the highest number, is for validation
# seconds of a cell before any of its way is measured
SECONDS = dict.fromkeys(SIMPLE, 3) | dict.fromkeys(RIVALS, 30) | dict.fromkeys(KZOO, 60)
START_SECONDS = 15  # of a search, beside its time limit
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ),
    "1",
)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    for name, call in (("plan", plan), ("run", run), ("table", table), ("cell", cell)):
        command = commands.add_parser(name)
        command.set_defaults(call=call)
        command.add_argument("folder", type=Path)
        command.add_argument("--data", type=Path, help="folder of the real panels")
        command.add_argument(
            "--python", help="Python of an environment with statsforecast and lightgbm"
        )
        command.add_argument("--panels", nargs="+", choices=[*REAL, *SIMULATED], metavar="PANEL")
        command.add_argument("--ways", nargs="+", metavar="WAY")
        command.add_argument("--origins", type=int, default=ORIGINS)
        command.add_argument("--seed", type=int, default=0, help="of the simulated panels")
        command.add_argument("--auto-seconds", type=float, default=600)
        command.add_argument("--again", action="store_true", help="also compute cells that failed")
    command.add_argument("--cell", nargs=3, metavar=("PANEL", "ORIGIN", "WAY"))
    args = parser.parse_args()
    args.call(args)


def all_cells(args):
    """Return (panel, origin, way) of all cells, the quickest ways first, so that what is left out is mixed."""
    ways = args.ways or [*SIMPLE, *(RIVALS if args.python else ()), *KZOO]
    panels = args.panels or available(args.data)
    return [
        (panel, origin, way) for way in ways for origin in range(args.origins) for panel in panels
    ]


def path_of(args, panel, origin, way):
    return args.folder / "cells" / f"{panel}-{args.seed}-{origin}-{way}.json"


def stored(args):
    """Return the stored rows of the cells: (panel, origin, way) -> row."""
    paths = {each: path_of(args, *each) for each in all_cells(args)}
    return {each: json.loads(path.read_text()) for each, path in paths.items() if path.is_file()}


def missing(args):
    done = stored(args)
    return [
        each
        for each in all_cells(args)
        if each not in done or (args.again and "error" in done[each])
    ]


def seconds_of(args, way, done):
    """Return the expected seconds of a cell: the mean of its way, or a guess."""
    known = [row["wall"] for (_, _, other), row in done.items() if other == way]
    guess = args.auto_seconds + START_SECONDS if way == "auto" else SECONDS.get(way, 60)
    return float(np.mean(known)) if known else guess


def plan(args):
    """Print the missing cells of each way, and their hours."""
    done = stored(args)
    cells = missing(args)
    total = 0.0
    for way in dict.fromkeys(way for _, _, way in cells):
        count = sum(other == way for _, _, other in cells)
        seconds = seconds_of(args, way, done)
        total += count * seconds
        print(f"{way}: {count} cells of {seconds:.0f} s, {count * seconds / 3600:.2f} h")
    print(
        f"{len(cells)} cells, {total / 3600:.2f} h in total; {len(done)} are finished", flush=True
    )


def run(args):
    """Compute the missing cells, each in a process of its own."""
    plan(args)
    for panel, origin, way in missing(args):
        path = path_of(args, panel, origin, way)
        path.parent.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        words = [sys.executable, __file__, "cell", *sys.argv[2:], "--cell", panel, str(origin), way]
        environment = {"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ, **ONE_THREAD}
        process = subprocess.run(words, capture_output=True, text=True, env=environment)
        if process.returncode or not path.is_file():
            lines = process.stderr.strip().splitlines() or [f"exit code {process.returncode}"]
            path.write_text(json.dumps(dict(panel=panel, origin=origin, way=way, error=lines[-1])))
        row = json.loads(path.read_text()) | dict(wall=round(time.monotonic() - began, 1))
        path.write_text(json.dumps(row, indent=1) + "\n")
        score = row["error"] if "error" in row else f"WQL {row['wql']:.4f}, MASE {row['mase']:.3f}"
        print(f"{panel}, origin {origin}, {way}: {score}, {row['wall']:.0f} s", flush=True)


def cell(args):
    """Compute a cell, and store its quantiles and its scores."""
    name, origin, way = args.cell[0], int(args.cell[1]), args.cell[2]
    panel = panel_of(name, args.data, args.seed)
    history, future = panel.parts(panel.end(origin))
    truth = grid(future).to_numpy(float)
    past = grid(history).loc[grid(future).index]
    histories = [y[np.flatnonzero(np.isfinite(y))[0] :] for y in past.to_numpy(float)]
    naive = simple_quantiles(SIMPLE[0], histories, panel)
    began = sum(os.times()[:4])
    mean, totals, about = None, None, {}
    if way in SIMPLE:
        quantiles = simple_quantiles(way, histories, panel)
    elif way in RIVALS:
        known = [
            [rows[column].to_numpy(float) for column in panel.known]
            for rows in (known_rows(history, future, series) for series in past.index)
        ]
        quantiles = rival_quantiles(way, histories, panel, known, args.python)
    else:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            quantiles, mean, totals, about = kzoo_forecasts(
                way, history, future, panel, args.auto_seconds, out
            )
    without = ~np.isfinite(quantiles).all(axis=(1, 2))
    quantiles[without] = naive[without]  # and said by `missing`
    if mean is not None:
        mean[without] = naive[without, :, len(LEVELS) // 2]
    row = dict(
        panel=name,
        origin=origin,
        way=way,
        seen=panel.seen,
        series=len(histories),
        missing=int(without.sum()),
        seconds=round(sum(os.times()[:4]) - began, 1),
        **scores(histories, truth, quantiles, panel.season, mean=mean, totals=totals),
        **about,
        **origin_of_numbers(args, way),
    )
    path = path_of(args, name, origin, way)
    np.savez_compressed(
        path.with_suffix(".npz"), quantiles=quantiles.astype("float32"), truth=truth
    )
    path.write_text(json.dumps(row, indent=1) + "\n")


def known_rows(history, future, series):
    """Return the rows of a series from its first value on, those of the horizon included."""
    import pandas as pd

    rows = pd.concat([part[part["id"] == series] for part in (history, future)])
    return rows.sort_values("time")


def origin_of_numbers(args, way):
    """Return machine, versions, date and command of a cell; Keras is not imported for it."""
    packages = ["kzoo", "numpy", *([] if way in (*SIMPLE, *RIVALS) else ["keras", "tensorflow"])]
    versions = {name: metadata.version(name) for name in packages}
    if way in RIVALS:
        package = "lightgbm" if way == "LightGBM" else "statsforecast"
        code = f"from importlib.metadata import version; print(version({package!r}))"
        words = [args.python, "-c", code]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        versions[package] = done.stdout.strip()
    words = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(words, capture_output=True, text=True, cwd=Path(__file__).parent)
    return dict(
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        versions=versions | dict(python=platform.python_version()),
        commit=commit.stdout.strip() or None,
        date=time.strftime("%Y-%m-%d"),
        command=" ".join(["forecasts.py", *sys.argv[1:]]),
    )


def table(args):
    """Print the comparison of all ways on the cells that are finished, and store it."""
    done = stored(args)
    finished = {each: row for each, row in done.items() if "error" not in row}
    ways = list(dict.fromkeys(way for _, _, way in all_cells(args)))
    rows = summary(finished, ways, args.origins - 1)
    failed = [
        f"{', '.join(map(str, each))}: {row['error']}"
        for each, row in done.items()
        if "error" in row
    ]
    (args.folder / "forecasts.json").write_text(
        json.dumps(dict(rows=rows, failed=failed, cells=list(finished.values())), indent=1) + "\n"
    )
    print(
        "| way | panels | WQL | WQL over AutoETS | MASE | MASE over AutoETS | 80 % band covers | off by | fifths | "
        "bias | bias minus AutoETS' | totals covered | regret |"
    )
    print("|" + "---|" * 13)
    for row in rows:
        print("| " + " | ".join(cells_of(row)) + " |")
    print()
    print_panels(finished, ways, args)
    print(*failed, sep="\n")


def ratio_text(value):
    """Return a ratio with its interval as text."""
    return "-" if value is None else f"{value[0]:.3f} ({value[1]:.3f} to {value[2]:.3f})"


def cells_of(row):
    fifths = " ".join(f"{100 * share:.0f}" for share in row["coverage_of_fifth"])
    regret = (
        f"{100 * row['regret']:.1f} %, at most {100 * row['largest_regret'][1]:.0f} %"
        if "regret" in row
        else "-"
    )
    return (
        row["way"],
        str(row["panels"]),
        f"{row.get('wql', np.nan):.3f}",
        ratio_text(row.get("wql_over_rival")),
        f"{row.get('mase', np.nan):.3f}",
        ratio_text(row.get("mase_over_rival")),
        f"{100 * row['coverage']:.0f} %",
        f"{100 * row['coverage_error']:.1f}",
        fifths,
        f"{100 * row['bias']:.1f} %",
        f"{100 * row['bias_over_rival']:+.1f} points" if "bias_over_rival" in row else "-",
        f"{100 * row['totals_coverage']:.0f} % of {row['totals']:,}" if "totals" in row else "-",
        regret,
    )


def print_panels(finished, ways, args):
    """Print the WQL of each panel over that of the seasonal naive forecast, and the coverage."""
    print("| panel | seen | " + " | ".join(ways) + " |")
    print("|" + "---|" * (len(ways) + 2))
    panels = dict.fromkeys(panel for panel, _, _ in finished)
    for panel in panels:
        texts = []
        for way in ways:
            pairs = [
                (finished.get((panel, origin, way)), finished.get((panel, origin, SIMPLE[0])))
                for origin in range(args.origins - 1)
            ]
            known = [
                (row, naive)
                for row, naive in pairs
                if row and naive and row["wql"] and naive["wql"]
            ]
            ratio = (
                np.exp(np.mean([np.log(row["wql"] / naive["wql"]) for row, naive in known]))
                if known
                else np.nan
            )
            covered = np.mean([row["coverage"] for row, _ in known]) if known else np.nan
            texts.append(f"{ratio:.3f} ({100 * covered:.0f} %)" if known else "-")
        seen = next(row["seen"] for (name, _, _), row in finished.items() if name == panel)
        print(f"| {panel} | {seen} | " + " | ".join(texts) + " |")


if __name__ == "__main__":
    main()
