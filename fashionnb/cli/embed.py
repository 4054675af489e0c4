"""`fashionnb embed`: a catalogue's pictures become one file of vectors."""

from pathlib import Path
from typing import Annotated

import typer

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
    model: Annotated[
        str,
        typer.Option(
            help="A folder with a trained model, the name of one that came along, or siglip, resnet50, vgg16."
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Where vectors and ids go, as safetensors.")
    ],
    size: Annotated[
        int | None,
        typer.Option(help="Pixels of the pictures that the model takes; else its card says it."),
    ] = None,
    processes: Annotated[int, typer.Option(help="How many share the work; on GPUs one each.")] = 1,
    batch_size: Annotated[int, typer.Option(help="Pictures at a time.")] = 256,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or mps; else that of the profile.")
    ] = None,
) -> None:
    """Embed all pictures. Killed and run again, it goes on where it stopped."""
    from fashionnb.search.embed_catalogue import embed_to_file

    done = embed_to_file(
        source, model, out, size=size, processes=processes, batch_size=batch_size, device=device
    )
    before = done.pictures - done.embedded
    print(
        f"{out}: {done.pictures:,} pictures; {done.embedded:,} embedded in {done.seconds:.1f} s, "
        f"{done.embedded / max(done.seconds, 1e-9):,.0f} a second{f'; {before:,} were there' if before else ''}."
    )
