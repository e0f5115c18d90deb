# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Started by `vmi`, by any Python from 3.11 on, before anything is set up."""

import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036  # any Python may come here
    sys.exit("vmi: Python 3.11 or newer is needed, this is " + sys.version.split()[0])

ROOT = Path(__file__).resolve().parents[1]
sys.path[:1] = [str(ROOT), str(ROOT / "codegen")]

from vmigen.program import prepare  # noqa: E402

prepare()

from ci.cli import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
