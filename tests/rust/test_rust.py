# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Rust for kernels: the generated crate, the compiler that is chosen, the target, and what comes out."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from vmi_rust.toolchain import RustError, Toolchain, choose, look_at, number

from ci.build import build
from ci.util import BUILD, ROOT, tied

TOOL = ROOT / "tools/vmi-rust"
CRATE = BUILD / "include/vmi/vmi.rs"
MODEL = json.loads((BUILD / "generated/model.json").read_text())
CALLS = [call for call in MODEL["spec"]["calls"] if call["convention"] != "jump"]
TYPES = {kind["name"]: kind for kind in MODEL["spec"]["types"]}


def vmi_rust(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TOOL, *arguments],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        env={**os.environ, **environment},
    )


def function(name: str) -> str:
    """A function of the crate, from `pub unsafe fn` on."""
    found = re.search(rf"^pub unsafe fn {name}_?\((.*?)^}}$", CRATE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, name
    return found[0]


def test_registers_are_the_specification_s() -> None:
    """Each call's operands, read from the text, against the specification's registers."""
    assert len(CALLS) > 70
    for call in CALLS:
        text = function(call["symbol"])
        given = {r for a in call["arguments"] for r in a["registers"]}
        results = {
            r for a in ([call["result"]] if call["result"] else call["results"]) for r in a["registers"]
        }
        taken = set(re.findall(r'\b(?:in|inout)\("(\w+)"\)', text))
        named = set(re.findall(r"\b(\w+) = (?:in|inout)\(reg\)", text))
        assert taken | named == given, call["symbol"]
        assert all(name.startswith("stack") or name == "esi" for name in named), call["symbol"]
        changed = set(re.findall(r'\b(?:out|inout)\("(\w+)"\)', text))
        changed |= set(re.findall(r"\b(\w+) = inout\(reg\)", text))
        options = set(re.findall(r"\w+", text[text.rindex("options(") + len("options(") :]))
        if call["noreturn"]:
            assert "noreturn" in options and not changed, call["symbol"]
            continue
        dead = {register for register in call["clobbers"] if register != "flags"}
        # A register that is exchanged is an output to the compiler, and its content comes back.
        assert changed == dead | results | ({"esi"} & named), call["symbol"]
        assert ("preserves_flags" in options) == ("flags" not in call["clobbers"]), call["symbol"]
        assert ("nomem" in options) == (not call["memory"]), call["symbol"]
        assert "nostack" not in options, call["symbol"]


def sites(path: Path) -> dict[int, tuple[int, int]]:
    """Length and live registers by ordinal, from the call records of an object."""
    with open(path, "rb") as file:
        elf = ELFFile(file)
        found = {}
        for section in elf.iter_sections():
            if section.name == ".vmi.sites":
                for _, ordinal, length, live in struct.iter_unpack("<IHBB", section.data()):
                    found[ordinal] = (length, live)
        return found


def test_records_are_those_of_c(tmp_path: Path) -> None:
    """A call of each function in Rust leaves the record that the wrapper in C does."""
    rust, c = [], []
    for call in CALLS:
        name = f"{call['symbol']}_" if f"fn {call['symbol']}_(" in CRATE.read_text() else call["symbol"]
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
        "rustc", "--crate-type=rlib", "--emit=obj", "-O", tmp_path / "calls.rs", "-o", tmp_path / "rust.o"
    )
    assert done.returncode == 0, done.stderr
    subprocess.run(
        [
            "gcc",
            "-m32",
            "-O2",
            "-w",
            "-ffreestanding",
            "-fno-pic",
            "-mgeneral-regs-only",
            f"-I{BUILD}/include",
            "-c",
            tmp_path / "calls.c",
            "-o",
            tmp_path / "c.o",
        ],
        check=True,
    )
    assert len(sites(tmp_path / "c.o")) == len(CALLS)
    assert sites(tmp_path / "rust.o") == sites(tmp_path / "c.o")


def test_layouts_are_asserted(tmp_path: Path) -> None:
    """The crate as it is compiles without a warning; with one field moved it does not."""
    text = CRATE.read_text()
    for structure in MODEL["spec"]["structures"]:
        for each in structure["fields"]:
            assert re.search(rf"^    {each['name']}_?: {each['offset']},?$", text, re.MULTILINE), each["name"]
    done = vmi_rust(
        "rustc",
        "-Dwarnings",
        "--crate-type=rlib",
        "--crate-name=again",
        *flags(),
        CRATE,
        "-o",
        tmp_path / "again.rlib",
    )
    assert done.returncode == 0, done.stderr
    damaged = text.replace("    pub protocol: u32,", "    pub protocol: u64,")
    assert damaged != text
    (tmp_path / "damaged.rs").write_text(damaged)
    done = vmi_rust(
        "rustc", "--crate-type=rlib", *flags(), tmp_path / "damaged.rs", "-o", tmp_path / "damaged.rlib"
    )
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
def floating(tmp_path_factory: pytest.TempPathFactory) -> Path:
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
    )
    assert done.returncode == 0, done.stderr
    return folder / "floating.o"


def test_no_register_that_a_kernel_must_not_touch(floating: Path) -> None:
    build("languages")
    kernels = sorted(BUILD.glob("examples/hello-rust/hello-rust-*.elf"))
    assert len(kernels) > 2
    for path in (*kernels, floating):
        text = instructions(path)
        assert len(text) > 50
        assert [
            line for line in text if re.search(r"%([xyz]mm\d|mm[0-7]|st\b)|\bf(ld|st|add|mul)", line)
        ] == []


def test_no_red_zone(floating: Path) -> None:
    """Nothing lies below the stack pointer. (No i386 compiler puts anything there; the target says so all the
    same, for those of other architectures.)"""
    for path in (BUILD / "examples/hello-rust/hello-rust-native.elf", floating):
        assert [line for line in instructions(path) if re.search(r"-0x[0-9a-f]+\(%[er]sp\)", line)] == []
    target = json.loads(vmi_rust("target").stdout)
    assert target["disable-redzone"] is True
    assert "+soft-float" in target["features"] and "-sse" in target["features"]


def test_cargo(tmp_path: Path) -> None:
    """A package of one's own, in a folder with a space; its kernel is linked and runs."""
    package = tmp_path / "my kernel"
    (package / "src").mkdir(parents=True)
    shutil.copy(ROOT / "examples/hello-rust/hello.rs", package / "src/lib.rs")
    (package / "Cargo.toml").write_text(
        '[package]\nname = "mine"\nversion = "0.1.0"\nedition = "2021"\n\n[lib]\ncrate-type = ["staticlib"]\n'
    )
    done = subprocess.run(
        [TOOL, "cargo", "build", "--release", "--offline"],
        cwd=package,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (library,) = package.glob("target/*/release/libmine.a")
    kernel = tmp_path / "kernel.elf"
    subprocess.run(
        [
            "gcc",
            "-m32",
            "-nostdlib",
            "-static",
            library,
            BUILD / "backends/libvmi-native.a",
            "-Wl,--gc-sections",
            f"-Wl,-T,{ROOT}/runtime/kernel.ld",
            "-Wl,--build-id=none",
            "-o",
            kernel,
        ],
        check=True,
    )
    boot = subprocess.run(
        ["qemu-system-i386", "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", kernel],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=tied(),
    )
    assert "Hello from ring 0 and Rust" in boot.stdout


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


def test_division_is_right(tmp_path: Path) -> None:
    """The functions that stand in for compiler_builtins, on a PC, against Python's integers."""
    (tmp_path / "k.rs").write_text(ARITHMETIC)
    done = vmi_rust("rustc", "--crate-type=staticlib", "-O", tmp_path / "k.rs", "-o", tmp_path / "libk.a")
    assert done.returncode == 0, done.stderr
    kernel = tmp_path / "k.elf"
    subprocess.run(
        [
            "gcc",
            "-m32",
            "-nostdlib",
            "-static",
            tmp_path / "libk.a",
            BUILD / "backends/libvmi-native.a",
            "-Wl,--gc-sections",
            f"-Wl,-T,{ROOT}/runtime/kernel.ld",
            "-Wl,--build-id=none",
            "-o",
            kernel,
        ],
        check=True,
    )
    boot = subprocess.run(
        ["qemu-system-i386", "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", kernel],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=tied(),
    )
    lines = [[int(word) for word in line.split()] for line in boot.stdout.splitlines()]
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
    assert vmi_rust("build").returncode == 2


def test_choice_is_said_in_one_line(tmp_path: Path) -> None:
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
    for structure in MODEL["spec"]["structures"]:
        assert f"pub struct vmi_{structure['name']}{{" in said
    assert "pub const VMI_SHUTDOWN_CRASH:u32 = 2;" in said
