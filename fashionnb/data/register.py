"""The register of datasets: what each is, where it can be had, and what one may do with it.

Nothing but facts; `fashionnb.data.sources` finds, fetches and checks them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fashionnb.errors import DataError


@dataclass(frozen=True)
class Source:
    """One dataset of the book: what it is, where it can be had, and what one may do with it.

    name : what `fashionnb.data.load` and the command line call it. title : what a page calls it.
    files : what may lie in the data root, the first that is there counts; a name without a suffix is a folder. If the
        first is a folder, it holds the files of `urls` (those in ".gz" unpacked or not), and counts only if it has all.
    urls : file name -> the addresses that give it, tried in this order. Empty: it cannot be fetched by a program.
    bytes : about how much `fetch` downloads.
    licence, terms, citation, homepage : for people; `terms` is what one must not do, empty if there is nothing to say.
    sha256 : file name -> digest. For a name of `urls` (without ".gz": of the unpacked content) a download must have it;
        for a name of `files` it is that of a copy known to be good. Empty where upstream publishes none: then `check`
        counts what is inside.
    reader : the module of `fashionnb.data` that reads it; None if it has none yet.
    by_hand : how to get it without `fetch`.
    """

    name: str
    title: str
    files: tuple[str, ...]
    bytes: int
    licence: str
    citation: str
    homepage: str
    urls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sha256: Mapping[str, str] = field(default_factory=dict)
    reader: str | None = None
    terms: str = ""
    by_hand: str = ""


_MNIST = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",  # the one that torchvision uses
)
_PRODUCTS = "https://huggingface.co/datasets/ashraq/fashion-product-images-small/resolve/main/data/"

_ALL = (
    Source(
        name="fashion-mnist",
        title="Fashion-MNIST",
        files=("fashion-mnist",),
        urls={
            f"{part}.gz": tuple(f"{root}{part}.gz" for root in _MNIST)
            for part in (
                "train-images-idx3-ubyte",
                "train-labels-idx1-ubyte",
                "t10k-images-idx3-ubyte",
                "t10k-labels-idx1-ubyte",
            )
        },
        bytes=30_900_000,
        licence="MIT",
        citation="Xiao, Rasul & Vollgraf 2017, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning "
        "Algorithms, https://arxiv.org/abs/1708.07747",
        homepage="https://github.com/zalandoresearch/fashion-mnist",
        sha256={
            "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
        reader="fashion_mnist",
    ),
    Source(
        name="clothing-dataset-small",
        title="Clothing dataset (small)",
        files=("clothing-dataset-small.zip", "clothing-dataset-small"),
        urls={
            "archive.zip": (
                "https://github.com/alexeygrigorev/clothing-dataset-small/archive/refs/heads/master.zip",
                "https://codeload.github.com/alexeygrigorev/clothing-dataset-small/zip/refs/heads/master",
            )
        },
        bytes=105_000_000,
        licence="CC0",
        citation="Grigorev 2020, Clothing dataset: 5,000 images, "
        "https://github.com/alexeygrigorev/clothing-dataset-small",
        homepage="https://github.com/alexeygrigorev/clothing-dataset-small",
        sha256={"clothing-dataset-small.zip": "630676993354bc4588a28146dde0c243b470b6fffe4a55149472501eec432607"},
        reader="clothing",
    ),
    Source(
        name="fashion-product-images-small",
        title="Fashion product images (small)",
        files=("fashion-product-images-small.zip", "fashion-product-images-small"),
        urls={
            part: (_PRODUCTS + part,)
            for part in (
                "train-00000-of-00002-6cff4c59f91661c3.parquet",
                "train-00001-of-00002-bb459e5ac5f01e71.parquet",
            )
        },
        bytes=271_000_000,
        licence="MIT",
        citation="Aggarwal 2019, Fashion Product Images (Small), "
        "https://www.kaggle.com/datasets/paramaggarwal/fashion-product-images-small",
        homepage="https://www.kaggle.com/datasets/paramaggarwal/fashion-product-images-small",
        sha256={"fashion-product-images-small.zip": "95f3e176d492af053aaf3a0141efe62cf6e4542453561905cdfd03df6f4e353c"},
        reader="products",
    ),
    Source(
        name="mango-outfits",
        title="MANGO outfits",
        files=("mango-outfits.zip", "mango-outfits"),
        bytes=37_000_000,
        licence="none stated: published for the challenge",
        terms="link to it, never redistribute it",
        citation="MANGO 2023, UPC Datathon: Fashion Compatibility Challenge, "
        "https://github.com/data-science-mango/datathon-2023-fashion-compatibility",
        homepage="https://github.com/data-science-mango/datathon-2023-fashion-compatibility",
        sha256={"mango-outfits.zip": "1ab279e91a129b21bece5ad8113ba524ed12ac4c3fb399f3a89f4ebadd6fe449"},
        by_hand="Download datathon.zip from the link on the organisers' page",
        reader="mango",
    ),
    Source(
        name="polyvore-outfits",
        title="Polyvore Outfits",
        files=("polyvore-outfits.zip", "polyvore-outfits", "polyvore_outfits.zip", "polyvore_outfits"),
        bytes=2_600_000_000,
        licence="CC BY 4.0 for what the authors added; the photos are their makers'",
        terms="for research; do not redistribute the photos",
        citation="Vasileva et al. 2018, Learning Type-Aware Embeddings for Fashion Compatibility, "
        "https://arxiv.org/abs/1803.09196",
        homepage="https://github.com/mvasil/fashion-compatibility",
        by_hand="Download polyvore_outfits from the link on the authors' page, which needs no account; "
        "the copy on Hugging Face, mvasil/polyvore-outfits, needs one",
        reader="polyvore",
    ),
    Source(
        name="maryland-polyvore",
        title="Maryland Polyvore",
        files=("maryland-polyvore", "maryland-polyvore.zip"),
        bytes=2_000_000_000,
        licence="Apache-2.0 for the lists; the photos are their makers'",
        terms="do not redistribute the photos",
        citation="Han et al. 2017, Learning Fashion Compatibility with Bidirectional LSTMs, "
        "https://arxiv.org/abs/1707.05691",
        homepage="https://github.com/xthan/polyvore-dataset",
        by_hand="Download polyvore.tar.gz and polyvore-images.tar.gz from the links on the authors' page, which need "
        "no account, and unpack both into one folder",
        reader="maryland",
    ),
    Source(
        name="shop-the-look",
        title="Shop-the-Look",
        files=("shop-the-look",),
        urls={
            file: (f"https://raw.githubusercontent.com/kang205/STL-Dataset/master/{file}",)
            for file in ("fashion.json", "fashion-cat.json")
        },
        bytes=15_000_000,
        licence="none stated; the pictures are their makers'",
        terms="pictures come separately, by `fashionnb collect`; do not redistribute them",
        citation="Kang et al. 2019, Complete the Look: Scene-based Complementary Product Recommendation, "
        "https://arxiv.org/abs/1812.01748",
        homepage="https://github.com/kang205/STL-Dataset",
        reader="shop_the_look",
    ),
)

SOURCES: dict[str, Source] = {source.name: source for source in _ALL}
"""All sources by name, in the order in which the book meets them."""


def get(name: str) -> Source:
    """The source called `name`. Raises `DataError` if there is none."""
    if name not in SOURCES:
        raise DataError(f"There is no source {name!r}. Use one of: {', '.join(SOURCES)}.")
    return SOURCES[name]
