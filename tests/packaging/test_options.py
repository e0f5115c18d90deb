# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Options of compilers that kernels' authors use, in each way to use the SDK: what is built says on a PC that
it is right (options.c). The library is compiled with the same options where a project has its sources."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ci.lint import tracked
from ci.util import BUILD, ROOT, tied

from .test_consumers import (  # noqa: F401
    MESON,
    kernel_says_hello,
    made,
    meson,
    project,
    says_hello,
)

KERNEL = Path(__file__).with_name("options.c")
REGPARM = "-mregparm=3"
ALL = ["-O0", "-Os", "-O3", "-O2 -flto", f"-O2 {REGPARM}", "-O2 -fstack-protector-strong", "-Og -fPIE"]
OF_X86_64 = [
    "-O0 -fstack-protector-strong", "-Os", "-O3 -flto", "-Oz -mcmodel=small -fPIE",
]  # fmt: skip
"""As on i386, but for the convention: the processor has one."""
FEW = [f"-O0 -fstack-protector-strong {REGPARM}", "-Os -flto"]


def booted(kernel: Path) -> str:
    """What a kernel says on a PC, and QEMU if it cannot start it."""
    command = ["qemu-system-x86_64", "-machine", "pc,vmport=off", "-display", "none", "-serial", "stdio"]
    done = subprocess.run(
        [*command, "-no-reboot", "-kernel", kernel], text=True, timeout=120, check=False, preexec_fn=tied(),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.stdout


def is_right(kernel: Path) -> None:
    """Nothing of a C library or libgcc is missing, no register of SSE or the x87 is used, and it says so."""
    said = booted(kernel)
    assert said.splitlines()[-1] == "wrong: nothing", said
    text = subprocess.run(["objdump", "-d", kernel], capture_output=True, text=True, check=True).stdout
    assert len(text.splitlines()) > 500
    assert not re.search(r"%(xmm|ymm|mm[0-7]|st\b)", text)


def compiled(folder: Path, command: str, **environment: str) -> None:
    done = subprocess.run(
        ["bash", "-ec", command],
        cwd=folder,
        env={**os.environ, **environment},
        text=True,
        timeout=400,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize(
    ("arch", "options"),
    [*(("i386", each) for each in (*ALL, "-Oz")), *(("x86_64", each) for each in OF_X86_64)],
)
def test_make(installed: Path, tmp_path: Path, compiler: str, arch: str, options: str) -> None:
    if compiler == "gcc":
        options = options.replace("-Oz", "-Os")
    shutil.copy(ROOT / "examples/consumers/make/Makefile", tmp_path)
    kernel = f"KERNEL={KERNEL}"
    linker = "-fuse-ld=lld" if compiler == "clang" and "-flto" in options else ""
    if REGPARM in options:
        # Not what compilers call: those functions are the library's, by its convention (docs/packaging.md).
        kernel = f"KERNEL={ROOT}/examples/hello/hello.c"
    command = f"make ARCH={arch} CC={compiler} CFLAGS='{options}' LDFLAGS={linker} {kernel}"
    compiled(tmp_path, command, PKG_CONFIG_LIBDIR=str(installed / "share/pkgconfig"))
    if REGPARM in options:
        kernel_says_hello(made(tmp_path, "native", arch), "native", arch)
    else:
        is_right(made(tmp_path, "native", arch))


@pytest.mark.parametrize(
    ("arch", "options"),
    [("i386", "-O0 -fstack-protector-strong"), ("i386", "-Os -flto"), ("x86_64", "-Os -flto")],
)
def test_cmake(project: Path, installed: Path, arch: str, options: str) -> None:  # noqa: F811
    compiled(
        project,
        f"cmake -B build --toolchain {arch}.cmake -DCMAKE_PREFIX_PATH='{installed}' -DKERNEL={KERNEL} "
        f"-DCMAKE_C_FLAGS='{options}' && cmake --build build",
    )
    is_right(project / "build/kernel-native.elf")


@pytest.mark.parametrize(
    ("arch", "options"),
    [
        ("i386", "-Dc_args=-fstack-protector-strong -Dbuildtype=debug -Db_pie=true"),
        ("i386", "-Db_lto=true"),
        ("x86_64", "-Db_lto=true -Dc_args=-fstack-protector-strong"),
    ],
)
def test_meson(project: Path, installed: Path, arch: str, options: str) -> None:  # noqa: F811
    compiled(
        project,
        f"{' '.join(meson(arch))} -Dkernel={KERNEL} {options} && ninja -C build",
        PKG_CONFIG_LIBDIR=str(installed / "share/pkgconfig"),
    )
    is_right(project / "build/kernel-native.elf")


@pytest.mark.parametrize(
    ("cross", "options"),
    [
        ("i386-gcc", "-Db_lto=true -Db_pie=true"),
        ("i386-clang", "-Db_lto=true"),
        ("i386-clang", "-Dc_args=-Oz -Db_pie=true"),
        ("i386-gcc", f"-Dc_args='{FEW[0]}'"),
        ("x86_64-gcc", "-Db_lto=true -Db_pie=true"),
        # There a library is compiled without -flto and for any place whatever is asked for.
        pytest.param("x86_64-clang", "-Db_lto=true", marks=pytest.mark.long),
        pytest.param("x86_64-clang", "-Dc_args=-Oz -Db_pie=true", marks=pytest.mark.long),
    ],
)
def test_libraries(tmp_path: Path, cross: str, options: str) -> None:
    """The tree's own build with such options: every library, every image, and a kernel of each."""
    compiled(
        ROOT,
        f"meson setup --cross-file cross/{cross}.ini {tmp_path}/build {options} -Ddocs=disabled "
        f"-Dbackends=native && ninja -C {tmp_path}/build "
        "examples/hello/hello-native.elf examples/hello/hello-any.elf",
    )
    for library in ("native", "any"):
        said = booted(tmp_path / f"build/examples/hello/hello-{library}.elf")
        assert "linked with the library for native" in said, said


@pytest.mark.parametrize(
    ("arch", "compiler", "options"),
    [
        ("i386", "gcc", f"-Os -flto {REGPARM} -fstack-protector-strong"),
        ("i386", "clang", f"-Oz {REGPARM} -fstack-protector-strong"),
        ("x86_64", "gcc", "-Os -flto -fstack-protector-strong"),
    ],
)
def test_vendored(tmp_path: Path, arch: str, compiler: str, options: str) -> None:
    """The library's sources are compiled with the kernel's options, those of the convention too."""
    shutil.copy(ROOT / "examples/consumers/vendored/Makefile", tmp_path)
    command = [ROOT / "vmi", "vendor", "--arch", arch, tmp_path / "vmi", "native"]
    subprocess.run(command, check=True, capture_output=True)
    compiled(tmp_path, f"make -j2 CC={compiler} AR=gcc-ar KERNEL={KERNEL} CFLAGS='{options}'")
    is_right(tmp_path / "kernel-native.elf")


def test_a_space_in_the_prefix(installed: Path, tmp_path: Path) -> None:
    """By pkg-config with make, by Meson and by CMake."""
    prefix = tmp_path / "of my own" / "vmi sdk"
    shutil.copytree(installed, prefix)
    environment = {"PKG_CONFIG_LIBDIR": str(prefix / "share/pkgconfig")}
    for path in tracked():
        if path.startswith("examples/consumers/"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, tmp_path / path)
    consumers = tmp_path / "examples/consumers"
    compiled(consumers / "make", f"make KERNEL={KERNEL}", **environment)
    is_right(made(consumers / "make", "native", "i386"))
    command = f"{' '.join(MESON)} -Dkernel={KERNEL} && ninja -C build"
    compiled(consumers / "meson", command, **environment)
    is_right(consumers / "meson/build/kernel-native.elf")
    command = f"cmake -B build --toolchain i386.cmake '-DCMAKE_PREFIX_PATH={prefix}' -DKERNEL={KERNEL}"
    compiled(consumers / "cmake", f"{command} && cmake --build build")
    is_right(consumers / "cmake/build/kernel-native.elf")


def test_calls_are_references_that_compilers_see(tmp_path: Path) -> None:
    """In an object for link-time optimization a call is a symbol: else an archive's member is not taken, or
    its function dropped."""
    for compiler, lister in (("gcc", "gcc-nm"), ("clang", "llvm-nm")):
        compiled(
            tmp_path,
            f"{compiler} -m32 -ffreestanding -fno-pic -O2 -flto -I{BUILD}/include -DVMI_COUNT_CALLS "
            f"-c {ROOT}/examples/hello/hello.c -o hello.o && {lister} --undefined-only hello.o > symbols",
        )
        symbols = (tmp_path / "symbols").read_text()
        for name in ("vmi_console_write", "vmi_shutdown_reason", "vmi_call_count"):
            assert re.search(rf"\b{name}\b", symbols), f"{compiler}: {symbols}"


def test_nothing_of_libgcc_is_needed(tmp_path: Path) -> None:
    """What clang -Oz calls in a library is in the library."""
    source = (
        "typedef unsigned long long u; u left(u a, int b) { return a << b; } "
        "u right(u a, int b) { return a >> b; } "
        "long long sign(long long a, int b) { return a >> b; }"
    )
    (tmp_path / "shifts.c").write_text(source)
    compiled(tmp_path, "clang -m32 -Oz -fno-pic -c shifts.c && llvm-nm --undefined-only shifts.o > symbols")
    names = set((tmp_path / "symbols").read_text().split()) - {"U"}
    assert names == {"__ashldi3", "__lshrdi3", "__ashrdi3"}
    defined = subprocess.run(
        ["nm", "--defined-only", BUILD / "backends/libvmi-native.a"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert all(re.search(rf" W {name}$", defined, re.MULTILINE) for name in names)
