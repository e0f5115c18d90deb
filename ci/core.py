# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi core`: a kernel runs in one configuration until it ends, or until it has written a line, and what
its memory and its CPUs held then becomes a core file for a debugger."""

from __future__ import annotations

import shlex
from pathlib import Path

from .boot import once, only, show_failure
from .kernel import look
from .rig import Guest, discover
from .run import Wanted, file, fits, pattern
from .util import RESULTS, UserError, above, progress, write_if_changed

LOGS = RESULTS / "core"


def core(name: str, kernel: Path, wanted: Wanted, at: str, output: Path | None) -> int:
    """Writes the file; 1 if there was no guest any more to write of."""
    rigs = discover(once(progress))
    rig, configuration = only(rigs, name)
    image = look(file(kernel, "kernel"))
    until = pattern(at) if at else None
    place = output or LOGS / f"{configuration.name}-{image.path.stem}.core"
    guest = Guest(
        image.path, configuration.name, wanted.append, wanted.cpus, wanted.memory_mib, wanted.deadline,
        configuration.given(image.architecture)[0], core=place.absolute(),
    )  # fmt: skip
    rig.check(image, name)
    fits(image, rig.backend, wanted)
    rig.check_guest(guest, name)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {place}: {error.strerror}") from None
    rig.prepare()

    def line(text: str) -> bool:
        with above():
            print(text, flush=True)
        return bool(until and until.search(text))

    with rig.steady_session(LOGS) as session:
        outcome = session.run(guest, line)
    write_if_changed(LOGS / f"{guest.name}.guest.log", outcome.console + "\n")
    if not place.is_file():
        show_failure(outcome, [f"there is no core file: {outcome.end}"], rig.own_lines, tail=False)
        return 1
    progress(f"{place}: {shlex.join(['gdb', str(image.path), str(place)])}; thread apply all backtrace")
    return 0
