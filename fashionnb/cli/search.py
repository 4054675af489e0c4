"""`fashionnb index build` and `fashionnb search`: make pictures findable, then find them by a picture."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
index = typer.Typer(help="Make pictures findable for `fashionnb search`.", no_args_is_help=True)


@index.command(
    "build",
    epilog="Examples: [b]fashionnb index build photos/ --model style2vec --out photos.index[/] · "
    "[b]fashionnb index build photos.zip --model my-model/ --size 64 --skip-unreadable --out photos.index[/] · "
    "[b]fashionnb index build fashion-mnist --model style2vec --out mnist.index[/]",
)
def index_build(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER|ZIP|DATASET", help="Pictures, or a name from `fashionnb data list`."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            help="A folder with a trained model, the name of one that came along, or siglip, resnet50, vgg16."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the index goes.")],
    kind: Annotated[
        str, typer.Option(help="How neighbours are found; auto chooses by the number of pictures.")
    ] = "auto",
    size: Annotated[
        int | None,
        typer.Option(help="Pixels of the pictures that the model takes; else its card says it."),
    ] = None,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out what cannot be read, and list it.")
    ] = False,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where vectors are kept for the next time; else the cache."
        ),
    ] = None,
) -> None:
    """Embed all pictures of a folder, a zip file or a dataset, and write an index of them."""
    from fashionnb.data.registry import cache_folder
    from fashionnb.search.engine import VisualSearchEngine

    engine = VisualSearchEngine(model, size=size)
    unreadable = "skip" if skip_unreadable else "raise"
    embedded = engine.embed_dataset(
        source, cache=cache or cache_folder() / "vectors", unreadable=unreadable
    )
    engine.index(embedded, kind=kind)
    engine.save(out)
    for row in embedded.unreadable.itertuples():
        print(f"left out: {row.why}")
    print(
        f"{out}: {len(embedded.vectors):,} pictures. `fashionnb search PICTURE --index {out}` finds among them."
    )


@app.command(
    epilog="Examples: [b]fashionnb search shirt.jpg --index photos.index[/] · "
    "[b]fashionnb search shirt.jpg --index photos.index -k 12 --category shirts --html found.html[/] · "
    "[b]fashionnb search shirt.jpg --index photos.index --json[/]"
)
def search(
    image: Annotated[Path, typer.Argument(help="The picture to find others by.")],
    index: Annotated[
        Path, typer.Option(metavar="FILE", help="As `fashionnb index build` wrote it.")
    ],
    k: Annotated[int, typer.Option("-k", help="How many pictures.")] = 5,
    category: Annotated[str | None, typer.Option(help="Only pictures of this category.")] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Where the model is now, if it moved. It must be the one of the index."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page that shows them.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
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
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    table = Table("rank", "score", "category", Column("picture", overflow="fold"))
    for row in results.itertuples():
        cells = (str(row.rank), f"{row.score:.3f}", row.category, row.path)
        table.add_row(*map(Text, cells))  # as Text, a name such as "[red].jpg" is no markup
    Console().print(table)
