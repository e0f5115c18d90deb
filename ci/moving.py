# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What happens to a machine that QEMU plays while its guest works: it is asked to end, halted, moved into
another process, put into a file and taken out of it again, set back to what it was.

The words are those of a guest's lines `# request WORD` (ci/rig.py, `Life`). Source: QEMU's documentation,
"QEMU QMP Reference Manual", `migrate` and `query-migrate`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .util import UserError

if TYPE_CHECKING:
    from .guest import GuestStrategy

OVER = b"\n"
"""Typed on the guest's console once an event is over."""

MEANWHILE = 0.3
"""Seconds that a guest works on between the making of a snapshot and the return to it."""


def _power_button(strategy: GuestStrategy, _: str) -> None:
    strategy.qemu.monitor_command("system_powerdown")


def _memory(strategy: GuestStrategy, mib: str) -> None:
    if error := strategy.qemu.monitor_command("balloon", {"value": int(mib) << 20}):
        raise UserError(f"QEMU's balloon: {str(error).strip()}")


def _stop(strategy: GuestStrategy, seconds: str) -> None:
    strategy.qemu.monitor_command("stop")
    time.sleep(float(seconds))
    strategy.qemu.monitor_command("cont")


def _migrate(strategy: GuestStrategy, _: str) -> None:
    strategy.take(strategy.qemu.migrate())


def _file(strategy: GuestStrategy, _: str) -> None:
    strategy.take(strategy.qemu.through_file())


def _snapshot(strategy: GuestStrategy, _: str) -> None:
    def said(command: str) -> None:
        if error := strategy.qemu.monitor_command("human-monitor-command", {"command-line": command}):
            raise UserError(f"QEMU's {command}: {str(error).strip()}")

    said("savevm life")
    time.sleep(MEANWHILE)
    said("loadvm life")


ASKED: dict[str, Callable[[GuestStrategy, str], None]] = {"poweroff": _power_button, "memory": _memory}
"""What a guest answers by itself."""
BORNE: dict[str, Callable[[GuestStrategy, str], None]] = {
    "stop": _stop,
    "migrate": _migrate,
    "file": _file,
    "snapshot": _snapshot,
}
"""What it is told the end of."""


def carry_out(strategy: GuestStrategy, wanted: str) -> str:
    """Does what a guest has named, WORD, WORD:ARGUMENT or WORD ARGUMENT; a line `WORD BEGAN ENDED`,
    seconds since 1970."""
    word, _, argument = wanted.replace(" ", ":").partition(":")
    act = ASKED.get(word) or BORNE.get(word)
    if act is None:
        raise UserError(f"a PC cannot be asked for: {wanted}")
    began = time.time()
    act(strategy, argument)
    ended = time.time()
    if word in BORNE:
        strategy.qemu.feed(OVER, strategy.left())
    return f"{word} {began:.3f} {ended:.3f}"
