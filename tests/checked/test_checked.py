# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The flavour `checked`: each rule that violations.c breaks is named. The sample kernel hears nothing in its
row of `./vmi boot` (tests/boot/test_rows.py)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ci import flavour
from ci.rig import Guest, Outcome
from ci.util import UserError
from tests.flavour.test_flavour import BUILDS, ROOT, boot

from .page import PAGE, rendered
from .reactions import CRASHED, NOTHING, OTHERWISE, REFUSED, Reaction, reaction
from .violations import HERE, Violation, linked, listed, messages, of, parts, seen

RULES = ROOT / "runtime/checked/rules.yaml"
GENERATE = ROOT / "runtime/checked/generate.py"
STATUS_PASS, STATUS_BROKEN_RULE = 0x10, 0x14


@pytest.fixture(scope="module", params=BUILDS)
def arch(request: pytest.FixtureRequest) -> str:
    if not (ROOT / BUILDS[request.param] / "backends/libvmi-native-checked.a").is_file():
        pytest.skip(f"{request.param} is not built with flavours")
    return str(request.param)


@pytest.fixture(scope="module")
def violations(arch: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return linked(arch, "native-checked", tmp_path_factory.mktemp(f"checked-{arch}") / "violations.elf")


def expected(arch: str) -> tuple[dict[str, Violation], dict[str, Violation]]:
    """What a boot breaks one after the other, and what is broken alone."""
    every = of(arch)
    return (
        {name: each for name, each in every.items() if not each.alone},
        {name: each for name, each in every.items() if each.alone},
    )


def test_each_violation_is_named_once(arch: str, violations: Path) -> None:
    done = boot(violations, "vmi.checked=all")
    assert done.returncode == STATUS_PASS << 1 | 1, done.stdout[-3000:]
    together, alone = expected(arch)
    consoles = parts(done.stdout)
    assert consoles.keys() == together.keys()
    assert flavour.failures(done.stdout) == [f"{len(together)} times a rule was broken"]
    # All that a message has, with the caller's name and line by the kernel's file.
    block = consoles["entry_of_a_plain_page"].split("\n")
    lines = [flavour.named(violations, line) for line in block if "checked" in line]
    assert lines[1].startswith("# checked:   found: the page of the entry is no page table: entry 0x")
    inlined = r"set, violations\.c:\d+; entry_of_a_plain_page, violations\.c:\d+"
    assert re.match(rf"# checked:   caller: {inlined}(; [^;]+)* \(0x[0-9a-f]+\)$", lines[2]), lines[2]
    assert lines[3].startswith("# checked:   mend: write entries of pages that AllocatePage")
    assert lines[4].strip() == "# checked:   see docs/reference/page-tables.md#setpxelong"
    # A store's are the instruction's own, not those of the one before it.
    (stored,) = (line for line in consoles["entry_stored_in_place"].split("\n") if "  store: " in line)
    stored = flavour.named(violations, stored)
    where = re.match(
        r"# checked:   store: store_entry, violations\.c:(\d+)(; [^;]+)* \(0x[0-9a-f]+\)$", stored
    )
    assert where, stored
    source = (HERE / "violations.c").read_text().splitlines()
    assert source[int(where[1]) - 1].lstrip().startswith("entries[place_of(pfn)] = ")
    gates = consoles["gate_written_in_place"]
    (stored,) = (line for line in gates.split("\n") if "  store: " in line)
    assert "  store: gate_written_in_place, violations.c:" in flavour.named(violations, stored)
    for name in alone:
        consoles |= parts(boot(violations, f"vmi.checked=all case={name}").stdout)
    for name, each in (together | alone).items():
        assert messages(consoles[name]) == [(each.call, each.rule, each.found[arch])], consoles[name]
        assert seen(consoles[name]) == list(each.sees), consoles[name]


def test_there_are_forty() -> None:
    """Of each architecture, and of each rule that has a check one at least, but for the one that needs
    another CPU in the middle of Rebind."""
    assert all(len(of(arch)) >= 40 for arch in BUILDS)
    rules = YAML(typ="safe", pure=True).load(RULES)
    seen_ = rules["checks"].keys() | rules["stores"].keys()
    assert seen_ - {each.rule for each in listed()} == {"one_cpu_runs"}


def test_the_page_is_what_the_list_and_the_results_say() -> None:
    assert PAGE.read_text() == rendered(), "python -m tests.checked.page brings it up to date"


def test_reactions_are_told_apart() -> None:
    """By what the console and the hypervisor's log say."""
    violation = of("x86_64")["gate_written_in_place"]
    guest = Guest(Path("k"), "k")
    begun = f"# case {violation.name}\r\n"
    end = f"# end {violation.name}\r\n"
    refused = "vmi: SetPxELong refused: entry 0x1, value 0x2: error -22\r\n"
    ended = "vmi: SetCR3 failed, cannot go on: entry 0x1, value 0x0: error -22\r\n"
    fault = "vmi: the kernel faulted before it had an IDT: invalid opcode at 0x1\r\n"
    for console, kind, said in (
        ("# sees the gate is used\r\n" + end, NOTHING, ""),
        ("# sees another thing\r\n" + end, OTHERWISE, "another thing"),
        (fault, CRASHED, "invalid opcode"),
        ("", CRASHED, "shutdown reason 3 (crash)"),
        (refused * 2 + end, REFUSED, "`SetPxELong` refused: error -22"),
        (refused + fault, REFUSED, "`SetPxELong` refused: error -22; invalid opcode"),
        (ended, REFUSED, "`SetCR3` failed, and the library ends the machine: error -22"),
    ):
        outcome = Outcome(
            guest, begun + console, False, "shutdown reason 3 (crash)", "", 1.0, "", Path("log")
        )
        assert reaction(violation, outcome) == Reaction(kind, said)


def test_the_first_one_stops(violations: Path) -> None:
    done = boot(violations, "vmi.checked=stop case=xsave_off")
    (message,) = messages(parts(done.stdout)["xsave_off"])
    assert message[:2] == ("XSETBV", "xsave_on")
    assert done.returncode == STATUS_BROKEN_RULE << 1 | 1


def test_the_first_store_stops(violations: Path) -> None:
    done = boot(violations, "vmi.checked=stop case=entry_stored_in_place")
    (message,) = messages(parts(done.stdout)["entry_stored_in_place"])
    assert message[1] == "entries_by_calls"
    assert done.returncode == STATUS_BROKEN_RULE << 1 | 1


def test_conformance_breaks_what_it_says(arch: str) -> None:
    """It makes calls with interrupts let in to see that they leave them so; no other rule is named. What
    calls take of the stack is all that does not conform."""
    done = boot(ROOT / BUILDS[arch] / "conformance/conformance-native-checked.elf")
    assert flavour.failures(done.stdout), done.stdout[-3000:]
    failed = re.findall(r"^not ok .*", done.stdout, re.MULTILINE)
    assert [line for line in failed if "bytes of stack taken" not in line] == []
    made = {"x86_64": {"Attach", "Rebind", "Suspend"}, "i386": {"Rebind", "Suspend"}}[arch]
    said = messages(done.stdout)
    assert {name for name, *_ in said} == made and {rule for _, rule, _ in said} == {"interrupts_masked"}


def test_ten_are_said_and_all_are_counted(arch: str, violations: Path) -> None:
    done = boot(violations)
    assert len(messages(done.stdout)) == 10
    assert flavour.failures(done.stdout) == [f"{len(expected(arch)[0])} times a rule was broken"]


def workloads(kernel: Path) -> dict[str, float]:
    """Instructions of a round, by workload. QEMU 10 counts none on the processor that has everything."""
    done = boot(kernel, "bench=workloads", "-icount", "shift=0", "-cpu", "qemu64")
    assert done.returncode == STATUS_PASS << 1 | 1, done.stdout[-3000:]
    found = re.findall(r"^# bench (\w+) .*ticks_per_round=([\d.]+)", done.stdout, re.MULTILINE)
    return {name: float(ticks) for name, ticks in found}


def test_cost(arch: str) -> None:
    """At most ten times the instructions of the library alone."""
    folder = ROOT / BUILDS[arch] / "sample_kernel"
    plain, checked = (workloads(folder / f"sample-native{end}.elf") for end in ("", "-checked"))
    assert plain.keys() == checked.keys() and len(plain) >= 8
    assert {
        name: f"{checked[name] / plain[name]:.1f}" for name in plain if checked[name] > 10 * plain[name]
    } == {}


def generated(folder: Path, rules: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    (folder / "rules.yaml").write_text(json.dumps(rules))  # which is YAML
    model = ROOT / BUILDS["x86_64"] / "include/vmi/model.json"
    return subprocess.run(
        [sys.executable, "-B", GENERATE, model, folder / "rules.yaml", folder / "out.c"],
        capture_output=True,
        text=True,
    )


def test_a_term_without_a_check_is_refused(tmp_path: Path) -> None:
    rules = YAML(typ="safe", pure=True).load(RULES)
    del rules["checks"]["xsave_on"]
    done = generated(tmp_path, rules)
    assert done.returncode == 1
    assert "term xsave_on is in no list of rules.yaml; expected: in `checks`" in done.stderr
    rules["checks"]["no_such_term"] = {"mend": ""}
    rules["unseen"]["xsave_on"] = "for no reason"
    rules["unseen"]["entries_by_calls"] = "for another"
    assert "entries_by_calls is in stores and unseen of rules.yaml" in generated(tmp_path, rules).stderr
    del rules["unseen"]["entries_by_calls"]
    assert "no_such_term, which is no term" in generated(tmp_path, rules).stderr


def test_each_reference_is_there() -> None:
    """The links in messages lead to headings."""
    model = json.loads((ROOT / BUILDS["i386"] / "include/vmi/model.json").read_text())
    text = (ROOT / BUILDS["i386"] / "backends/checked-rules.c").read_text()
    for call_ in model["spec"]["calls"]:
        found = re.search(rf'"{call_["name"]}", "(docs/reference/[\w-]+\.md)#(\w+)"', text)
        assert found, call_["name"]
        assert f"\n## {call_['name']}\n" in (ROOT / found[1]).read_text()
        assert found[2] == call_["name"].lower()


def test_a_kernel_without_the_flavour_is_refused(tmp_path: Path) -> None:
    kernel = tmp_path / "kernel.elf"
    kernel.write_bytes(b"\x7fELF")
    with pytest.raises(UserError, match=r"linked with libvmi-native-checked\.a; .*/kernel\.elf is not"):
        flavour.linked(kernel, "native", flavour.CHECKED)
    beside = tmp_path / "kernel-checked.elf"
    beside.write_bytes(b"vmi-flavour checked\0")
    assert flavour.linked(kernel, "native", flavour.CHECKED) == beside
