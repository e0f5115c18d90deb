# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What Xen makes of kernels that break rules of the interface."""

from pathlib import Path

from tests.checked.reactions import Violations

PARTS = (Violations("xen", "x86_64", Path(__file__).resolve().parent),)
