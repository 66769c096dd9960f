"""`python -m kgpt` is `kgpt`."""

import sys

from kgpt.commands import main

sys.exit(main())
