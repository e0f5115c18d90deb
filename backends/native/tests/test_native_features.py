# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Forms of calls by processor feature, on processors that have the features and on one that has none: each
form does what the contract says, and one that the processor lacks would be an invalid opcode."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest

from ci import ktap
from ci.build import build, kernels
from ci.rig import DEBUG_EXIT, QEMU_END, STATUS
from ci.util import ARCHITECTURES, tied

ALL = "max"
NONE = "max,-smap,-smep,-invpcid,-xsave"
CALLS = {"i386": ["BeginUserAccess", "EndUserAccess", "XSETBV"]}
CALLS["x86_64"] = [*CALLS["i386"], "InvalPCID"]
PREVENTION = ["execution", "access", "access_in_handler"]
KERNELS = [("i386", "native"), ("i386", "any"), ("x86_64", "native")]
"""A kernel that binds itself has the forms at its call sites."""


def guest(arch: str, kernel: str, library: str, cpu: str, append: str) -> subprocess.CompletedProcess[str]:
    """A boot to its end."""
    build(arch=arch)
    path = kernels(kernel, arch)["native"].with_name(f"{kernel}-{library}.elf")
    return subprocess.run(
        ["qemu-system-x86_64", "-accel", "tcg", "-cpu", cpu, "-M", "pc,vmport=off", "-nodefaults",
         "-no-user-config", "-display", "none", "-serial", "stdio", "-smp", "1", "-m", "64", *QEMU_END,
         "-kernel", str(path), "-append", f"{DEBUG_EXIT} {append}"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False, preexec_fn=tied(),
    )  # fmt: skip


def boot(arch: str, kernel: str, library: str, cpu: str, checks: str) -> dict[str, str]:
    """Status of each check."""
    done = guest(arch, kernel, library, cpu, f"checks={checks}")
    report = ktap.parse(done.stdout)
    assert (STATUS[done.returncode >> 1], report.failures()) == ("pass", []), done.stdout[-3000:]
    return {test.name: test.status for test in report.tests}


@pytest.mark.parametrize(("arch", "library"), KERNELS)
def test_the_kernel_is_kept_from_pages_of_processes(arch: str, library: str) -> None:
    """SMEP and SMAP; i386's kernel leaves them off (sample_kernel/supervisor.c)."""
    wanted = "pass" if arch == "x86_64" else "skip"
    found = boot(arch, "sample", library, ALL, "protection.supervisor")
    assert [found[f"protection.supervisor_{name}"] for name in PREVENTION] == [wanted] * 3
    found = boot(arch, "sample", library, NONE, "protection.supervisor")
    assert [found[f"protection.supervisor_{name}"] for name in PREVENTION] == ["skip"] * 3


TURNED_ON = {
    "i386": ["nx", "wp", "umip"],
    "x86_64": ["nx", "wp", "smep", "smap", "umip", "pge", "fsgsbase", "xsave"],
}
"""Of what QEMU's `max` has."""
LEFT_OFF = {"i386": ["smep", "smap", "pge", "fsgsbase", "xsave"], "x86_64": []}
"""With a reason, beside those of both architectures."""


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_feature_that_is_there_and_off_is_a_failure(arch: str) -> None:
    """Each that the kernel leaves off is named, and what it does not mean to turn on has a line."""
    done = guest(arch, "sample", "native", ALL, "checks=processor.features")
    assert STATUS[done.returncode >> 1] == "pass", done.stdout[-3000:]
    lines = dict(re.findall(r"^# feature (\w+): (.*?)\r?$", done.stdout, re.MULTILINE))
    assert [name for name, said in lines.items() if said == "on"] == TURNED_ON[arch]
    declined = {name for name, said in lines.items() if said.startswith("there, left off: ")}
    assert declined >= {"la57", *LEFT_OFF[arch]}
    done = guest(arch, "sample", "native", ALL, "checks=processor.features leave_off=all")
    assert STATUS[done.returncode >> 1] == "fail", done.stdout[-3000:]
    found = re.search(r"^not ok \d+ processor.features # there and off: (.*?)\r?$", done.stdout, re.MULTILINE)
    assert found and found[1].split() == TURNED_ON[arch]


@pytest.mark.parametrize(("arch", "library"), KERNELS)
def test_each_form_keeps_the_contract(arch: str, library: str) -> None:
    found = boot(arch, "conformance", library, ALL, "contract.")
    assert {name: found[f"contract.{name}"] for name in CALLS[arch]} == dict.fromkeys(CALLS[arch], "pass")
    found = boot(arch, "conformance", library, NONE, "contract.")
    wanted = dict.fromkeys(CALLS[arch], "pass") | {"XSETBV": "skip"}
    assert {name: found[f"contract.{name}"] for name in CALLS[arch]} == wanted


# Moved to another processor

LESS = "max,-smap,-invpcid"
"""What a guest that started on ALL can be moved to: it uses none of this itself."""
EACH = [*KERNELS, ("x86_64", "any")]
DEADLINE = 240.0
MOVED = re.compile(r"^# test=processor: moved to .*?$", re.MULTILINE)


def machine(
    arch: str, library: str, cpu: str, console: Path, append: str, *more: str
) -> subprocess.Popen[str]:
    """The sample kernel, and QEMU's monitor on its standard input and output."""
    path = kernels("sample", arch)["native"].with_name(f"sample-{library}.elf")
    return subprocess.Popen(
        ["qemu-system-x86_64", "-accel", "tcg", "-cpu", cpu, "-M", "pc,vmport=off", "-nodefaults",
         "-no-user-config", "-display", "none", "-serial", f"file:{console}", "-monitor", "stdio",
         "-smp", "1", "-m", "64", *QEMU_END, "-kernel", str(path),
         "-append", f"{DEBUG_EXIT} checks=none test=processor {append}", *more],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=tied(),
    )  # fmt: skip


def moved(
    arch: str, library: str, first: str, second: str, folder: Path, append: str = ""
) -> tuple[str, str, str]:
    """A guest is saved where QEMU has one processor, and goes on where it has the other. How that ended, what
    the kernel wrote before, and what it wrote there."""
    build(arch=arch)
    before, after, state = (folder / name for name in ("before", "after", "state"))
    source = machine(arch, library, first, before, append)
    try:
        deadline = time.monotonic() + DEADLINE
        while not (before.exists() and "# test=processor: vendor=" in before.read_text()):
            assert source.poll() is None and time.monotonic() < deadline, "the kernel does not come so far"
            time.sleep(0.1)
        said, _ = source.communicate(f'migrate "exec:cat >{state}"\nquit\n', timeout=DEADLINE)
    finally:
        source.kill()
    assert state.stat().st_size > 1 << 20, said
    target = machine(arch, library, second, after, append, "-incoming", f"exec:cat {state}")
    try:
        said, _ = target.communicate(timeout=DEADLINE)
    finally:
        target.kill()
    end = STATUS.get(target.returncode >> 1, "") if target.returncode & 1 else ""
    return end, before.read_text(), after.read_text() if after.exists() else said


@pytest.mark.parametrize(("first", "second"), [(ALL, LESS), (LESS, ALL)], ids=["to less", "to more"])
@pytest.mark.parametrize(("arch", "library"), EACH)
def test_moved_to_another_processor(arch: str, library: str, first: str, second: str, tmp_path: Path) -> None:
    """A kernel that was linked, and one that has bound itself: after Rebind each has the forms of the
    processor that it runs on."""
    end, before, after = moved(arch, library, first, second, tmp_path)
    assert end == "pass", before + after
    assert f"access={int(first == ALL)}" in before
    told = MOVED.search(after)
    assert told, after
    assert f" rebind=0 access={int(second == ALL)} " in told[0]
    assert told[0].rstrip().endswith(" exception=0 alarm=1")


@pytest.mark.parametrize(("arch", "library"), EACH)
def test_moved_and_not_bound_again(arch: str, library: str, tmp_path: Path) -> None:
    """What Rebind is for: STAC and CLAC are invalid opcodes on the other processor."""
    end, before, after = moved(arch, library, ALL, LESS, tmp_path, "rebind=no")
    assert "access=1" in before
    assert end != "pass", after
