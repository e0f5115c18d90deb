# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What happens to machines, again and again while the same kernel works."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

from ci import checked, figure
from ci.build import kernels
from ci.life import SUSPEND, Event, asked, events_of, guest_asked, guest_of, happening, passed_over
from ci.long import Part, Result
from ci.rig import Guest, Outcome
from ci.util import ARCHITECTURES, write_if_changed

from ..guests import whole_places

TIMES = 20
SAVED = 100
SECONDS = 10


def saved(outcome: Outcome) -> list[Event]:
    """What became of the saves of a guest; none where its library cannot be saved."""
    return [] if passed_over(SUSPEND, outcome) else [asked(SUSPEND, outcome, SAVED)]


class Lives(Part):
    name = "life"
    summary = (
        f"each event of ./vmi life {TIMES} times in a row, and being saved and restored {SAVED} times, "
        "in each configuration, for each architecture"
    )

    def pieces(self) -> list[str]:
        return [
            f"{place} {which}"
            for arch in ARCHITECTURES
            for place in whole_places(arch)
            for which in (
                *range(len(place.rig.lives)),
                *(word for word in place.rig.requested(arch) if word == SUSPEND),
            )
        ]

    def run(self, pieces: Sequence[str], folder: Path) -> Iterator[Result]:
        known = {str(place): place for arch in ARCHITECTURES for place in whole_places(arch)}
        for piece in pieces:
            name, which = piece.split()
            place = known[name]
            options, _ = place.configuration.given(place.arch)
            image = kernels("sample", place.arch)[place.backend]
            plain = Guest(image, f"{name}-{which}", cpus=2, options=options)
            place.rig.prepare()
            plain = checked.with_devices(plain, place.rig, folder / f"{name}.disk")
            if which == SUSPEND:
                guest, found = guest_asked(which, SAVED, plain), saved
            else:
                life = place.rig.lives[int(which)]
                wanted = happening(life, TIMES, SECONDS)
                guest, found = guest_of(life, wanted, plain), functools.partial(events_of, wanted)
            checked.blank(guest.disks)
            with contextlib.ExitStack() as stack:
                outcome = stack.enter_context(place.rig.steady_session(folder)).run(guest)
            log = folder / f"{name}-{which}.guest.log"
            write_if_changed(log, f"{outcome.command}\n{outcome.console}\n")
            events = found(outcome)
            lacking = [f"{event.event}: {each}" for event in events for each in event.lacking]
            counts = {
                "events": sum(event.tried for event in events),
                "events lost": sum(event.lost for event in events),
            }
            failure = f"{lacking[0]} ({figure.log_path(log)})" if lacking else ""
            yield Result(piece, counts, failure, on=place.rig.describe())


PARTS = (Lives(),)
