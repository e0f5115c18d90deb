# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""A fuzz target as a program: how it is built, run, and what it has covered."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ci.build import tree
from ci.util import ROOT, UserError, tied

HERE = Path(__file__).resolve().parent
FLAGS = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Wmissing-prototypes", "-Wstrict-prototypes",
         "-Werror"]  # fmt: skip
SANITIZERS = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
COVERAGE = ["-fsanitize=fuzzer", "-fprofile-instr-generate", "-fcoverage-mapping"]


def runtime(name: str) -> Path:
    """A source by its name from runtime/ on."""
    return (ROOT / "runtime" / name).resolve()


@dataclass(frozen=True)
class Target:
    """One program, and what it is about."""

    name: str
    main: Path
    """Its own source."""
    sources: tuple[str, ...]
    """Besides that, in runtime/ or from there on."""
    about: tuple[str, ...]
    """Files of runtime/ whose coverage counts."""
    seeds: Callable[[], Iterator[bytes]]
    longest: int
    """Bytes of an input."""
    runs: int
    """Of a bounded run: seconds, not minutes."""
    arch: str
    """Whose headers it has, and for whom it binds: the build machine's own, or i386 with what only that has
    taken out (host/)."""
    more: tuple[str, ...] = ()
    """Further arguments of the compiler, before the usual ones."""
    long_runs: int = 10_000_000
    """Executions that the long tests give it in all."""

    def build(self, folder: Path, how: list[str]) -> Path:
        program = folder / self.name
        folder.mkdir(parents=True, exist_ok=True)
        sources = [self.main, *map(runtime, self.sources)]
        shim = [f"-I{HERE / 'host'}", "-DVMI__BIND_I386"] if self.arch == "i386" else []
        command = ["clang", *FLAGS, "-DVMI_ALLOW_SSE", *how, *shim, *self.more,
                   f"-isystem{tree(self.arch) / 'include'}",
                   f"-I{ROOT / 'runtime'}", f"-I{ROOT / 'devices'}", f"-I{HERE}", "-o", str(program),
                   *map(str, sources)]  # fmt: skip
        if not shutil.which(command[0]):
            raise UserError(f"{command[0]}: not found; ./vmi setup installs it")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"fuzz target {self.name} is not built:\n{done.stderr}")
        return program

    def plant(self, corpus: Path) -> Path:
        """Writes the seeds."""
        corpus.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(self.seeds()):
            (corpus / f"seed-{number:03}").write_bytes(seed)
        return corpus


PCI = ("../devices/pci/device.c", "../devices/pci/pci.c")
UNTRACED = ("-fno-sanitize-coverage=trace-cmp",)
"""Of a target whose input has no words for the fuzzer to learn from comparisons: to trace those takes a third
of its time at least, and the corpus covers no more."""
PLAYED = (
    *UNTRACED,
    f"-I{HERE / 'played'}",
    f"-I{ROOT / 'tests'}",
    f"-I{ROOT / 'backends'}",
    "-fno-pie",
    "-no-pie",
)
"""Of a target whose device a program of checks plays: that has addresses of 32 bits."""
ON_PCI = (*PLAYED, "-Wl,--wrap=vmi__wait_for")
"""Of one that is on PCI (on_pci.h)."""


def lives(*written: str) -> Callable[[], Iterator[bytes]]:
    """Inputs from what devices and kernels do, in hexadecimal digits."""
    return lambda: map(bytes.fromhex, written)


def disks(what: str) -> tuple[str, ...]:
    """Lives of a kernel with a disk, which begin by what the disk is (life.h); it says nothing of itself."""
    opened, two, reaped, flush = "0b 07 03", "00 01 00 01 05 00 01 06", "09 0f", "00 00 02 01 00"
    return (
        f"{what} 00 00 {opened} {two} 02 02 {reaped} 0c",
        f"{what} 00 01 {opened} {two} 02 {reaped} 0f 00 05 01 03 {reaped} 0c {opened} {flush} 12 {reaped}",
        f"{what} 00 01 {opened} {two} 08 05 0000 08 85 0000 1000 {reaped} 0d 01 02 0e 0c",
    )


def networks(what: str) -> tuple[str, ...]:
    """The same with a network."""
    opened, post, send = "0b 07 03", "00 01 04 6400 21 05 0008 43", "10 00 4000 1000 00"
    reaped = "09 0f 19 0f"
    return (
        f"{what} 00 00 {opened} {post} {send} 02 4000 12 {reaped} 0c",
        f"{what} 00 01 {opened} {post} 02 0000 {send} 02 ff03 0f 00 09 0f {send} 05 00 00 {reaped} {opened}",
        f"{what} 00 01 {opened} {send} {post} 05 01 01 03 07 0000 ff 09 0f 12 19 0f 0d 01 02 0e 0c",
    )


def device(
    name: str,
    main: Path,
    drivers: tuple[str, ...],
    seeds: Callable[[], Iterator[bytes]],
    more: tuple[str, ...] = ON_PCI,
) -> Target:
    """A target whose device a program of checks plays; drivers' files are named from runtime/ on."""
    return Target(
        name,
        main,
        ("arch/x86_64/image_place.c", *drivers),
        ("../devices/interface.c", *drivers),
        seeds,
        256,
        4_000,
        "x86_64",
        more,
    )


@dataclass(frozen=True)
class Result:
    executions: int
    seconds: int
    units: int
    """Inputs of the corpus in the end."""
    edges: int
    """Of the program's control flow, that an input has taken."""
    finds: list[Path]
    """Inputs at which something did not hold."""
    log: str


def run(program: Path, corpus: Path, finds: Path, *options: str) -> Result:
    """Runs a target until it has found something or an option ends it; what is new goes into the corpus."""
    finds.mkdir(parents=True, exist_ok=True)
    command = [str(program), f"-artifact_prefix={finds}/", "-print_final_stats=1", "-timeout=120",
               *options, str(corpus)]  # fmt: skip
    # Nothing is allocated but by the targets, who free it: little need be kept of what is freed, and of
    # where. Looking for leaks needs ptrace.
    asan = "detect_leaks=0:quarantine_size_mb=1:malloc_context_size=2"
    environment = {**os.environ, "ASAN_OPTIONS": asan}
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", env=environment, check=False,
        preexec_fn=tied(),
    )  # fmt: skip
    executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    seconds = re.search(r"Done \d+ runs in (\d+) second", done.stderr)
    edges = re.findall(r"\bcov: (\d+)", done.stderr)
    found = sorted(finds.iterdir())
    if done.returncode and not found:
        raise UserError(f"{program.name} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return Result(
        int(executed[1]) if executed else 0,
        int(seconds[1]) if seconds else 0,
        sum(1 for _ in corpus.iterdir()),
        int(edges[-1]) if edges else 0,
        found,
        done.stderr,
    )


def coverage(target: Target, corpus: Path, folder: Path) -> tuple[dict[str, dict[str, str]], str]:
    """What the corpus reaches, by file: of its functions, lines and branches; and which lines it does not."""
    program = target.build(folder, COVERAGE)
    raw, merged = folder / f"{target.name}.profraw", folder / f"{target.name}.profdata"
    subprocess.run([program, "-runs=0", corpus], check=True, capture_output=True,
                   env={**os.environ, "LLVM_PROFILE_FILE": str(raw)})  # fmt: skip
    subprocess.run(["llvm-profdata", "merge", "-o", merged, raw], check=True, capture_output=True)
    sources = [str(runtime(name)) for name in target.about]
    common = [str(program), f"-instr-profile={merged}", *sources]
    exported = subprocess.run(
        ["llvm-cov", "export", "-summary-only", *common], check=True, capture_output=True, text=True
    ).stdout
    shown = subprocess.run(["llvm-cov", "show", *common], check=True, capture_output=True, text=True).stdout
    table = {}
    for file in json.loads(exported)["data"][0]["files"]:
        table[str(Path(file["filename"]).relative_to(ROOT))] = {
            kind: f"{file['summary'][kind]['covered']}/{file['summary'][kind]['count']}"
            for kind in ("functions", "lines", "branches")
        }
    missed, name = [], ""
    for line in shown.splitlines():
        if line.startswith("/"):
            name = str(Path(line.rstrip(":")).relative_to(ROOT))
        elif match := re.match(r"\s*(\d+)\|\s*0\|(.*)", line):
            missed.append(f"{name}:{match[1]}:{match[2]}")
    return table, "\n".join(missed)
