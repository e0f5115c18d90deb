# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The same boot again and again: what fails once in a thousand times."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ci import figure, ktap
from ci.build import kernels
from ci.long import Part, Result
from ci.rig import LIMITED_KERNEL, Guest
from ci.util import ARCHITECTURES, write_if_changed
from ci.xl import XlRig

from ..guests import LeftOver, Place, places

TIMES = 1000


def every_place() -> list[Place]:
    """Each configuration with each architecture of its library."""
    return [place for arch in ARCHITECTURES for place in places(arch)]


class Boots(Part):
    name = "boots"
    summary = f"the sample kernel {TIMES} times in each configuration, for each architecture"
    of = ("spec", "codegen", "runtime", "devices", "backends", "sample_kernel")
    at_once = 25
    """Boots of a piece."""
    guest = Guest(Path(), "", cpus=2, deadline=240.0)
    """But for its kernel, name and options."""

    def where(self) -> list[Place]:
        return every_place()

    def pieces(self) -> list[str]:
        """One configuration after the other, so that a run that is cut short has had some of each."""
        return [
            f"{place} {first}-{first + self.at_once - 1}"
            for first in range(1, TIMES, self.at_once)
            for place in self.where()
        ]

    def run(self, pieces: Sequence[str], folder: Path) -> Iterator[Result]:
        known = {str(place): place for place in self.where()}
        for piece in pieces:
            name, numbers = piece.split()
            place = known[name]
            configuration, rig = place.configuration, place.rig
            options, limited = configuration.given(place.arch)
            kernel = kernels(LIMITED_KERNEL if limited else "sample", place.arch)[place.backend]
            append = "" if limited else self.guest.append
            rig.prepare()
            failures, on, left = [], rig.describe(), LeftOver()
            with contextlib.ExitStack() as stack:
                session = stack.enter_context(rig.steady_session(folder))
                first, last = map(int, numbers.split("-"))
                for number in range(first, last + 1):
                    guest = replace(
                        self.guest, kernel=kernel, name=f"{name}-{number}", append=append, options=options
                    )
                    outcome = session.run(guest)
                    left.guest_ended(session)
                    report = ktap.parse(outcome.console)
                    row = figure.Row(configuration, place.backend, place.arch, on, {}, outcome, report)
                    if row.failures:
                        log = folder / f"{guest.name}.guest.log"
                        write_if_changed(log, f"{outcome.command}\n{outcome.console}\n")
                        failures.append(f"boot {number}: {row.failures[0]} ({figure.log_path(log)})")
                counts = {self.name: last + 1 - first, f"{self.name} that failed": len(failures)}
                if found := left.found():
                    failures.append(found)
            yield Result(piece, counts, "; ".join(failures), on=on)


class Creations(Boots):
    """Most of a boot's time goes to the kernel's checks; what a creation leaves shows without them."""

    name = "creations"
    summary = f"a small domain {TIMES} times wherever there are domains; nothing may be left"
    at_once = 50
    guest = Guest(Path(), "", "checks=boot", memory_mib=48, deadline=120.0)

    def where(self) -> list[Place]:
        return [place for place in every_place() if isinstance(place.rig, XlRig)]

    def absent(self) -> str:
        return "" if self.where() else "no configuration has domains"


PARTS = (Boots(), Creations())
