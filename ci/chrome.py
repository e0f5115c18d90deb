# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Calls of a kernel in the Trace Event Format, which Perfetto and Chrome show
(https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from .calls import Interface
from .ring import Call, Entry

MICROSECONDS = 1_000_000
ASSUMED = 1_000_000_000
"""Hz, where the TSC's frequency is not known."""


def document(made: Sequence[Entry], interface: Interface, frequency: int, kernel: str) -> str:
    """One process, the kernel, with a thread for each CPU."""
    cpus = sorted({call.cpu for call in made})
    names = [_metadata("process_name", 0, kernel), *(_metadata("thread_name", n, f"CPU {n}") for n in cpus)]
    return json.dumps({"traceEvents": [*names, *_events(made, interface, frequency or ASSUMED)]}) + "\n"


def _metadata(what: str, cpu: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": 0, "tid": cpu, "args": {"name": name}}


def _events(made: Sequence[Entry], interface: Interface, frequency: int) -> Iterator[dict[str, Any]]:
    """A call is a slice. Slices of a thread lie within each other or apart; a call for which that does not
    hold, as another thread of the kernel's ran before it came back, is a pair of its own, and one that has
    not come back an instant."""
    start = min((call.begun for call in made), default=0)
    under_way: dict[int, list[int]] = defaultdict(list)

    def time(cycles: int) -> float:
        return (cycles - start) * MICROSECONDS / frequency

    for number, call in enumerate(made):
        name, *values = interface.words(call)
        event: dict[str, Any] = {
            "name": name, "cat": "call" if isinstance(call, Call) else "hypercall", "pid": 0, "tid": call.cpu,
            "ts": time(call.begun),
            "args": {name: text for some in values for name, (_, text) in some.items()},
        }  # fmt: skip
        if call.ended is None:
            yield event | {"ph": "i", "s": "t"}
            continue
        ends = under_way[call.cpu]
        while ends and ends[-1] <= call.begun:
            ends.pop()
        if ends and call.ended > ends[-1]:
            yield event | {"ph": "b", "id": number}
            yield event | {"ph": "e", "id": number, "ts": time(call.ended)}
        else:
            ends.append(call.ended)
            yield event | {"ph": "X", "dur": time(call.ended) - event["ts"]}
