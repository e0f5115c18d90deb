# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`python -m vmigen`."""

from .program import prepare

prepare()

import sys  # noqa: E402

from .cli import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
