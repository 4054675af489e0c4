"""Evaluate a saved model on a dataset or on one's own images, each number with an interval.

`fashionnb evaluate classifier` and `fashionnb evaluate search` do the same from the command line.
Metrics of arrays are in `fashionnb.evaluation.classification` and `fashionnb.evaluation.retrieval`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from fashionnb import checkpoints, datasets
from fashionnb.arrays import check_array
from fashionnb.data import shop_table
from fashionnb.data.catalogue import Catalogue
from fashionnb.errors import DataError, ModelMismatch
from fashionnb.evaluation.classification import Array, classification, confusion
from fashionnb.evaluation.intervals import Interval, bootstrap, bootstrap_statistics
from fashionnb.evaluation.judgements import judged_retrieval
from fashionnb.evaluation.neighbours import check_vectors, nearest_neighbours
from fashionnb.evaluation.retrieval import retrieval
from fashionnb.features.embedding import embed
from fashionnb.features.vector_files import contents_of
from fashionnb.search.recommend import COPIES

SEARCHED = ("recall@1", "recall@5", "recall@10", "mrr", "map@r")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Report of a model's evaluation: its metrics with intervals, over all and for each class.

    Parameters
    ----------
    metrics : DataFrame
        One row per metric (the index): `value`, and its interval from `low` to `high`.
    per_class : DataFrame
        One row per class (the index). What a class does not have is NaN.
    n : int
        How many items or queries the metrics are averages of.
    how : str
        How the intervals were made, in words.
    confusion : DataFrame, optional
        Of a classifier: counts, rows are true classes, columns predicted ones.
    about : dict of str to str
        For instance {"model": "style2vec", "data": "fashion-mnist", "split": "test"}.
    notes : tuple of str
        What a reader of the numbers must know, such as test images that were trained on.
    """

    metrics: pd.DataFrame
    per_class: pd.DataFrame
    n: int
    how: str
    confusion: pd.DataFrame | None = None
    about: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def as_text(self) -> str:
        """Format as tables for the terminal."""
        metrics = self.metrics.apply("{value:.3f} [{low:.3f}, {high:.3f}]".format_map, axis=1)
        per_class = self.per_class.rename_axis(None)
        parts = [
            ", ".join(f"{name} {value}" for name, value in self.about.items()),
            metrics.to_frame().to_string(header=False),
            f"95 % intervals: {self.how}.",
            per_class.to_string(float_format="{:.3f}".format, na_rep=""),
        ]
        if self.confusion is not None:
            parts += ["Rows: true, columns: said.", self.confusion.to_string()]
        parts += [f"Note: {note}" for note in self.notes]
        return "\n\n".join(parts).strip()

    def as_dict(self) -> dict:
        """Convert to plain JSON values; NaN becomes None."""
        counts = {} if self.confusion is None else {"confusion": self.confusion.to_numpy().tolist()}
        return {
            "about": self.about,
            "notes": list(self.notes),
            "n": self.n,
            "intervals": self.how,
            "metrics": _plain(self.metrics),
            "per_class": _plain(self.per_class),
            **counts,
        }


def score_classifier(logits: Array, labels: Array, classes: Sequence[str]) -> Evaluation:
    """Report accuracy, F1 and more of a classifier's logits, with intervals.

    Parameters
    ----------
    logits : ndarray of shape (n, c)
        One row for each item, one column for each class.
    labels : ndarray of shape (n,), int64
        The true classes.
    classes : sequence of str
        Their names, in the order of the columns.

    Returns
    -------
    Evaluation
        Its intervals are over the items.

    Raises
    ------
    DataError
        If the shapes disagree, or a label is none of the classes.
    """
    true, logits = np.asarray(labels), np.asarray(logits)
    check_array(logits, ("n", "c"), "logits", least=1, finite=True)
    said = logits.argmax(1)
    found = classification(true, said, classes)
    right = true == said
    averages = list(found.overall)[1:]

    def averages_of(rows: np.ndarray) -> list[float]:
        overall = classification(true[rows], said[rows], classes).overall
        return [overall[name] for name in averages]

    spans = {"accuracy": bootstrap(right)}
    spans |= dict(zip(averages, bootstrap_statistics(averages_of, len(true)), strict=True))
    per_class = pd.DataFrame(found.per_class, index=pd.Index(classes, name="class"))
    recalls = {classes[c]: bootstrap(right[true == c]) for c in np.unique(true)}
    for place, end in ((2, "low"), (3, "high")):
        per_class.insert(place, end, pd.Series({c: getattr(recalls[c], end) for c in recalls}))
    counts = pd.DataFrame(
        confusion(true, said, classes), index=list(classes), columns=list(classes)
    )
    return Evaluation(
        _metrics(found.overall, spans), per_class, len(true), spans["accuracy"].how, counts
    )


def score_search(
    queries: Array,
    query_labels: Array,
    gallery: Array | None = None,
    gallery_labels: Array | None = None,
    *,
    classes: Sequence[str],
) -> Evaluation:
    """Report recall, MRR and MAP of a search by embeddings, with intervals.

    Parameters
    ----------
    queries : ndarray of shape (n, d)
        Embeddings of the items that are searched by.
    query_labels : ndarray of shape (n,), int64
        Their classes.
    gallery : ndarray of shape (g, d), optional
        Embeddings that are searched; by default each query is searched among all others.
    gallery_labels : ndarray of shape (g,), int64, optional
        The classes of the gallery.
    classes : sequence of str
        Names of the labels.

    Returns
    -------
    Evaluation
        Queries without any item of their class in the gallery are left out. The intervals are over
        the queries; the gallery stays the same.

    Raises
    ------
    DataError
        If the shapes disagree, or no query can be found.
    """
    found = retrieval(queries, query_labels, gallery, gallery_labels, metric="cosine")
    spans = {name: bootstrap(found.per_query[name], of="queries") for name in SEARCHED}
    names = np.asarray(classes)[np.asarray(query_labels)[found.queries]]
    by_class = pd.DataFrame(found.per_query).groupby(names)
    per_class = by_class[["recall@1", "map@r"]].mean().reindex(list(classes)).rename_axis("class")
    per_class["queries"] = by_class.size().reindex(list(classes), fill_value=0)
    how = spans["recall@1"].how
    if found.excluded:
        how += f"; {found.excluded:,} without a positive are left out"
    return Evaluation(_metrics(found.mean(), spans), per_class, len(found.queries), how)


def evaluate(model: Path | str, source: Path | str | Catalogue, **options: Any) -> Evaluation:
    """Evaluate a saved model on a dataset or on one's own images, and report its metrics.

    Parameters
    ----------
    model : Path or str
        As `fashionnb.checkpoints.load_model` takes it. The task on its card decides between
        `evaluate_classifier` and `evaluate_search`.
    source : Path, str or Catalogue
        As `fashionnb.datasets.open_catalogue` takes it.
    **options : Any
        Of the function that is called.

    Returns
    -------
    Evaluation
        As that function returns it.
    """
    task = checkpoints.load_model(model).card.task
    measure = evaluate_classifier if task == "classification" else evaluate_search
    return measure(model, source, **options)


def evaluate_classifier(
    model: Path | str,
    source: Path | str | Catalogue,
    split: str | None = None,
    *,
    size: int | None = None,
) -> Evaluation:
    """Evaluate a saved classifier on a split of a dataset or of one's own images.

    Parameters
    ----------
    model : Path or str
        As `fashionnb.checkpoints.load_model` takes it.
    source : Path, str or Catalogue
        As `fashionnb.datasets.open_catalogue` takes it.
    split : str, optional
        By default "test"; all images, if there are no splits.
    size : int, optional
        Pixels of the images; by default as on the model's card.

    Returns
    -------
    Evaluation
        The classes in the order of the card.

    Raises
    ------
    DataNotFound
        If there is no such model or dataset.
    DataError
        If the source has no such split, or classes that the model was not trained on.
    ModelMismatch
        If the checkpoint is broken, is no classifier, or nothing says the size of its images.
    """
    network = _open_model(model, "classification", size)
    classes = network.card.classes
    whole = datasets.open_catalogue(source)
    catalogue, part = _part(whole, split, "test")
    others = {*whole.table.get("split", ())} - {part, ""}
    outputs = embed(network, catalogue.take([0])).shape[1]
    if outputs != len(classes):
        raise ModelMismatch(
            f"{model}: it gives {outputs} numbers for an image, but its card lists "
            f"{len(classes)} classes. Correct the card."
        )
    here = set(catalogue.table["category"])
    if strange := sorted(here.difference(classes)):
        raise DataError(
            f"{catalogue.name} has classes that {model} does not know: {_named(strange)}. "
            f"Of those it knows, the data lack: "
            f"{_named(c for c in classes if c not in here) or 'none'}. "
            "A folder must be called as the model calls the class."
        )
    labels = pd.Categorical(catalogue.table["category"], categories=classes).codes
    measured = score_classifier(embed(network, catalogue), labels, classes)
    notes = _copies(catalogue, whole.split("train"), "train") if "train" in others else ()
    about = {"model": str(model), "data": catalogue.name, "split": part}
    return replace(measured, about=about, notes=notes)


def evaluate_search(
    model: Path | str,
    source: Path | str | Catalogue,
    gallery: str | None = None,
    queries: str | None = None,
    *,
    size: int | None = None,
) -> Evaluation:
    """Evaluate a search with a saved encoder on a dataset or on one's own images.

    Parameters
    ----------
    model : Path or str
        As `fashionnb.checkpoints.load_model` takes it; its task is embedding.
    source : Path, str or Catalogue
        As `fashionnb.datasets.open_catalogue` takes it.
    gallery : str, optional
        The split that is searched; by default "gallery" if there is one, else "train".
    queries : str, optional
        The split that is searched by; by default "query" if there is one, else "test". If it is
        also the gallery, or the source has no splits, each image is searched among all others.
    size : int, optional
        Pixels of the images; by default as on the model's card.

    Returns
    -------
    Evaluation
        Its intervals are over the queries.

    Raises
    ------
    DataNotFound
        If there is no such model or dataset.
    DataError
        If the source has no such split, images without a category, or a gallery of one class.
    ModelMismatch
        If the checkpoint is broken, is a classifier, or nothing says the size of its images.
    """
    network = _open_model(model, "embedding", size)
    catalogue = datasets.open_catalogue(source)
    named = {*catalogue.table.get("split", ())}
    there, place = _part(catalogue, gallery, "gallery" if "gallery" in named else "train")
    asked, part = _part(catalogue, queries, "query" if "query" in named else "test")
    same = place == part
    if nameless := sum(
        int((one.table["category"] == "").sum()) for one in ((there,) if same else (there, asked))
    ):
        raise DataError(
            f"{catalogue.name}: {nameless} pictures have no class, so nobody can say what should "
            f"be found. "
            "Put them into folders, one for each class."
        )
    if len(classes := set(there.table["category"])) == 1:
        raise DataError(
            f"{catalogue.name}: all {len(there):,} pictures of the gallery are of one class, "
            f"{min(classes)!r}, so every answer would be right. Put pictures of other classes "
            "beside them, each class in a folder."
        )
    vectors = embed(network, asked)
    others = () if same else (embed(network, there), there.labels())
    measured = score_search(vectors, asked.labels(), *others, classes=catalogue.classes)
    about = {"model": str(model), "data": catalogue.name, "gallery": place, "queries": part}
    near = _near(vectors, others[0] if others else None)
    notes = _copies(asked, asked if same else there, "the gallery", near)
    return replace(measured, about=about, notes=notes)


def _near(queries: np.ndarray, gallery: np.ndarray | None) -> np.ndarray:
    """The queries, (n,) bool, that a gallery, or the other queries, hold nearly unchanged."""
    queries = check_vectors(queries, "queries", "cosine")
    gallery = None if gallery is None else check_vectors(gallery, "gallery", "cosine")
    return nearest_neighbours(queries, gallery, 1)[1][:, 0] <= 2 * COPIES


def _copies(
    asked: Catalogue, others: Catalogue, where: str, near: np.ndarray | None = None
) -> tuple[str, ...]:
    """A note on images that are also in another part, or twice in the same one."""
    mine = pd.Series([one.tobytes() for one in contents_of(asked)])
    if asked is others:
        exact = mine.duplicated(keep=False)
    else:
        exact = mine.isin([one.tobytes() for one in contents_of(others)])
    nearly = 0 if near is None else int((near & ~exact).sum())
    if not exact.any() and not nearly:
        return ()
    more = f", and {nearly:,} as near duplicates" if nearly else ""
    return (
        f"{exact.sum():,} of {len(asked):,} pictures are also in {where}, byte for byte{more}. "
        "Duplicates are found whatever a model has learnt; `fashionnb duplicates` lists them.",
    )


def evaluate_judgements(
    model: Path | str,
    source: Path | str | Catalogue,
    judgements: Path | str,
    *,
    size: int | None = None,
) -> Evaluation:
    """Evaluate a search with a saved encoder against a shop's own judgements, such as clicks.

    Parameters
    ----------
    model : Path or str
        As `fashionnb.checkpoints.load_model` takes it; its task is embedding.
    source : Path, str or Catalogue
        As `fashionnb.datasets.open_catalogue` takes it; each query is searched among all others.
    judgements : Path or str
        As `fashionnb.data.shop_table.read_judgements` takes it.
    size : int, optional
        Pixels of the images; by default as on the model's card.

    Returns
    -------
    Evaluation
        Its intervals are over the queries.

    Raises
    ------
    DataNotFound, DataError, ModelMismatch
        As `evaluate_search` and `read_judgements`; or if no pair has both items in the source.
    """
    network = _open_model(model, "embedding", size)
    pairs = shop_table.read_judgements(judgements)
    catalogue = datasets.open_catalogue(source)
    row = {item: place for place, item in enumerate(catalogue.ids)}
    judged: dict[int, dict[int, float]] = {}
    for query, relevant, grade in pairs.itertuples(index=False):
        if query in row and relevant in row and query != relevant:
            judged.setdefault(row[query], {})[row[relevant]] = grade
    used = sum(map(len, judged.values()))
    if not used:
        raise DataError(
            f"{judgements}: none of the {len(pairs):,} pairs has two different items of "
            f"{catalogue.name}; the first is {pairs['query'][0]!r}, ids there look like "
            f"{_named(catalogue.ids[:3])}."
        )
    scores = judged_retrieval(embed(network, catalogue), judged)
    spans = {name: bootstrap(values, of="queries") for name, values in scores.items()}
    means = {name: float(values.mean()) for name, values in scores.items()}
    asked = catalogue.table["category"].iloc[list(judged)].to_numpy()
    by_class = pd.DataFrame(scores).groupby(asked)
    per_class = by_class[["recall@10", "ndcg@10"]].mean().rename_axis("class")
    per_class["queries"] = by_class.size()
    how = f"{spans['mrr'].how}; {used:,} judged pairs"
    if used < len(pairs):
        how += f", {len(pairs) - used:,} are left out, since an item is not in the data"
    about = {"model": str(model), "data": catalogue.name, "judgements": Path(judgements).name}
    return Evaluation(_metrics(means, spans), per_class, len(judged), how, about=about)


def _open_model(model: Path | str, task: str, size: int | None) -> nn.Module:
    """The network of a task, with the size of its images on its card."""
    network = checkpoints.load_model(model)
    checkpoints.check_task(network.card, model, task)
    size = checkpoints.image_size(network.card, model, size)
    network.card = network.card.model_copy(update={"size": size})
    return network


def _part(catalogue: Catalogue, split: str | None, default: str) -> tuple[Catalogue, str]:
    """One split and its name; all of a catalogue that has none, unless a split was asked for."""
    has_splits = "split" in catalogue.table and (catalogue.table["split"] != "").any()
    if split is None and not has_splits:
        return catalogue, "all"
    return catalogue.split(split or default), split or default


def _metrics(values: dict[str, float], spans: dict[str, Interval]) -> pd.DataFrame:
    """One row for each interval."""
    rows = {name: (values[name], span.low, span.high) for name, span in spans.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"])


def _plain(table: pd.DataFrame) -> dict[str, dict]:
    return table.astype(object).where(table.notna(), None).to_dict("index")


def _named(classes: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in classes)
