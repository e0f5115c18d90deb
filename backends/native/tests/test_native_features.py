# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Forms of calls by processor feature, on processors that have the features and on one that has none: each
form does what the contract says, and one that the processor lacks would be an invalid opcode."""

from __future__ import annotations

import subprocess

import pytest

from ci import ktap
from ci.build import build, kernels
from ci.rig import DEBUG_EXIT, QEMU_END, STATUS
from ci.util import tied

ALL = "max"
NONE = "max,-smap,-smep,-invpcid,-xsave"
CALLS = {"i386": ["BeginUserAccess", "EndUserAccess", "XSETBV"]}
CALLS["x86_64"] = [*CALLS["i386"], "InvalPCID"]
PREVENTION = ["execution", "access", "access_in_handler"]
KERNELS = [("i386", "native"), ("i386", "any"), ("x86_64", "native")]
"""A kernel that binds itself has the forms at its call sites."""


def boot(arch: str, kernel: str, library: str, cpu: str, checks: str) -> dict[str, str]:
    """Status of each check."""
    build(arch=arch)
    path = kernels(kernel, arch)["native"].with_name(f"{kernel}-{library}.elf")
    done = subprocess.run(
        ["qemu-system-x86_64", "-accel", "tcg", "-cpu", cpu, "-M", "pc,vmport=off", "-nodefaults",
         "-no-user-config", "-display", "none", "-serial", "stdio", "-smp", "1", "-m", "64", *QEMU_END,
         "-kernel", str(path), "-append", f"{DEBUG_EXIT} checks={checks}"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False, preexec_fn=tied(),
    )  # fmt: skip
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


@pytest.mark.parametrize(("arch", "library"), KERNELS)
def test_each_form_keeps_the_contract(arch: str, library: str) -> None:
    found = boot(arch, "conformance", library, ALL, "contract.")
    assert {name: found[f"contract.{name}"] for name in CALLS[arch]} == dict.fromkeys(CALLS[arch], "pass")
    found = boot(arch, "conformance", library, NONE, "contract.")
    wanted = dict.fromkeys(CALLS[arch], "pass") | {"XSETBV": "skip"}
    assert {name: found[f"contract.{name}"] for name in CALLS[arch]} == wanted
