"""How good is a saved model on a dataset? Load it, show it the pictures, and measure it, each number with an interval.

`fashionnb evaluate` prints what this returns. The metrics themselves, and what they do with classes that are missing,
are in `fashionnb.evaluation`; what was measured while a chapter ran is kept by `fashionnb.notebook.results`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from fashionnb import checkpoints, datasets
from fashionnb.data.catalogue import Catalogue
from fashionnb.errors import DataError, ModelMismatch
from fashionnb.evaluation.classification import Array, classification
from fashionnb.evaluation.intervals import bootstrap, bootstrap_statistic
from fashionnb.evaluation.retrieval import retrieval
from fashionnb.features.embedding import embed
from fashionnb.search.engine import SIZES

PICTURES = 2048  # decoded at a time: at 64 x 64 pixels, 25 MB
SEARCHED = ("recall@1", "recall@5", "recall@10", "mrr", "map@r")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was measured. Introduced in chapter 05.

    metrics : one row per metric (the index): `value`, and its interval from `low` to `high`.
    per_class : one row per class (the index). Numbers that a class has not (no item of it was there) are NaN.
    n : how many items or queries the metrics are averages of.
    how : how the intervals were made, in words.
    confusion : of a classifier, counts; rows are true classes, columns what was said. None for a search.
    about : what was measured on what, for instance {"model": "style2vec", "data": "fashion-mnist", "split": "test"}.
    """

    metrics: pd.DataFrame
    per_class: pd.DataFrame
    n: int
    how: str
    confusion: pd.DataFrame | None = None
    about: dict[str, str] = field(default_factory=dict)

    def as_text(self) -> str:
        """Tables for the terminal."""
        metrics = pd.DataFrame({"value": self.metrics.apply(_with_interval, axis=1)})
        tables = [
            metrics.to_string(header=False),
            f"95 % intervals: {self.how}.",
            _rounded(self.per_class),
        ]
        if self.confusion is not None:
            tables += ["Rows: true, columns: said.", self.confusion.to_string()]
        return "\n\n".join(
            [", ".join(f"{name} {value}" for name, value in self.about.items()), *tables]
        ).strip()

    def as_dict(self) -> dict:
        """The same for programs, all of it plain JSON; NaN becomes None."""
        counts = {} if self.confusion is None else {"confusion": self.confusion.to_numpy().tolist()}
        return {
            "about": self.about,
            "n": self.n,
            "intervals": self.how,
            "metrics": _plain(self.metrics),
            "per_class": _plain(self.per_class),
            **counts,
        }


def score_classifier(
    logits: Array, labels: Array, classes: Sequence[str], *, n_resamples: int = 1000, seed: int = 0
) -> Evaluation:
    """Measure what a classifier said. Introduced in chapter 05.

    Parameters
    ----------
    logits : (n, c) float; the highest is what it said, of equal ones the first.
    labels : (n,) int, what is true, counting in `classes`.
    classes : the c names.
    n_resamples, seed : of the bootstrap over the items; a class's recall over the items of that class.

    Returns
    -------
    Evaluation : "accuracy", "macro_precision", "macro_recall", "macro_f1"; per class "precision", "recall" with
        "low" and "high", "f1", "support".

    Raises
    ------
    DataError : as `fashionnb.evaluation.classification.classification`, or logits that are NaN or infinite.
    """
    true, logits = np.asarray(labels), np.asarray(logits)
    if not np.isfinite(logits).all():
        raise DataError("The logits hold NaN or infinity: the model is broken, or a picture is.")
    said = logits.argmax(1)
    found = classification(true, said, classes)
    options = {"n_resamples": n_resamples, "seed": seed}
    right = true == said
    spans = {"accuracy": bootstrap(right, **options)}
    for name in list(found.overall)[1:]:
        spans[name] = bootstrap_statistic(
            lambda rows, name=name: classification(true[rows], said[rows], classes).overall[name],
            len(true),
            **options,
        )
    recalls = [
        bootstrap(right[true == c], **options) if (true == c).any() else None
        for c in range(len(classes))
    ]
    per_class = pd.DataFrame(found.per_class, index=pd.Index(classes, name="class"))
    per_class.insert(2, "low", [span.low if span else np.nan for span in recalls])
    per_class.insert(3, "high", [span.high if span else np.nan for span in recalls])
    counts = pd.DataFrame(found.matrix, index=list(classes), columns=list(classes))
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
    n_resamples: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Measure a search by cosine similarity: does it find garments of the query's class? Introduced in chapter 05.

    Parameters
    ----------
    queries, query_labels, gallery, gallery_labels : as in `fashionnb.evaluation.retrieval.retrieval`; the labels count
        in `classes`. Without a gallery each query is searched among all others.
    n_resamples, seed : of the bootstrap over the queries; the gallery stays as it is.

    Returns
    -------
    Evaluation : "recall@1", "recall@5", "recall@10" (also called top-1 and so on), "mrr", "map@r"; per class
        "recall@1", "map@r" and "queries". A query without any garment of its class in the gallery is left out.

    Raises
    ------
    DataError : as `fashionnb.evaluation.retrieval.retrieval`.
    """
    found = retrieval(queries, query_labels, gallery, gallery_labels, metric="cosine")
    scores = {name: found.per_query[name] for name in SEARCHED}
    spans = {
        name: bootstrap(values, n_resamples=n_resamples, seed=seed, of="queries")
        for name, values in scores.items()
    }
    names = np.asarray(classes)[np.asarray(query_labels)[found.queries]]
    by_class = pd.DataFrame(scores).groupby(names)
    per_class = (
        by_class[["recall@1", "map@r"]]
        .mean()
        .assign(queries=by_class.size())
        .reindex(list(classes))
    )
    per_class["queries"] = per_class["queries"].fillna(0).astype(int)
    means = {name: float(values.mean()) for name, values in scores.items()}
    how = spans["recall@1"].how + (
        f"; {found.excluded:,} without a positive are left out" if found.excluded else ""
    )
    return Evaluation(
        _metrics(means, spans), per_class.rename_axis("class"), len(found.queries), how
    )


def evaluate_classifier(
    model: Path | str,
    source: Path | str | Catalogue,
    split: str | None = None,
    *,
    size: int | None = None,
) -> Evaluation:
    """Measure a saved classifier on a dataset. Introduced in chapter 05.

    Parameters
    ----------
    model : a folder that `fashionnb.checkpoints.save` wrote, or the name of a published model. It gives logits (n, c)
        for the c classes that its card lists.
    source : a dataset that `fashionnb data list` knows (a drawn stand-in is no match for it); a folder or a zip file
        (`fashionnb.data.folder`); or a catalogue. It may lack some of the classes, but has no others.
    split : which part. None is "test", or everything if the source has no splits.
    size : pixels; None is `training["size"]` on the card (see `fashionnb.search.engine.SIZES`).

    Returns
    -------
    Evaluation : as `score_classifier`, the classes in the order of the card.

    Raises
    ------
    DataNotFound : there is no such model or dataset.
    DataError : the source has no such split, or classes that the model does not know.
    ModelMismatch : the checkpoint is broken, gives no logits (an encoder), or does not say how large its pictures were.
    """
    network, card, size = _open_model(model, size)
    catalogue, part = _part(datasets.open_catalogue(source), split, "test")
    _first_look(model, network, card, catalogue, size, wants_classifier=True)
    here = set(catalogue.table["category"])
    if strange := sorted(here.difference(card.classes)):
        raise DataError(
            f"{catalogue.name} has classes that {model} does not know: {_named(strange)}. "
            f"Of those it knows, the data lack: {_named(c for c in card.classes if c not in here) or 'none'}. "
            "A folder must be called as the model calls the class."
        )
    labels = pd.Categorical(catalogue.table["category"], categories=card.classes).codes.astype(
        np.int64
    )
    measured = score_classifier(_outputs(network, catalogue, size), labels, card.classes)
    return replace(measured, about={"model": str(model), "data": catalogue.name, "split": part})


def evaluate_search(
    model: Path | str,
    source: Path | str | Catalogue,
    gallery: str | None = None,
    queries: str | None = None,
    *,
    size: int | None = None,
) -> Evaluation:
    """Measure a search with a saved encoder on a dataset. Introduced in chapter 05.

    Parameters
    ----------
    model, source, size : as in `evaluate_classifier`, but the model gives vectors (n, d). Its classes do not matter.
    gallery, queries : the splits that are searched, and searched by. None is "train" and "test". If both are the same
        split, or the source has none, each picture is searched among all others.

    Returns
    -------
    Evaluation : as `score_search`.

    Raises
    ------
    DataNotFound : there is no such model or dataset.
    DataError : the source has no such split, or pictures that lie in no folder and so have no class.
    ModelMismatch : the checkpoint is broken, is a classifier, or does not say how large its pictures were.
    """
    network, card, size = _open_model(model, size)
    catalogue = datasets.open_catalogue(source)
    (there, place), (asked, part) = (
        _part(catalogue, gallery, "train"),
        _part(catalogue, queries, "test"),
    )
    _first_look(model, network, card, asked, size, wants_classifier=False)
    if nameless := sum(int((one.table["category"] == "").sum()) for one in (there, asked)):
        raise DataError(
            f"{catalogue.name}: {nameless} pictures have no class, so nobody can say what should be found. "
            "Put them into folders, one for each class."
        )
    others = () if place == part else (_outputs(network, there, size), there.labels())
    measured = score_search(
        _outputs(network, asked, size), asked.labels(), *others, classes=catalogue.classes
    )
    return replace(
        measured,
        about={"model": str(model), "data": catalogue.name, "gallery": place, "queries": part},
    )


def _open_model(model: Path | str, size: int | None) -> tuple[nn.Module, checkpoints.Card, int]:
    path = Path(model)
    network, card = checkpoints.load(path if path.is_dir() else checkpoints.published(str(model)))
    size = size or card.training.get("size") or SIZES.get(card.data)
    if size is None:
        raise ModelMismatch(
            f"{model}: its card does not say how large the pictures were that the model was trained on "
            "(`size` in `training`). Give their size, for instance size=64 (--size 64)."
        )
    if not hasattr(network, "channels"):
        raise ModelMismatch(
            f"{model}: {card.architecture} is no model of pictures (it has no `channels`)."
        )
    return network, card, size


def _part(catalogue: Catalogue, split: str | None, default: str) -> tuple[Catalogue, str]:
    """One split and its name; all of a catalogue that has none, unless a split was asked for."""
    has_splits = "split" in catalogue.table and (catalogue.table["split"] != "").any()
    if split is None and not has_splits:
        return catalogue, "all"
    return catalogue.split(split or default), split or default


def _outputs(network: nn.Module, catalogue: Catalogue, size: int) -> np.ndarray:
    """What the model gives for each picture, (n, d) float32; pictures are decoded and forgotten some at a time."""
    rows = np.arange(len(catalogue))
    parts = np.split(rows, range(PICTURES, len(rows), PICTURES))
    return np.concatenate(
        [embed(network, catalogue.take(part).tensor(size, network.channels)) for part in parts]
    )


def _first_look(
    model: Path | str,
    network: nn.Module,
    card: checkpoints.Card,
    catalogue: Catalogue,
    size: int,
    wants_classifier: bool,
) -> None:
    """Refuse an encoder in a classifier's place, and the other way round, before all pictures are looked at.

    Logits are as many as the card has classes, and are not scaled to length 1 as the embeddings of this book are.
    """
    few = _outputs(network, catalogue.take(np.arange(min(8, len(catalogue)))), size)
    unit = np.allclose(np.linalg.norm(few, axis=1), 1, atol=1e-3)
    is_classifier = few.ndim == 2 and few.shape[1] == len(card.classes) and not unit
    if wants_classifier and not is_classifier:
        raise ModelMismatch(
            f"{model} is no classifier: it gives {few.shape[1]} numbers{' of length 1' if unit else ''} for a picture, "
            f"and its card lists {len(card.classes)} classes. An encoder is measured by `fashionnb evaluate search`."
        )
    if is_classifier and not wants_classifier:
        raise ModelMismatch(
            f"{model} is a classifier: it gives a logit for each of its {len(card.classes)} classes, and no embedding "
            "to search with. It is measured by `fashionnb evaluate classifier`."
        )


def _metrics(values: dict[str, float], spans: dict) -> pd.DataFrame:
    rows = {name: (value, spans[name].low, spans[name].high) for name, value in values.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"])


def _with_interval(row: pd.Series) -> str:
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def _rounded(table: pd.DataFrame) -> str:
    return table.rename_axis(None).to_string(float_format="{:.3f}".format, na_rep="")


def _plain(table: pd.DataFrame) -> dict[str, dict]:
    return table.astype(object).where(table.notna(), None).to_dict("index")


def _named(classes: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in classes)
