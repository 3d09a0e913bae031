"""Tune a preset: a dozen trials, the preset first; then retrain the winner, and look at the test data once.

A search compares settings on validation data, and its best score is partly luck: of twelve trials one is always the
best. So the preset and the winner are trained once more, both alike, on all rows but the test's, and scored there.
Where their intervals overlap widely, the search has found nothing that matters, which is worth knowing too; so it is
where, as here, no other trial does better than the preset, and nothing but the preset is left to be trained.

python recipes/tune_digits.py                 12 trials of digits_cnn in the quick space
python recipes/tune_digits.py --trials 40     more of them: those that are there are kept
python recipes/tune_digits.py --data FOLDER   a folder with a folder of images for each class
python recipes/tune_digits.py --smoke         seconds, to see that it runs

Measured: 103 s for all of it; its table is in recipes/README.md.
"""

# %% What to tune, on what
from pathlib import Path

import kzoo

args = kzoo.recipes.arguments("tune_digits", __doc__, data="digits", trials=12, epochs=8, space="quick")
out = Path(args.out or "runs/tune_digits")
preset = "digits_cnn" if args.data == "digits" else "image_cnn"
data = kzoo.load_data(args.data, preset=preset, validation=0.25)  # of a tenth, the preset already has every row right
print(data)
print(kzoo.space(preset, args.space))

# %% Search: validation data decides, test data is not looked at
options = dict(trials=args.trials, epochs=args.epochs)
if args.smoke:
    options = dict(trials=2, epochs=1, filters=(8,), depth=1, batch_size=256)
search = kzoo.tune(preset, data, space=args.space, out=out / "search", **options)
board = search.leaderboard()[["rank", "trial", "status", "score", "gain", "best_epoch", "parameters"]]
print(board.to_string(index=False))
print(kzoo.report(search))

# %% Score: preset and winner, retrained alike, on the test split
rows = kzoo.recipes.search_rows(search, data, "accuracy", folder=out)

# %% Look
kzoo.recipes.finish(args, rows, search.plot("history"), folder=out)
