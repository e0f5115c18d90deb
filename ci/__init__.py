# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What runs the SDK: front door, rigs that hold real hypervisors, labgrid driver, results."""

import sys
from pathlib import Path

# The generator and the linter are packages of their own, beside this one.
for _folder in ("tools", "codegen"):
    _path = str(Path(__file__).resolve().parents[1] / _folder)
    if _path not in sys.path:
        sys.path.insert(1, _path)
