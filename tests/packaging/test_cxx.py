# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Kernels in C++, and the linker script: constructors run, and what cannot be right does not link."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ci.build import tree
from ci.util import ARCHITECTURES, ROOT, tied

SOURCE = Path(__file__).with_name("constructors.cpp")
BASES = {
    "i386": ("linear_base = 0xC0000000;", "linear_base = 0x80000000;", "vmi_linear_base_is_0xC0000000"),
    "x86_64": (
        "image_base = 0xffffffff80000000;",
        "image_base = 0xffffffffc0000000;",
        "vmi_image_base_is_right",
    ),
}
"""What a linker script says of where kernels are linked, another place, and the symbol that tells."""
MODEL = {"i386": ["-m32"], "x86_64": ["-m64", "-fno-pie", "-mcmodel=kernel", "-mgeneral-regs-only"]}
# gcc has no position-independent code for the kernel's model.
OF_ARCH = {"i386": ("-Os -mregparm=3", "-O2 -fPIE"), "x86_64": ("-Os", "-O2 -mcmodel=small -fPIE")}
WORD = {"i386": ".long", "x86_64": ".quad"}
QEMU = [
    "qemu-system-x86_64",
    "-machine",
    "pc,vmport=off",
    "-display",
    "none",
    "-serial",
    "stdio",
    "-no-reboot",
]


def script(arch: str) -> str:
    return (ROOT / "runtime/arch" / arch / "kernel.ld").read_text()


def make(installed: Path, folder: Path, library: str, arch: str, **variables: str) -> Path:
    shutil.copy(ROOT / "examples/consumers/make/Makefile", folder)
    variables |= {"KERNEL": str(SOURCE), "BACKEND": library, "ARCH": arch}
    command = ["make", *(f"{name}={value}" for name, value in variables.items())]
    environment = {**os.environ, "PKG_CONFIG_LIBDIR": str(installed / "share/pkgconfig")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / f"kernel-{library}-{arch}.elf"


def says(kernel: Path, *options: str) -> str:
    command = [*QEMU, *options, "-kernel", kernel]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, preexec_fn=tied())
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("library", ["native", "any"])
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_constructors_run(installed: Path, tmp_path: Path, compiler: str, library: str, arch: str) -> None:
    for options in ("-O0", "-O2", *OF_ARCH[arch]):
        folder = tmp_path / options.replace(" ", "")
        folder.mkdir()
        kernel = make(
            installed, folder, library, arch, CC=compiler, CFLAGS=f"{options} -fno-exceptions -fno-rtti"
        )
        assert says(kernel) == "boot ran in order virtual", options


def test_constructors_run_where_there_is_no_paging(installed: Path, tmp_path: Path) -> None:
    kernel = make(installed, tmp_path, "native", "i386", CFLAGS="-O2 -fno-exceptions -fno-rtti")
    # Such a library has found no power-off either.
    ends = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-append", "vmi.debug_exit=0xf4"]
    assert says(kernel, "-cpu", "qemu32,-pae", *ends) == "unpaged boot ran in order virtual"


def link(
    folder: Path, arch: str, script: str, source: str = "", linker: str = "bfd"
) -> subprocess.CompletedProcess[str]:
    """Links hello with a linker script of one's own, and with another source if there is one."""
    (folder / "own.ld").write_text(script)
    (folder / "more.S").write_text(source)
    hello = tree(arch) / "examples/hello/libhello-kernel.a.p/hello.c.o"
    command = [
        "gcc",
        *MODEL[arch],
        "-nostdlib",
        "-static",
        "-Wl,--build-id=none",
        f"-fuse-ld={linker}",
        "-Wl,-T,own.ld",
        hello,
        "more.S",
        tree(arch) / "backends/libvmi-native.a",
        "-o",
        "own.elf",
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("linker", ["bfd", "lld"])
def test_another_linear_base_is_refused(tmp_path: Path, linker: str, arch: str) -> None:
    right, other, _ = BASES[arch]
    done = link(tmp_path, arch, script(arch), linker=linker)
    assert done.returncode == 0, done.stderr
    assert right in script(arch)
    done = link(tmp_path, arch, script(arch).replace(right, other, 1), linker=linker)
    assert done.returncode != 0
    assert "the VMI libraries and their boot tables are for that address only" in done.stderr


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_linker_script_that_does_not_say_its_base_is_refused(tmp_path: Path, arch: str) -> None:
    symbol = BASES[arch][2]
    lines = [line for line in script(arch).splitlines() if symbol not in line]
    done = link(tmp_path, arch, "\n".join(lines))
    assert done.returncode != 0
    assert f"undefined reference to `{symbol}'" in done.stderr


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_constructors_that_would_not_run_are_refused(tmp_path: Path, arch: str) -> None:
    source = f'.section .ctors, "aw"\n{WORD[arch]} vmi_entry\n.section .note.GNU-stack, "", @progbits\n'
    done = link(tmp_path, arch, script(arch), source)
    assert done.returncode != 0
    assert "compile them with -fuse-init-array" in done.stderr


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_prototype_is_checked(tmp_path: Path, arch: str) -> None:
    """vmi.h declares kernel_main: one that the library does not call as it is written does not compile."""
    for compiler in ("gcc", "g++", "clang", "clang++"):
        language = "c++" if compiler.endswith("++") else "c"
        for text, right in (
            ("int kernel_main(const struct vmi_boot_info *b) { return b != 0; }", False),
            ("void kernel_main(const struct vmi_boot_info *b) { (void)b; }", True),
        ):
            (tmp_path / "main.c").write_text(f"#include <vmi/vmi.h>\n{text}\n")
            done = subprocess.run(
                [
                    compiler,
                    "-x",
                    language,
                    *MODEL[arch],
                    "-ffreestanding",
                    "-fno-pic",
                    "-Wall",
                    "-Wextra",
                    "-Werror",
                    "-Wmissing-declarations",
                    f"-I{tree(arch)}/include",
                    "-c",
                    "main.c",
                    "-o",
                    "main.o",
                ],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert (done.returncode == 0) == right, done.stderr
        names = subprocess.run(["nm", tmp_path / "main.o"], capture_output=True, text=True, check=True).stdout
        assert " T kernel_main\n" in names
