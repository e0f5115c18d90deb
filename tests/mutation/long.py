# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""All mutations of all backends."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ci.long import Part, Result
from ci.util import ARCHITECTURES, ROOT

from ..guests import places
from . import devices
from .__main__ import BY, LEAST, LIST, REFUSED, break_in_all_ways, mutations, percent

DEVICES = "devices"
"""The drivers' pieces are called so, in place of a backend's name."""
COUNTS = {REFUSED: "not built", "": "missed", **dict.fromkeys((*BY, *devices.BY), "caught")}


class Mutations(Part):
    name = "mutations"
    summary = f"backends and drivers broken in all ways of their {LIST}; {LEAST} % must be noticed"
    of = ("spec", "codegen", "runtime", "devices", "backends", "conformance", "sample_kernel", "tests")

    def pieces(self) -> list[str]:
        """Each on every architecture that it is of and that the backend's first configuration boots."""
        first = {place.backend: place.configuration for place in reversed(places())}
        return [
            f"{name} on {arch}: {mutation.name}"
            for name, configuration in reversed(first.items())
            if (ROOT / "backends" / name / LIST).is_file()
            for arch in ARCHITECTURES
            if not configuration.given(arch)[1]
            for mutation in mutations(name, arch)
        ] + [
            f"{DEVICES} on {arch}: {mutation.name}"
            for arch in ARCHITECTURES
            for mutation in devices.mutations(arch)
        ]

    def run(self, pieces: Sequence[str], folder: Path) -> Iterator[Result]:
        rigs = {place.backend: place.rig for place in places()}
        for library in dict.fromkeys(piece.partition(": ")[0] for piece in pieces):
            backend, _, arch = library.partition(" on ")
            rig = rigs[devices.BACKEND if backend == DEVICES else backend]
            rig.prepare()
            on = rig.describe()
            every = devices.mutations(arch) if backend == DEVICES else mutations(backend, arch)
            chosen = [each for each in every if f"{library}: {each.name}" in pieces]
            run = devices.break_in_all_ways if backend == DEVICES else break_in_all_ways
            with contextlib.closing(run(rig, chosen, arch)) as broken:
                for each in broken:
                    note = each.found or ("missed" if not each.by else "")
                    yield Result(f"{library}: {each.mutation.name}", {COUNTS[each.by]: 1}, note=note, on=on)

    def judge(self, counts: Mapping[str, Mapping[str, int]]) -> list[str]:
        found: dict[str, Counter[str]] = {}
        for piece, each in counts.items():
            by = found.setdefault(piece.partition(": ")[0], Counter())
            by["caught"] += each.get("caught", 0)
            by[""] += each.get("missed", 0)
        return [
            f"{library}: {percent(by)} % of the mutations noticed, expected at least {LEAST} %"
            for library, by in found.items()
            if by.total() and percent(by) < LEAST
        ]


PARTS = (Mutations(),)
