"""`fashionnb index build` and `fashionnb search`: search pictures by a picture."""

from pathlib import Path
from typing import Annotated

import typer

from fashionnb.cli.options import (
    EMBEDDING_MODEL_HELP,
    Html,
    Json,
    Size,
    SkipUnreadable,
    print_table,
)

app = typer.Typer()
index = typer.Typer(help="Index pictures for `fashionnb search`.", no_args_is_help=True)


@index.command(
    "build",
    epilog="Examples: "
    "[b]fashionnb index build photos/ --model style2vec --out photos.index[/] · "
    "[b]fashionnb index build photos.zip --model my-model/ --size 64 --skip-unreadable "
    "--out photos.index[/] · "
    "[b]fashionnb index build fashion-mnist --model style2vec --out mnist.index[/]",
)
def index_build(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER|ZIP|DATASET",
            help="A folder or a zip file of pictures, or a name from `fashionnb data list`.",
        ),
    ],
    model: Annotated[str, typer.Option(help=EMBEDDING_MODEL_HELP)],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the index is written.")],
    kind: Annotated[
        str,
        typer.Option(help="The type of index; auto chooses it by the number of pictures."),
    ] = "auto",
    size: Size = None,
    skip_unreadable: SkipUnreadable = False,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where vectors are kept for the next time; by default the cache."
        ),
    ] = None,
) -> None:
    """Embed all pictures of a folder, a zip file or a dataset, and write an index of them."""
    from fashionnb.data.registry import cache_folder
    from fashionnb.search.engine import VisualSearchEngine

    engine = VisualSearchEngine(model, size=size)
    unreadable = "skip" if skip_unreadable else "raise"
    cache = cache or cache_folder() / "vectors"
    embedded = engine.embed_dataset(source, cache=cache, unreadable=unreadable)
    engine.index(embedded, kind=kind)
    engine.save(out)
    for row in embedded.unreadable.itertuples():
        print(f"left out: {row.why}")
    print(
        f"{out}: {len(embedded.vectors):,} pictures. "
        f"`fashionnb search PICTURE --index {out}` finds among them."
    )


@app.command(
    epilog="Examples: [b]fashionnb search shirt.jpg --index photos.index[/] · "
    "[b]fashionnb search shirt.jpg --index photos.index -k 12 --category shirts "
    "--html found.html[/] · "
    "[b]fashionnb search shirt.jpg --index photos.index --json[/]"
)
def search(
    image: Annotated[Path, typer.Argument(help="The picture to search by.")],
    index: Annotated[
        Path, typer.Option(metavar="FILE", help="An index that `fashionnb index build` wrote.")
    ],
    k: Annotated[int, typer.Option("-k", help="How many pictures to find.")] = 5,
    category: Annotated[str | None, typer.Option(help="Only pictures of this category.")] = None,
    model: Annotated[
        str | None,
        typer.Option(help="The model of the index, if it has moved since the index was built."),
    ] = None,
    html: Html = None,
    as_json: Json = False,
) -> None:
    """Find the pictures of an index that look like a picture."""
    from fashionnb.files import write_text
    from fashionnb.search.engine import VisualSearchEngine

    engine = VisualSearchEngine.load(index, model)
    results = engine.search(image, k, category=category)
    if html is not None:
        write_text(html, engine.as_page(results, image))
    if as_json:
        print(results.to_json(orient="records", indent=2, force_ascii=False))
        return
    table = results.assign(score=results["score"].map("{:.3f}".format), picture=results["path"])
    print_table(table[["rank", "score", "category", "picture"]].astype(str))
