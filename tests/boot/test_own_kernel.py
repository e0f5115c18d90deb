# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Kernels of anybody's in every rig: judged by how they end, stopped, typed to, given files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ci.build import BOUND, bound_kernel, tree
from ci.conformance import typed_file
from ci.rig import Guest, Outcome, Terminal
from ci.util import ARCHITECTURES, ROOT

from ..guests import Place, Rigs, Run, places

SILENT = """
#include <vmi/vmi.h>
void kernel_main(const struct vmi_boot_info *boot);
void kernel_main(const struct vmi_boot_info *boot)
{
    (void)boot;
    vmi_shutdown_reason(VMI_SHUTDOWN_CRASH, VMI_STATUS_FAIL);
}
"""


READER = """
#include <vmi/vmi.h>
void kernel_main(const struct vmi_boot_info *boot);
void kernel_main(const struct vmi_boot_info *boot)
{
    const char *text = (const char *)((uint32_t)boot->modules[0].base + boot->linear_base);

    if (boot->module_count == 1)
        vmi_console_write(text, (uint32_t)boot->modules[0].size);
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
}
"""


MACHINE = {"i386": ("-m32", "-march=i686"), "x86_64": ("-m64", "-mcmodel=kernel", "-mno-red-zone")}


def compiled(text: str, library: str, folder: Path, arch: str = ARCHITECTURES[0], *options: str) -> Path:
    """A kernel of this source, linked as the README has it."""
    source, kernel = folder / "kernel.c", folder / "kernel.elf"
    source.write_text(text)
    subprocess.run(
        ["gcc", *MACHINE[arch], "-ffreestanding", "-fno-pic", "-fno-stack-protector",
         "-mgeneral-regs-only", "-O2", "-nostdlib", "-static", f"-I{tree(arch)}/include",
         f"-Wl,-T,{ROOT}/runtime/arch/{arch}/kernel.ld", "-Wl,--build-id=none", *options, "-o", kernel,
         source, tree(arch) / f"backends/libvmi-{library}.a"],
        check=True,
    )  # fmt: skip
    return kernel


@pytest.mark.parametrize("place", places(), ids=str)
@pytest.mark.parametrize("library", ["own", BOUND])
def test_a_kernel_that_says_nothing_and_fails_does_not_pass(
    place: Place, library: str, run: Run, tmp_path: Path
) -> None:
    """Also where the configuration is limited, so that the kernel never runs."""
    kernel = compiled(SILENT, place.backend if library == "own" else library, tmp_path)
    outcome, _ = run(place, kernel=kernel, cpus=1, deadline=240.0)
    assert not outcome.clean, outcome.end
    assert outcome.end and outcome.advice


FAULT = """
#include <vmi/vmi.h>
void kernel_main(const struct vmi_boot_info *boot)
{
    (void)boot;
    *(volatile int *)0x1238 = 1;
}
"""


@pytest.mark.every_architecture
def test_a_kernel_that_faults_at_once_says_where(configuration: Place, run: Run, tmp_path: Path) -> None:
    """Before it has an IDT; more of it, on a plain machine: tests/runtime/test_faults.py."""
    kernel = compiled(FAULT, configuration.backend, tmp_path, configuration.arch)
    outcome, _ = run(configuration, kernel=kernel, cpus=1, deadline=240.0)
    assert not outcome.clean
    said = "vmi: the kernel faulted before it had an IDT: page fault at 0x"
    (line,) = [line for line in outcome.console.splitlines() if line.startswith(said)]
    assert line.endswith(" of address 0x1238, error 0x2")


def own(rigs: Rigs, place: Place, kernel: Path, append: str, live: object = None, **more: object) -> Outcome:
    """A guest of its own, which is not kept."""
    rigs.prepare(place)
    options = place.configuration.options
    guest = Guest(kernel, "own", append, options=options, deadline=240.0, **more)  # type: ignore[arg-type]
    return rigs.session(place).run(guest, live)  # type: ignore[arg-type]


def test_a_guest_is_stopped_by_who_looks(configuration: Place, rigs: Rigs) -> None:
    """Long before its deadline, and the rig serves the next one."""
    told = f"{configuration.configuration.bound_append} checks=boot test=hang".strip()
    outcome = own(rigs, configuration, bound_kernel("sample"), told, lambda line: "# test=hang" in line)
    assert outcome.end == "stopped while it ran, as asked"
    assert "# test=hang" in outcome.console


class Keys(Terminal):
    """Types a file at once, and keeps what comes."""

    def __init__(self, file: Path) -> None:
        self.left = [file.read_bytes()]
        self.seen = b""

    def read(self) -> bytes:
        return self.left.pop() if self.left else b""

    def write(self, data: bytes) -> None:
        self.seen += data


PROMPT = """
#include <vmi/vmi.h>
void kernel_main(const struct vmi_boot_info *boot)
{
    (void)boot;
    vmi_console_write("first\\r\\nlogin: ", 14);
    for (;;)
        vmi_yield();
}
"""


def test_a_prompt_is_the_guests_last_word(configuration: Place, rigs: Rigs, tmp_path: Path) -> None:
    """A line that has not ended is seen while its guest waits at it, and nobody else's words are in it."""
    seen: list[str] = []

    def prompt(line: str) -> bool:
        seen.append(line)
        return line == "login: "

    kernel = compiled(PROMPT, configuration.backend, tmp_path)
    outcome = own(rigs, configuration, kernel, "", prompt=prompt)
    assert outcome.end == "stopped while it ran, as asked"
    assert seen[-1] == "login: "
    assert outcome.console.splitlines()[-2:] == ["first", "login: "]


def test_a_terminal_is_joined_to_the_console(configuration: Place, rigs: Rigs) -> None:
    """Both ways, byte for byte, by the console that the configuration has."""
    keys = Keys(typed_file(1))
    told = f"{configuration.configuration.bound_append} input=1".strip()
    outcome = own(rigs, configuration, bound_kernel("conformance"), told, terminal=keys)
    assert outcome.clean, outcome.end
    assert "# input received=1024 wrong=0" in outcome.console
    assert b"# input received=1024 wrong=0" in keys.seen


def test_a_module_reaches_the_kernel(configuration: Place, rigs: Rigs, tmp_path: Path) -> None:
    module = tmp_path / "module"
    module.write_text("what the module has\r\n")
    kernel = compiled(READER, configuration.backend, tmp_path)
    outcome = own(rigs, configuration, kernel, "", modules=((module, ""),))
    assert outcome.clean, outcome.end
    assert "what the module has" in outcome.console.splitlines()
