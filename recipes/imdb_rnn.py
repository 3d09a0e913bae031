"""Sentiment of film reviews with the tutorial's two simple recurrent layers, and how far they get.

A simple recurrent layer forgets: the start of a long review hardly influences its last state. `imdb_lstm.py` solves
this. The tutorial's network has no mask, so it also reads the padding of short reviews as words. Here padding never
changes a prediction.

python recipes/imdb_rnn.py                  downloads IMDB, 17 MB, unless it is already there
python recipes/imdb_rnn.py --data FOLDER    positive.txt and negative.txt, one review per line
python recipes/imdb_rnn.py --smoke          a quick test on generated sentences, without a download
"""

# %% Data and settings
from dataclasses import replace

import kzoo

args = kzoo.recipes.arguments(
    "imdb_rnn", __doc__, data="imdb", stand_in="opinions", epochs=dict(type=int, default=None)
)
preset = kzoo.get_preset("imdb_rnn")
if args.smoke:
    # words, instead of 200
    preset = replace(preset, config=preset.config | dict(input_shape=(12,)))
data = kzoo.load_data(args.data, preset=preset)
print(data)

# %% Train
small = dict(epochs=1, batch_size=256) if args.smoke else dict(epochs=args.epochs)
run = kzoo.train(preset, data, out=args.out, **small)

# %% Evaluate
scores = kzoo.evaluate(run, data)
row = kzoo.recipes.run_row(run, scores, "accuracy", "auc")
predictions = kzoo.predict(
    run, ["a wonderful film", "the plot is not good", "dull from start to finish"]
)
print(predictions.to_frame().to_string(index=False, float_format="%.3f"))

# %% Plot
figure = kzoo.plots.roc_and_precision_recall(
    run.answers["truth"], run.answers["answers"], run.class_names
)
kzoo.recipes.finish(args, [row], figure, folder=run.path)
