"""`fashionnb recommend`: similar garments, garments with given attributes, matching garments."""

from pathlib import Path
from typing import Annotated

import typer

from fashionnb.cli.options import CATALOGUE_HELP, MODEL_HELP, Html, Json, Size, print_table
from fashionnb.errors import DataError

app = typer.Typer()

Values = list[str] | None


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
    model: Annotated[str | None, typer.Option(help=MODEL_HELP)] = None,
    size: Size = None,
    html: Html = None,
    as_json: Json = False,
) -> None:
    """Recommend garments of a catalogue, with reasons: similar ones, or ones to wear together."""
    from fashionnb import datasets
    from fashionnb.data.registry import cache_folder
    from fashionnb.files import write_text
    from fashionnb.search import recommend as recommenders
    from fashionnb.search.item_attributes import Attributes

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
    catalogue = datasets.open_catalogue(data)
    known = Attributes(catalogue)
    known.matching(wanted)  # reports mistakes before thousands of pictures are embedded
    query = None if item is None else _query(item, known)
    if query is None and not diversity:
        recommender = recommenders.without_pictures(catalogue)
    else:
        cache = cache_folder() / "vectors"
        recommender = recommenders.open_recommender(
            catalogue, vectors, model, size=size, cache=cache
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
        print(answer.to_json(orient="records", indent=2, force_ascii=False))
    elif len(answer):
        print(title)
        shown = recommender.attributes.columns[:2]  # the reasons name the others
        table = answer.assign(score=answer["score"].map("{:.2f}".format), why=answer["reasons"])
        print_table(table[["rank", "id", *shown, "score", "why"]].astype(str))
    else:
        print("Nothing was found.")


def _query(item: str, known) -> str | Path:
    """The id of an item, or the path of a picture; raises for anything else."""
    from fashionnb.data.folder import SUFFIXES
    from fashionnb.search.item_attributes import as_image

    if (known.table["id"] == item).any():
        return item
    path = Path(item)
    if not path.is_file() and path.suffix.lower() not in SUFFIXES:
        known.row(item)
    as_image(path)
    return path
