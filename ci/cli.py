# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The front door's words. Imports of what a word needs wait until the word is known."""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmigen.program import Parser, ended, tell

from .util import ARCHITECTURES, ROOT, Told, UserError

HEAD = """\
VMI SDK: one kernel for hardware and every hypervisor

"""
TAIL = """
  ./vmi WORD --help       what a word does, and its options
  ./vmi --version         the versions of the SDK and of its interface
"""
COLUMN = 26
"""Where the words' summaries begin."""


# Types of options


def whole(low: int, high: int) -> Callable[[str], int]:
    """A whole number in a range; `39.0`, `1_0` and digits of other scripts are none."""

    def convert(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text) or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"expected a whole number from {low} to {high}, found '{text}'")
        return int(text)

    return convert


def seconds(text: str) -> float:
    """A time limit."""
    longest = 86400
    if not re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18})?", text) or not 1 <= float(text) <= longest:
        raise argparse.ArgumentTypeError(f"expected seconds from 1 to {longest}, found '{text}'")
    return float(text)


def hours(text: str) -> float:
    """How long something may go on."""
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,4})?", text) or not 0.01 <= float(text) <= 1000:
        raise argparse.ArgumentTypeError(f"expected hours from 0.01 to 1000, found '{text}'")
    return float(text)


def line(text: str) -> str:
    """What is put on a command line of a kernel or of a loader."""
    if not text.isprintable():
        raise argparse.ArgumentTypeError(f"expected printable characters, found {text!r}")
    return text


def path(text: str) -> Path:
    """A file or folder, which need not be there."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError("expected a path, found nothing")
    return Path(text)


# Words


@dataclass(frozen=True)
class Option:
    """One option or argument of a word, as argparse's add_argument takes it."""

    words: tuple[str, ...]
    settings: dict[str, Any]


def option(*words: str, **settings: Any) -> Option:
    return Option(words, settings)


@dataclass(frozen=True)
class Word:
    """One word of the front door."""

    run: Callable[[Namespace], int]
    synopsis: str
    """Its arguments in the overview."""
    summary: str
    """What it does, a sentence without its stop; for the overview and its own help."""
    options: tuple[Option, ...] = ()
    more: str = ""
    """What follows the options in its own help."""
    rest: str = ""
    """What further arguments are, which go on as they are; empty where there are none."""
    whole_line: bool = False
    """Whether all its arguments, --help too, are another program's."""

    def parser(self, name: str) -> argparse.ArgumentParser:
        parser = _Parser(
            prog=f"./vmi {name}",
            description=f"{self.summary[0].upper()}{self.summary[1:]}.",
            epilog=self.more or None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        for each in self.options:
            parser.add_argument(*each.words, **each.settings)
        if self.rest:
            parser.usage = f"{parser.format_usage().removeprefix('usage: ').rstrip()} [{self.rest}…]"
        return parser


class _Parser(Parser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise UserError(f"{message}; {self.prog} --help", 2)


NAMES = option("names", nargs="*", metavar="NAME", help="backends or configurations; default: all")
NAME = option("name", metavar="NAME", help="the configuration, or a backend that has only one")
AT = option("--at", default="", metavar="REGEX", help="when a line matches; default: when it ends")
APPEND = option("--append", default="", type=line, metavar="STR", help="add to the kernel's command line")
MODULE = option(
    "--module",
    action="append",
    default=[],
    type=line,
    metavar="'FILE ARGUMENT…'",
    help="a module with its arguments; may be repeated",
)
CONSOLE = option("--console", action="store_true", help="show the kernels' whole consoles")
ARCH = option("--arch", choices=ARCHITECTURES, default="", help="of one architecture only")
LAVA = option("--lava", action="store_true", help="print results as LAVA signals as well")
JSON = option("--json", type=path, metavar="FILE", help="write the results there as well")


CPUS = option("--cpus", type=whole(1, 32), default=1, metavar="N", help="CPUs; 1 to 32, default: 1")
MEMORY = option(
    "--memory", type=whole(1, 65536), default=64, metavar="MIB", help="memory; 1 to 65536, default: 64"
)


def deadline(default: float | None, said: str = "") -> Option:
    return option(
        "--deadline",
        type=seconds,
        default=default,
        metavar="SECONDS",
        help=f"stop the kernel then; 1 to 86400, default: {said or default}",
    )


def _boot(options: Namespace) -> int:
    from .boot import boot

    return boot(options.names, options.append, options.json, options.lava, options.console, options.arch)


def _run(options: Namespace) -> int:
    from .firmware import WAYS
    from .run import Wanted, disks, file, module, net, pattern, run

    firmware = WAYS.get(options.firmware)
    memory = options.memory or (firmware.memory_mib if firmware else 64)
    loaded = [(file(options.initrd, "initial RAM disk"), "")] if options.initrd else []
    loaded += [module(text) for text in options.module]
    rom = file(options.rom, "ROM") if options.rom else None
    expect, fail = ([pattern(text) for text in texts] for texts in (options.expect, options.fail))
    wanted = Wanted(
        options.append, options.cpus, memory, options.deadline or (86400 if options.gdb else 90),
        options.gdb, loaded, rom, disks(options.disk),
        [net(text) for text in options.net], options.rng, options.firmware, options.stdin,
        options.interactive, expect, fail, options.checked, options.all_lines,
    )  # fmt: skip
    return run(options.name, options.kernels, wanted)


def _lab(options: Namespace) -> int:
    from .lab import ENVIRONMENT, lab

    environment = options.environment or ENVIRONMENT
    return lab(options.place, options.kernel, options.tftp, options.append, environment, options.deadline)


def _test(options: Namespace) -> int:
    if options.long:
        from .long import long, show_parts, write_record

        for wrong in [word for word in options.rest if word.startswith("-")]:
            raise UserError(f"unexpected: {wrong}; ./vmi test --help", 2)
        if options.lava:
            raise UserError("--lava does not go with --long; results/long.json has its results", 2)
        if options.list:
            return show_parts(options.rest)
        if options.record:
            return write_record(options.rest)
        return long(options.rest, options.hours, options.anew, options.skip)
    for name in ("hours", "anew", "list", "record"):
        if getattr(options, name):
            raise UserError(f"--{name} goes with --long; ./vmi test --help", 2)
    from .testing import test

    return test(options.skip, options.lava, options.rest)


def _conformance(options: Namespace) -> int:
    from .conformance import conformance

    return conformance(options.names, options.lava, options.console, options.arch)


def _new_backend(options: Namespace) -> int:
    from .porting import new_backend

    return new_backend(options.name, options.inherit, options.hypercall)


def _check(options: Namespace) -> int:
    from .porting import check

    return check(options.name)


def _vendor(options: Namespace) -> int:
    from .vendor import vendor

    return vendor(options.folder, options.names, options.arch)


def _core(options: Namespace) -> int:
    from .core import core
    from .run import Wanted

    wanted = Wanted(options.append, options.cpus, options.memory, options.deadline)
    return core(options.name, options.kernel, wanted, options.at, options.output)


def _trace(options: Namespace) -> int:
    from .run import Wanted
    from .trace import Form, trace

    wanted = Wanted(options.append, options.cpus, options.memory, options.deadline)
    form = Form(
        options.calls, options.counts, options.output, options.json, options.chrome, options.live,
        options.instructions,
    )  # fmt: skip
    return trace(options.name, options.kernel, wanted, options.at, form, options.console)


def _life(options: Namespace) -> int:
    from .life import life

    return life(options.names, options.times, options.seconds, options.arch, options.console)


def _exits(options: Namespace) -> int:
    from .virtualization import exits

    return exits(options.names, options.json, options.arch)


def _report(options: Namespace) -> int:
    from .report import report

    return report(options.results, options.output)


def _iso(options: Namespace) -> int:
    from .iso import iso

    return iso(options.append, options.output, options.kernels, options.framebuffer)


def _efi(options: Namespace) -> int:
    from .efi import efi
    from .run import module

    return efi(options.kernel, options.append, [module(text) for text in options.module], options.output)


def _build(_: Namespace) -> int:
    from .build import build_all

    build_all()
    return 0


def _regenerate(_: Namespace) -> int:
    from .build import regenerate

    regenerate()
    return 0


def _bench(options: Namespace) -> int:
    from .bench import bench
    from .bench_page import bring

    return bench(options.names, options.quick, options.json, bring if options.page else None)


def _lint_tree(_: Namespace) -> int:
    from .lint import lint

    return lint()


def _setup(_: Namespace) -> int:
    from .setup import setup

    setup(force=True, tests=True)
    return 0


def _lint(options: Namespace) -> int:
    from vmi_lint.cli import main

    return main(options.rest, "vmi lint")


def _bind(options: Namespace) -> int:
    from vmi_bind.bind import Place
    from vmi_bind.cli import main

    from .backends import backends
    from .build import build, tree

    def built(arch: str) -> Place:
        roms = [f"backends/{name}.rom" for name in backends(arch=arch)]
        build("tools/bind-sites", "include/vmi/model.json", *roms, arch=arch)
        return Place.built(tree(arch))

    return main(options.rest, "vmi bind", built)


def _diff(options: Namespace) -> int:
    from vmigen.cli import main

    return main(["diff", *options.rest], "vmi")


WORDS: dict[str, Word] = {
    "boot": Word(
        _boot,
        "[NAME…]",
        "boot the sample kernel in every configuration, or in those named, and print a table of them",
        (NAMES, ARCH, APPEND, CONSOLE, JSON, LAVA),
        "The name `any`, alone or among others, boots the kernel that binds itself when it starts; "
        "`native-checked` is the kernel whose library checks each rule of the interface, `microvm` QEMU's PC "
        "without PCI.",
    ),
    "run": Word(
        _run,
        "NAME KERNEL…",
        "run kernels of yours in a configuration; 0 if each ends as passed, or writes what is expected",
        (
            NAME,
            option(
                "kernels", type=path, nargs="+", metavar="KERNEL", help="an ELF file or a bzImage; one by one"
            ),
            APPEND,
            CPUS,
            option(
                "--memory",
                type=whole(1, 65536),
                metavar="MIB",
                help="memory; 1 to 65536, default: 64, with UEFI 256",
            ),
            option(
                "--firmware",
                default="",
                type=line,
                metavar="WAY",
                help="what starts the kernel, in place of QEMU's loader: bios (GRUB from a disc), uefi "
                "(without a loader), uefi-grub (GRUB from a disc)",
            ),
            option("--initrd", type=path, metavar="FILE", help="an initial RAM disk; the first module"),
            MODULE,
            option("--rom", type=path, metavar="FILE", help="an option ROM, for example a provider"),
            option(
                "--disk",
                action="append",
                default=[],
                type=line,
                metavar="FILE[,ro][,DEVICE]",
                help="a disk with what is in the file, ro: read-only; by virtio, or by DEVICE: nvme or ahci; "
                "may be repeated",
            ),
            option(
                "--net",
                action="append",
                default=[],
                type=line,
                metavar="user[,DEVICE][,udp:PORT[=HOSTPORT]…]",
                help="a network, played by QEMU's DEVICE; its UDP or TCP port is one of 127.0.0.1, too; "
                "may be repeated",
            ),
            option("--rng", action="store_true", help="a device that is a source of entropy (virtio-rng)"),
            option("--stdin", default="", metavar="FILE", help="type it on the console; - is standard input"),
            option("--interactive", action="store_true", help="join the terminal to the console"),
            option(
                "--expect",
                action="append",
                default=[],
                metavar="REGEX",
                help="passed, and stopped, when a line matches; may be repeated",
            ),
            option(
                "--fail",
                action="append",
                default=[],
                metavar="REGEX",
                help="failed, and stopped, when a line matches; may be repeated",
            ),
            option("--all-lines", action="store_true", help="show what the hypervisor itself writes, too"),
            option(
                "--checked",
                action="store_true",
                help="run the kernel as linked with the library's flavour `checked`, which names each rule "
                "of the interface that the kernel breaks; it has failed then",
            ),
            option("--gdb", action="store_true", help="wait for gdb; the command to type is shown"),
            deadline(None, "90, with --gdb 86400"),
        ),
        "docs/run.md says more.",
    ),
    "core": Word(
        _core,
        "NAME KERNEL",
        "run a kernel in a configuration until it ends or has written a line, and write a core file for gdb "
        "of its memory and CPUs",
        (
            NAME,
            option("kernel", type=path, metavar="KERNEL", help="an ELF file"),
            APPEND,
            CPUS,
            MEMORY,
            AT,
            deadline(90),
            option("--output", type=path, metavar="FILE", help="instead of results/core/NAME-KERNEL.core"),
        ),
        "docs/run.md says more.",
    ),
    "trace": Word(
        _trace,
        "NAME KERNEL",
        "run a kernel in a configuration until it ends or has written a line, and list the calls that it has "
        "made, with their arguments and results",
        (
            NAME,
            option("kernel", type=path, metavar="KERNEL", help="linked with libvmi-NAME-traced.a"),
            option(
                "--calls",
                action="append",
                default=[],
                type=line,
                metavar="PATTERN",
                help="only calls of such names, with * and ? as in a shell; may be repeated",
            ),
            option("-c", "--counts", action="store_true", help="count the calls in place of listing them"),
            option("--live", action="store_true", help="list each call as it comes back"),
            option(
                "--instructions", action="store_true", help="have the machine count instructions, not cycles"
            ),
            APPEND,
            CPUS,
            MEMORY,
            AT,
            deadline(90),
            CONSOLE,
            JSON,
            option("--chrome", type=path, metavar="FILE", help="the calls for Perfetto or Chrome as well"),
            option("--output", type=path, metavar="FILE", help="instead of standard output"),
        ),
        "docs/trace.md says more.",
    ),
    "lab": Word(
        _lab,
        "PLACE KERNEL",
        "run a kernel on a machine of a lab, by labgrid (docs/lab.md)",
        (
            option("place", metavar="PLACE", help="the machine's place in the lab"),
            option("kernel", type=path, metavar="KERNEL", help="the kernel, an ELF file"),
            option("--tftp", type=path, required=True, metavar="FOLDER", help="what its loader reads"),
            APPEND,
            option("--environment", type=path, metavar="FILE", help="labgrid's description of the machine"),
            deadline(300),
        ),
    ),
    "test": Word(
        _test,
        "[PYTEST ARGUMENT…] | --long [--hours N] [PART…]",
        "lint and all tests, or the tests that pytest's arguments choose; --long: those that take hours, "
        "going on where the last run was stopped",
        (
            option("--skip", action="append", default=[], metavar="NAME", help="leave a configuration out"),
            LAVA,
            option("--long", action="store_true", help="what takes hours, or the PARTs of it"),
            option(
                "--hours",
                type=hours,
                metavar="N",
                help="with --long: begin nothing more then; 0.01 to 1000, default: to the end",
            ),
            option("--anew", action="store_true", help="with --long: forget what earlier runs have done"),
            option(
                "--list", action="store_true", help="with --long: say what parts there are, and when they ran"
            ),
            option(
                "--record",
                action="store_true",
                help="with --long: run nothing, but write what was run into docs/long-tests.md",
            ),
        ),
        "docs/testing.md says more.",
        rest="PYTEST ARGUMENT or PART",
    ),
    "conformance": Word(
        _conformance,
        "[NAME…]",
        "hold libraries to the specification and to what they declare, call by call",
        (NAMES, ARCH, CONSOLE, LAVA),
    ),
    "life": Word(
        _life,
        "[NAME…]",
        "put the sample kernel, while it works, through what happens to machines (stopped, moved, put into a "
        "file, asked to end), and print a table of it",
        (
            NAMES,
            ARCH,
            option(
                "--times",
                type=whole(1, 40),
                default=3,
                metavar="N",
                help="each event so often; 1 to 40, default: 3",
            ),
            option(
                "--seconds",
                type=seconds,
                default=10,
                metavar="SECONDS",
                help="how long a stopped machine stands still; 1 to 86400, default: 10",
            ),
            CONSOLE,
        ),
        "docs/testing.md says more.",
    ),
    "new-backend": Word(
        _new_backend,
        "NAME",
        "begin a backend: a folder that builds and boots as the one it inherits from",
        (
            option("name", metavar="NAME", help="lower-case letters and digits, a letter first"),
            option("--inherit", default="native", metavar="NAME", help="the parent; default: native"),
            option(
                "--hypercall",
                default="",
                metavar="HOW",
                help="how hypercalls are made: vmcall, int:0xNN, page or port:0xNNNN; default: none are",
            ),
        ),
    ),
    "check": Word(
        _check,
        "NAME",
        "say of a backend, call by call, what is missing, declared and shown",
        (option("name", metavar="NAME", help="the backend"),),
    ),
    "lint": Word(
        _lint,
        "FILE…",
        "list the sensitive instructions left in objects, archives and kernels, and the call to use instead",
        whole_line=True,
    ),
    "bind": Word(
        _bind,
        "KERNEL",
        "put the instructions of its library into a linked kernel, in place of calls",
        whole_line=True,
    ),
    "diff": Word(
        _diff,
        "OLD NEW",
        "class what changed between two specifications (files or git revisions): BREAKING, "
        "SOURCE-COMPATIBLE or COMPATIBLE",
        whole_line=True,
    ),
    "vendor": Word(
        _vendor,
        "DIR [NAME…]",
        "write the sources of libraries, with lists for make and CMake, into a folder of another project",
        (
            option("folder", type=path, metavar="DIR", help="where to"),
            option("names", nargs="*", metavar="NAME", help="backends; `any` lets a kernel bind itself"),
            option(
                "--arch",
                choices=ARCHITECTURES,
                default=ARCHITECTURES[0],
                help=f"the libraries' architecture; default: {ARCHITECTURES[0]}",
            ),
        ),
    ),
    "exits": Word(
        _exits,
        "[NAME…]",
        "count how often one kernel leaves for its hypervisor: knowing nothing of it, and speaking to it",
        (NAMES, ARCH, JSON),
        "By the hypervisors' own traces, so in emulated rigs only. docs/exits.md says more.",
    ),
    "report": Word(
        _report,
        "",
        "make one HTML page of what the last runs have left in results/",
        (
            option("--results", type=path, metavar="DIR", help="instead of results/"),
            option("--output", type=path, metavar="FILE", help="instead of results/report.html"),
        ),
    ),
    "iso": Word(
        _iso,
        "[KERNEL…]",
        "make a disc and disk image of the kernels that bind themselves, or of yours, for QEMU or a PC",
        (
            option(
                "kernels",
                type=path,
                nargs="*",
                metavar="KERNEL",
                help="yours: multiboot, or a bzImage; one, or one for each architecture",
            ),
            APPEND,
            option(
                "--framebuffer",
                action="store_true",
                help="under a BIOS, too, have GRUB set up the screen that the kernel's header asks for; "
                "without it that is VGA's text mode",
            ),
            option("--output", type=path, metavar="FILE", help="instead of build/vmi.iso"),
        ),
    ),
    "efi": Word(
        _efi,
        "KERNEL",
        "make a program of a multiboot2 kernel that UEFI firmware starts by itself",
        (
            option("kernel", type=path, metavar="KERNEL", help="for i386 or x86-64; it is carried unchanged"),
            APPEND,
            MODULE,
            option("--output", type=path, metavar="DIR", help="instead of build/NAME.efi"),
        ),
    ),
    "build": Word(_build, "", "build all libraries and kernels, into build/ (i386) and build-x86_64/"),
    "regenerate": Word(
        _regenerate, "", "render everything that comes from spec/vmi.yaml, and bring docs/ up to date"
    ),
    "bench": Word(
        _bench,
        "[NAME…]",
        "measure calls, workloads and boot in every configuration, or in those named, by every binding; "
        "dispatch, sizes and builds here",
        (
            NAMES,
            option("--quick", action="store_true", help="plain hardware only"),
            JSON,
            option("--page", action="store_true", help="write what is no time into docs/benchmarks.md"),
        ),
    ),
    "lint-tree": Word(_lint_tree, "", "check form: C, shell, Python; that rendered pages are current"),
    "setup": Word(_setup, "", "install what is missing (all other words do it too)"),
}


def overview() -> str:
    """All words, each with what it does."""
    import textwrap

    indent = " " * COLUMN
    made = HEAD
    for name, word in WORDS.items():
        head = f"  ./vmi {name} {word.synopsis}".rstrip()
        lines = textwrap.wrap(word.summary, 106, initial_indent=indent, subsequent_indent=indent)
        if len(head) + 2 <= COLUMN:
            lines[0] = f"{head:{COLUMN}}{lines[0][COLUMN:]}"
        else:
            lines.insert(0, head)
        made += "\n".join(lines) + "\n"
    return made + TAIL


def version() -> str:
    """The SDK's version, the interface's, and the commit where the tree is git's."""

    def found(file: str, pattern: str) -> str:
        match = re.search(pattern, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
        return ".".join(match.groups()) if match else "unknown"

    sdk = found("meson.build", r"^ +version: '([^']+)'")
    interface = found("spec/vmi.yaml", r"^api: .*major: (\d+), minor: (\d+)")
    try:
        git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
        commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        commit = ""
    return f"vmi {sdk} (VMI API {interface}{f', commit {commit}' if commit else ''})"


def _parsed(word: Word, name: str, words: list[str]) -> Namespace:
    if word.whole_line:
        return Namespace(rest=words)
    parser = word.parser(name)
    if not word.rest:
        return parser.parse_args(words)
    options, rest = parser.parse_known_args(words)
    options.rest = rest
    return options


def main(words: Sequence[str]) -> int:
    """Runs a word. 0 well, 1 a check failed or something is in the way, 2 misuse, 130 Ctrl-C."""
    # Whoever stops the front door means its guests too: the exception lets every rig end them.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    # Generator, build and tests that this process starts read UTF-8, too.
    os.environ["PYTHONUTF8"] = "1"

    def run() -> int:
        try:
            return _main(list(words))
        except UserError as error:
            tell(str(error) if isinstance(error, Told) else f"vmi: {error}")
            return error.status

    return ended("vmi", run)


def _main(words: list[str]) -> int:
    if words[:1] == ["help"] and len(words) == 2:
        words = [words[1], "--help"]
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview(), end="")
        return 0
    if words == ["--version"]:
        print(version())
        return 0
    name, *rest = words
    word = WORDS.get(name)
    if word is None:
        raise UserError(f"unknown word: {name}; ./vmi alone prints help", 2)
    try:
        options = _parsed(word, name, rest)
    except SystemExit as ended:  # --help
        return int(ended.code or 0)
    if word is not WORDS["setup"]:
        _enter_venv(words)
    return word.run(options)


def _enter_venv(words: Sequence[str]) -> None:
    """Set up if need be, and go on under .venv's Python with its tools first in PATH."""
    from .setup import VENV, setup

    setup(tests=words[0] == "test")
    if Path(sys.prefix) != VENV:
        python = VENV / "bin/python"
        # As `vmi` does it: ci/__main__.py takes the signal again.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        os.execv(python, [str(python), "-X", "utf8", str(ROOT / "ci/__main__.py"), *words])
    os.environ["PATH"] = f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
