# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What happens to machines, again and again while the same kernel works."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from ci import checked, figure
from ci.build import kernels
from ci.life import events_of, guest_of, happening
from ci.long import Part, Result
from ci.rig import Guest
from ci.util import ARCHITECTURES, write_if_changed

from ..guests import whole_places

TIMES = 20
SECONDS = 10


class Lives(Part):
    name = "life"
    summary = f"each event of ./vmi life {TIMES} times in a row, in each configuration, for each architecture"

    def pieces(self) -> list[str]:
        return [
            f"{place} {number}"
            for arch in ARCHITECTURES
            for place in whole_places(arch)
            for number in range(len(place.rig.lives))
        ]

    def run(self, pieces: Sequence[str], folder: Path) -> Iterator[Result]:
        known = {str(place): place for arch in ARCHITECTURES for place in whole_places(arch)}
        for piece in pieces:
            name, number = piece.split()
            place = known[name]
            life = place.rig.lives[int(number)]
            wanted = happening(life, TIMES, SECONDS)
            options, _ = place.configuration.given(place.arch)
            image = kernels("sample", place.arch)[place.backend]
            plain = Guest(image, f"{name}-{number}", cpus=2, options=options)
            place.rig.prepare()
            guest = guest_of(life, wanted, checked.with_devices(plain, place.rig, folder / f"{name}.disk"))
            checked.blank(guest.disks)
            with contextlib.ExitStack() as stack:
                outcome = stack.enter_context(place.rig.steady_session(folder)).run(guest)
            log = folder / f"{name}-{number}.guest.log"
            write_if_changed(log, f"{outcome.command}\n{outcome.console}\n")
            events = events_of(wanted, outcome)
            lacking = [f"{event.event}: {each}" for event in events for each in event.lacking]
            counts = {
                "events": sum(event.tried for event in events),
                "events lost": sum(event.lost for event in events),
            }
            failure = f"{lacking[0]} ({figure.log_path(log)})" if lacking else ""
            yield Result(piece, counts, failure, on=place.rig.describe())


PARTS = (Lives(),)
