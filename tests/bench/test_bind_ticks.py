# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Instructions that binding takes at boot (`-icount shift=0`), by the kernel's own count (`# bench bind`):
to find an image, to put it into place, to rewrite all call sites and to make code read-only."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from ci.backends import backends
from ci.build import tree
from ci.rig import COUNTING
from ci.util import ARCHITECTURES, tied

MOST = 300_000
"""What docs/benchmarks.md promises, for each way to an image."""
FIRST = next(iter(backends()))
REPORT = re.compile(r"^# bind provider=(\w+) source=([a-z]+)", re.MULTILINE)
TICKS = re.compile(r"^# bench bind rounds=1 ticks=(\d+) ", re.MULTILINE)

each = pytest.mark.parametrize("arch", ARCHITECTURES)


def boot(arch: str, append: str, *options: str | Path) -> str:
    """The console of a kernel that binds itself, on a PC without a hypervisor for guests to know."""
    command = [
        f"qemu-system-{arch}", *COUNTING, "-cpu", "qemu32" if arch == ARCHITECTURES[0] else "qemu64",
        "-machine", "pc,vmport=off", "-m", "64", "-nodefaults", "-no-user-config", "-display", "none",
        "-serial", "stdio", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        "-kernel", tree(arch) / "sample_kernel/bench-any.elf",
        "-append", f"bench=boot vmi.debug_exit=0xf4 {append}", *options,
    ]  # fmt: skip
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        preexec_fn=tied(),
    )  # fmt: skip
    return done.stdout


def held(console: str, provider: str, source: str) -> None:
    report, found = REPORT.search(console), TICKS.search(console)
    assert report and found, console
    assert report.groups() == (provider, source)
    print(f"{provider} {source}: {found[1]}")
    assert 0 < int(found[1]) <= MOST


@each
def test_image_is_found_by_asking(arch: str) -> None:
    held(boot(arch, ""), FIRST, "builtin")


@each
@pytest.mark.parametrize("backend", backends())
def test_image_that_is_named(arch: str, backend: str) -> None:
    console = boot(arch, f"vmi.provider={backend}")
    if "vmi: cannot run: " in console:
        pytest.skip(console.splitlines()[-1])
    held(console, backend, "builtin")


@each
@pytest.mark.parametrize(("option", "source"), [("-initrd", "module"), ("-option-rom", "rom")])
def test_image_from_elsewhere(arch: str, option: str, source: str) -> None:
    held(boot(arch, "", option, tree(arch) / f"backends/{FIRST}.rom"), FIRST, source)
