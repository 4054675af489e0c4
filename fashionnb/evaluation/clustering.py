"""Silhouette, Davies–Bouldin, Calinski–Harabasz and k-means agreement of labelled embeddings.

The first three measure how far the given classes are apart; `cluster_agreement` measures whether
k-means, which is given no labels, finds them.
"""

import numpy as np

from fashionnb.arrays import check_labels
from fashionnb.errors import DataError
from fashionnb.evaluation.neighbours import Array, strips, vectors


def silhouette(embeddings: Array, labels: Array) -> np.ndarray:
    """Compute the silhouette of each item: how far its class is apart from the nearest other one.

    s = (b - a) / max(a, b), where a is the mean Euclidean distance to the other items of the
    class, and b the smallest, over the other classes, of the mean distance to their items. 1: far
    from every other class; 0: on the border; below 0: nearer to another class than to its own.

    Parameters
    ----------
    embeddings : array of shape (n, d)
        One vector for each item.
    labels : array of shape (n,)
        The class of each item.

    Returns
    -------
    ndarray of shape (n,), float64
        -1 to 1. The only item of its class gets 0, and so does an item with a = b = 0.

    Raises
    ------
    DataError
        If there are fewer than two classes, every item is a class of its own, shapes disagree, or
        there is NaN.

    References
    ----------
    Rousseeuw (1987), Silhouettes: a graphical aid to the interpretation and validation of cluster
    analysis.
    """
    # Not by scikit-learn: `silhouette_samples` takes 3 times as long (10,000 × 64, one thread).
    x, number, size = _checked(embeddings, labels)
    # In the order of the classes, each class is one run of columns, and reduceat adds up the runs.
    order = np.argsort(number, kind="stable")
    x, number, begin = x[order], number[order], np.cumsum(size) - size
    values = np.empty(len(x))
    for rows, distances in strips(x, x):
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
    """Average the silhouettes over the items of each class.

    Parameters
    ----------
    values : ndarray of shape (n,), float64
        As `silhouette` returns them.
    labels : array of shape (n,)
        The class of each item.

    Returns
    -------
    dict of label to float
        The mean of each class, -1 to 1, in sorted order of the labels.

    Raises
    ------
    DataError
        If there is not one label for each value.
    """
    labels = check_labels(labels, len(values), "labels")
    return {label: float(values[labels == label].mean()) for label in np.unique(labels).tolist()}


def davies_bouldin(embeddings: Array, labels: Array) -> float:
    """Compute the Davies–Bouldin index: widths of classes over distances of centres, best 0.

    For each class the largest, over the other classes, of (width + other's width) / distance of
    the centres, then the mean over classes. The width of a class is the mean Euclidean distance
    of its items to their centre.

    Parameters
    ----------
    embeddings : array of shape (n, d)
        One vector for each item.
    labels : array of shape (n,)
        The class of each item.

    Returns
    -------
    float
        0 (the best) or more. Infinite where two centres coincide, as in a collapsed embedding;
        scikit-learn ignores such a pair, and so can give a collapsed embedding the best score.

    Raises
    ------
    DataError
        As `silhouette`.

    References
    ----------
    Davies & Bouldin (1979), A Cluster Separation Measure.
    """
    from scipy.spatial.distance import pdist
    from sklearn.metrics import davies_bouldin_score

    x, number, _ = _checked(embeddings, labels)
    # The index does not depend on the scale, but scikit-learn takes distances below 1e-8 for 0.
    x = x.numpy() - x.numpy().mean(0)
    x /= np.abs(x).max() or 1.0
    if pdist(_centres(x, number)).min() < 1e-8:
        return np.inf
    return float(davies_bouldin_score(x, number))


def calinski_harabasz(embeddings: Array, labels: Array) -> float:
    """Compute the Calinski–Harabasz index: scatter between classes over scatter inside them.

    Higher is better. With n items in c classes (B / (c - 1)) / (W / (n - c)). B adds up, item by
    item, the squared distance of its class's centre from the centre of all; W that of the item from
    its class's centre. It grows with n: compare it on the same items only.

    Parameters
    ----------
    embeddings : array of shape (n, d)
        One vector for each item.
    labels : array of shape (n,)
        The class of each item.

    Returns
    -------
    float
        0 or more. Infinite where no class has any width; 0 where all items coincide, as in a
        collapsed embedding (scikit-learn gives 1 to both).

    Raises
    ------
    DataError
        As `silhouette`.

    References
    ----------
    Caliński & Harabasz (1974), A Dendrite Method for Cluster Analysis.
    """
    from sklearn.metrics import calinski_harabasz_score

    x, number, _ = _checked(embeddings, labels)
    x = x.numpy()
    if (x == x[0]).all():
        return 0.0
    if (x == _centres(x, number)[number]).all():
        return np.inf
    return float(calinski_harabasz_score(x, number))


def cluster_agreement(embeddings: Array, labels: Array, seed: int = 0) -> dict[str, float]:
    """Compare the clusters that k-means finds without any labels with the classes: NMI and AMI.

    The best of ten starts of k-means, with as many clusters as there are classes (but never more
    than distinct points), then the mutual information of clusters and classes:
    normalised by the mean of their two entropies (NMI), or adjusted so that chance gives 0 on
    average (AMI). NMI rewards many small clusters, AMI does not.

    Parameters
    ----------
    embeddings : array of shape (n, d)
        One vector for each item.
    labels : array of shape (n,)
        The class of each item.
    seed : int
        Of the starts of k-means.

    Returns
    -------
    dict of str to float
        "nmi", 0 to 1, and "ami", about 0 to 1; 1 where clusters and classes are the same.

    Raises
    ------
    DataError
        If there are fewer than two classes, shapes disagree, or there is NaN.

    References
    ----------
    Vinh, Epps & Bailey (2010), Information Theoretic Measures for Clusterings Comparison.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

    x = vectors(embeddings, "embeddings").numpy()
    number, size = _classes(labels, len(x))
    clusters = min(len(size), len(np.unique(x, axis=0)))
    found = KMeans(clusters, n_init=10, random_state=seed).fit_predict(x)
    return {
        "nmi": float(normalized_mutual_info_score(number, found)),
        "ami": float(adjusted_mutual_info_score(number, found)),
    }


def _centres(x: np.ndarray, number: np.ndarray) -> np.ndarray:
    """The mean of each class, (c, d): without any rounding where all its items coincide."""
    members = [x[number == label] for label in range(number.max() + 1)]
    return np.stack([items[0] + (items - items[0]).mean(0) for items in members])


def _checked(embeddings: Array, labels: Array) -> tuple:
    """Embeddings, the number of each item's class and the class sizes; some class has a width."""
    x = vectors(embeddings, "embeddings")
    number, size = _classes(labels, len(x))
    if len(size) == len(x):
        raise DataError(
            f"Each of the {len(x)} items is a class of its own: distances inside a class need a "
            "class of two or more."
        )
    return x, number, size


def _classes(labels: Array, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The number of each item's class, from 0, and the size of each class."""
    labels = check_labels(labels, n, "labels")
    classes, number, size = np.unique(labels, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise DataError(
            f"All {n} items are of one class ({classes[0]}): whether classes are apart needs two "
            "or more."
        )
    return number, size
