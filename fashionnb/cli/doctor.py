"""`fashionnb doctor`: what to paste into a report when something is wrong."""

from typing import Annotated

import typer

app = typer.Typer()


@app.command(epilog="Examples: [b]fashionnb doctor[/] · [b]fashionnb doctor --offline[/]")
def doctor(
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not ask whether the links of datasets answer.")
    ] = False,
) -> int:
    """Print versions, device, folders, datasets and links: one page for a report.

    The status is 1 if something is wrong without which chapters cannot run.
    """
    from fashionnb import doctor

    findings = doctor.examine(offline=offline)
    print(doctor.report(findings))
    return int(any(finding.wrong for finding in findings))
