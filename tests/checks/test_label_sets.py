"""Each fault in rows with several labels is reported; data without it has no finding."""

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions

import kzoo

pytestmark = pytest.mark.usefixtures("untraced")

NAMES = ["blue", "green"]


def table():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(300, 3))
    y = x[:, :2] + draw.normal(0, 0.4, (300, 2)) > (0.3, 0.8)
    frame = pd.DataFrame(x, columns=["a", "b", "c"]).assign(
        **dict(zip(NAMES, y.T.astype(float), strict=True))
    )
    frame.loc[:20, "green"] = np.nan
    return frame


FAULTS = {
    # check -> further columns, further labels, and what the finding names
    "label_rare": (
        dict(rare=lambda t: (t.index % 60 == 0) * 1.0),
        ["rare"],
        ("'rare'", "fewer than 10"),
    ),
    "label_always": (dict(always=1.0), ["always"], ("'always'",)),
    "labels_equal": (dict(copy=lambda t: t["blue"]), ["copy"], ("'blue' and 'copy'",)),
    "column_gives_label_away": (dict(leak=lambda t: t["blue"]), [], ("'leak'", "'blue'")),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_labels(name):
    columns, more, parts = FAULTS[name]
    findings = kzoo.check(data=table().assign(**columns), target=[*NAMES, *more])
    (finding,) = (finding for finding in findings if finding.check == name)
    assert finding.level == "warning"
    assert_mentions(finding.what, *parts)


def test_labels_without_a_fault_have_no_finding():
    assert not kzoo.check(data=table(), target=NAMES)


def test_a_label_whose_share_has_changed_is_named(tmp_path):
    run = kzoo.train(
        "tabular_fnn",
        table(),
        target=NAMES,
        out=tmp_path / "run",
        epochs=1,
        units=(4,),
        baselines=False,
        progress=False,
    )
    (finding,) = kzoo.check(run, data=table().assign(blue=1))
    assert finding.check == "label_shares_moved"
    assert_mentions(finding.what, "'blue'", "100%")
    assert not kzoo.check(run, data=table())
