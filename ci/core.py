# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi core`: a kernel runs in one configuration until it ends, or until it has written a line, and what
its memory and its CPUs held then becomes a core file for a debugger."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

from . import elf_core, xen_core
from .boot import once, only, show_failure
from .kernel import Kernel, look
from .rig import Configuration, Guest, Outcome, Rig, Session, discover
from .run import Wanted, file, fits, pattern
from .util import RESULTS, UserError, above, progress, write_if_changed

LOGS = RESULTS / "core"


def read(memory: Path, alone: bool = False) -> elf_core.Dump:
    """What a rig has written of a guest (ci.rig.Guest, `core`; `memory_alone`)."""
    return xen_core.read(memory) if xen_core.is_xen(memory) else elf_core.read_qemu(memory, alone)


def shown(text: str) -> None:
    """A line of a guest's, above what tells of progress."""
    with above():
        print(text, flush=True)


def halted_guest(
    rig: Rig, configuration: Configuration, name: str, image: Kernel, wanted: Wanted, memory: Path,
    alone: bool = False,
) -> Guest:  # fmt: skip
    """A guest whose memory and CPUs, or its memory alone, are written to a file when it is stopped, or ends;
    UserError if the configuration, `name` in words, cannot have it."""
    guest = Guest(
        image.path, configuration.name, wanted.append, wanted.cpus, wanted.memory_mib, wanted.deadline,
        configuration.given(image.architecture)[0], core=memory, memory_alone=alone,
    )  # fmt: skip
    rig.check(image, name)
    fits(image, rig.backend, wanted)
    rig.check_guest(guest, name)
    return guest


def halt(
    session: Session, guest: Guest, at: re.Pattern[str] | None, logs: Path, each: Callable[[str], None]
) -> Outcome:
    """What became of the guest, which has run until it ended or wrote a line that `at` matches; `each` gets
    its lines."""

    def line(text: str) -> bool:
        each(text)
        return bool(at and at.search(text))

    outcome = session.run(guest, line)
    write_if_changed(logs / f"{guest.name}.guest.log", outcome.console + "\n")
    return outcome


def core(name: str, kernel: Path, wanted: Wanted, at: str, output: Path | None) -> int:
    """Writes the file; 1 if there was no guest any more to write of."""
    rigs = discover(once(progress))
    rig, configuration = only(rigs, name)
    image = look(file(kernel, "kernel"))
    until = pattern(at) if at else None
    place = (output or LOGS / f"{configuration.name}-{image.path.stem}.core").absolute()
    memory = place.with_name(f"{place.name}.raw")
    guest = halted_guest(rig, configuration, name, image, wanted, memory)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {place}: {error.strerror}") from None
    try:
        rig.prepare()
        with rig.steady_session(LOGS) as session:
            outcome = halt(session, guest, until, LOGS, shown)
        if not memory.is_file():
            show_failure(outcome, [f"there is no core file: {outcome.end}"], rig.own_lines, tail=False)
            return 1
        elf_core.write(read(memory), image.architecture, place)
    finally:
        memory.unlink(missing_ok=True)
    progress(f"{place}: {shlex.join(['gdb', str(image.path), str(place)])}; thread apply all backtrace")
    return 0
