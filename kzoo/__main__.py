"""`python -m kzoo`: the command line, also if the script folder is not on the path."""

import sys

from kzoo.cli import main

sys.exit(main())
