# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`python -m vmi_bind`."""

import sys

from .cli import main

sys.exit(main(sys.argv[1:]))
