# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What a machine of QEMU's shows: its screen as a picture, and the text in it by a reader of the font."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import re
import socket
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ci import machines
from ci.firmware import WAYS
from ci.util import RESULTS, ROOT

PICTURES = RESULTS / "test/screen"
"""To be looked at."""
VGABIOS = Path("/usr/share/seabios/vgabios-stdvga.bin")
"""The font of QEMU's VGA in text mode, and of the library."""
WIDTH, HEIGHT = 8, 16
VGA_COLUMNS = 80
PIXELS_OF_A_SIZE = 1280
"""From twice as many on dots are larger (pixels.c)."""
NONE = "\N{REPLACEMENT CHARACTER}"
"""In place of a cell that holds no character of the font."""


@cache
def font() -> dict[bytes, str]:
    """Characters by their dots: a byte for each line."""
    specification = importlib.util.spec_from_file_location("font", ROOT / "backends/native/font.py")
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    dots: bytes = module.find(VGABIOS.read_bytes())
    found: dict[bytes, str] = {}
    for code in [*range(0x20, 0x7F), *range(0x80, 256)]:
        found.setdefault(dots[code * HEIGHT : (code + 1) * HEIGHT], bytes([code]).decode("cp437"))
    return found


@dataclass(frozen=True)
class Picture:
    """A screen, of a PPM file, as a grid of characters."""

    width: int
    columns: int
    rows: int
    scale: int
    """Pixels of a dot's side."""
    dots: list[bool]
    """Of each pixel, whether it is not black."""

    @classmethod
    def of(cls, file: Path, columns: int = 0) -> Picture:
        """Of as many columns as there is room for, where none are said (pixels.c)."""
        magic, width, height, most, pixels = re.split(rb"\s", file.read_bytes(), maxsplit=4)
        assert (magic, most) == (b"P6", b"255")
        across, down = int(width), int(height)
        scale = 1 if columns else max(across // PIXELS_OF_A_SIZE, 1)
        dots = [any(pixels[at : at + 3]) for at in range(0, 3 * across * down, 3)]
        return cls(across, columns or across // (WIDTH * scale), down // (HEIGHT * scale), scale, dots)

    def character(self, column: int, row: int) -> str:
        # A VGA's characters may be a dot further apart than they are wide.
        apart = max(self.width // self.columns // self.scale, WIDTH) if self.columns == VGA_COLUMNS else WIDTH
        lines = bytearray()
        for line in range(row * HEIGHT, (row + 1) * HEIGHT):
            begin = (line * self.width + column * apart) * self.scale
            dots = self.dots[begin : begin + WIDTH * self.scale : self.scale]
            lines.append(sum(dot << (WIDTH - 1 - x) for x, dot in enumerate(dots)))
        return font().get(bytes(lines), NONE)

    def text(self) -> list[str]:
        """The rows, without blanks at their ends."""
        cells = [[self.character(column, row) for column in range(self.columns)] for row in range(self.rows)]
        return ["".join(row).rstrip() for row in cells]


def laid_out(console: str, columns: int, rows: int) -> list[str]:
    """The last rows of a text on a screen that wraps lines at its last column."""
    lines = []
    for line in console.split("\n"):
        lines += [line[at : at + columns].rstrip() for at in range(0, len(line), columns)] or [""]
    return lines[-rows:]


class Monitor:
    """QEMU's monitor by its machine protocol, which a machine is started with `options` to have."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="vmi-qmp-")  # names of sockets must be short
        self.path = Path(self.folder.name) / "qmp"
        self.options = ("-qmp", f"unix:{self.path},server=on,wait=off")
        self.socket = socket.socket(socket.AF_UNIX)
        self.events: list[str] = []

    def close(self) -> None:
        self.socket.close()
        self.folder.cleanup()

    def connect(self, seconds: float) -> None:
        """To a machine that is starting."""
        end = time.monotonic() + seconds
        self.socket.settimeout(seconds)
        while True:
            try:
                self.socket.connect(str(self.path))
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        self.file = self.socket.makefile("r")
        self.file.readline()
        self.do("qmp_capabilities")

    def _next(self) -> dict[str, Any]:
        line = self.file.readline()
        if not line:
            raise EOFError("QEMU has ended")
        message: dict[str, Any] = json.loads(line)
        if "event" in message:
            self.events.append(message["event"])
        return message

    def do(self, command: str, **arguments: Any) -> Any:
        """Carry out a command; what it returns."""
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            message = self._next()
            if "event" not in message:
                assert "return" in message, message
                return message["return"]

    def wait(self, event: str) -> None:
        while event not in self.events:
            self._next()

    def picture(self, file: Path) -> None:
        """The screen as it is now, as PPM; and beside it as PNG, to be looked at."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self.do("screendump", filename=str(file))
        self.do("screendump", filename=str(file.with_suffix(".png")), format="png")

    def key(self, name: str) -> None:
        """Press a key and let it go, by one command: its press may end the machine."""
        key = {"type": "qcode", "data": name}
        events = [{"type": "key", "data": {"down": down, "key": key}} for down in (True, False)]
        self.do("input-send-event", events=events)


def photographed(monitor: Monitor, file: Path, seconds: float) -> None:
    """Take a picture of a machine, started with -no-shutdown, as soon as it has switched itself off, and end
    it."""

    def take() -> None:
        with contextlib.suppress(EOFError, OSError):  # whoever waits for the machine sees that it has ended
            monitor.connect(seconds)
            monitor.wait("SHUTDOWN")
            monitor.picture(file)
            monitor.do("quit")

    file.unlink(missing_ok=True)
    threading.Thread(target=take, daemon=True).start()


def shows(file: Path, console: str, columns: int = 0) -> Sequence[str]:
    """The rows that are not as the end of a console's text has them. Where the cursor is there may be any."""
    picture = Picture.of(file, columns)
    found, expected = picture.text(), laid_out(console, picture.columns, picture.rows)
    assert len(expected) == len(found), "the text does not fill the screen"
    if expected[-1] == "" and found[-1] == NONE:
        found[-1] = ""
    return [f"{one!r}, not {other!r}" for one, other in zip(found, expected, strict=True) if one != other]


def note(way: str, cpu: str, arch: str, status: int, console: str) -> None:
    """A record for the matrix of machines, of one that firmware started and its kernel has to switch off;
    `status` is QEMU's."""
    judgement = machines.verdict(console, "pass" if status == 0 else "")
    machines.note("pc, a screen", cpu, WAYS[way].name, arch, judgement)
