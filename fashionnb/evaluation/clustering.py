"""Do the classes lie apart? Silhouette, item by item and class by class, Davies–Bouldin and Calinski–Harabasz.

These judge the true classes; `cluster_agreement` asks instead whether an algorithm that sees no label finds them.
Chapter 04 shows what each of them cannot see.
"""

import numpy as np
from torch import Tensor

from fashionnb.errors import DataError
from fashionnb.evaluation.distances import CHUNK_BYTES, one_per_row, strips, vectors

Array = np.ndarray | Tensor


def silhouette(embeddings: Array, labels: Array, *, chunk_bytes: int = CHUNK_BYTES) -> np.ndarray:
    """Compare each item's distance to its own class with that to the nearest other class.

    Introduced in chapter 02. Rousseeuw 1987, "Silhouettes": s = (b - a) / max(a, b), where a is the mean Euclidean
    distance to the other items of the class, and b the smallest, over the other classes, of the mean distance to their
    items. 1: far from every other class; 0: on the border; below 0: nearer to another class than to its own.

    Parameters
    ----------
    embeddings, labels : (n, d) and (n,).
    chunk_bytes : memory for one strip of distances. It changes the speed, not the result.

    Returns
    -------
    values : (n,) float64, -1 to 1. The only item of its class gets 0, and so does an item with a = b = 0.

    Raises
    ------
    DataError : fewer than two classes, every item a class of its own, shapes disagree, or NaN.
    """
    x = vectors(embeddings, "embeddings")
    classes, number, size = _classes(labels, len(x))
    if len(classes) == len(x):
        raise DataError(
            f"Each of the {len(x)} items is a class of its own: a silhouette needs a class of two or more."
        )
    # In the order of the classes, each class is one run of columns, and reduceat adds up the runs.
    order = np.argsort(number, kind="stable")
    x, number, begin = x[order], number[order], np.cumsum(size) - size
    values = np.empty(len(x))
    for rows, distances in strips(x, x, chunk_bytes):
        total = np.add.reduceat(distances.numpy(), begin, axis=1)
        own = (np.arange(len(total)), number[rows])
        within = total[own] / np.maximum(size[number[rows]] - 1, 1)
        to_class = total / size
        to_class[own] = np.inf
        nearest = to_class.min(1)
        larger = np.maximum(within, nearest)
        values[order[rows]] = np.divide(
            nearest - within, larger, out=np.zeros(len(total)), where=larger > 0
        )
    values[order[size[number] == 1]] = 0.0
    return values


def silhouette_per_class(values: np.ndarray, labels: Array) -> dict:
    """Average `silhouette` values (n,) over the items of each class. Introduced in chapter 02.

    Returns
    -------
    label -> mean, in sorted order of the labels.

    Raises
    ------
    DataError : not one label for each value.
    """
    labels = one_per_row(labels, len(values), "labels")
    return {label: float(values[labels == label].mean()) for label in np.unique(labels).tolist()}


def davies_bouldin(embeddings: Array, labels: Array) -> float:
    """Compare how wide the classes are with how far apart their centres lie; lower is better, 0 the best.

    Introduced in chapter 02. Davies & Bouldin 1979, "A Cluster Separation Measure": for each class the worst, over the
    other classes, of (width + other's width) / distance of the centres, then the mean over classes. The width is the
    mean Euclidean distance to the class's centre.

    Returns
    -------
    index : 0 or more. Infinite where two centres coincide, as in a collapsed embedding. (scikit-learn passes over
        such a pair, and so can give a collapsed embedding 0, the best score.)

    Raises
    ------
    DataError : fewer than two classes, shapes disagree, or NaN.
    """
    x = vectors(embeddings, "embeddings").numpy()
    classes, number, _ = _classes(labels, len(x))
    members = [x[number == c] for c in range(len(classes))]
    centres = np.stack([items.mean(0) for items in members])
    width = np.array(
        [
            np.linalg.norm(items - centre, axis=1).mean()
            for items, centre in zip(members, centres, strict=True)
        ]
    )
    apart = np.stack([np.linalg.norm(centres - centre, axis=1) for centre in centres])
    # Two centres on one spot overlap infinitely, even where both classes have no width (0 / 0).
    overlap = np.divide(
        width[:, None] + width, apart, out=np.full_like(apart, np.inf), where=apart > 0
    )
    np.fill_diagonal(overlap, 0)
    return float(overlap.max(1).mean())


def calinski_harabasz(embeddings: Array, labels: Array) -> float:
    """Compare the scatter of the class centres with the scatter inside the classes; higher is better.

    Introduced in chapter 04. Caliński & Harabasz 1974, "A Dendrite Method for Cluster Analysis": with n items in c
    classes (B / (c - 1)) / (W / (n - c)). B adds up, item by item, the squared distance of its class's centre from the
    centre of all; W that of the item from its class's centre. It grows with n: compare it on the same items only.

    Returns
    -------
    index : 0 or more. Infinite where no class has any width; 0 where all centres coincide, as in a collapsed embedding.
        (scikit-learn gives 1 to both.)

    Raises
    ------
    DataError : fewer than two classes, every item a class of its own, shapes disagree, or NaN.
    """
    x = vectors(embeddings, "embeddings").numpy()
    classes, number, size = _classes(labels, len(x))
    n, c = len(x), len(classes)
    if n == c:
        raise DataError(
            f"Each of the {n} items is a class of its own: there is no scatter inside a class to measure."
        )
    members = [x[number == label] for label in range(c)]
    centres = np.stack([_centre(items) for items in members])
    between = size @ np.square(centres - _centre(x)).sum(1)
    within = sum(
        np.square(items - centre).sum() for items, centre in zip(members, centres, strict=True)
    )
    if not between:
        return 0.0
    return float(between / (c - 1) / (within / (n - c))) if within else np.inf


def cluster_agreement(
    embeddings: Array, labels: Array, seed: int = 0, clusters: int | None = None
) -> dict[str, float]:
    """Let k-means, which sees no label, find clusters, and compare them with the classes.

    Introduced in chapter 04. The best of ten starts of k-means (Lloyd 1982), then the mutual information of clusters
    and classes: normalised by the mean of their two entropies (NMI), or adjusted so that chance gives 0 on average
    (AMI; Vinh, Epps & Bailey 2010). NMI rewards many small clusters, AMI does not.

    Parameters
    ----------
    embeddings, labels : (n, d) and (n,).
    seed : where k-means starts.
    clusters : how many it looks for; without it, as many as there are classes. Never more than distinct points.

    Returns
    -------
    {"nmi": 0 to 1, "ami": about 0 to 1} : 1 where clusters and classes are the same.

    Raises
    ------
    DataError : fewer than two classes, fewer than one cluster, shapes disagree, or NaN.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

    x = vectors(embeddings, "embeddings").numpy()
    classes, number, _ = _classes(labels, len(x))
    clusters = len(classes) if clusters is None else clusters
    if clusters < 1:
        raise DataError(
            f"k-means was asked for {clusters} clusters: ask for 1 or more, or for None."
        )
    clusters = min(clusters, len(np.unique(x, axis=0)))
    found = KMeans(clusters, n_init=10, random_state=seed).fit_predict(x)
    return {
        "nmi": float(normalized_mutual_info_score(number, found)),
        "ami": float(adjusted_mutual_info_score(number, found)),
    }


def _centre(items: np.ndarray) -> np.ndarray:
    """The mean of items (n, d): exactly theirs where all coincide, since nothing is left to round."""
    return items[0] + (items - items[0]).mean(0)


def _classes(labels: Array, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct labels, each item's class as a number, and the size of each class. At least two classes."""
    found = np.unique(one_per_row(labels, n, "labels"), return_inverse=True, return_counts=True)
    if len(found[0]) < 2:
        raise DataError(
            f"All {n} items are of one class ({found[0][0]}): whether classes lie apart needs two or more."
        )
    return found
