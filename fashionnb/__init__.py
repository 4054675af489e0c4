"""Fashion embeddings: the package behind the book.

    import fashionnb as fn

    garments = fn.load("fashion-mnist")
    model = fn.load_model("style2vec")
    vectors = fn.embed(model, garments)
    index = fn.Index.build(vectors, garments.ids)
    index.search(vectors[:1], k=5)

Importing the package is light (no torch, no pandas): each name below is imported when it is first
used.
"""

from importlib import import_module

__version__ = "0.2.0"

_HOMES = {
    "load": "datasets",
    "load_outfits": "datasets",
    "load_scenes": "datasets",
    "open_catalogue": "datasets",
    "load_model": "checkpoints",
    "list_models": "checkpoints",
    "embed": "features.embedding",
    "evaluate": "evaluation.report",
    "Index": "search.index",
    "VisualSearchEngine": "search.engine",
    "Recommender": "search.recommend",
}
"""Public name -> the module that defines it."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'fashionnb' has no attribute {name!r}")
    found = getattr(import_module(f"fashionnb.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*_HOMES, "__version__"])
