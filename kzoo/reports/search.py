"""The report of a search: its trials, its pictures, and the winner beside the preset."""

import math
from collections import Counter

from kzoo import plots
from kzoo.data.named import NAMES
from kzoo.registry import get_preset, meaning_of
from kzoo.reports.figures import drawn
from kzoo.reports.setting_format import value_words
from kzoo.tuning.importance import importance_of
from kzoo.tuning.records import FINISHED, best_of, leaderboard, preset_score
from kzoo.tuning.spaces.entry import shown
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import duration, number, percent, plural

_MOST = 100  # trials in the table
_UNITS = ("val_accuracy",)  # shares, written as percentages
_PICTURES = (
    ("history", "Score per trial", "What each trial reached at its best epoch, in the order in which they were made."),
    ("curves", "Learning curves", "The same value at every epoch. A pruned trial ends early."),
    ("importance", "What mattered", "How much worse a trial's rank is predicted when a hyperparameter is shuffled."),
)  # fmt: skip


def page_of(search) -> dict:
    """Return what the template of a search is filled with."""
    trials, spec, data = search.trials, search.request.spec, search.request.data
    best = best_of(trials, search.objective)
    return dict(
        title=f"{spec['preset']} tuned on {data['name']}",
        about="" if search.request.own else _about(spec),
        start=search.request.start,
        facts=_facts(search, trials),
        head=None if best is None else _head(search, trials, best),
        warnings=_warnings(search, trials, best),
        pictures=_pictures(search),
        board=_board(search, trials),
        changed=None if best is None else _changed(search),
        settings=() if best is None else _settings(search.best_spec()),
        use=None if best is None else _use(search),
        space=_space(search.parameters, search.request.own),
        provenance=_provenance(search),
    )


def _about(spec):
    try:
        return get_preset(spec["preset"]).summary
    except KzooError:  # a preset of a module that is not imported
        return ""


def _facts(search, trials):
    request, data = search.request, search.request.data
    counts = Counter(trial.status for trial in trials)
    ends = ", ".join(f"{counts[status]} {status}" for status in (*FINISHED, "running", "interrupted") if counts[status])
    over = f"{request.folds} folds" if request.folds else plural(data["validation"], "example")
    return [
        ("Task", request.spec["task"].replace("_", " ")),
        ("Data", data["name"]),
        ("Training", plural(data["train"], "example")),
        ("Validation", over),
        ("Objective", ", ".join(search.objective)),
        ("Engine", request.engine),
        ("Hyperparameters", len(search.parameters)),
        ("Time", duration(round(sum(trial.seconds for trial in trials)))),
        ("Trials", f"{len(trials)} of {request.trials}" + (f": {ends}" if ends else "")),
    ]


def score_words(search, value):
    """Write a score of the objective."""
    return percent(value) if search.objective.name in _UNITS else f"{value:.4g}"


def _head(search, trials, best):
    preset, name, start = preset_score(trials), search.objective.name, search.request.start
    if best.baseline:
        sentence = f"The best trial is {start} itself: no other settings did better."
    elif preset is None:
        sentence = f"{_first(start)} itself was not among the trials, or has no score: there is no gain to speak of."
    else:
        gain = (best.score - preset) * search.objective.sign
        said = f"{100 * gain:.1f} points" if name in _UNITS else f"{gain:.4g}"
        sentence = (
            f"{_first(start)} itself has {score_words(search, preset)}: a gain of {said}{_examples(search, gain)}."
        )
    return dict(
        value=score_words(search, best.score),
        label=f"{name.replace('_', ' ')} of trial {best.number}, the best of {plural(len(trials), 'trial')}",
        sentence=sentence,
    )


def _first(words):
    return words[0].upper() + words[1:]


def _examples(search, gain):
    """Say how many examples a gain in accuracy is."""
    if search.objective.name not in _UNITS:
        return ""
    data = search.request.data
    count = data["train"] + data["validation"] if search.request.folds else data["validation"]
    return f", which is {number(round(gain * count))} of {plural(count, 'example')}"


def _warnings(search, trials, best):
    found, scored = [], [trial for trial in trials if trial.score is not None]
    if not search.finished:
        found.append("The search is not finished: the same call of kzoo.tune continues it.")
    if lost := [trial for trial in trials if trial.status in ("diverged", "failed")]:
        causes = Counter(trial.error or trial.status for trial in lost).most_common(3)
        said = "; ".join(f"{count} × {cause}" for cause, count in causes)
        found.append(f"{plural(len(lost), 'trial')} ended without a score: {said}.")
    if best is not None and not best.baseline and len(scored) > 1:
        found.append(
            "The best of many trials is partly luck: on data that did not choose it, expect less. "
            f"Retrain the winner, and look at its test score beside {search.request.start}'s."
        )
        found += _within_chance(search, trials, best)
    return found


def _within_chance(search, trials, best):
    """Say it where a gain in accuracy is less than chance makes between two sets of this many examples."""
    preset = preset_score(trials)
    if preset is None or search.objective.name not in _UNITS:
        return []
    data = search.request.data
    count = data["train"] + data["validation"] if search.request.folds else data["validation"]
    error = math.sqrt(max(preset * (1 - preset), 1 / (4 * count)) / count)
    if best.score - preset > 2 * error:
        return []
    text = f"The gain is within chance for {plural(count, 'example')} (± {200 * error:.1f} points)"
    return [f"{text}: more validation data, or folds=5, would tell more."]


def _pictures(search):
    made = []
    for kind, title, text in _PICTURES:
        try:
            figure = _what_mattered(search) if kind == "importance" else search.plot(kind)
            made.append((title, text, drawn(figure, f"{title} of {len(search.trials)} trials")))
        except KzooError as error:
            made.append((title, str(error), None))
    return made


def _what_mattered(search):
    """Draw it where it says something.

    Raises:
        KzooError: too few trials, or none that differ by more than chance.
    """
    found = importance_of(search.trials, search.objective, search.parameters)
    if found.weak:
        raise KzooError(f"{found.sentence}, so nothing is said of what mattered. More trials, or folds=5, may tell.")
    return plots.importance(found)


def _board(search, trials):
    rows = leaderboard(trials, search.objective)
    top = rows[:_MOST]
    names = list(dict.fromkeys(name for row in top for name in row.trial.hyperparameters))
    errors, points = any(row.trial.error for row in top), search.objective.name in _UNITS
    heads = ["rank", "trial", "status", "score", "gain", "best epoch", "epochs", "seconds", "parameters"]
    cells = [
        [
            row.rank, f"{t.number}\u00a0({search.request.start.split()[-1]})" if t.baseline else t.number, t.status,
            "–" if t.score is None else score_words(search, t.score),
            "–" if row.gain is None else f"{100 * row.gain:+.1f}" if points else f"{row.gain:+.4g}",
            t.best_epoch or "–", t.epochs or "–", f"{t.seconds:.0f}",
            "–" if t.params is None else number(t.params),
            *(shown(t.hyperparameters[n]) if n in t.hyperparameters else "" for n in names),
            *([t.error] if errors else []),
        ]
        for row in top
        for t in [row.trial]
    ]  # fmt: skip
    rest = f" The other {len(rows) - _MOST} are in leaderboard.csv." if len(rows) > _MOST else ""
    said = f"Gain is over {search.request.start}" + (", in points" if points else "; more is better")
    note = f"{said}. A hyperparameter that does not count in a trial is empty.{rest}"
    return dict(heads=[*heads, *names, *(["error"] if errors else [])], rows=cells, note=note,
                numbers=["rank", "score", "gain", *heads[5:]])  # fmt: skip


def _changed(search):
    """Return (setting, preset's value, winner's value, meaning) where they differ."""
    spec, best = search.request.spec, search.best_spec()
    before, after = spec["config"] | spec["training"], best["config"] | best["training"]
    if search.request.own:
        before = {p.name: p.default for p in search.parameters}
        after = {name: value for name, value in search.best_config().items() if name in before}
    rows = [(n, value_words(before.get(n)), value_words(after[n]), meaning_of(n, spec["family"])) for n in after]
    return [row for row in rows if row[1] != row[2]]


def _settings(spec):
    parts = (("Network", "config"), ("Training", "training"))
    family = spec["family"]
    return [
        (title, [(n, value_words(v), meaning_of(n, family)) for n, v in spec[part].items()])
        for title, part in parts
        if spec[part]
    ]


def _use(search):
    name = search.request.spec["preset"]
    if search.request.own:
        data = "" if search.request.data["name"] in NAMES else "data, "
        return "\n".join((
            "import keras_tuner, kzoo",
            f'search = kzoo.Search("{search.path.name}")',
            "",
            "# trained on training and validation data, scored on the test split",
            f"run = search.retrain({data}build={name})",
            "# the network as it was in the search, or untrained",
            "model = search.best_model()",
            "hp = keras_tuner.HyperParameters()",
            "hp.values = search.best_config()",
            f"model = {name}(hp)",
        ))  # fmt: skip
    return "\n".join((
        "import kzoo",
        f'search = kzoo.Search("{search.path.name}")',
        "",
        "# trained on training and validation data, scored on the test split",
        f"run = search.retrain({_at_hand(search.request)})",
        "# the network as it was in the search, or untrained",
        "model = search.best_model()",
        f'model = kzoo.build("{name}", **search.best_config())',
        "# a preset like any other",
        f'kzoo.load_presets(search.save_preset("my_{name.rpartition(".")[2]}"))',
    ))  # fmt: skip


def _at_hand(request):
    """Return what `retrain` has to be given where the folder alone is there."""
    data = [] if request.data["name"] in NAMES else ["data"]
    return ", ".join([*data, *([] if request.weights is None or request.weights_at_hand else ["weights=weights"])])


def _space(parameters, own):
    heads = ["name", "values", "default" if own else "preset", "counts if"]
    rows = []
    for p in parameters:
        legal = ", ".join(map(value_words, p.values)) if p.values else _range(p)
        when = "" if p.when is None else f"{p.when[0]} is {' or '.join(map(value_words, p.when[1]))}"
        rows.append((p.name, legal, value_words(p.default), when))
    return dict(heads=heads, rows=rows)


def _range(p):
    return f"{value_words(p.low)} to {value_words(p.high)}" + (", log" if p.log else "")


def _provenance(search):
    request, created = search.request, search.request.created
    rows = [
        ("Folder", search.path.name),
        ("Date", f"{created[:10]} {created[11:16]} {created[19:]}".strip()),
        ("Machine", request.machine),
        ("Backend", request.backend),
        ("Weights", request.weights or ""),
        ("Frozen", "all that they gave" if request.freeze is True else value_words(request.freeze or "")),
        ("Versions", ", ".join(f"{name} {version}" for name, version in request.versions.items())),
        ("Pruning", request.prune or "none"),
        ("Epochs", request.epochs),
        ("Seed", f"{request.seed} (proposals), {request.data.get('data_seed')} (splits)"),
        ("Data fingerprint", (request.data.get("fingerprint") or "")[:16]),
    ]
    return [(name, text) for name, text in rows if text]
