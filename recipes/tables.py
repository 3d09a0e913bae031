"""Make what was measured into the zoo's tables: of runs rows, of rows what people read.

python recipes/tables.py collect runs/measured     runs become kzoo/results/measured.json, tables of recipes
                                                   recipes/measured.json, their pictures recipes/pictures/
python recipes/tables.py paired runs/measured      every preset and baseline over the same splits, in pairs
python recipes/tables.py baselines --folder DATA   rows of kzoo/results/measured.json get the baselines of their splits
python recipes/tables.py write                     docs/presets.md, recipes/README.md, the recipes' own lines
python recipes/tables.py networks                  kzoo/results/networks.json: the layers of every preset

measure.py trains what is collected. Numbers come from run folders alone, never from a keyboard.
"""

# %%
import argparse
import json
import re
import shlex
import shutil
from pathlib import Path

import kzoo
from kzoo import results
from kzoo.cli.shared import parse_settings
from kzoo.data.named import NAMES
from kzoo.dataset.splits import Fold
from kzoo.ranking import lower_is_better
from kzoo.recipes.paired import paired
from kzoo.registry import FAMILIES, resolve, with_settings
from kzoo.sources.tables.files import read_table
from kzoo.tasks import problem
from kzoo.utils.files import read_json, write_json, write_text

HERE = Path(__file__).parent
MEASURED = Path(kzoo.__file__).parent / "results" / "measured.json"
NETWORKS = Path(kzoo.__file__).parent / "results" / "networks.json"
RECIPES = HERE / "measured.json"


# %% Collect: what was measured becomes rows
def collect(args):
    files = [file for folder in args.folders for file in sorted(Path(folder).rglob("*.json"))]
    found = {file: row for file in files if isinstance(row := read_json(file), dict) and row.get("smoke") is False}
    collect_runs(args.folders, {file.parent: row for file, row in found.items()})
    kept = read_json(RECIPES) if RECIPES.is_file() else {}
    for file, row in found.items():
        print(f"{row['recipe']}: {len(row['rows'])} rows")
        kept[row["recipe"]] = {k: v for k, v in row.items() if k not in ("recipe", "smoke")}
        shutil.copyfile(file.with_suffix(".png"), picture(row["recipe"]))
    write_json(RECIPES, dict(sorted(kept.items())))


def picture(name):
    return HERE / "pictures" / f"{name.replace('/', '-')}.png"


def collect_runs(folders, recipes):
    """Make rows of runs; a task's recipe lends them its command. Lessons, practice and tuning have their own tables."""
    groups, rows, lent = {}, [], []
    for folder in folders:
        for file in sorted(Path(folder).rglob("config.json")):
            run = kzoo.Run(file.parent)
            if not run.finished or run.config["spec"]["family"] is None or "test" not in run.summary:
                continue
            recipe = next((recipes[above] for above in file.parents if above in recipes), None)
            if recipe is not None and ("/" in recipe["recipe"] or recipe["recipe"].startswith("tune_")):
                continue
            if run.config["command"] is not None:
                groups.setdefault(results.group_of(run), {})[results.draw_of(run)] = run
            elif recipe is not None and run.config["data"]["name"] != "table":  # nobody could load that by its name
                run.config["command"] = recipe["command"]
                lent.append(run)
    for run in lent:  # a run of the same draw that `train` made says it better
        groups.setdefault(results.group_of(run), {}).setdefault(results.draw_of(run), run)
    for runs in groups.values():
        row = results.row_of(list(runs.values()))
        rows.append(row | {"own_data": results.set_of(row["data"]) == kzoo.get_preset(row["preset"]).dataset})
        print(results.sentence(rows[-1]))
    known = {results.key_of(r): r for r in results.rows()}
    write_json(MEASURED, [r for _, r in sorted((known | {results.key_of(r): r for r in rows}).items())])


# %% Pairs: presets and baselines over the same splits
def compare_in_pairs(args):
    """Print every candidate on every data set, with its paired differences to one of them."""
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
    """Return the lines about one data set: each candidate, the losers too, beside the one that it is compared with."""
    scores, names = {}, candidates(runs)
    for run, label in zip(runs, names, strict=True):
        draw = results.draw_of(run)
        if draw in scores.setdefault(label, {}):
            raise kzoo.KzooError(f"{run.path} repeats another run of {label}: the same split, seed and settings.")
        scores[label][draw] = results.value_of(run.summary["test"], metric)
        for one in run.summary.get("baselines") or ():
            if one["scores"] and one["split"] == "test":
                scores.setdefault(one["label"], {})[draw] = results.value_of(one["scores"], metric)
    mean = {label: sum(of.values()) / len(of) for label, of in scores.items()}
    ranked = sorted(scores, key=mean.__getitem__, reverse=not lower_is_better(metric))
    against = against or next((label for label in ranked if label not in names), ranked[0])
    if against not in scores:
        raise kzoo.KzooError(f"--against {against!r} is not among: {', '.join(ranked)}.")
    first = runs[0].config["data"]
    splits = {run.config["data"]["data_seed"] for run in runs} | {str(run.config["data"]["options"]) for run in runs}
    overlap = first["test"] / first["train"] if len(splits) > 2 else 0.0
    lines = [
        f"{name}, {metric}; differences to {against}, 95 %" + (", corrected for splits that overlap" if overlap else "")
    ]
    for label in ranked:
        draws = [draw for draw in scores[label] if draw in scores[against]]
        found = (
            paired([scores[label][d] for d in draws], [scores[against][d] for d in draws], overlap=overlap)
            if draws
            else None
        )
        said = "" if found is None or label == against else f"{found['difference']:+.4f}"
        if said and found["interval"]:
            said += " ({:+.4f} to {:+.4f})".format(*found["interval"])
        said += f", {found['pairs']} pairs" if said else ""
        once = "  once" if len(scores[label]) == 1 else ""
        lines.append(f"  {label:<42} {mean[label]:.4f}{once}  {said}".rstrip())
    return lines


def candidates(runs):
    """Return what each run is a candidate of: its preset, and where that has several settings their folder."""
    groups = {}
    for run in runs:
        preset, *_, settings = results.group_of(run)
        groups.setdefault(preset, {}).setdefault(settings, run.path)
    several = {preset for preset, found in groups.items() if len(found) > 1}
    return [
        f"{preset} ({folder_of(run)})" if (preset := run.config["spec"]["preset"]) in several else preset
        for run in runs
    ]


def folder_of(run):
    """Return the folder's name that `train` gave to all runs of a preset and its settings, else the run's own."""
    path = Path(run.path)
    return path.parent.name if path.name.isdecimal() else path.name


# %% Baselines: rows that were measured before runs kept them
RECIPES_SAY = {"recipes/char_gru.py": {"validation": 0.02}}  # what a recipe does with data unless its command says else


def fill_baselines(args):
    """Load the data of each row again, split as it was, and score the baselines on it."""
    rows, known = results.rows(), {}
    for row in rows:
        if args.data not in (None, row["data"]) or (row.get("baselines") and not args.again):
            continue
        try:
            splits = list(splits_of(row, Path(args.folder)))
        except kzoo.KzooError as error:
            print(f"{row['preset']} on {row['data']}: {error}")
            continue
        sizes = {len(data.test) * of for data in splits for of in (1, data.input_shape[0])}  # of tokens in windows
        if row["examples"] is not None and row["examples"] not in sizes:
            print(f"{row['preset']} on {row['data']}: {row['examples']} examples then, {sizes} now")
            continue
        each = []
        for data in splits:
            if data.fingerprint not in known:
                found = kzoo.baselines.score(data, seconds=args.seconds)  # of all rows, as the network
                known[data.fingerprint] = {one.label: one.value for one in found}
            each.append(known[data.fingerprint])
        row["baselines"], row["train"] = results.mean_of_each(each, row["metric"]), len(splits[0].train)
        print(row["preset"], row["data"], row["baselines"], flush=True)
        write_json(MEASURED, rows)


def splits_of(row, folder):
    """Yield the data of each run of a row, as its command loaded it."""
    words = shlex.split(row["command"])
    said = {word.lstrip("-"): words[place + 1] for place, word in enumerate(words[:-1]) if word.startswith("--")}
    said |= dict(re.findall(r"(\w+)='([^']*)'", row["command"]))  # of a call in Python
    options = RECIPES_SAY.get(words[1], {}) | {name: said[name] for name in ("target", "group") if name in said}
    for name in ("validation", "test"):
        if name in said:
            options[name] = float(said[name]) if said[name][0].isdecimal() else folder / said[name]
    preset = kzoo.get_preset(row["preset"])
    config, training = resolve(preset, parse_settings(words[words.index("--set") + 1 :]) if "--set" in words else {})
    config = config | ({"horizon": int(said["horizon"])} if "horizon" in said else {})
    preset = with_settings(preset, config, training)
    source = row["data"] if row["data"] in NAMES else folder / row["data"]
    if "rows" in said:
        source = read_table(source).head(int(said["rows"]))
    count, over = row["over"].split()
    for i in range(int(count)):
        more = dict(seed=i) if over == "splits" else dict(test=Fold(i, int(count))) if over == "folds" else {}
        yield kzoo.load_data(source, preset=preset, **options | more)


# %% Tables: what people read
def write(args):
    for file, text in wanted().items():
        if file.read_text(encoding="utf-8") != text:
            write_text(file, text)
            print(f"wrote {file.name}")


def networks(args):
    """Write the layers of every preset, a line for each, so that `kzoo show` needs no Keras."""
    from kzoo.network import table_of

    lines = [f'"{name}": {json.dumps(table_of(kzoo.build(name, compile=False)))}' for name in kzoo.list_presets()]
    write_text(NETWORKS, "{\n" + ",\n".join(lines) + "\n}\n")


def wanted():
    """Return what docs/presets.md, recipes/README.md and the recipes should say."""
    recipes = read_json(RECIPES) if RECIPES.is_file() else {}
    blocks = {"presets": preset_table(), "results": result_table(), "recipes": recipe_tables(recipes)}
    texts = {f: f.read_text(encoding="utf-8") for f in (HERE.parent / "docs" / "presets.md", HERE / "README.md")}
    texts = {file: fill(text, blocks) for file, text in texts.items()}
    for file in sorted(HERE.rglob("*.py")):
        name = file.relative_to(HERE).with_suffix("").as_posix()
        texts[file] = with_line(file.read_text(encoding="utf-8"), measured_line(name, recipes))
    return texts


def fill(text, blocks):
    for name, block in blocks.items():
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", lambda m, b=block: m[1] + b + m[2], text, flags=re.DOTALL
        )
    return text


def preset_table():
    lines = ["| preset | what it is | data | parameters | measured |", "|---|---|---|---|---|"]
    known = ("fnn", "linear", "cnn", "rnn", "lstm", "gru", "transformer")  # in this order; then whatever else there is
    for family in (*known, *(other for other in FAMILIES if other not in known)):
        for name in kzoo.list_presets(family=family):
            p, rows = kzoo.get_preset(name), results.of(name)
            lines.append(f"| `{name}` | {p.summary} | {p.dataset} | {p.params:,} | {short(rows[0]) if rows else '-'} |")
    return "\n".join(lines) + "\n"


def short(row):
    """Return a row's score, on what and over what; and its epochs where its command says how many."""
    asked = f", {row['epochs']:g} epochs" if re.search(r"\bepochs[= ]", row["command"]) else ""
    return f"{results.score(row)} on {row['data']}, {row['over']}{asked}"


def result_table():
    lines = [
        "| preset | data | test score | over | no network | published | parameters | epochs | seconds | samples/s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in results.rows():
        beside = "; ".join(
            f"{b['what']}: {results.number(b['score'], r['metric'])}" for b in results.published_scores(r)
        )
        simple = "; ".join(f"{k} {results.number(v, r['metric'])}" for k, v in (r.get("baselines") or {}).items())
        cells = [f"`{r['preset']}`", r["data"], results.score(r), r["over"], simple or "-", beside or "-"]
        cells += [f"{r['parameters']:,}"]
        cells += [f"{r['epochs']:g}", f"{r['seconds']:.0f}", f"{r['samples_per_second']:,.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def recipe_tables(recipes):
    parts = []
    for name, kept in recipes.items():
        lines = [f"### `{name}.py`\n", first_line(HERE / f"{name}.py") + "\n"]
        lines.append(f"![{name}](pictures/{picture(name).name})\n")
        heads = list(kept["rows"][0])
        lines += ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
        lines += ["| " + " | ".join(_cell(row.get(h)) for h in heads) + " |" for row in kept["rows"]]
        parts.append("\n".join(lines) + f"\n\n{kept['seconds']:.0f} s, {kept['machine']}, {kept['created'][:10]}.\n")
    return "\n".join(parts)


def _cell(value):
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value).replace("|", "\\|")


def first_line(file):
    return re.match(r'"""(.*)', file.read_text(encoding="utf-8"))[1]


def measured_line(name, recipes):
    """Return what stands in a recipe's docstring: its preset's scores, or where its table is."""
    if name in recipes:
        return f"Measured: {recipes[name]['seconds']:.0f} s for all of it; its table is in recipes/README.md."
    rows = results.of(name)
    return f"Measured: {results.sentence(rows[0])}" if rows else None


def with_line(text, line):
    """Put the line before the closing quotes of a script's docstring, in place of an earlier one."""
    head, quotes, rest = text[3:].partition('"""')
    head = re.sub(r"\n*^Measured: .*\n", "\n", head, flags=re.MULTILINE).rstrip("\n") + "\n"
    return f'"""{head}{f"{chr(10)}{line}{chr(10)}" if line else ""}{quotes}{rest}'


# %%
if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("collect")
    command.set_defaults(call=collect)
    command.add_argument("folders", nargs="+")
    command = commands.add_parser("paired")
    command.set_defaults(call=compare_in_pairs)
    command.add_argument("folders", nargs="+", help="that hold runs")
    command.add_argument("--against", metavar="NAME", help="preset or baseline; default: the best baseline")
    command = commands.add_parser("baselines")
    command.set_defaults(call=fill_baselines)
    command.add_argument("--folder", default=".", help="that holds the files whose names the rows have")
    command.add_argument("--again", action="store_true", help="also of rows that have some")
    command.add_argument("--data", help="of rows with this data alone")
    command.add_argument("--seconds", type=float, default=900, help="of a split's baselines together, about")
    command = commands.add_parser("write")
    command.set_defaults(call=write)
    command = commands.add_parser("networks")
    command.set_defaults(call=networks)
    args = parser.parse_args()
    args.call(args)
