# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The front door's words. Imports of what a word needs wait until the word is known."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .util import ROOT, UserError

HELP = """\
VMI SDK: one kernel for hardware and every hypervisor

  ./vmi boot [NAME…] [--append STR] [--console] [--json FILE] [--lava]
                          boot the sample kernel in every configuration, or in those named, and print
                          a table of them; --append adds to the kernel's command line, --console shows
                          the consoles
  ./vmi run NAME KERNEL… [--append STR] [--cpus N] [--memory MIB] [--deadline SECONDS]
            [--initrd FILE] [--module 'FILE ARGUMENT…']… [--rom FILE] [--stdin FILE|-] [--interactive]
            [--expect REGEX]… [--fail REGEX]… [--all-lines]
                          run kernels of yours in a configuration, ELF files or Linux's bzImage; 0 if each
                          ends itself as passed, or writes what is expected (docs/run.md)
  ./vmi lab PLACE KERNEL --tftp FOLDER [--append STR] [--environment FILE] [--deadline SECONDS]
                          run a kernel on a machine of a lab, by labgrid (docs/lab.md)
  ./vmi test [--skip NAME]… [--lava] [PYTEST ARGUMENT…]
                          lint and all tests, or the tests that pytest's arguments choose; --skip
                          leaves a configuration out; --lava prints results as LAVA signals as well
  ./vmi conformance [NAME…] [--console] [--lava]
                          hold libraries to the specification and to what they declare, call by call
  ./vmi new-backend NAME [--inherit NAME] [--hypercall vmcall|int:0xNN|page|port:0xNNNN]
                          begin a backend: a folder that builds and boots as the one it inherits from
  ./vmi check NAME        say of a backend, call by call, what is missing, declared and shown
  ./vmi lint FILE…        list the sensitive instructions left in objects, archives and kernels, and the
                          call to use instead; ./vmi lint --help tells of allow-lists, JSON and SARIF
  ./vmi diff OLD NEW      class what changed between two specifications (files or git revisions):
                          BREAKING, SOURCE-COMPATIBLE or COMPATIBLE; ./vmi diff --help
  ./vmi vendor DIR [NAME…]
                          write the sources of libraries, with lists of them for make and CMake, into a
                          folder of another project; `any` is what lets a kernel bind itself
  ./vmi report [--results DIR] [--output FILE]
                          one HTML page of what the last runs have left in results/
  ./vmi iso [KERNEL] [--append STR] [--output FILE]
                          a disc and disk image of the kernel that binds itself, or of one of yours, for
                          QEMU or a PC
  ./vmi build             build all libraries and kernels into build/
  ./vmi regenerate        render everything that comes from spec/vmi.yaml; docs/ is brought up to date
  ./vmi bench [NAME…] [--quick] [--json FILE]
                          measure calls, workloads and boot in every configuration, or in those named, by
                          every binding; dispatch, sizes and builds here; --quick: plain hardware only
  ./vmi lint-tree         check form: C, shell, Python; that rendered pages are current
  ./vmi setup             install what is missing (all other words do it too)
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise UserError(f"{message}; ./vmi alone prints help", 2)


def _boot(words: list[str]) -> int:
    parser = _Parser(prog="vmi boot", add_help=False)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--append", default="")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--lava", action="store_true")
    parser.add_argument("--console", action="store_true")
    options = parser.parse_args(words)
    from .boot import boot

    return boot(options.names, options.append, options.json, options.lava, options.console)


def _run(words: list[str]) -> int:
    parser = _Parser(prog="vmi run", add_help=False)
    parser.add_argument("name")
    parser.add_argument("kernels", type=Path, nargs="+")
    parser.add_argument("--append", default="")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--memory", type=int, default=64)
    parser.add_argument("--module", action="append", default=[])
    parser.add_argument("--initrd")
    parser.add_argument("--rom", type=Path)
    parser.add_argument("--stdin", default="")
    parser.add_argument("--interactive", action="store_true")
    parser.add_argument("--expect", action="append", default=[])
    parser.add_argument("--fail", action="append", default=[])
    parser.add_argument("--all-lines", action="store_true")
    parser.add_argument("--deadline", type=float, default=90.0)
    options = parser.parse_args(words)
    from .run import Wanted, file, module, pattern, run

    loaded = [(file(Path(options.initrd), "initial RAM disk"), "")] if options.initrd else []
    loaded += [module(text) for text in options.module]
    rom = file(options.rom, "ROM") if options.rom else None
    expect, fail = ([pattern(text) for text in texts] for texts in (options.expect, options.fail))
    wanted = Wanted(
        options.append, options.cpus, options.memory, options.deadline, loaded, rom, options.stdin,
        options.interactive, expect, fail, options.all_lines,
    )  # fmt: skip
    return run(options.name, options.kernels, wanted)


def _lab(words: list[str]) -> int:
    parser = _Parser(prog="vmi lab", add_help=False)
    parser.add_argument("place")
    parser.add_argument("kernel", type=Path)
    parser.add_argument("--tftp", type=Path, required=True)
    parser.add_argument("--append", default="")
    parser.add_argument("--environment", type=Path)
    parser.add_argument("--deadline", type=float, default=300.0)
    options = parser.parse_args(words)
    from .lab import ENVIRONMENT, lab

    environment = options.environment or ENVIRONMENT
    return lab(options.place, options.kernel, options.tftp, options.append, environment, options.deadline)


def _conformance(words: list[str]) -> int:
    parser = _Parser(prog="vmi conformance", add_help=False)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--lava", action="store_true")
    parser.add_argument("--console", action="store_true")
    options = parser.parse_args(words)
    from .conformance import conformance

    return conformance(options.names, options.lava, options.console)


def _new_backend(words: list[str]) -> int:
    parser = _Parser(prog="vmi new-backend", add_help=False)
    parser.add_argument("name")
    parser.add_argument("--inherit", default="native")
    parser.add_argument("--hypercall", default="")
    options = parser.parse_args(words)
    from .porting import new_backend

    return new_backend(options.name, options.inherit, options.hypercall)


def _check(words: list[str]) -> int:
    parser = _Parser(prog="vmi check", add_help=False)
    parser.add_argument("name")
    options = parser.parse_args(words)
    from .porting import check

    return check(options.name)


def _vendor(words: list[str]) -> int:
    parser = _Parser(prog="vmi vendor", add_help=False)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args(words)
    from .vendor import vendor

    return vendor(options.folder, options.names)


def _iso(words: list[str]) -> int:
    parser = _Parser(prog="vmi iso", add_help=False)
    parser.add_argument("kernel", type=Path, nargs="?")
    parser.add_argument("--append", default="")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(words)
    from .iso import iso

    return iso(options.append, options.output, options.kernel)


def _report(words: list[str]) -> int:
    parser = _Parser(prog="vmi report", add_help=False)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(words)
    from .report import report

    return report(options.results, options.output)


def _test(words: list[str]) -> int:
    parser = _Parser(prog="vmi test", add_help=False)
    parser.add_argument("--skip", action="append", default=[])
    parser.add_argument("--lava", action="store_true")
    options, rest = parser.parse_known_args(words)
    from .testing import test

    return test(options.skip, options.lava, rest)


def _plain(run: Callable[[], int]) -> Callable[[list[str]], int]:
    def word(words: list[str]) -> int:
        if words:
            raise UserError(f"unexpected: {words[0]}; ./vmi alone prints help", 2)
        return run()

    return word


def _setup() -> int:
    from .setup import setup

    setup(force=True, tests=True)
    return 0


def _build() -> int:
    from .build import build

    build()
    return 0


def _regenerate() -> int:
    from .build import regenerate

    regenerate()
    return 0


def _bench(words: list[str]) -> int:
    parser = _Parser(prog="vmi bench", add_help=False)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(words)
    from .bench import bench

    return bench(options.names, options.quick, options.json)


def _lint_tree() -> int:
    from .lint import lint

    return lint()


def _own_packages() -> None:
    """The generator and the linter are packages of their own, beside this one."""
    sys.path[1:1] = [str(ROOT / "codegen"), str(ROOT / "tools")]


def _lint(words: list[str]) -> int:
    _own_packages()
    from vmi_lint.cli import main

    return main(words, "vmi lint")


def _diff(words: list[str]) -> int:
    _own_packages()
    from vmigen.cli import main

    return main(["diff", *words], "vmi")


WORDS: dict[str, Callable[[list[str]], int]] = {
    "setup": _plain(_setup),
    "build": _plain(_build),
    "boot": _boot,
    "run": _run,
    "lab": _lab,
    "conformance": _conformance,
    "new-backend": _new_backend,
    "check": _check,
    "vendor": _vendor,
    "iso": _iso,
    "report": _report,
    "test": _test,
    "bench": _bench,
    "regenerate": _plain(_regenerate),
    "lint": _lint,
    "lint-tree": _plain(_lint_tree),
    "diff": _diff,
}


def main(words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    # Whoever stops the front door means its guests too: the exception lets every rig end them.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        word = WORDS.get(words[0])
        if word is None:
            raise UserError(f"unknown word: {words[0]}; ./vmi alone prints help", 2)
        if word is not WORDS["setup"]:
            _enter_venv(words)
        return word(list(words[1:]))
    except UserError as error:
        print(f"vmi: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has left (`| head`): nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _enter_venv(words: Sequence[str]) -> None:
    """Set up if need be, and go on under .venv's Python with its tools first in PATH."""
    from .setup import VENV, setup

    setup(tests=words[0] == "test")
    if Path(sys.prefix) != VENV:
        python = VENV / "bin/python"
        os.execv(python, [str(python), str(ROOT / "ci/__main__.py"), *words])
    os.environ["PATH"] = f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
