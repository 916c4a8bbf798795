"""`python -m mm_magic`: see `cli`."""

import sys

from mm_magic.cli.main import main

sys.exit(main())
