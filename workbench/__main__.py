"""`python -m workbench` is `kgpt-workbench`."""

import sys

from workbench import main

sys.exit(main())
