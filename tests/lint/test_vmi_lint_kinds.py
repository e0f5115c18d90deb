# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Files without machine code, code that is the library's, and equal findings of one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from lint_runs import Build, Lint, make

from ci.build import tree
from ci.util import ARCHITECTURES, BUILD

SOURCE = 'void one(void);\nvoid one(void) { __asm__ volatile("cli"); }\n'
REFUSED = {
    "gcc": "no machine code, only GCC's intermediate code (-flto); compile with -ffat-lto-objects",
    "clang": "no machine code, only LLVM's intermediate code (-flto); ",
}


@pytest.mark.parametrize("cc", ("gcc", "clang"))
@pytest.mark.parametrize("bits", (32, 64))
def test_intermediate_code_is_refused_by_name(
    bits: int, cc: str, build: Build, lint: Lint, tmp_path: Path
) -> None:
    made = build(SOURCE, bits, "-O2", "-flto", suffix=".c", cc=cc)
    run = lint(made)
    assert (run.status, run.err.count("\n")) == (2, 1)
    assert f"vmi-lint: {made}: {REFUSED[cc]}" in run.err
    plain = build(SOURCE, bits, suffix=".c", name="plain")
    make(["ar", "rcs", tmp_path / "both.a", made, plain])
    run = lint(tmp_path / "both.a")
    assert run.status == 2 and f"both.a({made.name}): {REFUSED[cc]}" in run.err
    assert "cli (cli) in one" in run.out, "the other member is linted all the same"


def test_objects_that_hold_both_are_read(build: Build, lint: Lint) -> None:
    run = lint(build(SOURCE, 32, "-O2", "-flto", "-ffat-lto-objects", suffix=".c"))
    assert (run.status, run.err) == (1, "") and "cli (cli) in one" in run.out


def test_an_object_of_data_alone_is_fine(build: Build, lint: Lint) -> None:
    assert lint(build("const int numbers[] = {1, 2};\n", 32, suffix=".c")).status == 0


@pytest.mark.parametrize("kind", ("rcs", "rcsT"))
def test_archives_in_archives(kind: str, build: Build, lint: Lint, tmp_path: Path) -> None:
    inner, outer = tmp_path / "inner.a", tmp_path / "outer.a"
    make(["ar", kind, inner, build(SOURCE, 32, suffix=".c")])
    # `ar rcsT` puts the members of an archive in, so the archive goes in under another name.
    shutil.copy(inner, tmp_path / "inner.bin")
    make(["ar", "rcs", outer, tmp_path / "inner.bin"])
    run = lint(outer)
    assert (run.status, run.err.count("\n")) == (2, 1)
    assert f"{outer}(inner.bin): an archive in an archive; take it apart (ar x)" in run.err


@pytest.mark.parametrize(
    ("magic", "message"),
    [
        (b"BC\xc0\xde", "LLVM's intermediate code"),
        (b"\xde\xc0\x17\x0b", "LLVM's intermediate code"),
        (b"MZ\x90\0", "(PE); expected ELF for i386 or x86-64"),
        (b"\x64\x86\x01\0", "(COFF)"),
        (b"\xcf\xfa\xed\xfe", "(Mach-O)"),
        (b"\0asm", "WebAssembly"),
    ],
)
def test_other_kinds_of_code(magic: bytes, message: str, lint: Lint, tmp_path: Path) -> None:
    file, archive = tmp_path / "other", tmp_path / "other.a"
    file.write_bytes(magic + bytes(60))
    make(["ar", "rc", archive, file])
    for path in (file, archive):
        run = lint(path)
        assert (run.status, run.err.count("\n")) == (2, 1) and message in run.err


def test_an_archive_without_objects(lint: Lint, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("no object\n")
    make(["ar", "rc", tmp_path / "note.a", tmp_path / "note"])
    make(["ar", "rc", tmp_path / "empty.a"])
    for name in ("note.a", "empty.a"):
        run = lint(tmp_path / name)
        assert run.status == 2 and f"{name}: no object is in the archive" in run.err


KERNEL = """
#include <vmi/vmi.h>
void kernel_main(const struct vmi_boot_info *boot);
static __attribute__((noinline)) void own(void) { EXTRA; }
void kernel_main(const struct vmi_boot_info *boot)
{
    own();
    vmi_console_write(boot->backend, 1);
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
}
"""


def libraries() -> list[str]:
    """Libraries that kernels are linked with when they are built."""
    model = json.loads((BUILD / "generated/model.json").read_text())
    return [backend["name"] for backend in model["backends"]]


@pytest.mark.parametrize("backend", libraries())
def test_code_of_the_library_does_not_count(backend: str, build: Build, lint: Lint, tmp_path: Path) -> None:
    kernel = tmp_path / "kernel.elf"
    for extra, status in (('__asm__ volatile("nop")', 0), ('__asm__ volatile("cli; popf")', 1)):
        made = build(
            KERNEL.replace("EXTRA", extra), 32, "-O2", "-march=i686", "-mgeneral-regs-only",
            f"-I{BUILD / 'include'}", suffix=".c",
        )  # fmt: skip
        script = BUILD.parent / "runtime/arch/i386/kernel.ld"
        make(
            ["gcc", "-m32", "-nostdlib", "-static", f"-Wl,-T,{script}", "-Wl,--build-id=none", made,
             BUILD / f"backends/libvmi-{backend}.a", "-o", kernel]
        )  # fmt: skip
        run = lint(kernel)
        assert run.status == status, run.out
        assert " in the library's own code" in run.out
        findings = lint(kernel, "--format=json").json["findings"]
        mine = [each["instruction"] for each in findings if not each["library"] and each["level"] == "error"]
        assert mine == (["cli", "popf"] if status else [])
        assert {each["symbol"] for each in findings if not each["library"]} <= {"own"}
        assert f"{kernel}: library: " in lint(kernel, "--all").out
        results = json.loads(lint(kernel, "--format=sarif").out)["runs"][0]["results"]
        assert sum(result["level"] == "error" for result in results) == (2 if status else 0)
        assert sum(result.get("kind") == "informational" for result in results) > 3


def test_linked_kernels_that_speak_only_vmi_are_clean(lint: Lint) -> None:
    """The example with every library, the one that binds itself among them; the sample kernel, whose objects
    are the same in every link, with one."""
    kernels = [
        kernel
        for arch in ARCHITECTURES
        for kernel in (
            *tree(arch).glob("examples/hello/hello-*.elf"),
            tree(arch) / f"sample_kernel/sample-{libraries()[0]}.elf",
        )
    ]
    assert any(kernel.name == "hello-any.elf" for kernel in kernels) and len(kernels) > 6
    run = lint(*kernels)
    assert run.status == 0, run.out
    assert "0 sensitive instructions, " in run.out and " in the library's own code" in run.out


def test_the_library_itself_is_listed(lint: Lint) -> None:
    """Nothing is told apart in what is not linked."""
    run = lint(BUILD / f"backends/libvmi-{libraries()[0]}.a", "--format=json")
    assert run.status == 1 and not any(each["library"] for each in run.json["findings"])


def test_equal_findings_of_one_line_are_one(build: Build, lint: Lint) -> None:
    calls = "".join(f"void f{i}(void);\nvoid f{i}(void) {{ off(); value = {i}; }}\n" for i in range(6))
    made = build(
        "static inline __attribute__((always_inline)) void off(void)\n{\n"
        f'    __asm__ volatile("cli");\n    __asm__ volatile("sti");\n}}\nextern int value;\n{calls}',
        32, "-O2", "-g", suffix=".c",
    )  # fmt: skip
    run = lint(made)
    lines = run.out.splitlines()
    assert len(lines) == 3
    assert "made.c:3: error: cli (cli) 6 times, in f0, .text+0x0 of " in lines[0]
    assert lines[0].count("inlined from off at ") == 3 and "; 3 more; use vmi_disable_interrupts" in lines[0]
    assert "made.c:4: error: sti (sti) 6 times, " in lines[1]
    assert "12 sensitive instructions at 2 places of the source in 1 object" in lines[2]
    assert len(lint(made, "--format=json").json["findings"]) == 12
    results = json.loads(lint(made, "--format=sarif").out)["runs"][0]["results"]
    assert [result["occurrenceCount"] for result in results] == [6, 6]
    assert len(results[0]["relatedLocations"]) == 6
