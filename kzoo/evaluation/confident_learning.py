"""Which labels are probably wrong: confident learning on out-of-fold probabilities, and nearest neighbours. NumPy only.

Confident learning (Northcutt, Jiang and Chuang 2021, doi:10.1613/jair.1.12125) counts how often a row of class i is
confidently predicted as class j, where "confidently" means at least as likely as the rows of class j are on average.
From these counts follow the numbers of wrong labels of each pair of classes, and the rows with the clearest margins are
suspects.
"""

import numpy as np

_CHUNK = 1 << 24  # similarities in memory at once
_STRENGTH = 1.0  # prior rows of the classes beside the neighbours
_LEAST = 1e-6  # the smallest probability
_TEMPERATURES = (0.35, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0)
_WEIGHTS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)


def class_thresholds(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the mean probability of each class over the rows that have its label (C,); infinite for one without rows.

    Args:
        probabilities: (N, C), of a model that was not trained on the row.
        labels: (N,) class numbers.
    """
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    totals = np.bincount(
        labels, weights=probabilities[np.arange(len(labels)), labels], minlength=classes
    )
    return np.divide(totals, counts, out=np.full(classes, np.inf), where=counts > 0)


def confident_joint(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the counts (C, C) of rows with label i that are confidently of class j.

    A row counts for the most probable of the classes whose threshold its probability reaches, and not at all if there
    is none.

    Args:
        probabilities, labels: see `class_thresholds`.
    """
    classes = probabilities.shape[1]
    confident = probabilities >= class_thresholds(probabilities, labels) - 1e-9
    likeliest = _likeliest(np.where(confident, probabilities, -1), labels)
    counted = confident.any(axis=1)
    return np.bincount(
        labels[counted] * classes + likeliest[counted], minlength=classes**2
    ).reshape(classes, classes)


def noise_counts(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the estimated numbers (C, C) of rows with label i whose class is j; row i sums to the rows of label i.

    Args:
        probabilities, labels: see `class_thresholds`.
    """
    joint = confident_joint(probabilities, labels).astype(np.float64)
    empty = joint.sum(axis=1) == 0
    joint[empty, empty] = 1  # no row of this label is confident: its labels are taken as right
    counts = np.bincount(labels, minlength=len(joint))
    return joint / joint.sum(axis=1, keepdims=True) * counts[:, None]


def suspected(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return which rows (N,) confident learning prunes, by noise rate and by class.

    By noise rate: of each pair of classes, as many rows as are estimated to be wrong, those with the largest margin
    between the other class and the label. By class: of each label, as many rows as are estimated to be wrong, those
    whose label is least probable. A row that the model predicts as its label is no suspect.

    Args:
        probabilities, labels: see `class_thresholds`.
    """
    counts = noise_counts(probabilities, labels)
    np.fill_diagonal(counts, 0)
    own = probabilities[np.arange(len(labels)), labels]
    by_rate, by_class = (np.zeros(len(labels), bool) for _ in range(2))
    for label, row in enumerate(counts):
        rows = np.flatnonzero(labels == label)
        by_class[rows[np.argsort(own[rows], kind="stable")[: round(row.sum())]]] = True
        for other in np.flatnonzero(np.round(row) > 0):
            margins = own[rows] - probabilities[rows, other]
            by_rate[rows[np.argsort(margins, kind="stable")[: round(row[other])]]] = True
    return by_rate & by_class & (_likeliest(probabilities, labels) != labels)


def _likeliest(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the likeliest class of each row (N,); the label if it is as likely as any other class."""
    own = probabilities[np.arange(len(labels)), labels]
    return np.where(own >= probabilities.max(axis=1), labels, probabilities.argmax(axis=1))


def self_confidence(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the probability of each row's label (N,).

    Args:
        probabilities, labels: see `class_thresholds`.
    """
    return probabilities[np.arange(len(labels)), labels]


def normalized_margin(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the probability of each row's label minus that of the likeliest other class (N,), -1 to 1.

    Args:
        probabilities, labels: see `class_thresholds`.
    """
    rows = np.arange(len(labels))
    others = probabilities.copy()
    others[rows, labels] = -np.inf
    return probabilities[rows, labels] - others.max(axis=1)


def neighbour_shares(
    features: np.ndarray, labels: np.ndarray, classes: int, *, k: int = 10
) -> np.ndarray:
    """Return the share of each class among the k nearest other rows (N, C), by the cosine of centred features.

    Args:
        features: (N, F).
        labels: (N,) class numbers.
        classes: C.
        k: number of neighbours; fewer if there are fewer rows.
    """
    features = np.asarray(features, np.float32)
    features = features - features.mean(axis=0)
    features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    count = len(features)
    k = min(k, len(features) - 1)
    shares = np.zeros((count, classes))
    chunk = max(1, _CHUNK // max(count, 1))
    for start in range(0, count, chunk):
        rows = np.arange(start, min(start + chunk, count))
        similarity = features[rows] @ features.T
        similarity[np.arange(len(rows)), rows] = -np.inf  # a row is not its own neighbour
        nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        np.add.at(shares, (np.repeat(rows, k), labels[nearest].reshape(-1)), 1 / k)
    return shares


def fit_opinions(
    probabilities: np.ndarray, shares: np.ndarray | None, labels: np.ndarray, *, k: int = 10
) -> tuple[float, float]:
    """Return the temperature and the weight of the neighbours with the smallest log loss of the recorded labels.

    Wrong labels have no part in a row's probabilities and shares, so that they cost every choice about the same.

    Args:
        probabilities, shares, labels, k: see `combined`; `shares` may be None, and the weight is 0 then.
    """
    rows = np.arange(len(labels))
    best = (np.inf, 1.0, 0.0)
    for temperature in _TEMPERATURES:
        for weight in _WEIGHTS if shares is not None else (0.0,):
            both = combined(
                probabilities, shares, labels, k=k, temperature=temperature, weight=weight
            )
            loss = -np.log(np.maximum(both[rows, labels], _LEAST)).mean()
            if loss < best[0] - 1e-6:
                best = loss, temperature, weight
    return best[1], best[2]


def combined(
    probabilities: np.ndarray,
    shares: np.ndarray | None,
    labels: np.ndarray,
    *,
    k: int = 10,
    temperature: float = 1.0,
    weight: float = 0.5,
) -> np.ndarray:
    """Return probabilities (N, C) that count the neighbours as a second opinion.

    Args:
        probabilities: (N, C).
        shares: (N, C) shares of the classes among k neighbours; None: there are none.
        labels: (N,) class numbers, whose frequencies are the prior of the shares.
        k: number of neighbours.
        temperature: by which the logarithms of the probabilities are divided.
        weight: exponent of the neighbours' opinion relative to the prior.
    """
    classes = probabilities.shape[1]
    logits = np.log(np.maximum(probabilities, _LEAST)) / temperature
    if shares is not None and weight:
        prior = (np.bincount(labels, minlength=classes) + 1) / (len(labels) + classes)
        smooth = (k * shares + _STRENGTH * prior) / (k + _STRENGTH)
        logits += weight * np.log(smooth / prior)
    logits -= logits.max(axis=1, keepdims=True)
    both = np.exp(logits)
    return both / both.sum(axis=1, keepdims=True)
