"""`python -m fashionnb.runs`: one chapter in a process of its own, started by `fashionnb.runs.jobs`.

The job (JSON) comes on the standard input; reports go out as JSON lines.
"""

import json
import os
import sys
from typing import Any

from fashionnb.runs.execute import execute


def main() -> None:
    """Read the job, execute it, report."""
    # The kernel inherits our output and may print to it; so the reports go to a copy that it does not inherit.
    reports = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(**report: Any) -> None:
        reports.write(json.dumps(report) + "\n")
        reports.flush()

    job = json.load(sys.stdin)
    send(metadata=execute(job, lambda done, of: send(done=done, of=of)))


if __name__ == "__main__":
    main()
