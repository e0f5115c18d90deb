# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi bench`: instructions are exact, so they are held to; times are not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ci.bench import (
    BOOT,
    INLINE,
    LIMIT,
    LINKED,
    POINTER,
    STATIC,
    Results,
    as_text,
    bench,
    beside_inline,
    differences,
    measurable,
    printed_tables,
)
from ci.figure import named
from ci.rig import Configuration
from ci.util import ARCHITECTURES, ROOT, UserError

WORKLOADS = {
    "system_call", "page_fault", "context_switch", "map_unmap_1024", "process_create_exit", "timer_tick",
    "console_64k", "ipi_round_trip",
}  # fmt: skip


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("bench") / "bench.json"
    assert bench([], quick=True, json_file=path) == 0
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


DIFFERENCES = {
    named("native", ARCHITECTURES[0]): {"APICRead": 1.0, "APICWrite": 1.0},
    named("native", ARCHITECTURES[1]): {
        "APICRead": 1.0, "APICWrite": 1.0, "WriteIDTEntry": 2.0, "SetFSBase": 2.0, "GetFSBase": 2.0,
        "GetGSBase": 2.0, "SetUserGSBase": 2.0, "GetUserGSBase": 2.0,
    },
}  # fmt: skip
"""Between kernels that are linked and bound and inline instructions, in ticks per call."""

each = pytest.mark.parametrize("arch", ARCHITECTURES)


def ticks(document: dict[str, Any], arch: str, binding: str) -> dict[str, int]:
    (row,) = [
        row for row in document["workloads"] if (row["architecture"], row["binding"]) == (arch, binding)
    ]
    assert row["unit"] == "instructions"
    return {name: each["ticks"] for name, each in row["workloads"].items()}


@each
@pytest.mark.parametrize("binding", [BOOT, LINKED])
def test_bound_kernel_costs_what_inline_instructions_cost(
    document: dict[str, Any], record_property: Callable[[str, object], None], arch: str, binding: str
) -> None:
    bound, least = ticks(document, arch, binding), ticks(document, arch, INLINE)
    assert set(bound) == set(least) == WORKLOADS
    for name in least:
        record_property(name, f"{bound[name]} bound, {least[name]} inline")
    assert abs(sum(bound.values()) / sum(least.values()) - 1) <= LIMIT, (bound, least)


@each
def test_calls_cost_more_than_instructions(document: dict[str, Any], arch: str) -> None:
    """That the bindings are what they are called: each call costs two instructions more, call and return."""
    least = sum(ticks(document, arch, INLINE).values())
    for binding in (STATIC, POINTER):
        assert sum(ticks(document, arch, binding).values()) > least * (1 + 10 * LIMIT)
    calls = {row["binding"]: row["calls"] for row in document["calls"] if row["architecture"] == arch}
    for binding, reads in ((STATIC, 3), (POINTER, 3), (LINKED, 1), (BOOT, 1), (INLINE, 1)):
        assert calls[binding]["GetCR3"] == reads


def test_each_difference_is_named_by_its_call(document: dict[str, Any]) -> None:
    """Linked and bound there are those whose form a feature chooses (a NOP fills their sites up), and those
    that are longer than their sites; without binding there is one for each instruction."""
    results = Results(calls=document["calls"], workloads=document["workloads"])
    for place in (named("native", arch) for arch in ARCHITECTURES):
        assert differences(results, LINKED)[place] == DIFFERENCES[place]
        assert differences(results, STATIC)[place]["GetCR3"] == 2
        titles = [title for title, _ in beside_inline(results)]
        assert f"{place}: calls that cost other than inline instructions, linked and bound" in titles
    calls = [{"backend": "b", "architecture": arch, "binding": binding, "calls": {"A": 1.0, "B": more}}
             for arch, binding, more in ((ARCHITECTURES[0], INLINE, 1.0), (ARCHITECTURES[0], LINKED, 3.0),
                                         (ARCHITECTURES[1], INLINE, 5.0))]  # fmt: skip
    assert differences(Results(calls=calls), LINKED) == {"b": {"B": 2.0}}


def test_each_architecture_has_tables_of_its_own(document: dict[str, Any]) -> None:
    fields = {name: each for name, each in document.items() if name not in ("schema", "quick")}
    text = as_text(Results(**fields))
    for arch in ARCHITECTURES:
        for what in ("ticks per call, call and return included", "ticks per round of a workload"):
            assert text.count(f"\n{arch}: {what}\n") == 1


def keys(value: object) -> set[str]:
    """All keys of a document but those that are names of calls, workloads and backends."""
    if isinstance(value, list):
        return set().union(*(keys(each) for each in value))
    found: set[str] = set()
    if isinstance(value, dict):
        for key, each in value.items():
            found.add(key)
            if key == "workloads" and isinstance(each, dict):
                each = list(each.values())
            if not (key in ("calls", "rigs") and isinstance(each, dict)):
                found |= keys(each)
    return found


def test_document_is_as_documented(document: dict[str, Any]) -> None:
    documented = set(re.findall(r"`(\w+)`", (ROOT / "docs/benchmarks.md").read_text()))
    assert keys(document) <= documented, keys(document) - documented
    for section in ("machine", "calls", "workloads", "boot", "dispatch", "sizes", "times"):
        assert document[section], section


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    """Is said before anything is measured."""
    with pytest.raises(UserError, match="there is no folder"):
        bench([], quick=True, json_file=tmp_path / "nowhere/bench.json")


def test_limited_configurations_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the kernels that measure cannot run, the others are measured; alone it is an error."""
    whole = ("pc", Configuration("pc", "PC"))
    limited = ("other", Configuration("other", "Other", limited="it has no page tables"))
    assert measurable([whole, limited]) == [whole]
    first, second = ARCHITECTURES
    assert capsys.readouterr().err == (
        f"vmi: not {named('other', first)}, because it has no page tables\n"
        f"vmi: not {named('other', second)}, because it has no page tables\n"
    )
    wide = ("wide", Configuration("wide", "Wide", limited="it has no page tables", wide_options={}))
    assert measurable([wide]) == [wide]
    assert capsys.readouterr().err == f"vmi: not {named('wide', first)}, because it has no page tables\n"
    with pytest.raises(UserError, match="nothing can be measured in other, because it has no page tables"):
        measurable([limited])


PRINTS = """
import pytest
from ci.bench import table

@pytest.mark.parametrize("what", ["clock", "interrupt"])
def test_one(what):
    print("\\n".join(table(f"exits of {what}", [["operation", "exits", "exits"], [what, "1", "2"]])))

@pytest.mark.skip(reason="nothing counts here")
def test_other():
    print("never")

def test_silent():
    pass
"""


def test_each_test_of_a_benchmark_prints_a_table(tmp_path: Path) -> None:
    """And none if it is skipped."""
    path = tmp_path / "bench_some.py"
    path.write_text(PRINTS)
    assert printed_tables(path) == [
        ([{"operation": what, "exits 1": "1", "exits 2": "2"}], f"exits of {what}")
        for what in ("clock", "interrupt")
    ]
    path.write_text("def test_one():\n    assert False\n")
    with pytest.raises(UserError, match=r"bench_some\.py failed"):
        printed_tables(path)
