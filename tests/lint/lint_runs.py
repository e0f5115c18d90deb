# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What the linter's tests share."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CC = {32: ["gcc", "-m32"], 64: ["gcc", "-m64"]}
PLAIN = ("-ffreestanding", "-fno-asynchronous-unwind-tables", "-fno-stack-protector", "-fcf-protection=none")


def make(command: list[str | Path]) -> None:
    """Runs a tool; its messages are in the failure."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr


def link(*objects: Path, bits: int, flags: tuple[str, ...] = ()) -> Path:
    """An executable of the objects, with its text at 1 MiB."""
    out = objects[0].with_suffix(f".{bits}.elf")
    emulation = "elf_i386" if bits == 32 else "elf_x86_64"
    make(["ld", "-m", emulation, "-Ttext=0x100000", "--build-id=none", *flags, "-o", out, *objects])
    return out


@dataclass(frozen=True)
class Run:
    """What the linter said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def found(self) -> dict[str, list[str]]:
        """Names of instructions by symbol, of a run with JSON."""
        by_symbol: dict[str, list[str]] = {}
        for finding in self.json["findings"]:
            by_symbol.setdefault(finding["symbol"], []).append(finding["instruction"])
        return by_symbol


Build = Callable[..., Path]
Lint = Callable[..., Run]
