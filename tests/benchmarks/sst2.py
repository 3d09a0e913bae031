"""SST-2's training phrases with a column `of`, the sentence of each phrase, so that `group=of` can split them.

    python tests/benchmarks/sst2.py train.tsv --out sst2.tsv

The file does not identify sentences. A phrase belongs to the longest phrase that contains it, which is a sentence; if
several are equally long, to the first in the file.
"""

import argparse

import pandas as pd


def sentences(texts):
    """Return the sentence number of each text; the longest sentence has number 0."""
    words = [tuple(text.split()) for text in texts]
    whose = {}
    found = [0] * len(words)
    count = 0
    for place in sorted(range(len(words)), key=lambda place: -len(words[place])):
        here = words[place]
        if here not in whose:
            for start in range(len(here)):
                for end in range(start + 1, len(here) + 1):
                    whose.setdefault(here[start:end], count)
            count += 1
        found[place] = whose[here]
    return found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", help="tab-separated, with columns label and sentence")
    parser.add_argument("--out", default="sst2.tsv")
    args = parser.parse_args()
    table = pd.read_csv(args.file, sep="\t", quoting=3)
    table["of"] = sentences(table["sentence"])
    table.to_csv(args.out, sep="\t", index=False, quoting=3)
    print(f"{len(table):,} phrases of {table['of'].nunique():,} sentences: {args.out}")


if __name__ == "__main__":
    main()
