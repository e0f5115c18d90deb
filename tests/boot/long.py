# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The same boot again and again: what fails once in a thousand times."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ci import figure, ktap
from ci.build import kernels
from ci.firmware import WAYS
from ci.long import Part, Result
from ci.rig import LIMITED_KERNEL, Guest, SteadySession
from ci.util import ARCHITECTURES, write_if_changed
from ci.xl import XlRig

from ..guests import LeftOver, Place, places
from .test_core import seen
from .test_trace import compare, traced

TIMES = 1000


def every_place() -> list[Place]:
    """Each configuration with each architecture of its library."""
    return [place for arch in ARCHITECTURES for place in places(arch)]


def booted(place: Place, guest: Guest, session: SteadySession, folder: Path) -> str:
    """Boot a guest there; what is wrong about it, its console kept in the folder, or nothing."""
    outcome = session.run(guest)
    report = ktap.parse(outcome.console)
    row = figure.Row(place.configuration, place.backend, place.arch, {}, {}, outcome, report)
    if not row.failures:
        return ""
    log = folder / f"{guest.name}.guest.log"
    write_if_changed(log, f"{outcome.command}\n{outcome.console}\n")
    return f"{row.failures[0]} ({figure.log_path(log)})"


def numbered(names: Sequence[str], times: int, at_once: int) -> list[str]:
    """Pieces of so many boots by each name, one name after the other, so that a run that is cut short has had
    some of each."""
    return [f"{name} {first}-{first + at_once - 1}" for first in range(1, times, at_once) for name in names]


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
        return numbered([str(place) for place in self.where()], TIMES, self.at_once)

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
                    failure = booted(place, guest, session, folder)
                    left.guest_ended(session)
                    if failure:
                        failures.append(f"boot {number}: {failure}")
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


class Firmware(Part):
    name = "firmware"
    summary = "the sample kernel 50 times by each firmware of a PC, for each architecture"
    times, at_once = 50, 10

    def pieces(self) -> list[str]:
        ways = [f"{arch} {way}" for arch in ARCHITECTURES for way in WAYS]
        return numbered(ways, self.times, self.at_once)

    def run(self, pieces: Sequence[str], folder: Path) -> Iterator[Result]:
        for piece in pieces:
            arch, way, numbers = piece.split()
            place = places(arch)[0]
            kernel = kernels("sample", arch)[place.backend]
            first, last = map(int, numbers.split("-"))
            failures = []
            with place.rig.steady_session(folder) as session:
                for number in range(first, last + 1):
                    guest = Guest(
                        kernel, f"{way}-{arch}-{number}", "checks=boot", 2, WAYS[way].memory_mib, 240.0,
                        firmware=way,
                    )  # fmt: skip
                    if failure := booted(place, guest, session, folder):
                        failures.append(f"boot {number}: {failure}")
            counts = {f"boots by {way}": last + 1 - first, f"boots by {way} that failed": len(failures)}
            yield Result(piece, counts, "; ".join(failures), on=place.rig.describe())


class Cores(Part):
    name = "cores"
    summary = "core files wherever there are any, of a kernel with two CPUs, for each architecture"

    def where(self) -> list[Place]:
        return [place for place in every_place() if not place.limited and not place.rig.no_core(place.arch)]

    def pieces(self) -> list[str]:
        return [str(place) for place in self.where()]

    def failure(self, place: Place, session: SteadySession, folder: Path) -> str:
        return seen(place, session, folder)

    def run(self, pieces: Sequence[str], folder: Path) -> Iterator[Result]:
        known = {str(place): place for place in every_place()}
        for piece in pieces:
            rig = known[piece].rig
            rig.prepare()
            own = folder / piece
            own.mkdir(parents=True, exist_ok=True)
            with rig.steady_session(folder) as session:
                failure = self.failure(known[piece], session, own)
            yield Result(piece, {self.name: 1}, failure, on=rig.describe())


class Traces(Cores):
    name = "traces"
    summary = "the trace of the sample kernel held against its own counts, wherever libraries have one"

    def where(self) -> list[Place]:
        found = [
            place for place in every_place() if not place.limited and not place.rig.no_memory(place.arch)
        ]
        return [place for place in found if traced(place)]

    def failure(self, place: Place, session: SteadySession, folder: Path) -> str:
        try:
            compare(place, session, folder)
        except AssertionError:
            return " ".join(traceback.format_exc(limit=-1).split())
        return ""


PARTS = (Boots(), Creations(), Firmware(), Cores(), Traces())
