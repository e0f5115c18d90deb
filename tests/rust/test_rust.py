# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Rust for kernels: the generated crate, the compiler that is chosen, the target, and what comes out."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from vmi_rust.sysroot import sysroot
from vmi_rust.toolchain import RustError, Toolchain, candidates, choose, look_at, number

from ci.build import build, tree
from ci.util import ARCHITECTURES, BUILD, ROOT, tied

TOOL = ROOT / "tools/vmi-rust"
BITS = {"i386": ("-m32", "-march=i686"), "x86_64": ("-m64", "-mcmodel=kernel", "-mno-red-zone")}
EXCHANGED = {"esi", "rbx"}
"""Registers that no operand of an asm! may name."""


@pytest.fixture(scope="module", params=ARCHITECTURES)
def arch(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def crate(arch: str) -> Path:
    return tree(arch) / "include/vmi/vmi.rs"


@functools.cache
def model(arch: str) -> dict[str, Any]:
    return json.loads((tree(arch) / "generated/model.json").read_text())


def calls(arch: str) -> list[dict[str, Any]]:
    return [call for call in model(arch)["spec"]["calls"] if call["convention"] != "jump"]


def vmi_rust(
    *arguments: str | Path, arch: str = "i386", **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TOOL, "--arch", arch, *arguments],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        env={**os.environ, **environment},
    )


def said_by(archive: Path, arch: str) -> str:
    """What the kernel of an archive, linked with native's library beside it, prints on QEMU."""
    kernel = archive.with_suffix(".elf")
    subprocess.run(
        [
            "gcc",
            *BITS[arch],
            "-nostdlib",
            "-static",
            archive,
            tree(arch) / "backends/libvmi-native.a",
            "-Wl,--gc-sections",
            f"-Wl,-T,{ROOT}/runtime/arch/{arch}/kernel.ld",
            "-Wl,--build-id=none",
            "-o",
            kernel,
        ],
        check=True,
    )
    return subprocess.run(
        [f"qemu-system-{arch}", "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", kernel],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=tied(),
    ).stdout


def function(name: str, arch: str) -> str:
    """A function of the crate, from `pub unsafe fn` on."""
    text = crate(arch).read_text()
    found = re.search(rf"^pub unsafe fn {name}_?\((.*?)^}}$", text, re.MULTILINE | re.DOTALL)
    assert found, name
    return found[0]


def test_registers_are_the_specification_s(arch: str) -> None:
    """Each call's operands, read from the text, against the specification's registers."""
    assert len(calls(arch)) > 70
    for call in calls(arch):
        text = function(call["symbol"], arch)
        given = {r for a in call["arguments"] for r in a["registers"]}
        results = {
            r for a in ([call["result"]] if call["result"] else call["results"]) for r in a["registers"]
        }
        taken = set(re.findall(r'\b(?:in|inout)\("(\w+)"\)', text))
        named = set(re.findall(r"\b(\w+) = (?:in|inout)\(reg\)", text))
        assert taken | named == given, call["symbol"]
        assert all(name.startswith("stack") or name in EXCHANGED for name in named), call["symbol"]
        changed = set(re.findall(r'\b(?:out|inout)\("(\w+)"\)', text))
        changed |= set(re.findall(r"\b(\w+) = (?:out|inout)\(reg\)", text))
        options = set(re.findall(r"\w+", text[text.rindex("options(") + len("options(") :]))
        if call["noreturn"]:
            assert "noreturn" in options and not changed, call["symbol"]
            continue
        dead = {register for register in call["clobbers"] if register != "flags"}
        # A register that is exchanged is an output to the compiler, and its content comes back.
        assert changed == dead | results | (EXCHANGED & named), call["symbol"]
        assert ("preserves_flags" in options) == ("flags" not in call["clobbers"]), call["symbol"]
        assert ("nomem" in options) == (not call["memory"]), call["symbol"]
        assert "nostack" not in options, call["symbol"]


RECORD = {"i386": "<IHBB", "x86_64": "<IHHBxxx"}


def sites(path: Path, arch: str) -> dict[int, tuple[int, int]]:
    """Length and live registers by ordinal, from the call records of an object."""
    with open(path, "rb") as file:
        elf = ELFFile(file)
        found = {}
        for section in elf.iter_sections():
            if section.name == ".vmi.sites":
                for _, ordinal, *two in struct.iter_unpack(RECORD[arch], section.data()):
                    found[ordinal] = tuple(two if arch == "i386" else reversed(two))
        return found


def test_records_are_those_of_c(tmp_path: Path, arch: str) -> None:
    """A call of each function in Rust leaves the record that the wrapper in C does."""
    rust, c = [], []
    text = crate(arch).read_text()
    for call in calls(arch):
        name = f"{call['symbol']}_" if f"fn {call['symbol']}_(" in text else call["symbol"]
        values = ["core::mem::zeroed()"] * len(call["arguments"])
        rust.append(
            f'#[no_mangle] pub unsafe extern "C" fn call_{call["symbol"]}() '
            f"{{ let _ = vmi::{name}({', '.join(values)}); }}"
        )
        zeros = ["0"] * len(call["arguments"]) + [
            f"(void *){4096 + 8 * n}" for n in range(len(call["results"]))
        ]
        c.append(f"void call_{call['symbol']}(void) {{ vmi_{call['symbol']}({', '.join(zeros)}); }}")
    (tmp_path / "calls.rs").write_text(
        "#![no_std]\n#![allow(unreachable_code, unused_variables)]\nextern crate vmi;\n" + "\n".join(rust)
    )
    (tmp_path / "calls.c").write_text("#include <vmi/vmi.h>\n" + "\n".join(c))
    done = vmi_rust(
        "rustc", "--crate-type=rlib", "--emit=obj", "-O", tmp_path / "calls.rs", "-o", tmp_path / "rust.o",
        arch=arch,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    subprocess.run(
        [
            "gcc",
            *BITS[arch],
            "-O2",
            "-w",
            "-ffreestanding",
            "-fno-pic",
            "-mgeneral-regs-only",
            f"-I{tree(arch)}/include",
            "-c",
            tmp_path / "calls.c",
            "-o",
            tmp_path / "c.o",
        ],
        check=True,
    )
    assert len(sites(tmp_path / "c.o", arch)) == len(calls(arch))
    assert sites(tmp_path / "rust.o", arch) == sites(tmp_path / "c.o", arch)


PASSED_ON = """
    #![no_std]
    extern crate vmi;
    #[no_mangle] pub unsafe extern "C" fn wide(value: u64, entry: *mut u64) {
        vmi::set_pxe_long(value, entry, 7)
    }
    #[no_mangle] pub unsafe extern "C" fn leaf(out: &mut [u32; 4]) {
        let (a, b, c, d) = vmi::cpuid(1, 2);
        *out = [a, b, c, d];
    }
"""


def test_values_keep_their_width(tmp_path: Path) -> None:
    """64 bits go into one register whole, and the register that LLVM keeps is there again after CPUID."""
    (tmp_path / "k.rs").write_text(PASSED_ON)
    made = tmp_path / "k.o"
    options = ("rustc", "--crate-type=rlib", "--emit=obj", "-O", tmp_path / "k.rs", "-o", made)
    done = vmi_rust(*options, arch="x86_64")
    assert done.returncode == 0, done.stderr
    text = "\n".join(instructions(made))
    wide = text[text.index("<wide>:") : text.index("ret", text.index("<wide>:"))]
    # Neither value nor entry is moved or cut: they are in rdi and rsi already.
    assert not re.search(r"mov\s+%edi|%e[sd]i$", wide, re.MULTILINE)
    leaf = text[text.index("<leaf>:") :]
    saved = re.search(r"mov\s+%rbx,(%r\w+)\n(?:.*\n)*?.*call.*\n(?:.*\n)*?.*xchg\s+(.*)", leaf)
    assert saved and saved[1] in saved[2] and "%rbx" in saved[2], leaf


def test_layouts_are_asserted(tmp_path: Path, arch: str) -> None:
    """The crate as it is compiles without a warning; with one field moved it does not."""
    text = crate(arch).read_text()
    for structure in model(arch)["spec"]["structures"]:
        for each in structure["fields"]:
            assert re.search(rf"^    {each['name']}_?: {each['offset']},?$", text, re.MULTILINE), each["name"]
    done = vmi_rust(
        "rustc",
        "-Dwarnings",
        "--crate-type=rlib",
        "--crate-name=again",
        *flags(),
        crate(arch),
        "-o",
        tmp_path / "again.rlib",
        arch=arch,
    )
    assert done.returncode == 0, done.stderr
    damaged = text.replace("    pub protocol: u32,", "    pub protocol: u64,")
    assert damaged != text
    (tmp_path / "damaged.rs").write_text(damaged)
    done = vmi_rust(
        "rustc", "--crate-type=rlib", *flags(), tmp_path / "damaged.rs", "-o", tmp_path / "damaged.rlib",
        arch=arch,
    )  # fmt: skip
    assert done.returncode == 1
    assert "assertion failed" in done.stderr


def flags() -> list[str]:
    found, _ = choose([path for path in [shutil.which("rustc"), "/usr/bin/rustc"] if path])
    return ["--cfg=vmi_const_offset_from"] if found.number < (1, 65) else []


def instructions(path: Path) -> list[str]:
    done = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", path], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def floating(tmp_path_factory: pytest.TempPathFactory, arch: str) -> Path:
    """An object of code that other targets do with SSE or the x87: copies, zeroes, floating point."""
    folder = tmp_path_factory.mktemp("floating")
    (folder / "floating.rs").write_text(
        """
        #![no_std]
        #[no_mangle] pub fn copy(to: &mut [u64; 32], from: &[u64; 32]) { *to = *from; }
        #[no_mangle] pub fn add(a: f64, b: f64) -> f64 { a + b }
        #[no_mangle] pub fn leaf(a: &[u32; 8], n: usize) -> u32 {
            let mut own = [0u32; 8];
            for (i, each) in a.iter().enumerate() { own[(i + n) & 7] = *each; }
            own[n & 7]
        }
        """
    )
    done = vmi_rust(
        "rustc",
        "--crate-type=rlib",
        "--emit=obj",
        "-Copt-level=3",
        folder / "floating.rs",
        "-o",
        folder / "floating.o",
        arch=arch,
    )
    assert done.returncode == 0, done.stderr
    return folder / "floating.o"


def test_no_register_that_a_kernel_must_not_touch(floating: Path, arch: str) -> None:
    build("languages", arch=arch)
    kernels = sorted(tree(arch).glob("examples/hello-rust/hello-rust-*.elf"))
    assert len(kernels) > 2
    for path in (*kernels, floating):
        text = instructions(path)
        assert len(text) > 50
        assert [
            line for line in text if re.search(r"%([xyz]mm\d|mm[0-7]|st\b)|\bf(ld|st|add|mul)", line)
        ] == []


def test_no_red_zone(floating: Path, arch: str) -> None:
    """Nothing lies below the stack pointer. (No i386 compiler puts anything there; the target says so all the
    same.)"""
    for path in (tree(arch) / "examples/hello-rust/hello-rust-native.elf", floating):
        assert [line for line in instructions(path) if re.search(r"-0x[0-9a-f]+\(%[er]sp\)", line)] == []
    target = json.loads(vmi_rust("target", arch=arch).stdout)
    assert target["disable-redzone"] is True
    assert "+soft-float" in target["features"] and "-sse" in target["features"]


def with_a_heap() -> str:
    """The example with the code of docs/rust.md, "A heap", as it stands there."""
    guide = (ROOT / "docs/rust.md").read_text(encoding="utf-8").partition("## A heap")[2]
    heap, features = re.findall(r"^```rust\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    source = (ROOT / "examples/hello-rust/hello.rs").read_text()
    for before, after in (
        ("#![no_std]\n", f"#![no_std]\n{features}"),
        (
            "let mut console",
            "give_memory(boot);\n    let many = alloc::vec![7u64; 100_000];\n    let mut console",
        ),
        (
            "boot.kernel_rpl);",
            'boot.kernel_rpl);\n    let _ = write!(console, "{} of a heap, ", many.len());',
        ),
    ):
        assert source.count(before) == 1
        source = source.replace(before, after)
    return source + heap


def test_cargo(tmp_path: Path, arch: str) -> None:
    """A package of one's own, in a folder with a space; its kernel is linked, runs and has a heap."""
    package = tmp_path / "my kernel"
    (package / "src").mkdir(parents=True)
    (package / "src/lib.rs").write_text(with_a_heap())
    (package / "Cargo.toml").write_text(
        '[package]\nname = "mine"\nversion = "0.1.0"\nedition = "2021"\n\n[lib]\ncrate-type = ["staticlib"]\n'
    )
    done = subprocess.run(
        [TOOL, "--arch", arch, "cargo", "build", "--release", "--offline"],
        cwd=package,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    library = package / f"target/{'i686' if arch == 'i386' else arch}-vmi/release/libmine.a"
    assert "Hello from ring 0 and Rust, 100000 of a heap" in said_by(library, arch)


ARITHMETIC = """
    #![no_std]
    extern crate vmi;
    use core::fmt::Write;
    static mut N: [u64; 6] = [0, 1, 7, 0xffff_ffff, 0x1_0000_0001, u64::MAX];
    #[no_mangle] pub extern "C" fn kernel_main(_: *const u8) -> ! {
        let n = unsafe { core::ptr::read_volatile(core::ptr::addr_of!(N)) };
        for a in n { for b in n { if b != 0 {
            let (c, d) = (a as i64, b as i64);
            let (e, f) = ((a as u128) << 64 | b as u128, (b as u128) << 32 | a as u128);
            let _ = write!(vmi::Console, "{} {} {} {} {} {} {} {}\\r\\n", a, b, a / b, a % b,
                c.wrapping_div(d), c.wrapping_rem(d), e / f, e % f);
        } } }
        unsafe { vmi::shutdown_reason(vmi::SHUTDOWN_POWEROFF, vmi::STATUS_PASS) }
    }
    #[panic_handler] fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
"""


def signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def test_division_is_right(tmp_path: Path, arch: str) -> None:
    """The functions that stand in for compiler_builtins, on a PC, against Python's integers."""
    (tmp_path / "k.rs").write_text(ARITHMETIC)
    done = vmi_rust(
        "rustc", "--crate-type=staticlib", "-O", tmp_path / "k.rs", "-o", tmp_path / "libk.a", arch=arch
    )
    assert done.returncode == 0, done.stderr
    lines = [[int(word) for word in line.split()] for line in said_by(tmp_path / "libk.a", arch).splitlines()]
    assert len(lines) == 30
    for a, b, *found in lines:
        c, d, e, f = signed(a), signed(b), a << 64 | b, b << 32 | a
        quotient = abs(c) // abs(d) * (1 if (c < 0) == (d < 0) else -1)
        remainder = c - d * quotient
        assert found == [a // b, a % b, quotient, remainder, e // f, e % f], (a, b)


# ---- which compiler ----


def compiler(folder: Path, release: str, sources: bool) -> str:
    """A rustc that says it is of that release."""
    root = folder / f"root-{release}"
    if sources:
        library = root / "lib/rustlib/src/rust/library/core/src/lib.rs"
        library.parent.mkdir(parents=True)
        library.write_text("")
    path = folder / f"bin-{release}" / "rustc"
    path.parent.mkdir(parents=True)
    path.write_text(f'#!/bin/sh\ncase "$1" in -vV) echo "release: {release}";; *) echo "{root}";; esac\n')
    path.chmod(0o755)
    return str(path)


def test_compiler_with_its_own_sources_is_chosen(tmp_path: Path) -> None:
    newer, older, last = (
        compiler(tmp_path, release, sources)
        for release, sources in (("7.95.0", False), ("7.63.0", True), ("7.60.0", True))
    )
    found, passed = choose([newer, older, last])
    assert found.rustc == older
    assert found.library == tmp_path / "root-7.63.0/lib/rustlib/src/rust/library"
    assert passed == [f"{newer} 7.95.0 has no sources of core"]


def test_what_is_missing_is_one_line(tmp_path: Path) -> None:
    old = compiler(tmp_path, "1.48.0", True)
    assert look_at(old) == f"{old} 1.48.0 is older than 1.59, the first with asm!"
    bare = compiler(tmp_path, "7.95.0", False)
    with pytest.raises(RustError, match=r"^no Rust compiler with the sources of its core \(.*rust-src"):
        choose([old, bare])
    done = vmi_rust("--rustc", bare, "sysroot")
    assert done.returncode == 1
    assert done.stdout == "" and len(done.stderr.splitlines()) == 1
    assert "apt install rustc rust-src" in done.stderr
    assert vmi_rust("--rustc", "/nowhere/rustc", "target").stderr.count("\n") == 1
    for words in (("build",), ("--arch", "m68k", "target"), ("target", "more"), ()):
        done = vmi_rust(*words)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1 and done.stderr.startswith("vmi-rust: ")


def test_that_core_is_compiled_is_said(arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes long, and is done once."""
    monkeypatch.setattr("vmi_rust.sysroot._fill", lambda *_: None)
    toolchain, _ = choose(candidates())
    told: list[str] = []
    made = [sysroot(toolchain, arch, crate(arch), tmp_path, told.append) for _ in range(2)]
    assert told == [f"compiling core and alloc for {arch} kernels, once; kept in {made[0].folder}"]


def test_choice_is_said_in_one_line() -> None:
    vmi_rust("--quiet", "sysroot")
    done = vmi_rust("sysroot")
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert re.match(r"vmi-rust: /\S+/rustc \d+\.\d+\.\d+\S* with core from /\S+/library", line)
    assert {path.name for path in Path(done.stdout.strip()).rglob("*.rlib")} == {
        "libcore.rlib",
        "liballoc.rlib",
        "libcompiler_builtins.rlib",
        "libvmi.rlib",
    }


def test_versions() -> None:
    assert number("1.63.0") == (1, 63)
    assert number("1.96.0-nightly") == (1, 96)
    assert Toolchain("rustc", "1.85.1", "", Path("/")).number > (1, 65)


def test_target_is_in_the_compiler_s_own_format(tmp_path: Path) -> None:
    """Numbers that were strings once, a key that later compilers ask for: as the compiler prints its own."""
    for width, abi in (('"32"', ""), ("32", ', "rustc-abi": "softfloat"')):
        path = tmp_path / f"rustc{len(abi)}"
        path.write_text(
            '#!/bin/sh\ncase "$*" in *none*) '
            f'echo \'{{"arch": "x86_64"{abi}}}\';; '
            f'*) echo \'{{"arch": "x86", "data-layout": "e", "target-pointer-width": {width}}}\';; esac\n'
        )
        path.chmod(0o755)
        from vmi_rust.target import render

        target = json.loads(render(str(path), "i386"))
        assert target["target-pointer-width"] == json.loads(width)
        assert target.get("rustc-abi") == ("softfloat" if abi else None)
        assert target["os"] == "none"


@pytest.mark.parametrize("more", [[], ["--generate-inline-functions"]], ids=["plain", "inline"])
def test_bindgen_declares_nothing_wrong(more: list[str]) -> None:
    """Structures, constants and tables as they are; no call, whose registers bindgen would get wrong."""
    done = subprocess.run(
        ["bindgen", "--use-core", *more, BUILD / "include/vmi/vmi.h", "--", "-m32", f"-I{BUILD}/include"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Without rustfmt bindgen leaves the spaces as they come.
    said = re.sub(r"\s*([:;{(])\s*", r"\1", done.stdout)
    assert re.findall(r"pub fn (\w+)", said) == ["kernel_main", "kernel_main_unpaged"]
    for structure in model("i386")["spec"]["structures"]:
        assert f"pub struct vmi_{structure['name']}{{" in said
    assert "pub const VMI_SHUTDOWN_CRASH:u32 = 2;" in said
