"""``python -m musika``: the same as the ``musika`` command."""

import sys

from musika.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
