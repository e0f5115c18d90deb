# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What a hypervisor makes of each violation: a part of the long tests for a backend that keeps page tables
and descriptors with its hypervisor. Its folder has what was found the last time, violations.json beside its
long.py; docs/checked-rules.md shows it (page.py)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ci.build import tree
from ci.long import Part, Result
from ci.rig import Guest, Outcome
from ci.util import RESULTS, UserError, locked, remembered, write_if_changed

from ..guests import Place, places
from .violations import Violation, linked, of, parts, seen

DOCUMENT = RESULTS / "violations.json"
RECORD = "violations.json"
"""In the folder of a backend's tests."""
CRASHED, REFUSED, OTHERWISE, NOTHING = "crashed", "refused", "otherwise", "nothing seen"
KINDS = {
    CRASHED: "a fault came that a plain machine does not raise there, and ended the machine",
    REFUSED: "the library says which call was refused, and the error",
    OTHERWISE: "the kernel sees something else than on a plain machine",
    NOTHING: "the case went to its end as on a plain machine",
}
COMMAND_LINE_BYTES = 900
"""Of a machine's, beside what the rig adds."""
_REFUSED = re.compile(r"^vmi: (\w+) (refused|failed, cannot go on): .*: (error -\d+)\s*$", re.MULTILINE)
_FAULT = re.compile(r"^vmi: the kernel faulted before it had an IDT: ([\w ]+) at ", re.MULTILINE)


@dataclass(frozen=True)
class Reaction:
    """One of KINDS, and its particulars in words."""

    kind: str
    said: str = ""


def reaction(violation: Violation, outcome: Outcome) -> Reaction:
    """What became of a case in a machine that made it last."""
    text = parts(outcome.console).get(violation.name)
    if text is None:
        raise AssertionError(f"{violation.name} was not begun: {outcome.end}\n{outcome.console[-1000:]}")
    came_through = re.search(rf"^# end {violation.name}\s*$", text, re.MULTILINE)
    refused = [
        f"`{call}` {'refused' if how == 'refused' else 'failed, and the library ends the machine'}: {error}"
        for call, how, error in _REFUSED.findall(text)
    ]
    saw = [words for words in seen(text) if words not in violation.sees]
    if refused:
        said = list(dict.fromkeys(refused))
        if not came_through and "ends the machine" not in said[-1]:
            said.append(fault(text, outcome))
        return Reaction(REFUSED, "; ".join([*said, *saw]))
    if not came_through:
        return Reaction(CRASHED, "; ".join([*saw, fault(text, outcome)]))
    return Reaction(OTHERWISE, "; ".join(saw)) if saw else Reaction(NOTHING)


def fault(text: str, outcome: Outcome) -> str:
    """By which a machine was ended, as the library's own handler says it, or how it ended."""
    found = _FAULT.search(text)
    return found[1] if found else outcome.end


def recorded(folder: Path) -> dict[str, Any]:
    """What a backend's folder has: `on`, versions, and `reactions` by case."""
    return dict(json.loads((folder / RECORD).read_text()))


def together(cases: Sequence[str]) -> list[str]:
    """The kernel's command line for as many cases as it takes."""
    words: list[str] = []
    for case in cases:
        if len(" ".join([*words, f"case={case}"])) > COMMAND_LINE_BYTES:
            break
        words.append(f"case={case}")
    return words


class Violations(Part):
    """Violations one after the other in a machine, until it ends; the others in the next one."""

    name = "violations"

    def __init__(self, backend: str, arch: str, folder: Path) -> None:
        self.backend, self.arch, self.folder = backend, arch, folder
        self.of = ("spec", "codegen", "runtime", f"backends/{backend}", "tests/checked")
        self.summary = f"each violation that `checked` names, in machines of {backend}, for {arch}"

    def places(self) -> list[Place]:
        return [place for place in places(self.arch) if place.backend == self.backend]

    def absent(self) -> str:
        return "" if self.places() else f"{self.backend} is left out"

    def pieces(self) -> list[str]:
        return list(of(self.arch))

    def kernel(self) -> Path:
        """Where rigs look for kernels when they start."""
        kernel = tree(self.arch) / "tests" / f"violations-{self.backend}.elf"
        kernel.parent.mkdir(exist_ok=True)
        with locked(kernel.with_suffix(".lock")):
            return linked(self.arch, self.backend, kernel)

    def run(self, pieces: Sequence[str], folder: Path) -> Iterator[Result]:
        (place,) = self.places()
        known, kernel = of(self.arch), self.kernel()
        options = place.configuration.given(self.arch)[0]
        place.rig.prepare()
        on = place.rig.describe()
        left = list(pieces)
        with place.rig.steady_session(folder) as session:
            while left:
                words = together(left)
                name = f"violations-{len(left)}-left"
                outcome = session.run(Guest(kernel, name, " ".join(words), 1, 64, 240.0, options))
                write_if_changed(folder / f"{name}.guest.log", outcome.console + "\n")
                begun = parts(outcome.console).keys()
                if not begun:
                    raise UserError(f"no violation was begun: {outcome.end} ({name}.guest.log)")
                for piece in begun:
                    left.remove(piece)
                    yield self.result(known[piece], reaction(known[piece], outcome), on)

    def result(self, violation: Violation, found: Reaction, on: Mapping[str, str]) -> Result:
        """Of one case, which results/violations.json has as well."""
        document = remembered(DOCUMENT) or {}
        mine = document.setdefault(self.backend, {"architecture": self.arch, "reactions": {}})
        mine["on"] = dict(on)
        mine["reactions"][violation.name] = asdict(found)
        write_if_changed(DOCUMENT, json.dumps(document, indent=1) + "\n")
        before = recorded(self.folder)["reactions"].get(violation.name)
        differs = before is not None and before != asdict(found)
        failure = f"recorded {before}, found {asdict(found)}" if differs else ""
        return Result(violation.name, {"boots": 1, found.kind: 1}, failure, found.said, on=on)
