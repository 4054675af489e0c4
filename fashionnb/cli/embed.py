"""`fashionnb embed`: embed the pictures of a catalogue into one file of vectors."""

from pathlib import Path
from typing import Annotated

import typer

from fashionnb.cli.options import EMBEDDING_MODEL_HELP, Size

app = typer.Typer()


@app.command(
    epilog="Examples: [b]fashionnb embed photos/ --model siglip --out photos.safetensors[/] · "
    "[b]fashionnb embed fashion-mnist --model style2vec --out mnist.safetensors --processes 2[/]"
)
def embed(
    source: Annotated[
        str,
        typer.Argument(
            metavar="CATALOGUE", help="A folder, a zip file, or a name from `fashionnb data list`."
        ),
    ],
    model: Annotated[str, typer.Option(help=EMBEDDING_MODEL_HELP)],
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
        str | None, typer.Option(help="cpu, cuda or mps; by default that of the profile.")
    ] = None,
) -> None:
    """Embed all pictures. If it was stopped, run it again to resume."""
    from fashionnb.search.embed_catalogue import embed_to_file

    done = embed_to_file(
        source, model, out, size=size, processes=processes, batch_size=batch_size, device=device
    )
    before = done.pictures - done.embedded
    print(
        f"{out}: {done.pictures:,} pictures; {done.embedded:,} embedded in {done.seconds:.1f} s, "
        f"{done.embedded / max(done.seconds, 1e-9):,.0f} a second"
        f"{f'; {before:,} were there' if before else ''}."
    )
