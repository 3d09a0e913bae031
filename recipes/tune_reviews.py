"""Tune a text classifier: learning curves of the best trials, and the winner saved as a preset.

A trial that is worse than half of the others at the same epoch is stopped, so most of the time goes to promising
trials. The winner becomes a preset in a TOML file, which can be loaded, trained on other sentences and tuned further.

python recipes/tune_reviews.py                    12 trials of text_cnn on generated sentences
python recipes/tune_reviews.py --data reviews/    positive.txt and negative.txt, one sentence per line
python recipes/tune_reviews.py --preset text_gru  another preset
python recipes/tune_reviews.py --smoke            a quick test of a few seconds

Measured: 112 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
from pathlib import Path

import kzoo

args = kzoo.recipes.arguments(
    "tune_reviews", __doc__, data="opinions", preset="text_cnn", trials=12, epochs=5
)
out = Path(args.out or "runs/tune_reviews")
data = kzoo.load_data(args.data, preset=args.preset)
print(data)

# %% Search
options = dict(trials=args.trials, epochs=args.epochs)
if args.smoke:
    options = dict(
        trials=2, epochs=1, batch_size=256, embedding_dim=8, filters=(8,), kernel_size=(3,)
    )
search = kzoo.tune(args.preset, data, space="quick", out=out / "search", **options)
board = search.leaderboard()[
    ["rank", "trial", "status", "score", "gain", "best_epoch", "parameters"]
]
print(board.to_string(index=False))
print(kzoo.report(search))

# %% Evaluate: preset and winner, retrained in the same way, on the test split
rows = kzoo.recipes.search_rows(search, data, "accuracy", folder=out)

# %% Save the winner as a preset
file = out / "tuned.toml"
file.unlink(missing_ok=True)  # from an earlier run of this recipe
names = kzoo.load_presets(search.save_preset(f"{args.preset}_tuned", file))
print(f"{file}: {kzoo.get_preset(names[0]).summary}")

# %% Plot
kzoo.recipes.finish(args, rows, search.plot("curves"), folder=out)
