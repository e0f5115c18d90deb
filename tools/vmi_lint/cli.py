# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The command line: `vmi lint`, `vmi-lint`."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from vmigen.program import Parser

from . import allow, report, rules, stores
from .lint import Options, lint
from .problems import InputError

DESCRIPTION = """\
Lists the sensitive instructions that are left in a kernel, and the VMI call to use instead of each.

Reads ELF objects, archives of them (thin ones too) and executables, for i386 and x86-64. Code is told from
data by symbols, relocations, unwind information and by following branches; what cannot be told apart is
counted and not guessed at. Bytes of a function that could not be decoded are a finding of their own
(instruction `unknown`). Lines come from debug information, where there is some. Findings of one instruction
on one line of the source, inlined into several functions, are told together.

In a linked kernel, the code of the library that it is linked with is told apart (by its symbols, vmi_...):
what is found there is listed with --all, and does not count.

On x86-64, functions that keep data below the stack pointer are found (`red zone`): the kernel was compiled
without -mno-red-zone.

With debug information, stores to page tables, descriptor tables and the local APIC are found by the types and
names of variables. They are hints: a table that no hypervisor knows of yet may be written directly."""

EPILOG = """\
What is looked for, and which call stands for it, comes from the specification (spec/vmi.yaml). Instructions
that load a segment register are right where the selector is, and only listed with --all.

An allow-list is YAML:

    allow:
      - symbol: "early_*"           # the function or label, with shell wildcards
        instruction: cpuid          # optional: only this one
        file: "*.o"                 # optional: only in this object, archive or member
        reason: runs before the library is there

Exit status: 0 nothing is left, 1 something is, 2 misuse or a file that cannot be read, as one without machine
code. Hints do not count.

Code of 16 bits in the same sections is not told from other code, and not understood: allow it by symbol."""


def _parser(program: str) -> argparse.ArgumentParser:
    parser = Parser(
        misuse=InputError,
        prog=program,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", nargs="+", type=Path, metavar="FILE", help="object, archive or executable")
    add("--allow", action="append", default=[], type=Path, metavar="YAML", help="what may stay, and why")
    add("--format", choices=("text", "json", "sarif"), default="text", help="of the output (default: text)")
    add("--output", type=Path, metavar="FILE", help="where to write it (default: standard output)")
    add(
        "--all", action="store_true", help="list selector loads, what is allowed and what was not checked too"
    )
    add(
        "--user", action="store_true", help="the files are user programs: int, sysenter and syscall are right"
    )
    add(
        "--allow-unknown",
        action="store_true",
        help="let pass what the decoder does not know within functions",
    )
    add(
        "--hints", choices=("auto", "always", "never"), default="auto",
        help="whether stores are looked for by type (auto: unless debug information has more than 64 MiB)",
    )  # fmt: skip
    add(
        "--type", action="append", default=[], metavar="KIND=NAME", type=stores.of_option,
        help="another name of a type or variable whose stores matter, with shell wildcards; "
        f"KIND is one of {', '.join(stores.KINDS)}",
    )  # fmt: skip
    add("--model", type=Path, metavar="JSON", help="model.json of the generator instead of the specification")
    return parser


def main(arguments: Sequence[str], program: str = "vmi-lint") -> int:
    """Runs the linter: 0 clean, 1 findings, 2 misuse or files that cannot be read."""
    try:
        try:
            return _run(_parser(program).parse_args(arguments), program)
        finally:
            # Help is written as well, and may wait in the buffer.
            if sys.stdout is not None:  # closed by whoever started the command
                sys.stdout.flush()
    except InputError as error:
        for line in str(error).splitlines():
            print(f"{program}: {line}", file=sys.stderr)
        return 2
    except OSError as error:
        # After a broken pipe the reader has left (`| head`): nobody to tell.
        if not isinstance(error, BrokenPipeError):
            print(f"{program}: {error.filename or 'standard output'}: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2


def _run(options: argparse.Namespace, program: str) -> int:
    known = rules.read(options.model)
    entries = [entry for path in options.allow for entry in allow.read(path)]
    for entry in entries:
        _known_instruction(entry, known)
    asked = Options(options.user, options.allow_unknown, options.hints, tuple(options.type))
    result = lint(options.files, known, entries, asked)
    for problem in result.problems:
        print(f"{program}: {problem}", file=sys.stderr)
    if result.problems and not result.objects and options.format == "text":
        return 2  # nothing was looked at, so there is nothing to sum up
    unused = [entry for entry in entries if not entry.used]
    if options.format == "json":
        made = report.as_json(result, unused, known)
    elif options.format == "sarif":
        made = report.sarif(result, unused, known)
    else:
        made = report.text(result, unused, options.all)
    _write(options.output, made)
    return 2 if result.problems else 1 if result.left else 0


def _known_instruction(entry: allow.Entry, known: rules.Rules) -> None:
    """A misspelt instruction would let nothing pass, and nobody would know why."""
    from fnmatch import filter as matching

    names = [
        *known.by_name,
        *(rule.name for rule in rules.NOT_INSTRUCTIONS),
        *(stores.rule(kind, known).name for kind in stores.KINDS),
    ]
    if not matching(names, entry.instruction):
        raise InputError(
            f"{entry.place}: no instruction '{entry.instruction}'; expected one of the specification's"
        )


def _write(path: Path | None, made: str) -> None:
    """Writes whole or not at all."""
    if path is None:
        print(made, end="", flush=True)
        return
    try:
        # It would be replaced, if the user may do that.
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "Is a folder, pipe, socket or device")
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            file.write(made)
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)
    except OSError as error:
        raise InputError(f"{path}: cannot write the file ({error.strerror})") from None
