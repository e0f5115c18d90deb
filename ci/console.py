# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Console bytes as text."""

import re

_NOISE = re.compile(r"\x1b\[[0-9;?=]*[A-Za-z]|\x1bc|\r")


def text(data: bytes) -> str:
    """Text without carriage returns and terminal escapes (firmware sends some)."""
    return _NOISE.sub("", data.decode("utf-8", "backslashreplace"))


def lines(data: bytes) -> list[str]:
    """A console's lines: what ends with a newline, and what is left."""
    parts = text(data).split("\n")
    return parts if parts[-1] else parts[:-1]
