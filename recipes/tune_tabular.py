"""Tune a network for a table, and measure which settings decide how good a trial is.

Importance is measured with a random forest that predicts the rank of a trial from its settings: it is the loss of
accuracy when one setting is shuffled. The forest needs at least fifteen trials. It reports how well it predicts trials
that it was not fitted on. If it does not, bars would mean nothing, and the trials are plotted instead: their
differences are mostly chance. This is common on small tables, where many settings are tuned on few rows. With --folds 5
every trial is scored on all of the rows.

python recipes/tune_tabular.py                                        20 trials of tabular_fnn on breast_cancer
python recipes/tune_tabular.py --data my.csv --target price           your own table; the target is a number or a class
python recipes/tune_tabular.py --folds 5                              slower, with less noise
python recipes/tune_tabular.py --smoke                                a quick test of a few seconds

Measured: 89 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
from pathlib import Path

import kzoo
from kzoo.tuning.importance import importance_of

args = kzoo.recipes.arguments(
    "tune_tabular", __doc__, data="breast_cancer", target="", trials=20, epochs=20, folds=0
)
out = Path(args.out or "runs/tune_tabular")
data = kzoo.load_data(args.data, preset="tabular_fnn", target=args.target or None, validation=0.2)
print(data)

# %% Search: a narrower space, and a limit on the size of the network
space = (
    kzoo.space("tabular_fnn", "standard")
    .fix(schedule="cosine")
    .narrow(dropout=(0.0, 0.4))
    .limit(params=200_000)
)
print(space)
options = (
    dict(trials=2, epochs=1, batch_size=256)
    if args.smoke
    else dict(trials=args.trials, epochs=args.epochs)
)
search = kzoo.tune(
    "tabular_fnn", data, space=space, folds=args.folds or None, out=out / "search", **options
)
board = search.leaderboard()[
    ["rank", "trial", "status", "score", "gain", "best_epoch", "parameters"]
]
print(board.to_string(index=False))
print(kzoo.report(search))

# %% Evaluate: preset and winner, retrained in the same way, on the test split
rows = kzoo.recipes.search_rows(search, data, "accuracy" if data.class_names else "r2", folder=out)

# %% Plot
try:
    importance = importance_of(search.trials, search.objective, search.parameters)
    figure = search.plot("history") if importance.weak else kzoo.plots.importance(importance)
    print(f"{importance.sentence}.")
except kzoo.KzooError as error:  # too few trials
    figure = search.plot("history")
    print(error)
kzoo.recipes.finish(args, rows, figure, folder=out)
