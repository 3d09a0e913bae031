"""The polarity of sentences with every text family, beside counting words: one table, one picture.

The generated opinions turn on the order of words ("not good", "dull, but moving"): whoever counts words is often wrong,
and every network here, each of which reads them in order, is right about nearly all. Real reviews turn on the words
themselves, and counting is hard to beat. Where the intervals overlap widely, who is better may be chance.

python recipes/text_reviews.py                     all six on generated sentences
python recipes/text_reviews.py --data reviews/     positive.txt and negative.txt, a sentence a line
python recipes/text_reviews.py --presets text_cnn text_gru   some of them; a finished run in --out is not trained again
python recipes/text_reviews.py --smoke             seconds, to see that it runs

Measured: 309 s for all of it; its table is in recipes/README.md.
"""

# %% What to train, on what
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

import kzoo
from kzoo.plots.colors import BLUE, GREY

families = ["text_cnn", "text_rnn", "text_lstm", "text_gru", "text_bilstm", "text_transformer"]
args = kzoo.recipes.arguments("text_reviews", __doc__, data="opinions", presets=dict(nargs="+", default=families))
from kzoo.tasks.classes.score import wilson

presets = args.presets[:2] if args.smoke else args.presets
out = Path(args.out or "runs/text_reviews")
# The split follows the seed, not the preset: all are tested on the same sentences.
data = {name: kzoo.load_data(args.data, preset=name) for name in presets}
first = data[presets[0]]
print(first)

# %% Train
small = dict(epochs=1, batch_size=256, embedding_dim=8) if args.smoke else {}
runs = {name: kzoo.train(name, data[name], out=out / name, **small) for name in presets}

# %% Score
size = first.config["vocabulary_size"]
train, test = ([np.bincount(ids, minlength=size)[1:] for ids in part.x] for part in (first.train, first.test))
counting = LogisticRegression(max_iter=1000).fit(train, first.train.y)
scored = [("counting words", counting.score(test, first.test.y), counting.coef_.size + 1, None)]
for name, run in runs.items():
    scores = kzoo.evaluate(run, data[name])
    scored.append((name, scores["accuracy"], run.summary["parameters"], run.summary["seconds"]))
rows = []
for name, accuracy, parameters, seconds in scored:
    low, high = wilson(round(accuracy * len(first.test)), len(first.test))
    row = dict(preset=name, accuracy=accuracy, low=low, high=high, parameters=parameters, seconds=seconds)
    rows.append(row)

# %% Look
figure, (axes,) = kzoo.plots.panels(f"{first.name}: accuracy on {len(first.test):,} sentences, 95 % interval", width=7)
for place, row in enumerate(rows):
    share = row["accuracy"]
    errors = np.maximum([[share - row["low"]], [row["high"] - share]], 0)  # all right: rounding may put high below
    axes.barh(place, row["accuracy"], 0.6, xerr=errors, color=BLUE if place else GREY, capsize=3)
    axes.text(0.01, place, f"{row['accuracy']:.1%}", color="white", va="center")
axes.set_yticks(range(len(rows)), [row["preset"] for row in rows])
axes.invert_yaxis()
axes.set_xlim(0, 1)
kzoo.recipes.finish(args, rows, figure, folder=out)
