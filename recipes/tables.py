"""Collect measured results from runs, and write the tables in the documentation.

python recipes/tables.py collect runs/measured     write runs to kzoo/zoo/results/measured.json, tables of recipes to
                                                   recipes/measured.json, their plots to recipes/pictures/
python recipes/tables.py paired runs/measured      paired comparison of all presets and baselines on the same splits
python recipes/tables.py baselines --folder DATA   add the baselines of their splits to kzoo/zoo/results/measured.json
python recipes/tables.py write                     update docs/explanation/zoo.md, recipes/README.md, docstrings and
                                                   results/*.csv
python recipes/tables.py light --folder DATA       export the network of each measured row to ONNX, untrained, and write
                                                   its size and latency without Keras to kzoo/zoo/results/light.json
python recipes/tables.py networks                  write the layers of every preset to kzoo/zoo/results/networks.json
python recipes/tables.py order                     for each measured data set, the preset that would be suggested first
                                                   without it, and its regret; the same by two other rules

measure.py trains the runs. All numbers come from run folders; none are typed by hand.
"""

# %%
import argparse
import csv
import io
import json
import re
import shlex
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

import kzoo
from kzoo.cli.shared import parse_settings
from kzoo.data.named import NAMES
from kzoo.data.splits import Fold
from kzoo.inference.tables.files import read_table
from kzoo.problems.tasks import problem, score_named
from kzoo.recipes.paired import paired
from kzoo.training.scores.classes import wilson
from kzoo.tuning.ranking import lower_is_better
from kzoo.utils.files import read_json, write_json, write_text
from kzoo.zoo import results
from kzoo.zoo.registry import FAMILIES, is_general, resolve, with_settings
from kzoo.zoo.results.suggest import GENERATED, gap, order

HERE = Path(__file__).parent
MEASURED = Path(kzoo.__file__).parent / "zoo" / "results" / "measured.json"
NETWORKS = Path(kzoo.__file__).parent / "zoo" / "results" / "networks.json"
LIGHT = Path(kzoo.__file__).parent / "zoo" / "results" / "light.json"
RESULTS = HERE.parent / "results"
RECIPES = HERE / "measured.json"


# %% Collect: from runs and recipes to rows
def collect(args):
    files = [file for folder in args.folders for file in sorted(Path(folder).rglob("*.json"))]
    measured = {
        file: row
        for file in files
        if isinstance(row := read_json(file), dict) and row.get("smoke") is False
    }
    collect_runs(args.folders, {file.parent: row for file, row in measured.items()})
    stored = read_json(RECIPES) if RECIPES.is_file() else {}
    for file, row in measured.items():
        print(f"{row['recipe']}: {len(row['rows'])} rows")
        stored[row["recipe"]] = {k: v for k, v in row.items() if k not in ("recipe", "smoke")}
        shutil.copyfile(file.with_suffix(".png"), picture(row["recipe"]))
    write_json(RECIPES, dict(sorted(stored.items())))


def picture(name):
    return HERE / "pictures" / f"{name.replace('/', '-')}.png"


def collect_runs(folders, recipes):
    """Make rows of runs. Runs of a task recipe get its command. Lessons, practice and tuning have their own tables."""
    groups = {}
    rows = []
    recipe_runs = []
    for folder in folders:
        for file in sorted(Path(folder).rglob("config.json")):
            run = kzoo.Run(file.parent)
            if (
                not run.finished
                or run.config["spec"]["family"] is None
                or "test" not in run.summary
            ):
                continue
            recipe = next((recipes[parent] for parent in file.parents if parent in recipes), None)
            if recipe is not None and (
                "/" in recipe["recipe"] or recipe["recipe"].startswith("tune_")
            ):
                continue
            if run.config["command"] is not None:
                groups.setdefault(results.group_of(run), {})[results.draw_of(run)] = run
            elif recipe is not None and run.config["data"]["name"] not in (
                "table",
                "arrays",
            ):  # no name to load by
                run.config["command"] = recipe["command"]
                recipe_runs.append(run)
    for run in recipe_runs:  # a run of the same split and seed by `kzoo.train` comes first
        groups.setdefault(results.group_of(run), {}).setdefault(results.draw_of(run), run)
    for runs in groups.values():
        row = results.row_of(list(runs.values()))
        rows.append(
            row
            | {"own_data": results.set_of(row["data"]) == kzoo.get_preset(row["preset"]).dataset}
        )
        print(results.sentence(rows[-1]))
    known = {results.key_of(r): r for r in results.rows()}
    write_json(
        MEASURED, [r for _, r in sorted((known | {results.key_of(r): r for r in rows}).items())]
    )


# %% Paired comparison of presets and baselines on the same splits
def compare_in_pairs(args):
    """Print all candidates per data set, with their paired differences to a reference candidate."""
    sets = {}
    for folder in args.folders:
        for file in sorted(Path(folder).rglob("config.json")):
            run = kzoo.Run(file.parent)
            if run.finished and run.summary.get("test"):
                data = run.config["data"]
                sets.setdefault((data["name"], data["task"]), []).append(run)
    for (name, task), runs in sorted(sets.items()):
        print("\n".join(pairs_on(name, problem(task).headline, runs, args.against)), end="\n\n")


def pairs_on(name, metric, runs, against=None):
    """Return the lines for one data set: all candidates, with their differences to the reference candidate."""
    scores = {}
    names = candidates(runs)
    for run, label in zip(runs, names, strict=True):
        draw = results.draw_of(run)
        if draw in scores.setdefault(label, {}):
            raise kzoo.KzooError(
                f"{run.path} repeats another run of {label}: the same split, seed and settings."
            )
        scores[label][draw] = results.value_of(run.summary["test"], metric)
        for baseline in run.summary.get("baselines") or ():
            if baseline["scores"] and baseline["split"] == "test":
                scores.setdefault(baseline["label"], {})[draw] = results.value_of(
                    baseline["scores"], metric
                )
    mean = {label: sum(values.values()) / len(values) for label, values in scores.items()}
    ranked = sorted(scores, key=mean.__getitem__, reverse=not lower_is_better(metric))
    against = against or next((label for label in ranked if label not in names), ranked[0])
    if against not in scores:
        raise kzoo.KzooError(f"--against {against!r} is not among: {', '.join(ranked)}.")
    first = runs[0].config["data"]
    splits = {run.config["data"]["data_seed"] for run in runs} | {
        str(run.config["data"]["options"]) for run in runs
    }
    overlap = first["test"] / first["train"] if len(splits) > 2 else 0.0
    lines = [
        f"{name}, {metric}; differences to {against}, 95 %"
        + (", corrected for overlapping splits" if overlap else "")
    ]
    for label in ranked:
        draws = [draw for draw in scores[label] if draw in scores[against]]
        comparison = (
            paired(
                [scores[label][d] for d in draws],
                [scores[against][d] for d in draws],
                overlap=overlap,
            )
            if draws
            else None
        )
        text = "" if comparison is None or label == against else f"{comparison['difference']:+.4f}"
        if text and comparison["interval"]:
            text += " ({:+.4f} to {:+.4f})".format(*comparison["interval"])
        text += f", {comparison['pairs']} pairs" if text else ""
        once = "  once" if len(scores[label]) == 1 else ""
        lines.append(f"  {label:<42} {mean[label]:.4f}{once}  {text}".rstrip())
    return lines


def candidates(runs):
    """Return the candidate name of each run: its preset, with the folder if the preset has runs of several settings."""
    groups = {}
    for run in runs:
        preset, *_, settings = results.group_of(run)
        groups.setdefault(preset, {}).setdefault(settings, run.path)
    several = {preset for preset, settings in groups.items() if len(settings) > 1}
    return [
        f"{preset} ({folder_of(run)})"
        if (preset := run.config["spec"]["preset"]) in several
        else preset
        for run in runs
    ]


def folder_of(run):
    """Return the name of the folder that `train` uses for a preset and its settings, or else the run's own name."""
    path = Path(run.path)
    return path.parent.name if path.name.isdecimal() else path.name


# %% Baselines of rows from runs that do not store them
# data options of a recipe; its command overrides them
RECIPE_OPTIONS = {"recipes/char_gru.py": {"validation": 0.02}}


def fill_baselines(args):
    """Load the data of each row with the same splits, and score the baselines on it."""
    rows = results.rows()
    known = {}
    for row in rows:
        if args.data not in (None, row["data"]) or (row.get("baselines") and not args.again):
            continue
        try:
            splits = list(splits_of(row, Path(args.folder)))
        except kzoo.KzooError as error:
            print(f"{row['preset']} on {row['data']}: {error}")
            continue
        # Examples are windows or their tokens.
        sizes = {len(data.test) * tokens for data in splits for tokens in (1, data.input_shape[0])}
        if row["examples"] is not None and row["examples"] not in sizes:
            print(
                f"{row['preset']} on {row['data']}: the row has {row['examples']} examples, the data {sizes}"
            )
            continue
        baselines = []
        for data in splits:
            if data.fingerprint not in known:
                # on all rows, like the network
                scores = kzoo.baselines.score(data, seconds=args.seconds)
                known[data.fingerprint] = {each.label: each.value for each in scores}
            baselines.append(known[data.fingerprint])
        row["baselines"], row["train"] = (
            results.mean_of_each(baselines, row["metric"]),
            len(splits[0].train),
        )
        print(row["preset"], row["data"], row["baselines"], flush=True)
        write_json(MEASURED, rows)


def splits_of(row, folder):
    """Yield the data of each run of a row, loaded as by its command."""
    arguments, options, preset = arguments_of(row, folder)
    source = row["data"] if row["data"] in NAMES else folder / row["data"]
    if "rows" in arguments:
        source = read_table(source).head(int(arguments["rows"]))
    count, over = row["over"].split()
    for i in range(int(count)):
        split = (
            dict(seed=i)
            if over == "splits"
            else dict(test=Fold(i, int(count)))
            if over == "folds"
            else {}
        )
        yield kzoo.load_data(source, preset=preset, **options | split)


def arguments_of(row, folder):
    """Return the arguments of a row's command, its options of the data, and the preset with its settings."""
    words = shlex.split(row["command"])
    arguments = {
        word.lstrip("-"): words[i + 1] for i, word in enumerate(words[:-1]) if word.startswith("--")
    }
    arguments |= dict(re.findall(r"(\w+)='([^']*)'", row["command"]))  # a call in Python
    options = RECIPE_OPTIONS.get(words[1], {}) | {
        name: arguments[name] for name in ("target", "group", "time") if name in arguments
    }
    options |= {"series_id": arguments["series-id"]} if "series-id" in arguments else {}
    for name in ("validation", "test"):
        if name in arguments:
            options[name] = (
                float(arguments[name])
                if arguments[name][0].isdecimal()
                else folder / arguments[name]
            )
    preset = kzoo.get_preset(row["preset"])
    config, training = resolve(
        preset, parse_settings(words[words.index("--set") + 1 :]) if "--set" in words else {}
    )
    config = config | ({"horizon": int(arguments["horizon"])} if "horizon" in arguments else {})
    return arguments, options, with_settings(preset, config, training)


# %% Size and latency of the light runtime
THREADS = 1  # of each measurement of the latency
MIN_SECONDS = 0.5
MIN_CALLS = 20


def light(args):
    """Measure the network of each row, unless it has been measured, with random weights.

    The network of a general preset follows the data, so it is built for the first split. A network whose number of
    parameters is not that of the row is another one, such as for texts of other words, and is not measured.
    """
    known = {results.light_key(row): row for row in (read_json(LIGHT) if LIGHT.is_file() else [])}
    for row in results.rows():
        if results.light_key(row) in known and not args.again:
            continue
        try:
            model = network_of(row, Path(args.folder))
            if model.count_params() != row["parameters"]:
                raise kzoo.KzooError(
                    f"{model.count_params():,} parameters, and the row has {row['parameters']:,}"
                )
            random = np.random.default_rng(0)
            for weight in model.weights:  # equal weights, such as zeros, would be stored once
                weight.assign(weight + random.uniform(1e-4, 1e-3, weight.shape).astype("float32"))
            known[results.light_key(row)] = light_row(row, model)
        except (kzoo.KzooError, OSError) as error:
            print(f"{row['preset']} on {row['data']}: {error}", flush=True)
            continue
        print(
            json.dumps({k: v for k, v in known[results.light_key(row)].items() if k != "versions"}),
            flush=True,
        )
        write_json(LIGHT, [known[key] for key in sorted(known)])


def network_of(row, folder):
    """Return the network of a row, with random weights: that of the preset, or the one adapted to the row's data."""
    if results.network_of(row["preset"])["parameters"] == row["parameters"]:
        return kzoo.build(row["preset"], compile=False)
    from kzoo.data.options import DataOptions
    from kzoo.training.plan import plan_training

    data = next(splits_of(row, folder))
    return kzoo.build(
        plan_training(arguments_of(row, folder)[2], data, DataOptions(), {}).adapted_preset,
        compile=False,
    )


def light_row(row, model):
    """Return the size in bytes of a network in ONNX, and the median time of a prediction of one example."""
    import onnxruntime

    from kzoo import runtime
    from kzoo.training.provenance import provenance
    from kzoo.utils.files import read_arrays
    from kzoo.zoo.flops import forward_flops

    with tempfile.TemporaryDirectory() as folder:
        exported = kzoo.export(model, Path(folder) / "export", "onnx", verify=False, progress=False)
        x = read_arrays(exported.path / "golden.npz")["x_1"]
        light_model = runtime.load(exported, "onnx", threads=THREADS)
        size = sum(file.stat().st_size for file in (exported.path / "onnx").iterdir())
        for _ in range(3):
            light_model.run(x)
        seconds = []
        while len(seconds) < MIN_CALLS or sum(seconds) < MIN_SECONDS:
            began = time.perf_counter()
            light_model.run(x)
            seconds.append(time.perf_counter() - began)
    try:
        flops = forward_flops(model)
    except kzoo.KzooError:
        flops = None
    made = provenance()
    return dict(
        preset=row["preset"],
        data=row["data"],
        parameters=row["parameters"],
        flops=flops,
        bytes=size,
        ms=float(f"{1000 * statistics.median(seconds):.3g}"),
        threads=THREADS,
        machine=made["machine"],
        processor=made["processor"],
        date=made["created"][:10],
        versions=made["versions"] | {"onnxruntime": onnxruntime.__version__},
    )


# %% The order of suggestions, on each measured data set without its own scores
SIMILAR = 10  # factor between numbers of rows that are similar


def print_order(args):
    """Print the first suggestion for each data set, made without it, and the median regrets of three rules."""
    rules = {
        "all data sets": everything,
        "of similar size only": of_similar_size,
        "of the same task only": of_same_task,
    }
    print(order_table())
    for task in dict.fromkeys(row["task"] for row in results.rows()):
        rows = {
            rule: [r for r in left_out(ignored) if r["task"] == task]
            for rule, ignored in rules.items()
        }
        for rule, by_rule in rows.items():
            if by_rule and by_rule[0]["in_points"]:
                mean, median = (
                    f([r["regret"] for r in by_rule]) for f in (statistics.mean, statistics.median)
                )
                best_two = sum(r["rank"] <= 2 for r in by_rule)
                print(
                    f"{task:24} {rule:22} median {median:.2f}, mean {mean:.2f} points behind the best preset; "
                    f"among the best two on {best_two} of {len(by_rule)}"
                )


def everything(row, other):
    """Return whether the order for the data of a row ignores the data of another row: nothing but its own."""
    return False


def of_similar_size(row, other):
    """Ignore data with over ten times as many training rows, or under a tenth."""
    return not row["train"] / SIMILAR <= other["train"] <= row["train"] * SIMILAR


def of_same_task(row, other):
    """Ignore data for other tasks."""
    return row["task"] != other["task"]


def left_out(ignored=everything):
    """Return a row for each real data set: the first suggestion without it, and its regret.

    Only presets that were measured on the data set can be compared, of which at least two must have scores on others.
    """
    sets = {}
    rows = [row for row in results.rows() if row.get("train") and row["data"] not in GENERATED]
    for row in rows:
        measured = sets.setdefault((row["task"], row["data"], row["metric"]), {})
        measured[row["preset"]] = max(
            measured.get(row["preset"], row), row, key=results.sortable_score
        )
    table = []
    for (task, data, metric), measured in sets.items():
        general = {name: row for name, row in measured.items() if is_general(name)}
        measured = general or measured
        row = next(iter(measured.values()))
        without = {data} | {other["data"] for other in rows if ignored(row, other)}
        suggestions = order(task, measured, row["train"], without=without)
        if sum(suggestion.regret is not None for suggestion in suggestions) < 2:
            continue
        first = measured[suggestions[0].preset]
        best = max(measured.values(), key=results.sortable_score)
        unit, regret = gap(metric, results.sortable_score(best), results.sortable_score(first))
        rank = 1 + sum(
            results.sortable_score(r) > results.sortable_score(first) for r in measured.values()
        )
        table.append(
            dict(
                task=task,
                data=data,
                rows=row["train"],
                first=first,
                best=best,
                regret=regret,
                unit=unit,
                in_points=unit == "points",
                rank=rank,
                presets=len(measured),
            )
        )
    return sorted(table, key=lambda r: (r["task"], r["data"]))


def order_table():
    """Return the table of the first suggestions, with the median regret of each task in a row of its own."""
    heads = (
        "task",
        "data",
        "first suggestion",
        "its score",
        "best preset",
        "its score",
        "behind",
        "rank",
    )
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    rows = left_out()
    for task in dict.fromkeys(row["task"] for row in rows):
        of_task = [row for row in rows if row["task"] == task]
        for r in of_task:
            cells = [
                task.replace("_", " "),
                r["data"],
                f"`{r['first']['preset']}`",
                results.score(r["first"]),
            ]
            cells += [
                f"`{r['best']['preset']}`",
                results.score(r["best"]),
                f"{r['regret']:.2g} {r['unit']}",
            ]
            lines.append("| " + " | ".join([*cells, f"{r['rank']} of {r['presets']}"]) + " |")
        median = statistics.median(r["regret"] for r in of_task)
        in_best = sum(r["rank"] <= 2 for r in of_task)
        lines.append(
            f"| {task.replace('_', ' ')} | **median** | | | | | **{median:.2g} {of_task[0]['unit']}** | best two on "
            f"{in_best} of {len(of_task)} |"
        )
    return "\n".join(lines) + "\n"


# %% Tables in the documentation
def write(args):
    for file, text in wanted().items():
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(exist_ok=True)
            write_text(file, text)
            print(f"wrote {file.name}")


def networks(args):
    """Write the layers of every preset, one line each, so that `kzoo show` does not need Keras."""
    from kzoo.zoo.network import table_of

    lines = [
        f'"{name}": {json.dumps(table_of(kzoo.build(name, compile=False)))}'
        for name in kzoo.list_presets()
    ]
    write_text(NETWORKS, "{\n" + ",\n".join(lines) + "\n}\n")


def wanted():
    """Return the expected text of docs/explanation/zoo.md, recipes/README.md and the recipes."""
    recipes = read_json(RECIPES) if RECIPES.is_file() else {}
    blocks = {
        "presets": preset_table(),
        "order": order_table(),
        "results": result_table(),
        "recipes": recipe_tables(recipes),
    }
    texts = {
        f: f.read_text(encoding="utf-8")
        for f in (HERE.parent / "docs" / "explanation" / "zoo.md", HERE / "README.md")
    }
    texts = {file: fill(text, blocks) for file, text in texts.items()}
    for file in sorted(HERE.rglob("*.py")):
        name = file.relative_to(HERE).with_suffix("").as_posix()
        texts[file] = with_line(file.read_text(encoding="utf-8"), measured_line(name, recipes))
    return texts | result_files()


CSV_COLUMNS = (
    "model",
    "kind",
    "score",
    "sd",
    "interval_low",
    "interval_high",
    "over",
    "parameters",
    "flops",
    "onnx_bytes",
    "onnx_ms",
    "threads",
    "epochs",
    "seconds",
    "date",
    "source",
)


def result_files():
    """Return the text of each file of results/: all scores on a data set by one metric, best first."""
    groups = {}
    for row in results.rows():
        groups.setdefault((results.set_of(row["data"]), row["metric"]), []).append(row)
    names = [name for name, _ in groups]
    texts = {}
    for (name, metric), rows in groups.items():
        name = name.partition(".")[0] + (f"-{metric}" if names.count(name) > 1 else "")
        lines = [*map(preset_line, rows), *map(baseline_line, results.baseline_rows(rows))]
        published = {
            (b["what"], b["score"]): b for row in rows for b in results.published_scores(row)
        }
        lines += [
            dict(model=b["what"], kind="published", score=b["score"], source=b["source"])
            for b in published.values()
        ]
        lines.sort(
            key=lambda line: -results.sortable_score(dict(metric=metric, score=line["score"]))
        )
        file = io.StringIO()
        writer = csv.DictWriter(
            file, [metric if c == "score" else c for c in CSV_COLUMNS], lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(
            {metric if c == "score" else c: v for c, v in line.items()} for line in lines
        )
        texts[RESULTS / f"results-{name}.csv"] = file.getvalue()
    return texts


def preset_line(row):
    """Return the line of a preset: its score with its interval, and what its network costs."""
    low, high = interval_of(row) or (None, None)
    measured = results.light_of(row) or {}
    same = results.network_of(row["preset"])
    same = same if same and same["parameters"] == row["parameters"] else {}
    return dict(
        model=row["preset"],
        kind="preset",
        score=row["score"],
        sd=row["sd"],
        interval_low=low,
        interval_high=high,
        over=row["over"],
        parameters=row["parameters"],
        flops=measured.get("flops", same.get("flops")),
        onnx_bytes=measured.get("bytes"),
        onnx_ms=measured.get("ms"),
        threads=measured.get("threads"),
        epochs=row["epochs"],
        seconds=row["seconds"],
        date=row["date"],
        source=row["command"],
    )


def baseline_line(row):
    return dict(model=row["baseline"], kind="baseline", score=row["score"], over=row["over"])


def interval_of(row):
    """Return the 95 % interval of a row's score (low, high), or None if it is unknown.

    Over splits or folds: Student's t, corrected for training rows that they share; over seeds: Student's t, which tells
    the spread of trainings on one split. Of one run: Wilson's interval of an accuracy.
    """
    count, over = row["over"].split()
    share = score_named(row["metric"]).form == "percent"
    if int(count) > 1:
        overlap = {
            "splits": (row["examples"] or 0) / row["train"],
            "folds": 1 / (int(count) - 1),
        }.get(over, 0.0)
        low, high = paired(row["scores"], [0.0] * int(count), overlap=overlap)["interval"]
    elif row["metric"] == "accuracy" and row["examples"]:
        low, high = wilson(row["score"] * row["examples"], row["examples"])
    else:
        return None
    return round(max(low, 0.0) if share else low, 5), round(min(high, 1.0) if share else high, 5)


def fill(text, blocks):
    for name, block in blocks.items():
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)",
            lambda m, b=block: m[1] + b + m[2],
            text,
            flags=re.DOTALL,
        )
    return text


def preset_table():
    lines = ["| preset | what it is | data | parameters | measured |", "|---|---|---|---|---|"]
    # these first, then all others
    known = ("fnn", "linear", "cnn", "rnn", "lstm", "gru", "transformer")
    for family in (*known, *(other for other in FAMILIES if other not in known)):
        for name in kzoo.list_presets(family=family):
            p, rows = kzoo.get_preset(name), results.of(name)
            lines.append(
                f"| `{name}` | {p.summary} | {p.dataset} | {p.params:,} | {short(rows[0]) if rows else '-'} |"
            )
    return "\n".join(lines) + "\n"


def short(row):
    """Return the score of a row, its data and repetitions, and the epochs if the command sets them."""
    epochs = f", {row['epochs']:g} epochs" if re.search(r"\bepochs[= ]", row["command"]) else ""
    return f"{results.score(row)} on {row['data']}, {row['over']}{epochs}"


def result_table():
    lines = [
        "| preset | data | test score | over | no network | published | parameters | epochs | seconds | samples/s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in results.rows():
        published = "; ".join(
            f"{b['what']}: {results.number(b['score'], r['metric'])}"
            for b in results.published_scores(r)
        )
        baselines = "; ".join(
            f"{k} {results.number(v, r['metric'])}" for k, v in (r.get("baselines") or {}).items()
        )
        cells = [
            f"`{r['preset']}`",
            r["data"],
            results.score(r),
            r["over"],
            baselines or "-",
            published or "-",
        ]
        cells += [f"{r['parameters']:,}"]
        cells += [f"{r['epochs']:g}", f"{r['seconds']:.0f}", f"{r['samples_per_second']:,.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def recipe_tables(recipes):
    parts = []
    for name, recipe in recipes.items():
        lines = [f"### `{name}.py`\n", first_line(HERE / f"{name}.py") + "\n"]
        lines.append(f"![{name}](pictures/{picture(name).name})\n")
        heads = list(recipe["rows"][0])
        lines += ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
        lines += [
            "| " + " | ".join(_cell(row.get(h)) for h in heads) + " |" for row in recipe["rows"]
        ]
        parts.append(
            "\n".join(lines)
            + f"\n\n{recipe['seconds']:.0f} s, {recipe['machine']}, {recipe['created'][:10]}.\n"
        )
    return "\n".join(parts)


def _cell(value):
    return (
        f"{value:.4g}"
        if isinstance(value, float)
        else "-"
        if value is None
        else str(value).replace("|", "\\|")
    )


def first_line(file):
    return re.match(r'"""(.*)', file.read_text(encoding="utf-8"))[1]


def measured_line(name, recipes):
    """Return the line about measured results in a recipe's docstring: its total time, or the scores of its preset."""
    if name in recipes:
        return f"Measured: {recipes[name]['seconds']:.0f} s in total; the results are in recipes/README.md."
    rows = results.of(name)
    return f"Measured: {results.sentence(rows[0])}" if rows else None


def with_line(text, line):
    """Insert the line at the end of a script's docstring; it replaces an earlier one."""
    head, quotes, rest = text[3:].partition('"""')
    head = re.sub(r"\n*^Measured: .*\n", "\n", head, flags=re.MULTILINE).rstrip("\n") + "\n"
    return f'"""{head}{f"{chr(10)}{line}{chr(10)}" if line else ""}{quotes}{rest}'


# %%
if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("collect")
    command.set_defaults(call=collect)
    command.add_argument("folders", nargs="+")
    command = commands.add_parser("paired")
    command.set_defaults(call=compare_in_pairs)
    command.add_argument("folders", nargs="+", help="folders with runs")
    command.add_argument(
        "--against", metavar="NAME", help="preset or baseline; default: the best baseline"
    )
    command = commands.add_parser("baselines")
    command.set_defaults(call=fill_baselines)
    command.add_argument("--folder", default=".", help="folder with the data files of the rows")
    command.add_argument(
        "--again", action="store_true", help="also update rows that have baselines"
    )
    command.add_argument("--data", help="only update rows with this data")
    command.add_argument(
        "--seconds",
        type=float,
        default=900,
        help="approximate time limit for all baselines of a split",
    )
    command = commands.add_parser("write")
    command.set_defaults(call=write)
    command = commands.add_parser("light")
    command.set_defaults(call=light)
    command.add_argument("--folder", default=".", help="folder with the data files of the rows")
    command.add_argument(
        "--again", action="store_true", help="also measure networks that have been measured"
    )
    command = commands.add_parser("order")
    command.set_defaults(call=print_order)
    command = commands.add_parser("networks")
    command.set_defaults(call=networks)
    args = parser.parse_args()
    args.call(args)
