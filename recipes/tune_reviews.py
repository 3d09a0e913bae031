"""Tune a classifier of sentences: what the best trials learned, epoch by epoch, and a preset of the winner.

A trial that is worse than half of the others at the same epoch is stopped there: most of the time goes to those that
may win. The winner becomes a preset in a TOML file, which anybody can load, train on other sentences, and tune further.

python recipes/tune_reviews.py                    12 trials of text_cnn on generated opinions
python recipes/tune_reviews.py --data reviews/    positive.txt and negative.txt, a sentence a line
python recipes/tune_reviews.py --preset text_gru  another network
python recipes/tune_reviews.py --smoke            seconds, to see that it runs

Measured: 112 s for all of it; its table is in recipes/README.md.
"""

# %% What to tune, on what
from pathlib import Path

import kzoo

args = kzoo.recipes.arguments("tune_reviews", __doc__, data="opinions", preset="text_cnn", trials=12, epochs=5)
out = Path(args.out or "runs/tune_reviews")
data = kzoo.load_data(args.data, preset=args.preset)
print(data)

# %% Search
options = dict(trials=args.trials, epochs=args.epochs)
if args.smoke:
    options = dict(trials=2, epochs=1, batch_size=256, embedding_dim=8, filters=(8,), kernel_size=(3,))
search = kzoo.tune(args.preset, data, space="quick", out=out / "search", **options)
board = search.leaderboard()[["rank", "trial", "status", "score", "gain", "best_epoch", "parameters"]]
print(board.to_string(index=False))
print(kzoo.report(search))

# %% Score: preset and winner, retrained alike, on the test split
rows = kzoo.recipes.search_rows(search, data, "accuracy", folder=out)

# %% Keep: the winner as a preset
file = out / "tuned.toml"
file.unlink(missing_ok=True)  # of an earlier run of this recipe
names = kzoo.load_presets(search.save_preset(f"{args.preset}_tuned", file))
print(f"{file}: {kzoo.get_preset(names[0]).summary}")

# %% Look
kzoo.recipes.finish(args, rows, search.plot("curves"), folder=out)
