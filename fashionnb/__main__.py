"""`python -m fashionnb` is the command `fashionnb`."""

import sys

from fashionnb.cli import main

sys.exit(main())
