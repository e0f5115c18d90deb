# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The README's first commands on each fresh Debian."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from ci.long import Part, Result
from ci.util import cache_dir, write_if_changed

from .__main__ import absent, commands, follow, fresh, unmount

SUITES = ("bookworm", "trixie")
TAIL = 3


class Fresh(Part):
    name = "fresh"
    summary = f"the README's first commands on a fresh Debian ({', '.join(SUITES)}), as root"

    def absent(self) -> str:
        return absent()

    def pieces(self) -> list[str]:
        return [f"{suite}: {command}" for suite in SUITES for command in commands()]

    def run(self, pieces: Sequence[str], folder: Path) -> Iterator[Result]:
        left = list(pieces)
        for piece in pieces:
            suite, _, command = piece.partition(": ")
            system = cache_dir() / "fresh" / suite
            with fresh(suite, system):
                status, lines = follow(system, command)
            log = folder / f"{suite}-{''.join(filter(str.isalpha, command))}.log"
            write_if_changed(log, "\n".join(lines) + "\n")
            left.remove(piece)
            if not any(other.startswith(f"{suite}: ") for other in left):
                unmount(system)
                shutil.rmtree(system, ignore_errors=True)
            note = " / ".join(lines[-TAIL:])
            failure = f"exit {status}: {note} ({log})" if status else ""
            version = next((line for line in lines if line.startswith("vmi test: ")), "")
            yield Result(piece, {"commands": 1, "commands that failed": int(status != 0)}, failure,
                         version or note)  # fmt: skip


PARTS = (Fresh(),)
