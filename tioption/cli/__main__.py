"""`python -m tioption.cli`: the same as the console script `tiopt`."""

import sys

from tioption.cli import main

sys.exit(main())
