"""Sentiment of sentences with every text family, compared with a bag-of-words model: one table, one plot.

In the generated opinions, word order decides ("not good", "dull, but moving"). A bag of words is often wrong, and every
network here, which reads words in order, is nearly always right. In real reviews the words themselves decide, and a bag
of words is hard to beat. If two intervals overlap widely, the difference may be chance.

python recipes/text_reviews.py                     all six families on generated sentences
python recipes/text_reviews.py --data reviews/     positive.txt and negative.txt, one sentence per line
python recipes/text_reviews.py --presets text_cnn text_gru   two families; finished runs in --out are not trained again
python recipes/text_reviews.py --smoke             a quick test of a few seconds

Measured: 309 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

import kzoo
from kzoo.plots.colors import BLUE, GREY

families = ["text_cnn", "text_rnn", "text_lstm", "text_gru", "text_bilstm", "text_transformer"]
args = kzoo.recipes.arguments(
    "text_reviews", __doc__, data="opinions", presets=dict(nargs="+", default=families)
)
from kzoo.training.scores.classes import wilson

presets = args.presets[:2] if args.smoke else args.presets
out = Path(args.out or "runs/text_reviews")
# The split depends on the seed, not on the preset: all presets have the same test sentences.
data = {name: kzoo.load_data(args.data, preset=name) for name in presets}
first = data[presets[0]]
print(first)

# %% Train
small = dict(epochs=1, batch_size=256, embedding_dim=8) if args.smoke else {}
runs = {name: kzoo.train(name, data[name], out=out / name, **small) for name in presets}

# %% Evaluate
size = first.config["vocabulary_size"]
train, test = (
    [np.bincount(ids, minlength=size)[1:] for ids in part.x] for part in (first.train, first.test)
)
counting = LogisticRegression(max_iter=1000).fit(train, first.train.y)
scores = [("counting words", counting.score(test, first.test.y), counting.coef_.size + 1, None)]
for name, run in runs.items():
    accuracy = kzoo.evaluate(run, data[name])["accuracy"]
    scores.append((name, accuracy, run.summary["parameters"], run.summary["seconds"]))
rows = []
for name, accuracy, parameters, seconds in scores:
    low, high = wilson(round(accuracy * len(first.test)), len(first.test))
    row = dict(
        preset=name, accuracy=accuracy, low=low, high=high, parameters=parameters, seconds=seconds
    )
    rows.append(row)

# %% Plot
figure, (axes,) = kzoo.plots.panels(
    f"{first.name}: accuracy on {len(first.test):,} sentences, 95 % interval", width=7
)
for i, row in enumerate(rows):
    accuracy = row["accuracy"]
    # rounding can make high < accuracy = 1
    errors = np.maximum([[accuracy - row["low"]], [row["high"] - accuracy]], 0)
    axes.barh(i, accuracy, 0.6, xerr=errors, color=BLUE if i else GREY, capsize=3)
    axes.text(0.01, i, f"{accuracy:.1%}", color="white", va="center")
axes.set_yticks(range(len(rows)), [row["preset"] for row in rows])
axes.invert_yaxis()
axes.set_xlim(0, 1)
kzoo.recipes.finish(args, rows, figure, folder=out)
