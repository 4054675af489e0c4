"""Visual search: index images, then find those that look like an image.

`VisualSearchEngine` combines a trained model (`fashionnb.checkpoints`), images from anywhere
(`fashionnb.datasets.open_catalogue`), their embeddings (`fashionnb.features.embedding`) and the
nearest neighbours among them (`fashionnb.search.index`). The commands ``fashionnb index build`` and
``fashionnb search`` do the same.
"""

import logging
import unicodedata
from contextlib import closing, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image
from pydantic import BaseModel, ValidationError

from fashionnb import checkpoints, datasets, models, profiles
from fashionnb.data.catalogue import Catalogue, Images
from fashionnb.data.images import (
    FolderImages,
    Picture,
    ZipImages,
    as_text,
    open_images,
    prepared,
    warn_of_blank,
)
from fashionnb.data.registry import SOURCES
from fashionnb.errors import DataError, ModelMismatch, UnreadableImages
from fashionnb.export import OnnxModel
from fashionnb.features.embedding import BATCH, Embedded, embed, embed_images
from fashionnb.features.store import FeatureStore
from fashionnb.files import sha256
from fashionnb.search.index import Index
from fashionnb.search.results_page import LARGEST, Entry, open_readable, page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Source = Path | str | Catalogue
Size = int | tuple[int, int]

SHOWN = 96  # pixels of a picture in a figure
UNREADABLE = Image.new("RGB", (SHOWN, SHOWN), (225, 225, 225))  # shown instead of such a picture
logger = logging.getLogger(__name__)


class VisualSearchEngine:
    """Visual search engine: embeds and indexes images, then finds those most like a query image.

    What counts as similar is decided by the model, which works on images of the kind that it was
    trained on: a model of light garments on black is of no use for photos on white. Images are
    letterboxed to the size on the model's card, unless `size` is given.

    Parameters
    ----------
    checkpoint : Path or str
        As `fashionnb.checkpoints.load_model` takes it; or an ONNX file, ".onnx", that
        `fashionnb.export.to_onnx` wrote, which onnxruntime runs.
    size : int or (int, int), optional
        Pixels, one number or height and width.
    device : str, optional
        "cpu", "cuda" or "mps"; by default as `fashionnb.profiles.choose_device`.

    Raises
    ------
    DataNotFound
        If there is no such folder or name, or published weights cannot be had.
    ModelMismatch
        If the checkpoint is broken, is not for embedding, takes no images, or nothing says their
        size.
    DataError
        If the model cannot take images of this size.
    ProfileError
        If the machine does not have the device.
    """

    def __init__(
        self, checkpoint: Path | str, *, size: Size | None = None, device: str | None = None
    ) -> None:
        here = Path(checkpoint).is_dir() or Path(checkpoint).suffix == ".onnx"
        self.checkpoint = str(Path(checkpoint).absolute()) if here else str(checkpoint)
        """Where the model is: its name, or the path of its folder or ONNX file."""
        if self.checkpoint.endswith(".onnx"):
            self._open_exported(size)
        else:
            model = checkpoints.load_model(self.checkpoint)
            checkpoints.check_task(model.card, checkpoint, "embedding")
            self.fingerprint = checkpoints.fingerprint(model)
            self.size = checkpoints.image_size(model.card, checkpoint, size)
            self.channels = model.card.channels
            self.model = model.to(profiles.choose_device(device))
        self.gallery: Catalogue | None = None
        """What `search` looks through; None until `index` or `load`."""
        self._index: Index | None = None
        # A blank picture, so that a size that the model cannot take is noticed now and not after an
        # hour.
        self._compute(prepared(np.zeros((1, 1), np.uint8), self.size, self.channels)[None])

    def _open_exported(self, size: Size | None) -> None:
        """Open a file that `fashionnb export` wrote: its size is fixed, and it runs on the CPU."""
        self.model = exported = OnnxModel(self.checkpoint)
        card = checkpoints.Card(
            architecture=exported.architecture,
            arguments={},
            task=models.architecture(exported.architecture).task,
            parameters=0,
        )
        checkpoints.check_task(card, self.checkpoint, "embedding")
        # Not that of the network: in 8-bit integers the file computes something else.
        self.fingerprint = sha256(Path(self.checkpoint))
        self.size, self.channels = exported.size, exported.channels
        if size is not None and exported.size != ((size, size) if isinstance(size, int) else size):
            raise ModelMismatch(
                f"{self.checkpoint}: takes pictures of {exported.size[0]} x {exported.size[1]} "
                f"pixels and no others, got size={size}. Export the model at that size."
            )

    def _compute(self, pixels: np.ndarray) -> np.ndarray:
        """The output of the model, (m, d) float32."""
        if isinstance(self.model, OnnxModel):
            return self.model(pixels)
        return embed(self.model, pixels, batch_size=len(pixels))

    def embed_image(self, image: Picture) -> np.ndarray:
        """Embed one image: a path, bytes, a PIL image or an array.

        Returns
        -------
        ndarray of shape (d,), float32
            Of length 1.

        Raises
        ------
        DataNotFound, DataError
            As `fashionnb.data.images.prepared`.
        """
        return self.encode(prepared(image, self.size, self.channels)[None])[0]

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Embed prepared images, uint8 (m, height, width, channels): (m, d) float32 of length 1.

        Raises
        ------
        ModelMismatch
            If an embedding has no direction.
        """
        vectors = self._compute(pixels)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not ((length > 0) & np.isfinite(length)).all():
            raise ModelMismatch(
                f"{self.checkpoint}: the model gives a picture a vector of length "
                f"{length.min():.3g}, which has no direction. It is broken, or was never trained."
            )
        return vectors / length

    def embed_dataset(
        self,
        source: Source,
        *,
        cache: Path | str | None = None,
        skip_unreadable: bool = False,
        batch_size: int = BATCH,
        progress: bool = True,
    ) -> Embedded:
        """Embed all images of a folder, a zip file, a catalogue or a dataset.

        The images are read, embedded and forgotten batch by batch: memory grows only with the
        embeddings and the ids.

        Parameters
        ----------
        source : Path, str or Catalogue
            As `fashionnb.datasets.open_catalogue` takes it.
        cache : Path or str, optional
            A folder. Each embedding is kept there under the content of its image and the model's
            weights, so that only new images are embedded next time.
        skip_unreadable : bool
            Leave out images that cannot be read; they are listed in the result and counted in the
            log.
        batch_size : int
            Images at a time; lower it if memory runs out.
        progress : bool
            Show a bar.

        Returns
        -------
        Embedded

        Raises
        ------
        DataNotFound
            If there is nothing at `source`.
        DataError
            If there are no images, or some cannot be read (the message names the first and counts
            them), or, if those are skipped, none can.
        WriteError
            If the cache cannot be written.
        """
        gallery = datasets.open_catalogue(source)
        with nullcontext() if cache is None else closing(self.store(cache)) as kept:
            found = embed_images(
                self.encode, gallery, self.size, self.channels, store=kept, batch_size=batch_size,
                strict=not skip_unreadable, progress=progress,
            )  # fmt: skip
        failed = len(found.unreadable)
        if failed and not (skip_unreadable and len(found.vectors)):
            raise UnreadableImages(
                f"{failed:,} of {len(gallery):,} pictures cannot be read. The first: "
                f"{found.unreadable['why'][0]} Then run the same again."
            )
        if failed:
            logger.warning(
                "%d of %d pictures cannot be read and are left out.", failed, len(gallery)
            )
        warn_of_blank(found.blank, len(gallery))
        return found

    def index(self, source: Source | Embedded, *, kind: str = "auto", **options) -> Index:
        """Index images: embed them, unless they are `Embedded` already, and build an `Index`.

        Parameters
        ----------
        source : Path, str, Catalogue or Embedded
        kind : str
            Of index, see `fashionnb.search.index.Index.build`.
        **options
            As `embed_dataset` takes them.

        Returns
        -------
        Index
            Which `search` uses from now on.
        """
        embedded = source if isinstance(source, Embedded) else self.embed_dataset(source, **options)
        index = Index.build(
            embedded.vectors, embedded.gallery.ids, kind=kind, model=self.fingerprint
        )
        self._index, self.gallery = index, embedded.gallery
        return index

    def search(self, image: Picture, k: int = 5, *, category: str | None = None) -> pd.DataFrame:
        """Find the k images that are most similar to an image, the most similar first.

        An image that is in the index itself comes first, with score 1.

        Parameters
        ----------
        image : Path, str, bytes, PIL image or ndarray
            As `embed_image` takes it.
        k : int
            How many; all, if there are fewer.
        category : str, optional
            Search only among the images of this category.

        Returns
        -------
        DataFrame
            One row per image: `rank` (from 1), `id`, `category` ("" if unknown), `score` (cosine
            similarity, -1 to 1) and `path` (where the image is).

        Raises
        ------
        DataNotFound, DataError
            If the image cannot be read, nothing was indexed, k is below 1, or there is no such
            category.
        """
        index, gallery = self._searched()
        among = None
        if category is not None:
            category = unicodedata.normalize("NFC", category)
            among = (gallery.table["category"].str.normalize("NFC") == category).to_numpy()
            if not among.any():
                known = sorted(set(gallery.table["category"]) - {""})
                more = f" and {len(known) - 20} more" if len(known) > 20 else ""
                raise DataError(
                    f"No picture is in category {category!r}; the categories: "
                    f"{', '.join(known[:20]) or 'none'}{more}."
                )
        ids, scores = index.search(self.embed_image(image)[None], k, among=among)
        rows = pd.Index(gallery.table["id"]).get_indexer(list(ids[0]))
        found = gallery.table[["id", "category"]].iloc[rows].reset_index(drop=True)
        found.insert(0, "rank", np.arange(1, len(rows) + 1))
        return found.assign(score=scores[0], path=_paths(gallery, rows))

    def display_results(self, results: pd.DataFrame, query: Picture | None = None) -> "Figure":
        """Draw a figure of the images that `search` found, and the query before them.

        Raises
        ------
        DataNotFound, DataError
            If the indexed images are not where they were, or the query cannot be read.
        """
        from fashionnb.notebook import plots

        pictures = [] if query is None else [prepared(query, SHOWN, 3)]
        titles = ["query"] * len(pictures)
        for row, picture in zip(results.itertuples(), self.pictures(results), strict=True):
            below = "not readable" if picture is None else row.category
            titles.append(f"{row.rank} · {row.score:.2f}\n{below}")
            pictures.append(prepared(UNREADABLE if picture is None else picture, SHOWN, 3))
        return plots.image_grid(np.stack(pictures), titles, columns=min(len(pictures), 8))

    def pictures(self, results: pd.DataFrame) -> list[Image.Image | None]:
        """Open the image of each row of `search`'s results; None for one that cannot be read any
        more.

        Raises
        ------
        DataNotFound, DataError
            If the folder, zip file or dataset is not where it was, or nothing was indexed.
        """
        _, gallery = self._searched()
        images = gallery.images
        if isinstance(images, _ImagesElsewhere):
            images = images.opened  # raises here if all are gone; single ones are shown as missing
        rows = pd.Index(gallery.table["id"]).get_indexer(results["id"])
        return open_readable(images, gallery.table["image"].iloc[rows])

    def save(self, path: Path | str) -> None:
        """Write the index to one file, with all that `load` needs. Images and model stay where they
        are.

        Raises
        ------
        DataError
            If there is no index yet.
        WriteError
            If the file cannot be written.
        """
        index, gallery = self._searched()
        categories, codes = np.unique(gallery.table["category"].to_numpy(str), return_inverse=True)
        keys = gallery.table["image"].tolist()
        index.extra = _About(
            checkpoint=self.checkpoint,
            size=self.size,
            source=_source(gallery),
            categories=categories.tolist(),
            category=codes.tolist(),
            images=None if keys == gallery.table["id"].tolist() else keys,
        ).model_dump()
        index.save(path)

    @classmethod
    def load(
        cls, path: Path | str, checkpoint: Path | str | None = None, *, device: str | None = None
    ) -> "VisualSearchEngine":
        """Open the engine whose index `save` wrote, with its model.

        Parameters
        ----------
        path : Path or str
        checkpoint : Path or str, optional
            Where the model is now, if it moved.
        device : str, optional

        Raises
        ------
        DataNotFound
            If there is no such file, or the model is gone.
        DataError
            If the file is damaged, or an index that no engine wrote.
        ModelMismatch
            If the model is not the one that made the index.
        """
        index = Index.load(path)
        try:
            about = _About.model_validate(index.extra)
            names = np.array(about.categories, dtype=object)[about.category]
            keys = about.images or index.ids
            table = pd.DataFrame({"id": index.ids, "category": names, "image": keys})
            gallery = Catalogue(
                about.source, table, _ImagesElsewhere(about.source), tuple(sorted(set(names)))
            )
        except (ValidationError, ValueError, IndexError) as error:
            raise DataError(
                f"{path}: an index, but no search engine wrote it, or it is damaged "
                f"({str(error).splitlines()[0]}). "
                "Make it with `fashionnb index build`."
            ) from error
        engine = cls(checkpoint or about.checkpoint, size=about.size, device=device)
        if engine.fingerprint != index.model:
            raise ModelMismatch(
                f"{path} was made by the model {index.model[:12]}, but {engine.checkpoint} now "
                f"holds {engine.fingerprint[:12]}. Name the model that made it (--model), or build "
                "the index again."
            )
        engine._index, engine.gallery = index, gallery
        return engine

    def as_page(self, results: pd.DataFrame, query: Picture) -> str:
        """Make one HTML document of the query and what `search` found, which loads nothing from
        elsewhere.

        Raises
        ------
        DataNotFound, DataError
            As `pictures`; or if the query cannot be read.
        """
        entries = [
            Entry(picture, f"{row.rank}. {row.category or row.id}", f"{row.score:.3f} · {row.id}")
            for row, picture in zip(results.itertuples(), self.pictures(results), strict=True)
        ]
        asked = Entry(Image.fromarray(prepared(query, LARGEST, 3)), "the picture to find others by")
        note = (
            f"The {len(entries)} nearest of {len(self.gallery):,} pictures. "
            "A score of 1 is as near as can be."
        )
        return page("Pictures that look alike", entries, query=asked, note=note)

    def _searched(self) -> tuple[Index, Catalogue]:
        if self._index is None or self.gallery is None:
            raise DataError(
                "There is nothing to search yet. Call `index` with pictures first, or load an "
                "engine."
            )
        return self._index, self.gallery

    def store(self, folder: Path | str) -> FeatureStore:
        """Open the store of this model's embeddings in a folder."""
        return FeatureStore(folder, "search", self.fingerprint, str(self.size))


class _ImagesElsewhere:
    """Images at a path or of a dataset, opened when the first is asked for.

    Raises
    ------
    DataNotFound, DataError
        When one is asked for: they are not there any more, or were only in memory.
    """

    def __init__(self, source: str) -> None:
        self.source = source

    @cached_property
    def opened(self) -> Images:
        """The images themselves."""
        if not self.source:
            raise DataError(
                "The images of this index were only in memory when it was made; they cannot be "
                "shown."
            )
        if self.source in SOURCES:
            return datasets.load(self.source, stand_in=False).images
        return open_images(self.source)

    def image(self, key: object) -> Image.Image:
        """One image, as it is stored."""
        return self.opened.image(key)


def _source(catalogue: Catalogue) -> str:
    """Where the images of a catalogue can be found again: a path, the name of a dataset, or "" for
    nowhere.
    """
    images = catalogue.images
    if isinstance(images, _ImagesElsewhere):
        return images.source
    if isinstance(images, FolderImages):
        return as_text(str(images.root.absolute()))
    if isinstance(images, ZipImages):
        return as_text(str(images.path.absolute()))
    return catalogue.name if catalogue.name in SOURCES and catalogue.stands_in_for is None else ""


def _paths(catalogue: Catalogue, rows: np.ndarray) -> list[str]:
    """Where the images of these rows are, for people: "folder/name", "archive.zip/name" or
    "dataset/row".
    """
    source = _source(catalogue)
    above = f"{source}/" if source else ""
    return [f"{above}{key}" for key in catalogue.table["image"].iloc[rows]]


class _About(BaseModel, extra="forbid"):
    """What an engine keeps in the file of its index, besides embeddings and ids.

    Attributes
    ----------
    categories, category : list of str, list of int
        The names, and for each item the position of its own.
    images : list, optional
        The key of each image; None if they are the ids.
    """

    checkpoint: str
    size: int | tuple[int, int]
    source: str
    categories: list[str]
    category: list[int]
    images: list[int | str] | None
