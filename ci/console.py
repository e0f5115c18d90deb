# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Console bytes as text."""

import re

_NOISE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1bc|\r")


def text(data: bytes) -> str:
    """Text without carriage returns and terminal escapes (firmware sends some)."""
    return _NOISE.sub("", data.decode("utf-8", "backslashreplace"))
