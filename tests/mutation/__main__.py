# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Breaks backends on purpose, one way at a time, and counts how many the conformance suite notices:

    .venv/bin/python -m tests.mutation [NAME…] [--arch ARCH] [--only TEXT]…

What is broken is listed in backends/NAME/mutations.yaml: `call` and `way` replace how backend.yaml does a
call, `file`, `old` and `new` a text that stands once, or `times` times, in one of the folder's files or of
those that it shares (`../FOLDER/FILE`, `../../runtime/FILE`); `arch` stands with those that are of one
architecture (`call` and registers). Without ARCH each is tried on every architecture that the backend boots.
TEXT chooses the mutations whose names contain it, or one of several; without a NAME every backend that has a
list is broken.
Each mutation is built in a copy of the tree and booted in the backend's rig. It is caught by

1. the conformance kernel, if that reports it, dies, hangs or ends otherwise than it was to, if its console
   data or its other ends are wrong, or if the rig knows better (`Rig.findings`);
2. tests on the build machine: the generated stubs, and those that boot nothing of the folder and of those
   that it shares;
3. the folder's own tests that boot.

One that does not build is not counted among them but told in the last line. The unbroken library must pass
first. Exit status 1 if fewer than 95 % of a backend's are caught.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from ci import ktap
from ci.build import tree as build_folder
from ci.conformance import console_data, data_received, digest
from ci.rig import Guest, Outcome, Rig, Session, discover
from ci.util import ARCHITECTURES, RESULTS, ROOT, UserError, progress, tied

LIST = "mutations.yaml"
LEAST = 95
CPUS = 2
PATIENCE = 4
"""How many times as long as the unbroken library a broken one may take before it counts as hanging."""
LONGEST = 120.0
CONSOLE_KIB = 2


@dataclass(frozen=True)
class Mutation:
    """One thing that is broken."""

    name: str
    call: str = ""
    way: str = ""
    file: str = ""
    old: str = ""
    new: str = ""
    times: int = 1
    arch: str = ""

    def apply(self, folder: Path) -> Path:
        """Break it in a copy of the backend's folder; the file that changed."""
        path = folder / (self.file or "backend.yaml")
        text = path.read_text()
        if self.call:
            entry = rf"^  {self.call}:.*\n(?:    .*\n)*"
            new, count = re.subn(entry, lambda _: f"  {self.call}: {self.way}\n", text, flags=re.MULTILINE)
        else:
            new, count = text.replace(self.old, self.new), text.count(self.old)
        if count != self.times:
            raise UserError(f"mutation {self.name}: what it breaks stands {count} times in {path.name}")
        path.write_text(new)
        return path


def mutations(backend: str, arch: str) -> list[Mutation]:
    """Those that are of an architecture."""
    return listed(ROOT / "backends" / backend / LIST, arch)


def listed(path: Path, arch: str) -> list[Mutation]:
    """Those of a list that are of an architecture."""
    if not path.is_file():
        raise UserError(f"{path.relative_to(ROOT)} does not exist", 2)
    found = [Mutation(**entry) for entry in YAML(typ="safe").load(path)]
    return [mutation for mutation in found if mutation.arch in ("", arch)]


def folder_of(tree: Path, arch: str) -> Path:
    """The build folder of an architecture, as ci/build.py calls it."""
    return tree / build_folder(arch).name


def build(tree: Path, target: str, arch: str = ARCHITECTURES[0]) -> str:
    """What the build says if it refuses; empty if all is well."""
    done = subprocess.run(
        ["ninja", "-C", str(folder_of(tree, arch)), target], capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode else ""


def copy(tree: Path, backend: str, arch: str) -> None:
    """The tree with builds of its own."""
    names = (".git", ".venv", "build", "build-*", "results", "__pycache__", ".hypothesis")
    ignore = shutil.ignore_patterns(*names)
    shutil.copytree(ROOT, tree, ignore=ignore)
    subprocess.run(["git", "init", "-q"], cwd=tree, check=True)  # some tests ask it for the tree's files
    # Tests on the build machine have the first architecture's build.
    for each in dict.fromkeys((ARCHITECTURES[0], arch)):
        command = ["meson", "setup", "--cross-file", f"cross/{each}-gcc.ini", "-Dbackends=" + backend]
        subprocess.run([*command, str(folder_of(tree, each))], cwd=tree, check=True, capture_output=True)


Run = Callable[[str], Outcome]

BY = ("conformance kernel", "tests on the build machine", "tests that boot")
"""What catches a mutation, in the order in which it is asked."""
REFUSED = "compiler"
"""In place of those."""


def caught_by_kernel(rig: Rig, run: Run) -> str:
    """What the conformance kernel notices; empty if nothing."""
    outcome = run("")
    report = ktap.parse(outcome.console)
    failed = [test.name for test in report.tests if test.status == "fail"]
    if failed:
        return ", ".join(failed[:3]) + (f" and {len(failed) - 3} more" if len(failed) > 3 else "")
    if report.errors or not outcome.clean:
        last = report.tests[-1].name if report.tests else "the start"
        return f"{outcome.end}, after {last}"
    if findings := rig.findings(outcome, report):
        return findings[0]
    if data_received(run(f"console={CONSOLE_KIB}")) != digest(console_data(CONSOLE_KIB)):
        return "console data"
    for end in ("shutdown", "reboot", "crash"):
        outcome = run(f"end={end}")
        if outcome.end.startswith("hung") or (end == "crash" and outcome.clean):
            return f"end={end}: {outcome.end}"
    return ""


def caught_by_tests(tree: Path, backend: str, boot: bool) -> str:
    """The first test that notices, of the stubs, the folder or one that it shares; empty if none does."""
    for arch in ARCHITECTURES:
        if folder_of(tree, arch).is_dir() and (refused := build(tree, "all", arch)):
            return f"the build: {refused.splitlines()[-1]}"
    shared = re.findall(r"'\.\./(\w+)/", (tree / "backends" / backend / "meson.build").read_text())
    folders = [f"backends/{name}/tests" for name in dict.fromkeys([backend, *shared])]
    tests = [folder for folder in folders if (tree / folder).is_dir()]
    if not boot:
        tests.append("tests/codegen/test_vmigen_library_stubs.py")
    if not tests:
        return ""
    everywhere = [each.name for rig in discover(progress).values() for each in rig.configurations]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        command, cwd=tree, capture_output=True, text=True, check=False,
        env={**os.environ, "VMI_SKIP": "" if boot else " ".join(everywhere)}, preexec_fn=tied(),
    )  # fmt: skip
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    if done.returncode and not found:
        raise UserError(f"the tests cannot run: {(done.stdout + done.stderr).strip().splitlines()[-1]}")
    return found[1] if done.returncode and found else ""


def spoils(outcome: Outcome) -> bool:
    """Whether the guest was ended amid what it did. An emulated processor may then keep the breakpoints that
    it had set in its debug registers: QEMU's VMRUN loads DR7 and leaves the breakpoints as they are. The
    guests after it would die at those, whatever is broken in them."""
    return outcome.end.startswith("hung") or "PANIC" in outcome.console


class Machine:
    """A backend's rig, opened again for the next guest when one has taken it along, or may have spoilt it."""

    def __init__(self, rig: Rig, arch: str) -> None:
        self.rig = rig
        self.arch = arch
        self.deadline = LONGEST
        self.opened: contextlib.ExitStack | None = None
        self.session: Session | None = None

    def close(self) -> None:
        if self.opened:
            with contextlib.suppress(OSError):  # nobody may be there to be told the end
                self.opened.close()
        self.opened = self.session = None

    def runner(self, image: Path) -> Run:
        def run(append: str) -> Outcome:
            if self.session is None or getattr(self.session, "broken", False):
                self.close()
                self.opened = contextlib.ExitStack()
                logs = RESULTS / "mutation" / f"{self.rig.backend}-{self.arch}"
                self.session = self.opened.enter_context(self.rig.session(logs))
            name = f"{image.stem}-{append}".strip("-").replace("=", "-")
            options = self.rig.configurations[0].given(self.arch)[0]
            outcome = self.session.run(
                Guest(image, name, append, CPUS, deadline=self.deadline, options=options)
            )
            if spoils(outcome):
                self.close()
            return outcome

        return run


@dataclass(frozen=True)
class Broken:
    """What became of a mutation."""

    mutation: Mutation
    by: str
    """What has caught it: one of BY, or nothing; REFUSED for one that is not built, and so not counted."""
    found: str
    """What was noticed."""

    def __str__(self) -> str:
        if self.by == REFUSED:
            return f"refused {self.mutation.name}: not built, so not counted"
        return f"caught  {self.mutation.name}: {self.found}" if self.by else f"MISSED  {self.mutation.name}"


def break_in_all_ways(rig: Rig, chosen: Sequence[Mutation], arch: str = ARCHITECTURES[0]) -> Iterator[Broken]:
    """What becomes of mutations of one backend, one by one; those that only tests that boot may notice come
    last."""
    backend = rig.backend
    with tempfile.TemporaryDirectory(prefix="vmi-mutation-") as name:
        images, tree = Path(name), Path(name) / "vmi"
        copy(tree, backend, arch)
        folder = tree / "backends" / backend
        target = f"conformance/conformance-{backend}.elf"

        @contextlib.contextmanager
        def broken(mutation: Mutation) -> Iterator[None]:
            changed = mutation.apply(folder)
            yield
            changed.write_bytes((ROOT / "backends" / backend / changed.relative_to(folder)).read_bytes())

        if refused := build(tree, target, arch):
            raise UserError(f"the unbroken library is not built:\n{refused}")
        unbroken = images / "unbroken.elf"
        shutil.copy(folder_of(tree, arch) / target, unbroken)
        machine = Machine(rig, arch)
        survivors = []
        try:
            machine.deadline = max(30.0, PATIENCE * machine.runner(unbroken)("").seconds)
            found = caught_by_kernel(rig, machine.runner(unbroken)) or caught_by_tests(tree, backend, False)
            if found:
                raise UserError(f"the unbroken library does not pass: {found}")
            for number, mutation in enumerate(chosen):
                by, image = BY[0], images / f"m{number}.elf"
                with broken(mutation):
                    if build(tree, target, arch):
                        yield Broken(mutation, REFUSED, "")
                        continue
                    shutil.copy(folder_of(tree, arch) / target, image)
                    try:
                        found = caught_by_kernel(rig, machine.runner(image))
                    except UserError as error:  # the guest has taken the rig along
                        found = str(error).splitlines()[0]
                    image.unlink()
                    if not found:
                        by = BY[1]
                        found = caught_by_tests(tree, backend, False)
                if found:
                    yield Broken(mutation, by, found)
                else:
                    survivors.append(mutation)
        finally:
            machine.close()
        if survivors and (found := caught_by_tests(tree, backend, True)):
            raise UserError(f"the unbroken library does not pass: {found}")
        for mutation in survivors:
            with broken(mutation):
                found = caught_by_tests(tree, backend, True)
            yield Broken(mutation, BY[2] if found else "", found)


def summary(library: str, counts: Counter[str], ways: Sequence[str] = BY) -> str:
    """One line; `ways` are those by which they are caught."""
    total = counts.total() - counts[REFUSED]
    parts = ", ".join(f"{counts[by]} by the {by}" for by in ways if counts[by])
    line = f"{library}: {total - counts['']} of {total} mutations caught ({percent(counts)} %): {parts}"
    return f"{line}; {counts[REFUSED]} not built" if counts[REFUSED] else line


def percent(counts: Counter[str]) -> int:
    """Of those that were built, how many were caught."""
    total = counts.total() - counts[REFUSED]
    return 100 * (total - counts[""]) // max(total, 1)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--arch", choices=ARCHITECTURES)
    parser.add_argument("--only", action="append", metavar="TEXT")
    options = parser.parse_args(arguments)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    rigs = discover(progress)
    results: dict[str, Counter[str]] = {}
    for backend in options.names or [name for name in rigs if (rigs[name].folder / LIST).is_file()]:
        if backend not in rigs:
            raise UserError(f"no backend {backend} that can be booted", 2)
        boots = rigs[backend].configurations[0]
        for arch in [options.arch] if options.arch else ARCHITECTURES:
            if why := boots.given(arch)[1]:
                if options.arch:
                    raise UserError(f"{backend} boots no conformance kernel here: {why}")
                print(f"{backend} on {arch}: left out: {why}")
                continue
            chosen = [
                mutation
                for mutation in mutations(backend, arch)
                if any(text in mutation.name for text in options.only or [""])
            ]
            rigs[backend].prepare()
            counts = results[f"{backend} on {arch}"] = Counter()
            with contextlib.closing(break_in_all_ways(rigs[backend], chosen, arch)) as broken:
                for each in broken:
                    print(each, flush=True)
                    counts[each.by] += 1
    for library, counts in results.items():
        print(summary(library, counts))
    return 0 if all(percent(counts) >= LEAST for counts in results.values()) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        print(f"mutation: {error}", file=sys.stderr)
        sys.exit(error.status)
