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
from ci.util import UserError
from tests.flavour.test_flavour import BUILDS, COMPILE, FREESTANDING, ROOT, boot, call

RULES = ROOT / "runtime/checked/rules.yaml"
GENERATE = ROOT / "runtime/checked/generate.py"
STATUS_PASS, STATUS_BROKEN_RULE = 0x10, 0x14
STRING = {f"{name.lower()}_backwards": (name, "direction_clear") for name in
          ("INSB", "INSW", "INSL", "OUTSB", "OUTSW", "OUTSL")}  # fmt: skip
VIOLATIONS = STRING | {
    "unknown_register_read": ("RDMSR", "register_exists"),
    "unknown_register_written": ("WRMSR", "register_exists"),
    "entry_of_a_plain_page": ("SetPxELong", "entry_in_table"),
    "entry_of_the_boot_tables": ("SetPxELong", "entry_in_table"),
    "entry_outside_of_the_linear_mapping": ("SetPxELong", "entry_in_table"),
    "entry_of_another_kind": ("SetPxELong", "entry_in_table"),
    "update_of_a_plain_page": ("UpdatePxELong", "entry_in_table"),
    "table_mapped_writable": ("AllocatePage", "page_not_mapped_writable"),
    "frame_given_while_mapped": ("BalloonInflate", "frame_not_mapped"),
    "table_given_while_named": ("BalloonInflate", "frame_not_mapped"),
    "table_named_too_early": ("AllocatePage", "tables_allocated_first"),
    "released_from_below": ("ReleasePage", "released_top_down"),
    "root_released_while_loaded": ("ReleasePage", "tree_not_loaded"),
    "interrupts_let_in_by_rebind": ("Rebind", "interrupts_masked"),
    "interrupts_let_in_by_suspend": ("Suspend", "interrupts_masked"),
    "lazy_twice": ("SetLazyMode", "lazy_not_preempted"),
    "thread_changed_while_lazy": ("UpdateKernelStack", "lazy_not_preempted"),
    "access_begun_twice": ("BeginUserAccess", "user_access_ends"),
    "thread_changed_with_access": ("UpdateKernelStack", "user_access_ends"),
    "gdt_off_its_page": ("SetGDT", "table_has_own_pages"),
    "code_of_ring_1": ("SetGDT", "descriptors_dpl"),
    "data_of_ring_2": ("SetGDT", "descriptors_dpl"),
    "selector_left_behind": ("EnableInterrupts", "selectors_reloaded"),
    "gate_written_in_place": ("WriteIDTEntry", "gates_announced"),
}
"""What each case of violations.c breaks: the call, and the rule."""
ONLY = {
    "i386": {"top_directory_of_boot": ("AllocatePage", "top_directory_not_shared")},
    "x86_64": {
        "area_off_its_boundary": ("SetGSBase", "area_begins_with_library"),
        "pcid_off": ("InvalPCID", "pcid_exists"),
        "user_root_differs": ("SetCR3", "user_half_in_both_roots"),
    },
}


@pytest.fixture(scope="module", params=BUILDS)
def arch(request: pytest.FixtureRequest) -> str:
    if not (ROOT / BUILDS[request.param] / "backends/libvmi-native-checked.a").is_file():
        pytest.skip(f"{request.param} is not built with flavours")
    return str(request.param)


@pytest.fixture(scope="module")
def violations(arch: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp(f"checked-{arch}")
    build, source = ROOT / BUILDS[arch], Path(__file__).with_name("violations.c")
    call(
        "gcc", *COMPILE[arch], *FREESTANDING, "-g", f"-I{build / 'include'}", "-c", source, "-o", out / "v.o"
    )
    script = ROOT / "runtime/arch" / arch / "kernel.ld"
    call(
        "gcc", COMPILE[arch][0], "-nostdlib", "-static", "-Wl,-no-pie", "-Wl,--build-id=none",
        "-Wl,-z,noexecstack", f"-Wl,-T,{script}", out / "v.o", build / "backends/libvmi-native-checked.a",
        "-o", out / "violations.elf",
    )  # fmt: skip
    return out / "violations.elf"


def messages(console: str) -> dict[str, list[tuple[str, str]]]:
    """Of each case the calls and rules that were named."""
    parts = re.split(r"^# case (\w+)\s*$", console, flags=re.MULTILINE)
    named = re.compile(r"^# checked: (\w+) breaks (\w+): ", re.MULTILINE)
    return {name: named.findall(text) for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def test_each_violation_is_named_once(arch: str, violations: Path) -> None:
    done = boot(violations, "vmi.checked=all")
    assert done.returncode == STATUS_PASS << 1 | 1, done.stdout[-3000:]
    expected = {name: [broken] for name, broken in (VIOLATIONS | ONLY[arch]).items()}
    assert messages(done.stdout) == expected, done.stdout[-6000:]
    assert flavour.failures(done.stdout) == [f"{len(expected)} times a rule was broken"]
    # All that a message has, with the caller's name and line by the kernel's file.
    block = done.stdout.split("# case entry_of_a_plain_page")[1].split("# case")[0].split("\n")
    lines = [flavour.named(violations, line) for line in block if "checked" in line]
    assert lines[1].startswith("# checked:   found: the page of the entry is no page table: entry 0x")
    inlined = r"set, violations\.c:\d+; entry_of_a_plain_page, violations\.c:\d+"
    assert re.match(rf"# checked:   caller: {inlined}(; [^;]+)* \(0x[0-9a-f]+\)$", lines[2]), lines[2]
    assert lines[3].startswith("# checked:   mend: write entries of pages that AllocatePage")
    assert lines[4].strip() == "# checked:   see docs/reference/page-tables.md#setpxelong"


def test_the_first_one_stops(violations: Path) -> None:
    done = boot(violations, "vmi.checked=stop case=xsave_off")
    assert messages(done.stdout) == {"xsave_off": [("XSETBV", "xsave_on")]}
    assert done.returncode == STATUS_BROKEN_RULE << 1 | 1


def test_ten_are_said_and_all_are_counted(arch: str, violations: Path) -> None:
    done = boot(violations)
    assert sum(map(len, messages(done.stdout).values())) == 10
    assert flavour.failures(done.stdout) == [f"{len(VIOLATIONS | ONLY[arch])} times a rule was broken"]


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
