"""`fashionnb recommend`: garments like one, garments as wanted, garments that go with one; and why."""

from pathlib import Path
from typing import Annotated

import typer

from fashionnb.errors import DataError

app = typer.Typer()

Values = list[str] | None


@app.command(
    epilog="Examples: [b]fashionnb recommend --data atelier --colour Blue --season Winter[/] · "
    "[b]fashionnb recommend 15970 --data fashion-product-images-small --model style2vec --vectors shop.vectors[/] · "
    "[b]fashionnb recommend 15970 --data fashion-product-images-small --vectors shop.vectors --goes-with "
    "--category Jeans --html outfit.html[/] · "
    "[b]fashionnb recommend shirt.jpg --data my-photos/ --model my-model/ --json[/]"
)
def recommend(
    item: Annotated[
        str | None,
        typer.Argument(metavar="ITEM|PICTURE", help="The id of an item, or a picture file."),
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            metavar="NAME|PATH",
            help="The shop: a name from `fashionnb data list`, 'atelier' (drawn), a detector's JSON or the folder of "
            "it, or a folder of pictures.",
        ),
    ] = ...,
    like: Annotated[
        bool,
        typer.Option(
            "--like", help="Garments whose pictures look like it. So it is if nothing else is said."
        ),
    ] = False,
    overall: Annotated[
        bool,
        typer.Option(
            "--overall", help="Garments that are like it overall: picture and attributes together."
        ),
    ] = False,
    goes_with: Annotated[
        bool,
        typer.Option(
            "--goes-with", help="Garments of another kind, in colours that go with its colour."
        ),
    ] = False,
    category: Annotated[
        Values, typer.Option(help="Only this category; may be said several times, as all below.")
    ] = None,
    colour: Annotated[Values, typer.Option("--colour", "--color", help="Only this colour.")] = None,
    season: Annotated[Values, typer.Option(help="Only for this season.")] = None,
    pattern: Annotated[Values, typer.Option(help="Only with this pattern.")] = None,
    gender: Annotated[Values, typer.Option(help="Only for Men, Women, Unisex, …")] = None,
    usage: Annotated[
        Values, typer.Option(help="Only for this use, such as Casual or Sports.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many.")] = 10,
    diversity: Annotated[
        float, typer.Option(help="From 0 to 1: how much they should differ from each other.")
    ] = 0.0,
    vectors: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the pictures' vectors are, or are to be kept."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A folder with a trained model, or a published one: it compares pictures."
        ),
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Pixels that the model looks at; else its card says it.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page that shows them.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Recommend garments of a shop, and say why: like one, as wanted, or to wear with one."""
    from fashionnb import datasets
    from fashionnb.data.folder import SUFFIXES
    from fashionnb.data.registry import cache_folder
    from fashionnb.files import write_text
    from fashionnb.search import recommend as recommenders
    from fashionnb.search.item_attributes import Attributes, as_image

    said = {"category": category, "colour": colour, "season": season, "pattern": pattern}
    wanted = {
        name: values
        for name, values in (said | {"gender": gender, "usage": usage}).items()
        if values
    }
    if like + overall + goes_with > 1:
        raise DataError("--like, --overall and --goes-with are three questions: ask one of them.")
    if item is None and (like or overall or goes_with or not wanted):
        raise DataError(
            "Name an item or a picture, or say what is wanted, for instance --colour Blue."
        )
    catalogue = datasets.open_catalogue(data)
    known, asked = Attributes(catalogue), item
    known.matching(wanted)  # mistakes are told now, before thousands of pictures are embedded
    if item is not None and not (catalogue.table["id"] == item).any():
        asked = Path(item)
        if not asked.is_file() and asked.suffix.lower() not in SUFFIXES:
            known.row(item)
        as_image(asked)
    if item is None and not diversity:
        recommender = recommenders.without_pictures(catalogue)
    else:
        cache = cache_folder() / "vectors"
        recommender = recommenders.open_recommender(
            catalogue, vectors, model, size=size, cache=cache
        )
    options = {"top_k": k, "diversity": diversity, **wanted}
    if asked is None:
        title, answer = (
            "As wanted: " + _listed(wanted),
            recommender.recommend_by_attributes(**options),
        )
    elif goes_with:
        title, answer = (
            f"Goes with {item}",
            recommender.get_color_coordinated_items(asked, **options),
        )
    elif overall:
        title, answer = f"Like {item} overall", recommender.ensemble_recommend(asked, **options)
    else:
        title, answer = f"Looks like {item}", recommender.find_similar_items(asked, **options)
    if html is not None:
        write_text(html, recommender.as_page(answer, title, asked))
    if as_json:
        print(answer.to_json(orient="records", indent=2, force_ascii=False))
        return
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    if not len(answer):
        print("Nothing was found.")
        return
    shown = recommender.attributes.columns[:2]  # the reasons tell the others
    table = Table("rank", "id", *shown, "score", Column("why", overflow="fold"), title=title)
    for row in answer.to_dict("records"):
        cells = (
            str(row["rank"]),
            row["id"],
            *(row[name] for name in shown),
            f"{row['score']:.2f}",
            row["reasons"],
        )
        table.add_row(*map(Text, cells))  # as Text, a name such as "[red].jpg" is no markup
    Console().print(table)


def _listed(wanted: dict[str, list[str]]) -> str:
    return ", ".join(f"{name} {' or '.join(values)}" for name, values in wanted.items())
