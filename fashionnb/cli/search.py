"""`fashionnb index build`, `search`, `recommend` and `embed`: find pictures in a catalogue."""

import time
from pathlib import Path
from typing import Annotated

import typer

from fashionnb.cli.options import (
    CATALOGUE_HELP,
    SEARCH_MODEL_HELP,
    Columns,
    Json,
    Size,
    SkipUnreadable,
    offer_to_skip,
    open_data,
    print_json,
    print_left_out,
    print_report,
    read_columns,
)
from fashionnb.data.registry import cache_folder
from fashionnb.errors import DataError
from fashionnb.files import check_target, write_text

app = typer.Typer()
index = typer.Typer(help="Index pictures for `fashionnb search`.", no_args_is_help=True)

Html = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Also write a web page that shows the answer.")
]
Values = list[str] | None


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
            metavar="FOLDER|ZIP|TABLE|DATASET",
            help="A folder or a zip file of pictures, a shop's own table (.csv, .tsv, .jsonl, "
            ".parquet, .xlsx), or a name from `fashionnb data list`.",
        ),
    ],
    model: Annotated[str, typer.Option(help=SEARCH_MODEL_HELP)],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the index is written.")],
    kind: Annotated[
        str,
        typer.Option(help="The type of index; auto chooses it by the number of pictures."),
    ] = "auto",
    size: Size = None,
    columns: Columns = None,
    skip_unreadable: SkipUnreadable = False,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where vectors are kept for the next time; by default the cache."
        ),
    ] = None,
) -> None:
    """Embed all pictures of a folder, a zip file or a dataset, and write an index of them."""
    from fashionnb.search.engine import VisualSearchEngine

    check_target(out)
    engine = VisualSearchEngine(model, size=size)
    with offer_to_skip(skip_unreadable):
        embedded = engine.embed_dataset(
            open_data(source, columns),
            cache=cache or cache_folder() / "vectors",
            skip_unreadable=skip_unreadable,
        )
    engine.index(embedded, kind=kind)
    engine.save(out)
    print_left_out(embedded.unreadable)
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
    from fashionnb.search.engine import VisualSearchEngine

    if html is not None:
        check_target(html)
    engine = VisualSearchEngine.load(index, model)
    results = engine.search(image, k, category=category)
    if html is not None:
        write_text(html, engine.as_page(results, image))
    if as_json:
        print_json(results)
        return
    table = results.assign(score=results["score"].map("{:.3f}".format), picture=results["path"])
    _print_table(table[["rank", "score", "category", "picture"]].astype(str))


@app.command(
    epilog="Examples: [b]fashionnb recommend --data drawn --colour Blue --season Winter[/] · "
    "[b]fashionnb recommend 15970 --data fashion-product-images-small --model style2vec "
    "--vectors shop.vectors[/] · "
    "[b]fashionnb recommend 15970 --data fashion-product-images-small --vectors shop.vectors "
    "--goes-with --category Jeans --html outfit.html[/] · "
    "[b]fashionnb recommend shirt.jpg --data my-photos/ --model my-model/ --json[/]"
)
def recommend(
    item: Annotated[
        str | None,
        typer.Argument(metavar="ITEM|PICTURE", help="The id of an item, or a picture file."),
    ] = None,
    data: Annotated[str, typer.Option(metavar="NAME|PATH", help=CATALOGUE_HELP)] = ...,
    like: Annotated[
        bool, typer.Option("--like", help="Find garments whose pictures look like it (default).")
    ] = False,
    overall: Annotated[
        bool,
        typer.Option("--overall", help="Find garments with a similar picture and attributes."),
    ] = False,
    goes_with: Annotated[
        bool,
        typer.Option(
            "--goes-with",
            help="Find garments of another category in colours that match its colour.",
        ),
    ] = False,
    category: Annotated[
        Values, typer.Option(help="Only this category; may be repeated, as all below.")
    ] = None,
    colour: Annotated[Values, typer.Option("--colour", "--color", help="Only this colour.")] = None,
    season: Annotated[Values, typer.Option(help="Only for this season.")] = None,
    pattern: Annotated[Values, typer.Option(help="Only with this pattern.")] = None,
    gender: Annotated[Values, typer.Option(help="Only for Men, Women, Unisex, …")] = None,
    usage: Annotated[
        Values, typer.Option(help="Only for this use, such as Casual or Sports.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many garments to recommend.")] = 10,
    diversity: Annotated[
        float, typer.Option(help="From 0 to 1: how much they should differ from each other.")
    ] = 0.0,
    vectors: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A file with the vectors of the pictures; with --model, it is written if missing.",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help=SEARCH_MODEL_HELP)] = None,
    size: Size = None,
    columns: Columns = None,
    html: Html = None,
    skip_unreadable: SkipUnreadable = False,
    as_json: Json = False,
) -> None:
    """Recommend garments of a catalogue, with reasons: similar ones, or ones to wear together."""
    from fashionnb.search import recommend as recommenders

    attributes = {
        "category": category,
        "colour": colour,
        "season": season,
        "pattern": pattern,
        "gender": gender,
        "usage": usage,
    }
    wanted = {name: values for name, values in attributes.items() if values}
    if like + overall + goes_with > 1:
        raise DataError("--like, --overall and --goes-with are three questions: ask one of them.")
    if item is None and (like or overall or goes_with or not wanted):
        raise DataError(
            "Name an item or a picture, or say what is wanted, for instance --colour Blue."
        )
    if html is not None:
        check_target(html)
    catalogue = open_data(data, columns)
    recommender = recommenders.without_pictures(catalogue)
    # Mistakes are reported before thousands of pictures are embedded.
    recommender.attributes.matching(wanted)
    query = None if item is None else _query(item, recommender.attributes)
    if query is not None or diversity:
        with offer_to_skip(skip_unreadable):
            recommender = recommenders.open_recommender(
                catalogue,
                vectors,
                model,
                size=size,
                cache=cache_folder() / "vectors",
                skip_unreadable=skip_unreadable,
            )
    options = {"top_k": k, "diversity": diversity, **wanted}
    if query is None:
        title = "As wanted: " + ", ".join(f"{a} {' or '.join(b)}" for a, b in wanted.items())
        answer = recommender.recommend_by_attributes(**options)
    elif goes_with:
        title = f"Goes with {item}"
        answer = recommender.get_color_coordinated_items(query, **options)
    elif overall:
        title = f"Like {item} overall"
        answer = recommender.ensemble_recommend(query, **options)
    else:
        title = f"Looks like {item}"
        answer = recommender.find_similar_items(query, **options)
    if html is not None:
        write_text(html, recommender.as_page(answer, title, query))
    if as_json:
        print_json(answer)
    elif len(answer):
        print(title)
        shown = recommender.attributes.columns[:2]  # the reasons name the others
        table = answer.assign(score=answer["score"].map("{:.2f}".format), why=answer["reasons"])
        _print_table(table[["rank", "id", *shown, "score", "why"]].astype(str))
    else:
        print("Nothing was found.")


@app.command(
    epilog="Examples: "
    "[b]fashionnb embed photos/ --model efficientnet-lite2 --out photos.safetensors[/] · "
    "[b]fashionnb embed fashion-mnist --model style2vec --out mnist.safetensors --processes 2[/]"
)
def embed(
    source: Annotated[
        str,
        typer.Argument(
            metavar="CATALOGUE",
            help="A folder, a zip file, a shop's own table, or a name from `fashionnb data list`.",
        ),
    ],
    model: Annotated[str, typer.Option(help=SEARCH_MODEL_HELP)],
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", help="Where vectors and ids are written, as safetensors."),
    ],
    size: Size = None,
    processes: Annotated[
        int, typer.Option(help="How many processes share the work; with GPUs, one for each.")
    ] = 1,
    batch_size: Annotated[int, typer.Option(help="How many pictures are embedded at once.")] = 256,
    device: Annotated[
        str | None,
        typer.Option(
            help="auto, cpu, cuda or mps; by default FASHIONNB_DEVICE, else the best one here."
        ),
    ] = None,
    columns: Columns = None,
    skip_unreadable: SkipUnreadable = False,
) -> None:
    """Embed all pictures. If it was stopped, run it again to resume."""
    from fashionnb.search.embed_catalogue import embed_to_file

    began = time.monotonic()
    with offer_to_skip(skip_unreadable):
        found = embed_to_file(
            source,
            model,
            out,
            size=size,
            processes=processes,
            batch_size=batch_size,
            device=device,
            columns=read_columns(columns),
            skip_unreadable=skip_unreadable,
        )
    seconds = time.monotonic() - began
    print_report(found.gallery)
    print_left_out(found.unreadable)
    before = len(found.vectors) - found.new
    print(
        f"{out}: {len(found.vectors):,} pictures; {found.new:,} embedded in {seconds:.1f} s, "
        f"{found.new / max(seconds, 1e-9):,.0f} a second"
        f"{f'; {before:,} were there' if before else ''}."
    )


@app.command(
    epilog="Examples: [b]fashionnb duplicates photos/[/] · "
    "[b]fashionnb duplicates new-photos/ --against photos.zip --html found.html[/]"
)
def duplicates(
    source: Annotated[
        str,
        typer.Argument(
            metavar="CATALOGUE", help="A folder, a zip file, or a name from `fashionnb data list`."
        ),
    ],
    against: Annotated[
        str | None,
        typer.Option(metavar="OTHER", help="Find only pictures that are also in this catalogue."),
    ] = None,
    model: Annotated[str, typer.Option(help=SEARCH_MODEL_HELP)] = "siamese",
    score: Annotated[
        float | None,
        typer.Option(
            help="The least similarity of two copies, up to 1; by default it is found from small "
            "copies of some of the pictures."
        ),
    ] = None,
    size: Size = None,
    skip_unreadable: SkipUnreadable = False,
    html: Html = None,
    as_json: Json = False,
) -> None:
    """Find exact and near duplicates among pictures, or between two catalogues."""
    from fashionnb.search.duplicates import find_duplicates
    from fashionnb.search.engine import VisualSearchEngine

    found = find_duplicates(
        VisualSearchEngine(model, size=size), source, against, least_score=score,
        cache=cache_folder() / "vectors", skip_unreadable=skip_unreadable,
    )  # fmt: skip
    if html is not None:
        write_text(html, found.as_page())
    if as_json:
        print(found.table.to_json(orient="records", indent=2, force_ascii=False))
        return
    print(found.as_text())
    if len(found.table):
        same = found.table["exact"].map({True: "the same file", False: "near"})
        table = found.table.assign(
            group=found.table["group"] + 1,
            score=found.table["score"].map("{:.4f}".format),
            how=same,
        )
        _print_table(table[["group", "score", "how", "from", "id"]].astype(str))


def _query(item: str, known) -> str | Path:
    """The id of an item, or the path of a picture; raises for anything else."""
    from fashionnb.data.decoding import SUFFIXES
    from fashionnb.data.images import open_picture, path_on_disk

    path = path_on_disk(item)
    if known.has(item) or not (path.is_file() or path.suffix.lower() in SUFFIXES):
        return known.table["id"].iloc[known.row(item)]
    open_picture(path)
    return path


def _print_table(table) -> None:
    """Print a DataFrame of text for people, with its columns aligned on the left."""
    padded = {name: column.str.ljust(column.str.len().max()) for name, column in table.items()}
    print(table.assign(**padded).to_string(index=False, justify="left"))
