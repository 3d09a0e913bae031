"""The README's table comes from the registry: `python tests/test_readme.py` writes it, the test compares."""

import re
from pathlib import Path

import kzoo
from kzoo import results

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"(<!-- presets -->\n).*?(<!-- /presets -->)", re.DOTALL)


def score_of(name):
    rows = [row for row in results.of(name) if row["own_data"]]
    if not rows:
        return "-"
    row = rows[0]
    if "bits_per_token" in row:
        return f"{row['bits_per_token']:.2f} bits per token, {row['data']}"
    if row["metric"] == "accuracy":
        return f"{row['score']:.1%} of {row['data']}, {row['epochs']} epochs"
    return f"R2 {row['score']:.3f} on {row['data']}"


def table():
    lines = ["| preset | what it is | data | parameters | measured |", "|---|---|---|---|---|"]
    for family in ("fnn", "cnn", "rnn", "lstm", "gru", "transformer"):
        for name in kzoo.list_presets(family=family):
            p = kzoo.get_preset(name)
            lines.append(f"| `{name}` | {p.summary} | {p.dataset} | {p.params:,} | {score_of(name)} |")
    return "\n".join(lines) + "\n"


def written():
    text = README.read_text(encoding="utf-8")
    return text, BLOCK.sub(lambda m: m[1] + table() + m[2], text)


def test_the_table_of_presets_is_the_registrys():
    now, wanted = written()
    assert now == wanted, "run: python tests/test_readme.py"


def test_the_examples_name_presets_that_exist():
    text = README.read_text(encoding="utf-8")
    named = set(re.findall(r"kzoo (?:train|show) (\w+)", text)) | set(re.findall(r"(?:build|train)\(\"(\w+)\"", text))
    assert named >= {"digits_cnn", "image_cnn", "tabular_fnn", "text_cnn", "cifar_cnn"}
    assert [name for name in named - {"NAME"} if name not in kzoo.list_presets()] == []


def test_results_belong_to_presets():
    for row in results._measured():
        assert kzoo.get_preset(row["preset"]).dataset
        assert row["own_data"] is True
        assert row["command"].startswith(f"kzoo train {row['preset']}")


if __name__ == "__main__":
    README.write_text(written()[1], encoding="utf-8")
