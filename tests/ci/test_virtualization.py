# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi exits`: which ways are beside each other, and how exits are counted from traces."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from ci import virtualization
from ci.backends import backends
from ci.beside_linux import WORKLOAD_MARK
from ci.exits import Exit
from ci.figure import WIDTH
from ci.rig import Guest, Outcome, discover
from ci.util import ARCHITECTURES, UserError
from ci.virtualization import (
    EVERY,
    PARA,
    SINGLE,
    TRUE,
    WORKLOADS,
    Counts,
    as_json,
    as_text,
    base,
    in_words,
    single,
    ways_of,
    workloads,
)

MARK = Exit(0, "cpuid", leaf=WORKLOAD_MARK)
MSR, HYPERCALL, HOST = Exit(0, "msr"), Exit(0, "hypercall"), Exit(0, "interrupt")


def outcome(exits: Sequence[Exit] | None, said: Sequence[tuple[str, int]], clean: bool = True) -> Outcome:
    console = "".join(f"# bench {name} rounds={rounds} ticks=1\n" for name, rounds in said)
    made = Outcome(Guest(Path("kernel"), "guest"), console, clean, "its end", "", 0.0, "", Path("log"), {})
    made.exits = exits
    return made


def test_ways_that_are_beside_each_other() -> None:
    """With the processor's help, a kernel that knows nothing of its hypervisor, or as little as it can; and
    one that speaks to it."""
    found = ways_of(discover(print), [], ARCHITECTURES)
    assert found
    for those in found:
        *others, last = those.ways
        assert last.kind == PARA and last.library == last.rig.backend and others
        for way in others:
            assert way.kind == TRUE
            if way.rig is last.rig:
                assert way.rig.unmodified[way.by] == way.options
                assert way.library == base(last.library) != last.library
            else:
                assert backends()[way.library] and way.rig.exits_of == last.rig.exits_of
    assert len({(each.hypervisor, each.arch) for each in found}) == len(found)


def test_named_ways_only() -> None:
    rigs = discover(print)
    every = ways_of(rigs, [], ARCHITECTURES)
    name = every[0].ways[-1].configuration.name
    assert {each.name for each in ways_of(rigs, [name], [every[0].arch])} == {every[0].name}


def test_what_nothing_counts(capfd: pytest.CaptureFixture[str]) -> None:
    blind = next(rig for rig in discover(print).values() if not rig.exits_of)
    with pytest.raises(
        UserError, match=f"nothing counts the exits of {blind.configurations[0].name}"
    ) as told:
        virtualization.exits([blind.configurations[0].name])
    assert told.value.status == 2


def test_operations() -> None:
    """What is around each is taken off, by reason; the host's own business is not counted."""
    counts = Counts()
    operations = (virtualization.NOTHING, *SINGLE[:2])
    exits = [MARK, MSR, MSR, MARK, MARK, *[MSR] * 4, HOST, *[HYPERCALL] * 2, MARK, MARK, MSR, MARK]
    single(outcome(exits, [(each.name, 2) for each in operations]), operations, counts)
    assert counts.reasons == {
        SINGLE[0].name: {"hypercall": 1, "msr": 1}, SINGLE[1].name: {"msr": 0}
    }  # fmt: skip
    assert counts.total(SINGLE[0].name) == 2 and counts.hypercalls(SINGLE[0].name) == 1
    assert in_words(counts.reasons[SINGLE[1].name]) == ""
    assert in_words({"a": 1, "b": 1.5}) == "b 1.5, a 1"


def test_workloads() -> None:
    """The first two are less what a process takes, which is marked before each."""
    counts = Counts()
    names = [each.name for each in WORKLOADS] + ["another"]
    process, rest = [MARK, HYPERCALL, MARK], [MARK, HYPERCALL, HYPERCALL, MARK]
    calls = [MARK, HYPERCALL, *[MSR] * 4, MARK]
    exits = [*process, *calls, *process, *calls, *rest * (len(names) - 2)]
    workloads(outcome(exits, [(name, 2) for name in names]), counts)
    assert counts.reasons[names[0]] == {"hypercall": 0, "msr": 2}
    assert counts.reasons[names[2]] == {"hypercall": 1}
    assert "another" not in counts.reasons


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (outcome(None, []), "nothing was noted"),
        (outcome([], [], clean=False), "its end"),
        (outcome([MARK, MARK], [("other", 1)]), "it did other"),
    ],
)
def test_run_that_is_no_count(made: Outcome, why: str) -> None:
    with pytest.raises(UserError, match=why):
        single(made, SINGLE[:1], Counts())
    if made.clean:
        with pytest.raises(UserError):
            workloads(made, Counts())


def test_tables() -> None:
    those = ways_of(discover(print), [], ARCHITECTURES)[0]
    counts = [Counts(reasons={each.name: {"msr": 2.5} for each in EVERY}) for _ in those.ways]
    text = as_text([(those, counts)])
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.count("A: msr 2.5") == len(EVERY)
    document = json.loads(as_json([(those, counts)]))
    assert document["operations"] == {each.name: each.title for each in EVERY}
    assert document["hypervisors"][0]["ways"][-1]["exits"][EVERY[0].name] == {"msr": 2.5}
