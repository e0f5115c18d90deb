# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The command line of vmi-rust."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .sysroot import Sysroot, cache, configuration, sysroot
from .target import TARGETS, render
from .toolchain import Misuse, RustError, Toolchain, candidates, choose, environment

HERE = Path(__file__).resolve().parents[2]

DESCRIPTION = """\
Compiles kernels in Rust: for a target without SSE, x87 and red zone, with core and alloc made from the
sources that belong to the compiler, and with the crate vmi.

The compiler is the first rustc in PATH (then /usr/bin/rustc) that has the sources of its own core: Debian's
package rust-src or rustup's component of that name. One line on standard error says which. What is compiled
is kept in VMI_CACHE (~/.cache/vmi-sdk)."""

EXAMPLES = """\
commands:
  rustc ARG…    run the compiler for a kernel; with the edition 2021 if none is given
  cargo ARG…    run cargo likewise, in a package of yours
  sysroot       make core, alloc and vmi if need be, and print the folder
  target        print the target file

example:
  vmi-rust rustc --crate-type=staticlib -O kernel.rs -o libkernel.a
  cc libkernel.a $(pkg-config --libs vmi-kernel-i386 vmi-native-i386) -Wl,--gc-sections -o kernel.elf

For x86-64: vmi-rust --arch x86_64 rustc …, and the packages vmi-kernel-x86_64 and vmi-native-x86_64."""


class _Parser(argparse.ArgumentParser):
    """One line for misuse, and exit status 2."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise Misuse(f"{message}; see {self.prog} --help")


def _parser(program: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=program, description=DESCRIPTION, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--arch", choices=sorted(TARGETS), default="i386", help="the kernel's architecture")
    parser.add_argument("--rustc", metavar="FILE", help="this compiler and no other")
    parser.add_argument(
        "--crate", metavar="FILE", type=Path, help="source of the crate vmi; default: the SDK's"
    )
    parser.add_argument("--cache", metavar="FOLDER", type=Path, help="instead of VMI_CACHE")
    parser.add_argument(
        "--quiet", action="store_true", help="do not say which compiler is used, nor that core is compiled"
    )
    parser.add_argument("command", choices=["rustc", "cargo", "sysroot", "target"])
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARG", help="of rustc or cargo")
    return parser


def _crate(arch: str) -> Path:
    """The crate's source: in the installed tree beside the libraries, in this tree from the build."""
    build = "build" if arch == "i386" else f"build-{arch}"
    places = [HERE / arch / "rust/vmi/vmi.rs", HERE / build / "generated/rust/vmi.rs"]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise RustError(f"the crate vmi is not at {places[0]} nor {places[1]}: ./vmi build renders it")
    return found


def _chosen(toolchain: Toolchain, passed: Sequence[str]) -> str:
    others = f"; {'; '.join(passed)}" if passed else ""
    return f"{toolchain.rustc} {toolchain.release} with core from {toolchain.library}{others}"


def _say(line: str) -> None:
    print(f"vmi-rust: {line}", file=sys.stderr, flush=True)


def _quietly(line: str) -> None:
    """Says nothing."""


def _rustc(toolchain: Toolchain, made: Sysroot, arguments: Sequence[str]) -> int:
    command = [toolchain.rustc, *made.options()]
    if not any(argument.startswith("--edition") for argument in arguments):
        command.append("--edition=2021")
    return subprocess.run([*command, *arguments], env=environment(), check=False).returncode


def _cargo(toolchain: Toolchain, made: Sysroot, arguments: Sequence[str]) -> int:
    flags = [option for option in made.options() if not option.startswith("--target")]
    flags += configuration(toolchain)
    own = os.environ.get("CARGO_ENCODED_RUSTFLAGS")
    own_flags = own.split("\x1f") if own else os.environ.get("RUSTFLAGS", "").split()
    variables = {
        **environment(),
        "RUSTC": toolchain.rustc,
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join([*flags, *own_flags]),
        "CARGO_BUILD_TARGET": str(made.target),
    }
    command = [toolchain.cargo, *arguments]
    # Since 1.94 cargo takes a target file as an unstable option only (cargo's changelog, -Zjson-target-spec).
    if toolchain.number >= (1, 94):
        command[1:1] = ["-Zjson-target-spec"]
    return subprocess.run(command, env=variables, check=False).returncode


def _run(options: argparse.Namespace) -> int:
    toolchain, passed = choose([options.rustc] if options.rustc else candidates())
    if options.command in ("sysroot", "target") and options.arguments:
        raise Misuse(f"{options.command} takes no arguments; found {options.arguments[0]}")
    if options.command == "target":
        print(render(toolchain.rustc, options.arch), end="")
        return 0
    crate = options.crate or _crate(options.arch)
    if not crate.is_file():
        raise RustError(f"{crate} is not a file; --crate names the source of the crate vmi")
    tell = _quietly if options.quiet else _say
    tell(_chosen(toolchain, passed))
    made = sysroot(toolchain, options.arch, crate, options.cache or cache(), tell)
    if options.command == "sysroot":
        print(made.folder)
        return 0
    return (_rustc if options.command == "rustc" else _cargo)(toolchain, made, options.arguments)


def main(arguments: Sequence[str], program: str = "vmi-rust") -> int:
    """Run; 0 all well, 1 the compiler or the machine's set-up is at fault, 2 misuse."""
    try:
        return _run(_parser(program).parse_args(arguments))
    except RustError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return error.status
