"""Tune a preset: a dozen trials, the preset first; then retrain the winner and use the test data once.

A search compares settings on validation data, and its best score is partly luck: one of twelve trials is always the
best. So the preset and the winner are trained once more, in the same way, on all rows except the test split, and scored
there. If their intervals overlap widely, the search found no real improvement, which is also a result. So is a search
like this one, in which no trial beats the preset: then only the preset is retrained.

python recipes/tune_digits.py                 12 trials of digits_cnn in the quick space
python recipes/tune_digits.py --trials 40     more trials; finished ones are kept
python recipes/tune_digits.py --data FOLDER   a folder of images per class
python recipes/tune_digits.py --smoke         a quick test of a few seconds

Measured: 103 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
from pathlib import Path

import kzoo

args = kzoo.recipes.arguments(
    "tune_digits", __doc__, data="digits", trials=12, epochs=8, space="quick"
)
out = Path(args.out or "runs/tune_digits")
preset = "digits_cnn" if args.data == "digits" else "image_cnn"
# on a tenth, the preset already makes no errors
data = kzoo.load_data(args.data, preset=preset, validation=0.25)
print(data)
print(kzoo.space(preset, args.space))

# %% Search: uses validation data only
options = dict(trials=args.trials, epochs=args.epochs)
if args.smoke:
    options = dict(trials=2, epochs=1, filters=(8,), depth=1, batch_size=256)
search = kzoo.tune(preset, data, space=args.space, out=out / "search", **options)
board = search.leaderboard()[
    ["rank", "trial", "status", "score", "gain", "best_epoch", "parameters"]
]
print(board.to_string(index=False))
print(kzoo.report(search))

# %% Evaluate: preset and winner, retrained in the same way, on the test split
rows = kzoo.recipes.search_rows(search, data, "accuracy", folder=out)

# %% Plot
kzoo.recipes.finish(args, rows, search.plot("history"), folder=out)
