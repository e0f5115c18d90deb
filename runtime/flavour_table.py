# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What the generators of flavours' tables share: the generator's model.json is read, and a file is there
whole or not at all."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


class TableError(Exception):
    """Told as one line."""


def write(program: str, model: Path, out: Path, table: Callable[[dict[str, Any]], str]) -> int:
    """Writes the table that is made of the model; the exit status of the program."""
    try:
        made = table(json.loads(model.read_text()))
    except TableError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    part = out.with_name(out.name + ".part")
    part.write_text(made)
    os.replace(part, out)
    return 0
