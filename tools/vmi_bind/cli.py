# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The command line: `vmi bind`, `vmi-bind`."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from vmigen.program import Parser, ended, tell

from .bind import OUTCOMES, Bound, Place, bind
from .kernel import Kernel, read
from .problems import InputError, Refused

DESCRIPTION = """\
Binds a kernel to the VMI library that it is linked with: each recorded call site becomes the instruction
itself where the library does the call by that alone, nothing where the library does nothing, and stays a call
where the library does more. So the kernel pays for no call that plain hardware does not need.

The rules are those of kernels that bind themselves when they start, and so is the code that follows them.
Only bytes of call sites change: symbols, unwind information and line numbers stay right. The same kernel
gives the same bytes.

What is chosen by a feature of the processor stays a call, because the processor is not known yet."""

EPILOG = """\
A kernel is refused, and nothing written, if anything cannot be proven: a call site that is no call of its
entry point, an entry point that is not what the library's image has in its place, an image of another build,
symbols that are stripped. A kernel that was bound already is left as it is, and that is said.

Exit status: 0 bound, now or before; 1 refused, or a file that cannot be written; 2 misuse, or a file that is
no kernel."""


def _parser(program: str) -> argparse.ArgumentParser:
    parser = Parser(
        misuse=InputError,
        prog=program,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("kernel", type=Path, metavar="KERNEL", help="a linked kernel, an ELF file")
    add("-o", "--output", type=Path, metavar="FILE", help="where to write it (default: in place)")
    add("--list", action="store_true", help="say of each call site what it became")
    add("--quiet", action="store_true", help="say nothing if all went well")
    add("--build", type=Path, metavar="DIR", help="a build tree of the SDK instead of what is installed")
    return parser


def main(
    arguments: Sequence[str], program: str = "vmi-bind", place: Callable[[str], Place] = Place.installed
) -> int:
    """Binds: 0 bound, 1 refused, 2 misuse or no kernel. `place` says where the SDK for an architecture is."""

    def run() -> int:
        try:
            return _run(_parser(program).parse_args(arguments), place)
        except InputError as error:
            tell(f"{program}: {error}")
            return 1 if isinstance(error, Refused) else 2

    return ended(program, run)


def _run(options: argparse.Namespace, place: Callable[[str], Place]) -> int:
    path: Path = options.kernel
    try:
        kernel = read(path)
    except Refused as error:
        raise Refused(f"{path} is not bound: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    try:
        made = bind(kernel, Place.built(options.build) if options.build else place(kernel.arch))
    except Refused as error:
        raise Refused(f"{path} is not bound: {error}") from None
    if options.output or not made.already:
        write(options.output or path, made.data, kernel.mode)
    if options.list:
        for line in listed(kernel, made):
            print(line)
    if not options.quiet:
        print(summed(kernel, made))
    return 0


def listed(kernel: Kernel, made: Bound) -> list[str]:
    """A line for each site."""
    lines = []
    for site, outcome in zip(kernel.sites, made.outcomes, strict=False):
        start = kernel.code_offset + site.address - kernel.code_address
        code = made.data[start : start + site.length].hex(" ")
        name = made.calls[site.ordinal].name
        lines.append(f"{site.address:#x} {kernel.name_of(site.address)} {name}: {OUTCOMES[outcome]}: {code}")
    return lines


def summed(kernel: Kernel, made: Bound) -> str:
    """What was done in all."""
    if made.already:
        return f"{kernel.path}: was bound to {made.library} already; nothing changed"
    count = Counter(made.outcomes)
    stay = [f"{count[key]} {OUTCOMES[key].removeprefix('call ')}" for key in "cfl" if count[key]]
    return (
        f"{kernel.path}: bound to {made.library}: sites={len(made.outcomes)} instruction={count['i']} "
        f"call={count['c'] + count['f'] + count['l']} nop={count['p'] + count['n']}"
        + (f"; calls: {', '.join(stay)}" if stay else "")
    )


def write(path: Path, data: bytes, mode: int) -> None:
    """Writes a file so that it is there whole or as it was before."""
    path = path.resolve()
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(number, "wb") as stream:
            stream.write(data)
            os.fchmod(stream.fileno(), mode)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
