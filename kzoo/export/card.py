"""What a bundle says to people: `README.md` (a model card), `requirements.txt` and `labels.json`."""

from kzoo.files import write_json


def write(folder, config):
    """Write them from what `kzoo.json` will say."""
    if config["labels"]:
        write_json(folder / "labels.json", config["labels"], sync=False)
