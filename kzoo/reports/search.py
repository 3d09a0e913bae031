"""The report of a search: its trials, its pictures, and the winner beside the preset."""

import math
from collections import Counter

from kzoo.data.named import NAMES
from kzoo.errors import KzooError
from kzoo.registry import get_preset, meaning_of
from kzoo.reports.pictures import drawn
from kzoo.reports.words import value_words
from kzoo.tuning.parameter import shown
from kzoo.tuning.records import rows_of
from kzoo.words import duration, number, percent, plural

_MOST = 100  # trials in the table
_ENDS = ("completed", "pruned", "diverged", "failed")
_UNITS = ("val_accuracy",)  # shares, written as percentages
_PICTURES = (
    ("history", "Score per trial", "What each trial reached at its best epoch, in the order in which they were made."),
    ("curves", "Learning curves", "The same value at every epoch. A pruned trial ends early."),
    ("importance", "What mattered", "How much worse a trial's rank is predicted when a hyperparameter is shuffled."),
)  # fmt: skip


def page_of(search) -> dict:
    """Return what the template of a search is filled with."""
    config, trials = search.config, search.trials
    spec, data = config["spec"], config["data"]
    best = best_of(search)
    return dict(
        title=f"{spec['preset']} tuned on {data['name']}",
        about=_about(spec),
        facts=_facts(search, trials),
        head=None if best is None else _head(search, trials, best),
        warnings=_warnings(search, trials, best),
        pictures=_pictures(search),
        board=_board(search, trials),
        changed=None if best is None else _changed(search),
        settings=() if best is None else _settings(search.best_spec()),
        use=None if best is None else _use(search),
        space=_space(config["space"]),
        provenance=_provenance(search),
    )


def best_of(search):
    """Return the best trial, or None."""
    try:
        return search.best_trial()
    except KzooError:
        return None


def _about(spec):
    try:
        return get_preset(spec["preset"]).summary
    except KzooError:  # a preset of a module that is not imported
        return ""


def _facts(search, trials):
    config, data = search.config, search.config["data"]
    counts = Counter(t["status"] for t in trials)
    ends = ", ".join(f"{counts[status]} {status}" for status in (*_ENDS, "running", "interrupted") if counts[status])
    over = f"{config['folds']} folds" if config["folds"] else plural(data["validation"], "example")
    return [
        ("Task", config["spec"]["task"].replace("_", " ")),
        ("Data", data["name"]),
        ("Training", plural(data["train"], "example")),
        ("Validation", over),
        ("Objective", f"{search.objective[0]}, {search.objective[1]}"),
        ("Engine", config["engine"]),
        ("Hyperparameters", len(config["space"]["parameters"])),
        ("Time", duration(round(sum(t["seconds"] or 0 for t in trials)))),
        ("Trials", f"{len(trials)} of {config['trials']}" + (f": {ends}" if ends else "")),
    ]


def score_words(search, value):
    """Write a score of the objective."""
    return percent(value) if search.objective[0] in _UNITS else f"{value:.4g}"


def _head(search, trials, best):
    preset = next((t["score"] for t in trials if t["baseline"]), None)
    value, name = score_words(search, best["score"]), search.objective[0]
    if best["baseline"]:
        sentence = "The best trial is the preset itself: no other settings did better."
    elif preset is None:
        sentence = "The preset itself was not among the trials, or has no score, so there is no gain to speak of."
    else:
        gain = (best["score"] - preset) * (1 if search.objective[1] == "max" else -1)
        said = f"{100 * gain:.1f} points" if name in _UNITS else f"{gain:.4g}"
        sentence = f"The preset itself has {score_words(search, preset)}: a gain of {said}{_examples(search, gain)}."
    return dict(
        value=value,
        label=f"{name.replace('_', ' ')} of trial {best['trial']}, the best of {plural(len(trials), 'trial')}",
        sentence=sentence,
    )


def _examples(search, gain):
    """Say how many examples a gain in accuracy is."""
    if search.objective[0] not in _UNITS:
        return ""
    data = search.config["data"]
    count = data["train"] + data["validation"] if search.config["folds"] else data["validation"]
    return f", which is {number(round(gain * count))} of {plural(count, 'example')}"


def _warnings(search, trials, best):
    found, scored = [], [t for t in trials if t["score"] is not None]
    if not search.finished:
        found.append("The search is not finished: the same call of kzoo.tune continues it.")
    if lost := [t for t in trials if t["status"] in ("diverged", "failed")]:
        causes = Counter(t["error"] or t["status"] for t in lost).most_common(3)
        said = "; ".join(f"{count} × {cause}" for cause, count in causes)
        found.append(f"{plural(len(lost), 'trial')} ended without a score: {said}.")
    if best is not None and not best["baseline"] and len(scored) > 1:
        found.append(
            "The best of many trials is partly luck: on data that did not choose it, expect less. "
            "Retrain the winner, and look at its test score beside the preset's."
        )
        found += _within_chance(search, trials, best)
    return found


def _within_chance(search, trials, best):
    """Say it where a gain in accuracy is less than chance makes between two sets of this many examples."""
    preset = next((t["score"] for t in trials if t["baseline"]), None)
    if preset is None or search.objective[0] not in _UNITS:
        return []
    data = search.config["data"]
    count = data["train"] + data["validation"] if search.config["folds"] else data["validation"]
    error = math.sqrt(max(preset * (1 - preset), 1 / (4 * count)) / count)
    if best["score"] - preset > 2 * error:
        return []
    text = f"The gain is within what chance makes of {plural(count, 'example')} (± {200 * error:.1f} points)"
    return [f"{text}: more validation data, or folds=5, would tell more."]


def _pictures(search):
    made = []
    for kind, title, text in _PICTURES:
        try:
            made.append((title, text, drawn(search.plot(kind), f"{title} of {len(search.trials)} trials")))
        except KzooError as error:
            made.append((title, str(error), None))
    return made


def _board(search, trials):
    rows = rows_of(trials, search.objective[1])
    top = rows[:_MOST]
    names = list(dict.fromkeys(name for row in top for name in row["hyperparameters"]))
    errors, points = any(row["error"] for row in top), search.objective[0] in _UNITS
    heads = ["rank", "trial", "status", "score", "gain", "best epoch", "epochs", "seconds", "parameters"]
    cells = [
        [
            row["rank"], f"{row['trial']}\u00a0(preset)" if row["baseline"] else row["trial"], row["status"],
            "–" if row["score"] is None else score_words(search, row["score"]),
            "–" if row["gain"] is None else f"{100 * row['gain']:+.1f}" if points else f"{row['gain']:+.4g}",
            row["best_epoch"] or "–", row["epochs"] or "–", f"{row['seconds'] or 0:.0f}",
            "–" if row["parameters"] is None else number(row["parameters"]),
            *(shown(row["hyperparameters"][n]) if n in row["hyperparameters"] else "" for n in names),
            *([row["error"]] if errors else []),
        ]
        for row in top
    ]  # fmt: skip
    rest = f" The other {len(rows) - _MOST} are in leaderboard.csv." if len(rows) > _MOST else ""
    said = "Gain is over the preset" + (", in points" if points else "; more is better")
    note = f"{said}. A hyperparameter that does not count in a trial is empty.{rest}"
    return dict(heads=[*heads, *names, *(["error"] if errors else [])], rows=cells, note=note,
                numbers=["rank", "score", "gain", *heads[5:]])  # fmt: skip


def _changed(search):
    """Return (setting, preset's value, winner's value, meaning) where they differ."""
    spec, best = search.config["spec"], search.best_spec()
    before, after = spec["config"] | spec["training"], best["config"] | best["training"]
    rows = [(n, value_words(before[n]), value_words(after[n]), meaning_of(n, spec["family"])) for n in after]
    return [row for row in rows if row[1] != row[2]]


def _settings(spec):
    parts = (("Network", "config"), ("Training", "training"))
    family = spec["family"]
    return [
        (title, [(n, value_words(v), meaning_of(n, family)) for n, v in spec[part].items()]) for title, part in parts
    ]


def _use(search):
    name = search.config["spec"]["preset"]
    return "\n".join((
        "import kzoo",
        f'search = kzoo.Search("{search.path.name}")',
        "",
        "# trained on training and validation data, scored on the test split",
        f"run = search.retrain({'' if search.config['data']['name'] in NAMES else 'data'})",
        "# the network as it was in the search, or untrained",
        "model = search.best_model()",
        f'model = kzoo.build("{name}", **search.best_config())',
        "# a preset like any other",
        f'kzoo.load_presets(search.save_preset("my_{name.rpartition(".")[2]}"))',
    ))  # fmt: skip


def _space(space):
    heads = ["name", "values", "preset", "counts if"]
    rows = []
    for p in space["parameters"]:
        legal = ", ".join(map(value_words, p["values"])) if p.get("values") else _range(p)
        when = [f"{name} is {' or '.join(map(value_words, values))}" for name, values in (p["when"] or {}).items()]
        rows.append((p["name"], legal, value_words(p["default"]), "; ".join(when)))
    return dict(heads=heads, rows=rows)


def _range(p):
    return f"{value_words(p['low'])} to {value_words(p['high'])}" + (", log" if p["log"] else "")


def _provenance(search):
    config = search.config
    created = config.get("created", "")
    rows = [
        ("Folder", search.path.name),
        ("Date", f"{created[:10]} {created[11:16]} {created[19:]}".strip()),
        ("Machine", config.get("machine", "")),
        ("Backend", config.get("backend", "")),
        ("Versions", ", ".join(f"{name} {version}" for name, version in config.get("versions", {}).items())),
        ("Pruning", config.get("prune") or "none"),
        ("Epochs", config.get("epochs")),
        ("Seed", f"{config['seed']} (proposals), {config['data'].get('data_seed')} (splits)"),
        ("Data fingerprint", (config["data"].get("fingerprint") or "")[:16]),
    ]
    return [(name, text) for name, text in rows if text]
