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
from .__main__ import BY, LEAST, LIST, REFUSED, break_in_all_ways, mutations, percent

COUNTS = {REFUSED: "not built", "": "missed", **dict.fromkeys(BY, "caught")}


class Mutations(Part):
    name = "mutations"
    summary = f"backends broken in all ways of their {LIST}; {LEAST} % must be noticed"

    def pieces(self) -> list[str]:
        first = {place.backend: place.configuration for place in reversed(places())}
        return [
            f"{name}: {mutation.name}"
            for name, configuration in reversed(first.items())
            if (ROOT / "backends" / name / LIST).is_file()
            for mutation in mutations(name)
            if not configuration.given(mutation.arch or ARCHITECTURES[0])[1]
        ]

    def run(self, pieces: Sequence[str], folder: Path) -> Iterator[Result]:
        rigs = {place.backend: place.rig for place in places()}
        for backend in dict.fromkeys(piece.partition(": ")[0] for piece in pieces):
            rig = rigs[backend]
            rig.prepare()
            on = rig.describe()
            chosen = [each for each in mutations(backend) if f"{backend}: {each.name}" in pieces]
            for arch in dict.fromkeys(each.arch or "i386" for each in chosen):
                own = [each for each in chosen if (each.arch or "i386") == arch]
                with contextlib.closing(break_in_all_ways(rig, own, arch)) as broken:
                    for each in broken:
                        note = each.found or ("missed" if not each.by else "")
                        piece = f"{backend}: {each.mutation.name}"
                        yield Result(piece, {COUNTS[each.by]: 1}, note=note, on=on)

    def judge(self, counts: Mapping[str, Mapping[str, int]]) -> list[str]:
        found: dict[str, Counter[str]] = {}
        for piece, each in counts.items():
            by = found.setdefault(piece.partition(": ")[0], Counter())
            by["caught"] += each.get("caught", 0)
            by[""] += each.get("missed", 0)
        return [
            f"{backend}: {percent(by)} % of the mutations noticed, expected at least {LEAST} %"
            for backend, by in found.items()
            if by.total() and percent(by) < LEAST
        ]


PARTS = (Mutations(),)
