"""Sample weights: a survey that mostly the busiest customers answered, corrected by weights.

What a customer spends depends on age and on the hours in the shop. The hours are unknown for new customers, so they are
no input. Those with many hours also answered the survey more often: a network that learns from the answers predicts too
much at every age. Its own test split has the same bias and does not show it (`bias_in_sample`). With the inverse of the
probability of an answer as the weight of each row, the answers stand for all customers, and the network is as good as
with as many customers drawn at random. These probabilities must be known, or estimated, and none may be 0.

python recipes/practice/sample_weights.py            with and without weights, five samples
python recipes/practice/sample_weights.py --smoke    a quick test of a few seconds

Measured: 237 s in total; the results are in recipes/README.md.
"""

# %% Customers, and which of them answered
import numpy as np
import pandas as pd

import kzoo
from kzoo.plots.colors import BLUE, GREEN, GREY, ORANGE

args = kzoo.recipes.arguments("practice/sample_weights", __doc__)


def customers(count, random):
    """Return customers, with the probability that each answers the survey."""
    age = random.uniform(18, 80, count)
    hours = random.exponential(2, count)
    spent = 20 + 0.5 * age + 10 * np.sin(age / 8) + 12 * hours + random.normal(0, 10, count)
    frame = pd.DataFrame(dict(age=age, region=random.choice(list("NESW"), count), spent=spent))
    return frame, np.clip(hours / 8, 0.05, 1)


# %% Train: on those who answered, without and with weights, and on as many customers drawn at random
variants = ["unweighted", "weighted", "no bias"]
samples = [0] if args.smoke else [0, 1, 2, 3, 4]
same = dict(
    preset_or_model="tabular_fnn", target="spent", loss="mse", progress=False, baselines=False
)
same |= dict(epochs=2, batch_size=256) if args.smoke else {}
out = args.out or "runs/practice-sample_weights"
runs = {}
tests = {}
for sample in samples:
    random = np.random.default_rng(sample)
    everyone, answers = customers(1000 if args.smoke else 12000, random)
    tests[sample], _ = customers(4000, random)  # all customers, not only those who answer
    answered = random.random(len(everyone)) < answers
    survey = everyone[answered].assign(weight=1 / answers[answered])
    tables = {
        "unweighted": survey.drop(columns="weight"),
        "weighted": survey,
        "no bias": everyone.head(len(survey)),
    }
    for name, table in tables.items():
        weight = dict(sample_weight="weight") if name == "weighted" else {}
        folder = f"{out}/{name.replace(' ', '-')}-{sample}"
        runs[name, sample] = kzoo.train(data=table, out=folder, seed=sample, **same, **weight)

# %% Evaluate on all customers
scores, residuals = [], []
for (name, sample), run in runs.items():
    test = tests[sample]
    residual = kzoo.predict(run, test).values[:, 0] - test.spent
    residuals.append(pd.DataFrame(dict(name=name, sample=sample, age=test.age, residual=residual)))
    # its own test split: those who answered
    of_sample = (run.answers["answers"] - run.answers["truth"]).mean()
    scores.append(
        dict(
            model=name,
            bias=residual.mean(),
            bias_in_sample=of_sample,
            rmse=(residual**2).mean() ** 0.5,
        )
    )
groups = pd.DataFrame(scores).groupby("model", sort=False)
table = groups.mean().assign(
    bias_sd=groups.bias.std(), rmse_sd=groups.rmse.std(), samples=groups.size()
)
table = table.astype(float).round(3).reset_index().astype(object)
rows = table.where(table.notna(), None).to_dict("records")

# %% Plot
figure, (left, right) = kzoo.plots.panels(
    "Mean error by age, all customers", "RMSE, all customers", height=4
)
every = pd.concat(residuals)
every["decade"] = every.age // 5 * 5 + 2.5
for i, (name, color) in enumerate(zip(variants, (ORANGE, BLUE, GREEN), strict=True)):
    by_age = every[every["name"] == name].groupby(["decade", "sample"]).residual.mean().unstack()
    left.errorbar(
        by_age.index,
        by_age.mean(axis=1),
        by_age.std(axis=1).fillna(0),
        color=color,
        lw=1.5,
        label=name,
    )
    right.barh(i, rows[i]["rmse"], 0.6, color=color, xerr=rows[i]["rmse_sd"])
left.axhline(0, color=GREY, lw=1, zorder=0)
left.set(xlabel="age", ylabel="prediction minus truth")
left.legend(frameon=False, fontsize=9)
right.set_yticks(range(len(rows)), variants)
right.invert_yaxis()
kzoo.recipes.finish(args, rows, figure)
