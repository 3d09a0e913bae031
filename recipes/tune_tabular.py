"""Tune a network for a table, and ask what mattered: which settings decided how good a trial was.

The answer is a random forest that learns the rank of a trial from its settings, and what it loses when one of them is
shuffled. It needs fifteen trials at the least, and says of itself how well it predicts trials that it has not seen;
where it cannot, its bars would mean nothing, and the trials are drawn instead, which then differ mostly by chance. On a
small table they often do: so many settings, and so few rows to tell them apart. --folds 5 scores every trial on all of
the rows.

python recipes/tune_tabular.py                                        20 trials of tabular_fnn on breast_cancer
python recipes/tune_tabular.py --data my.csv --target price           your own table, numbers or classes
python recipes/tune_tabular.py --folds 5                              slower, and less a matter of luck
python recipes/tune_tabular.py --smoke                                seconds, to see that it runs

Measured: 89 s for all of it; its table is in recipes/README.md.
"""

# %% What to tune, on what
from pathlib import Path

import kzoo
from kzoo.tuning.importance import importance_of

args = kzoo.recipes.arguments("tune_tabular", __doc__, data="breast_cancer", target="", trials=20, epochs=20, folds=0)
out = Path(args.out or "runs/tune_tabular")
data = kzoo.load_data(args.data, preset="tabular_fnn", target=args.target or None, validation=0.2)
print(data)

# %% Search: a space made narrower, and no network above a size
space = kzoo.space("tabular_fnn", "standard").fix(schedule="cosine").narrow(dropout=(0.0, 0.4)).limit(params=200_000)
print(space)
options = dict(trials=2, epochs=1, batch_size=256) if args.smoke else dict(trials=args.trials, epochs=args.epochs)
search = kzoo.tune("tabular_fnn", data, space=space, folds=args.folds or None, out=out / "search", **options)
board = search.leaderboard()[["rank", "trial", "status", "score", "gain", "best_epoch", "parameters"]]
print(board.to_string(index=False))
print(kzoo.report(search))

# %% Score: preset and winner, retrained alike, on the test split
rows = kzoo.recipes.search_rows(search, data, "accuracy" if data.class_names else "r2", folder=out)

# %% Look
try:
    found = importance_of(search.trials, search.objective, search.parameters)
    figure = search.plot("history") if found.weak else kzoo.plots.importance(found)
    print(f"{found.sentence}.")
except kzoo.KzooError as error:  # too few trials
    figure = search.plot("history")
    print(error)
kzoo.recipes.finish(args, rows, figure, folder=out)
