"""Generated data sets: pictures of shapes, opinions in which the order of words matters, and series of three shapes."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

SHAPES = ("circle", "square", "triangle")
BUMPS = ("cylinder", "bell", "funnel")
_SIZE, _FINE = 64, 2  # pixels per side; factor of supersampling, for smooth edges

_SUBJECTS = (
    "film",
    "plot",
    "acting",
    "ending",
    "music",
    "dialogue",
    "camera work",
    "pacing",
    "script",
    "cast",
    "first half",
    "main character",
    "villain",
    "humour",
    "story",
    "editing",
)
_GOOD = (
    "good",
    "great",
    "wonderful",
    "moving",
    "funny",
    "clever",
    "gripping",
    "original",
    "charming",
    "convincing",
    "brilliant",
    "enjoyable",
)
_BAD = (
    "bad",
    "dull",
    "terrible",
    "boring",
    "silly",
    "weak",
    "predictable",
    "clumsy",
    "lifeless",
    "forgettable",
    "dreadful",
    "tedious",
)
_DEGREES = ("", "", "really", "quite", "very", "surprisingly", "truly")
_PLAIN = ("is {}", "was {}", "turns out {}", "felt {}", "seemed {} to me")
_DENIED = (
    "is not {}",
    "was never {}",
    "is hardly {}",
    "is far from {}",
    "is anything but {}",
    "did not strike me as {}",
)
_OPENINGS = (
    "",
    "",
    "honestly,",
    "to be fair,",
    "i must say,",
    "in short,",
    "for what it is worth,",
)
_BOTH = (
    "{lost}, but {won}.",
    "although {lost}, {won}.",
    "{won}, even though {lost}.",
    "{won}, despite what people say: {lost}.",
)


def shapes(count: int = 1200, seed: int = 0) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Draw circles, squares and triangles of random size, position, rotation and colours, with noise.

    Returns:
        images (count, 64, 64, 3) uint8, classes (count,) int32 and their names.
    """
    random = np.random.default_rng(seed)
    classes = random.permutation(np.arange(count, dtype=np.int32) % len(SHAPES))
    images = np.empty((count, _SIZE, _SIZE, 3), np.uint8)
    for image, number in zip(images, classes, strict=True):
        image[...] = _draw(SHAPES[number], random)
    return images, classes, SHAPES


def _draw(shape: str, random: np.random.Generator) -> np.ndarray:
    background = random.integers(0, 256, 3)
    # At least 60 from the background in each channel, so that the shape is visible.
    ink = (background + random.choice([-1, 1], 3) * random.integers(60, 129, 3)) % 256
    side = _SIZE * _FINE
    radius = random.uniform(0.13, 0.36) * side  # of the circumscribed circle
    x, y = random.uniform(radius, side - radius, 2)
    picture = Image.new("RGB", (side, side), tuple(map(int, background)))
    pen = ImageDraw.Draw(picture)
    if shape == "circle":
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(map(int, ink)))
    else:
        corners = 4 if shape == "square" else 3
        pen.regular_polygon(
            (x, y, radius), corners, rotation=int(random.integers(360)), fill=tuple(map(int, ink))
        )
    pixels = np.asarray(picture.reduce(_FINE), np.float32)
    noise = random.standard_normal(pixels.shape, np.float32) * random.uniform(5, 40)
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


def cylinder_bell_funnel(
    count: int = 1000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Generate series of 128 steps with a plateau ("cylinder"), a rise ("bell") or a fall ("funnel") in noise.

    Returns:
        series (count, 128, 1) float32, classes (count,) int32 and their names.
    """
    random = np.random.default_rng(seed)
    steps = np.arange(128)
    classes = random.permutation(np.arange(count, dtype=np.int32) % len(BUMPS))
    series = random.standard_normal((count, len(steps)))
    for values, number in zip(series, classes, strict=True):
        start = random.integers(16, 33)
        end = start + random.integers(32, 97)
        height = 6 + random.standard_normal()
        course = {"cylinder": np.ones(len(steps)), "bell": (steps - start) / (end - start)}
        course["funnel"] = 1 - course["bell"]
        values += height * course[BUMPS[number]] * ((steps >= start) & (steps <= end))
    return series[..., None].astype(np.float32), classes, BUMPS


def opinions(count: int = 2000, seed: int = 0) -> tuple[list[str], list[str]]:
    """Generate sentences of praise and complaint; "not good" is a complaint, and the part after "but" decides.

    No sentence occurs twice. A model that only counts words is often wrong.

    Returns:
        texts and labels ("negative" or "positive"), equally many of each.
    """
    random = np.random.default_rng(seed)
    texts: dict[str, str] = {}
    while len(texts) < count:
        positive = len(texts) % 2 == 1
        text = _sentence(positive, random)
        texts.setdefault(text, "positive" if positive else "negative")
    order = random.permutation(count)
    examples = list(texts.items())
    return [examples[i][0] for i in order], [examples[i][1] for i in order]


def _sentence(positive: bool, random: np.random.Generator) -> str:
    subject, other_subject = random.choice(len(_SUBJECTS), 2, replace=False)
    won = _clause(_SUBJECTS[subject], positive, random)
    if random.random() < 0.3:
        text = _pick(_BOTH, random).format(
            won=won, lost=_clause(_SUBJECTS[other_subject], not positive, random)
        )
    else:
        text = f"{won}."
    return " ".join([_pick(_OPENINGS, random), text]).strip()


def _clause(subject: str, positive: bool, random: np.random.Generator) -> str:
    denied = random.random() < 0.25
    words = _GOOD if positive != denied else _BAD
    opinion = f"{_pick(_DEGREES, random)} {_pick(words, random)}".strip()
    return f"the {subject} {_pick(_DENIED if denied else _PLAIN, random).format(opinion)}"


def _pick(choices: Sequence[str], random: np.random.Generator) -> str:
    return choices[int(random.integers(len(choices)))]
