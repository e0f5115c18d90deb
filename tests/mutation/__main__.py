# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Breaks backends on purpose, one way at a time, and counts how many the conformance suite notices:

    .venv/bin/python -m tests.mutation [NAME…] [--arch ARCH] [--only TEXT]… [--again]

What is broken is listed in backends/NAME/mutations.yaml: `call` and `way` replace how backend.yaml does a
call, `file`, `old` and `new` a text that stands once, or `times` times, in one of the folder's files or of
those that it shares (`../FOLDER/FILE`, `../../runtime/FILE`, `../../devices/FILE`); `arch` stands with those
of one architecture (`call` and registers). Without ARCH each is tried on every architecture that the backend
boots. TEXT chooses the mutations whose names contain it, or one of several; without a NAME every backend
that has a list is broken.
Each mutation is built in a copy of the tree. It is caught by

1. tests on the build machine: the generated stubs, and those that boot nothing of the folder and of those
   that it shares. Those whose sources name the broken file come first, of all mutations, and so do the
   stubs', if what they are made of is broken;
2. the conformance kernel in the backend's rig, if that reports it, dies, hangs or ends otherwise than it was
   to, if its console data or its other ends are wrong, or if the rig knows better (`Rig.findings`). Then
   the other tests on the build machine are tried;
3. the folder's own tests that boot.

One that does not build is not counted among them but told in the last line. The unbroken library must pass
first. Exit status 1 if fewer than 95 % of a backend's are caught.

Those that were caught are kept in results/mutation/NAME-ARCH.json, and are not tried again while the file
that they break is the same, unless with --again: a run that was ended goes on where it was.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import resource
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
from ci.util import (
    ARCHITECTURES,
    RESULTS,
    ROOT,
    UserError,
    progress,
    remembered,
    tied,
    write_if_changed,
)

from ..backends import played

LIST = "mutations.yaml"
LEAST = 95
CPUS = 2
PATIENCE = 4
"""How many times as long as the unbroken library a broken one may take before it counts as hanging."""
LONGEST = 120.0
LONGEST_PLAYED = 20
"""Seconds of the processor after which a program of checks hangs; they take one or two."""
NO_TESTS = 5
"""Status of pytest if none is chosen."""
UNDECIDED = ("CalledProcessError", "TimeoutExpired")
CONSOLE_KIB = 2
STUBS = "tests/codegen/test_vmigen_library_stubs.py"
DESCRIPTION = "backend.yaml"


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

    def broken(self, folder: Path) -> tuple[Path, str]:
        """The file in the backend's folder that it changes, and what is in it then."""
        path = folder / (self.file or DESCRIPTION)
        text = path.read_text()
        if self.call:
            entry = rf"^  {self.call}:.*\n(?:    .*\n)*"
            new, count = re.subn(entry, lambda _: f"  {self.call}: {self.way}\n", text, flags=re.MULTILINE)
        else:
            new, count = text.replace(self.old, self.new), text.count(self.old)
        if count != self.times:
            raise UserError(f"mutation {self.name}: what it breaks stands {count} times in {path.name}")
        return path, new

    def apply(self, folder: Path) -> Path:
        """Break it in a copy of the backend's folder; the file that changed."""
        path, text = self.broken(folder)
        path.write_text(text)
        return path

    def digest(self, folder: Path) -> str:
        """Differs if it breaks something else than before, or in another file."""
        return hashlib.sha256(self.broken(folder)[1].encode()).hexdigest()


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


def copy(tree: Path) -> None:
    """The tree's sources."""
    names = (".git", ".venv", "build", "build-*", "results", "__pycache__", ".hypothesis")
    ignore = shutil.ignore_patterns(*names)
    shutil.copytree(ROOT, tree, ignore=ignore)
    subprocess.run(["git", "init", "-q"], cwd=tree, check=True)  # some tests ask it for the tree's files


def set_up(tree: Path, backend: str, arch: str) -> None:
    """A build of a copy's own, unless it has one."""
    if not folder_of(tree, arch).is_dir():
        command = ["meson", "setup", "--cross-file", f"cross/{arch}-gcc.ini", "-Dbackends=" + backend]
        subprocess.run([*command, str(folder_of(tree, arch))], cwd=tree, check=True, capture_output=True)


Run = Callable[[str], Outcome]

BY = ("tests on the build machine", "conformance kernel", "tests that boot")
"""What catches a mutation, in the order in which it is asked."""
REFUSED = "compiler"
"""In place of those."""
SHARED = ("backends", "runtime", "devices")
"""Folders that libraries are made of."""


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


def folders_of(tree: Path, backend: str) -> list[Path]:
    """Those of the tests of a backend and of what it shares."""
    shared = re.findall(r"'\.\./(\w+)/", (tree / "backends" / backend / "meson.build").read_text())
    folders = [tree / f"backends/{name}/tests" for name in dict.fromkeys([backend, *shared])]
    return [folder for folder in folders if folder.is_dir()]


def included(tree: Path, source: Path, found: set[Path]) -> set[Path]:
    """Adds a C source and what it includes of the tree."""
    if source not in found:
        found.add(source)
        for name in re.findall(r'^#include "([^"]+)"', source.read_text(), re.MULTILINE):
            places = [folder / name for folder in (source.parent, *map(tree.joinpath, SHARED))]
            for path in [path.resolve() for path in places if path.is_file()][:1]:
                included(tree, path, found)
    return found


def tests_of(tree: Path, folders: Sequence[Path], file: Path) -> list[str]:
    """The tests that name a file or play what is around it, by their sources."""
    named = re.compile(rf"(?<![\w.]){re.escape(file.name)}\b")
    found = []
    for folder in folders:
        for test in sorted(folder.glob("test_*.py")):
            text = test.read_text()
            sources: set[Path] = set()
            for stem in re.findall(r'"(\w+)\.c"', text):
                for path in (folder / f"{stem}.c", folder / f"{stem}.S"):
                    if path.is_file():
                        included(tree.resolve(), path.resolve(), sources)
            if named.search(text) or file.resolve() in sources:
                found.append(str(test))
    return found


def caught_by(tree: Path, tests: Sequence[str], boot: bool, arch: str = "", note: Path | None = None) -> str:
    """The first of these tests that notices; empty if none does. With `arch` only the cases of that
    architecture are tried. One that the compiler refuses notices nothing, nor does one that the machine had
    no time for. `note` gets the commands by which programs are built."""
    if not tests:
        return ""
    everywhere = [each.name for rig in discover(progress).values() for each in rig.configurations]
    options = ["-q", "-p", "no:cacheprovider", *(["-x"] if boot else [])]
    if arch:
        options += ["-k", " and ".join(f"not {each}" for each in ARCHITECTURES if each != arch)]

    noted = {played.NOTED: str(note)} if note else {}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests], cwd=tree, capture_output=True, text=True,
        env={**os.environ, **noted, "COLUMNS": "1000", "VMI_SKIP": "" if boot else " ".join(everywhere)},
        check=False, preexec_fn=tied(),
    )  # fmt: skip
    lines = re.findall(r"^(?:FAILED|ERROR) (\S+)(.*)", done.stdout, re.MULTILINE)
    if done.returncode not in (0, NO_TESTS) and not lines:
        raise UserError(f"the tests cannot run: {(done.stdout + done.stderr).strip().splitlines()[-1]}")
    noticed = [name for name, why in lines if not any(word in why for word in UNDECIDED)]
    return noticed[0] if noticed else ""


def caught_by_tests(tree: Path, backend: str, boot: bool) -> str:
    """The first test that notices, of the stubs, the folder or one that it shares; empty if none does."""
    set_up(tree, backend, ARCHITECTURES[0])  # which such tests have
    for arch in ARCHITECTURES:
        if folder_of(tree, arch).is_dir() and (refused := build(tree, "all", arch)):
            return f"the build: {refused.splitlines()[-1]}"
    tests = [str(folder) for folder in folders_of(tree, backend)]
    return caught_by(tree, tests if boot else [*tests, STUBS], boot)


@dataclass(frozen=True)
class Program:
    """Checks that run as a process (tests/backends/played.py)."""

    name: str
    command: tuple[str, ...]
    sources: frozenset[Path]

    def notice(self) -> str:
        """Its first check that does not hold, built anew; empty if all do, or if it cannot be built."""
        with tempfile.TemporaryDirectory(prefix="vmi-mutation-") as folder:
            program = Path(folder) / self.name
            at = self.command.index("-o") + 1
            command = [*self.command[:at], str(program), *self.command[at + 1 :]]
            if subprocess.run(command, capture_output=True, check=False).returncode:
                return ""

            def limited() -> None:
                resource.setrlimit(resource.RLIMIT_CPU, (LONGEST_PLAYED, LONGEST_PLAYED))

            done = subprocess.run([program], capture_output=True, text=True, check=False, preexec_fn=limited)
        failed = [f"{self.name}: {check}, {line}" for check, line in played.said(done.stdout).items() if line]
        if done.returncode and not failed:
            return f"{self.name}: ended with {done.returncode}"
        return failed[0] if failed else ""


class Programs:
    """Programs of checks, as the tests on the build machine build them, with the sources of a copy and what
    this tree's build has generated."""

    def __init__(self, tree: Path, backend: str, arch: str) -> None:
        self.tree = tree
        self.arch = arch
        self.folders = folders_of(tree, backend)
        self.stubs = f"{STUBS}::test_every_stub[{backend}-{arch}-gcc]"
        self.of_test: dict[str, list[Program]] = {}
        self.proved: set[str] = set()

    def learn(self, file: Path) -> None:
        """Those of the tests that are about a file, which have to pass."""
        for test in tests_of(self.tree, self.folders, file):
            if test in self.of_test:
                continue
            self.of_test[test] = []
            if "played.results(" not in Path(test).read_text():
                continue
            note = self.tree.parent / "programs"
            note.write_text("")
            here = str(ROOT / Path(test).relative_to(self.tree))
            if found := caught_by(ROOT, [here], False, self.arch, note):
                raise UserError(f"the unbroken library does not pass: {found}")
            self.of_test[test] = [self.program(json.loads(line)) for line in note.read_text().splitlines()]
            for program in self.of_test[test]:
                if found := program.notice():
                    raise UserError(f"the unbroken library does not pass: {found}")

    def program(self, command: Sequence[str]) -> Program:
        """What a command builds, of the copy."""
        for folder in (*SHARED, "tests"):
            at = re.compile(rf"^((?:-I)?){re.escape(str(ROOT))}/{folder}(?=/|$)")
            command = [at.sub(rf"\g<1>{self.tree}/{folder}", each) for each in command]
        sources: set[Path] = set()
        files = [Path(each) for each in command if each.endswith((".c", ".S"))]
        for path in files:
            included(self.tree.resolve(), path.resolve(), sources)
        return Program(files[0].stem, tuple(command), frozenset(sources))

    def about(self, file: Path) -> list[Program]:
        """Those that play a file, the smallest first."""
        every = [each for programs in self.of_test.values() for each in programs]
        return sorted(
            (each for each in every if file.resolve() in each.sources), key=lambda each: len(each.sources)
        )

    def notice(self, file: Path) -> str:
        """The first that notices; empty if none does."""
        return next((found for program in self.about(file) if (found := program.notice())), "")

    def others(self, file: Path) -> list[str]:
        """The tests that do other things with a file: for what stubs are made of, the stubs' own too."""
        named = [
            test
            for test in tests_of(self.tree, self.folders, file)
            if not any(file.resolve() in program.sources for program in self.of_test[test])
        ]
        return [*named, self.stubs] if file.name == DESCRIPTION else named

    def prove(self, file: Path) -> None:
        """Has those pass in a copy that is built, before the file is broken."""
        for test in self.others(file):
            if test not in self.proved and (found := caught_by(self.tree, [test], False, self.arch)):
                raise UserError(f"the unbroken library does not pass: {found}")
            self.proved.add(test)

    def tests_notice(self, file: Path) -> str:
        """The first of those that notices, in a copy that is built; empty if none does."""
        tests = self.others(file)
        return next(
            (found for test in tests if (found := caught_by(self.tree, [test], False, self.arch))), ""
        )


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
    """What becomes of mutations of one backend, one by one: first those that the nearest tests on the build
    machine notice, last those that only tests that boot may."""
    backend = rig.backend
    with tempfile.TemporaryDirectory(prefix="vmi-mutation-") as name:
        images, tree = Path(name), Path(name) / "vmi"
        copy(tree)
        folder = tree / "backends" / backend
        target = f"conformance/conformance-{backend}.elf"

        @contextlib.contextmanager
        def broken(mutation: Mutation) -> Iterator[Path]:
            changed = mutation.apply(folder)
            yield changed
            changed.write_bytes((ROOT / changed.resolve().relative_to(tree.resolve())).read_bytes())

        if not build_folder(arch).is_dir():
            raise UserError("nothing is built; run ./vmi build")
        programs = Programs(tree, backend, arch)
        left, others, survivors = [], [], []
        for mutation in chosen:
            programs.learn(mutation.broken(folder)[0])
            with broken(mutation) as changed:
                found = programs.notice(changed)
            if found:
                yield Broken(mutation, BY[0], found)
            else:
                left.append(mutation)
        if not left:
            return
        library = f"backends/libvmi-{backend}.a"
        both = dict.fromkeys((ARCHITECTURES[0], arch))  # some tests are of the first alone
        for each in both:
            set_up(tree, backend, each)
            if refused := build(tree, target if each == arch else library, each):
                raise UserError(f"the unbroken library is not built:\n{refused}")
        unbroken = images / "unbroken.elf"
        shutil.copy(folder_of(tree, arch) / target, unbroken)
        for mutation in left:
            programs.prove(mutation.broken(folder)[0])
            with broken(mutation) as changed:
                if any(build(tree, library, each) for each in both):
                    yield Broken(mutation, REFUSED, "")
                elif found := programs.tests_notice(changed):
                    yield Broken(mutation, BY[0], found)
                else:
                    others.append(mutation)
        if not others:
            return
        machine = Machine(rig, arch)
        try:
            machine.deadline = max(30.0, PATIENCE * machine.runner(unbroken)("").seconds)
            if found := caught_by_kernel(rig, machine.runner(unbroken)):
                raise UserError(f"the unbroken library does not pass: {found}")
            passed = False
            for number, mutation in enumerate(others):
                by, image = BY[1], images / f"m{number}.elf"
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
                if "hung" in found and machine.runner(unbroken)("").end.startswith("hung"):
                    raise UserError("the unbroken library does not come to its end, either; try again later")
                if found:
                    yield Broken(mutation, by, found)
                    continue
                if not passed and (found := caught_by_tests(tree, backend, False)):
                    raise UserError(f"the unbroken library does not pass: {found}")
                passed = True
                with broken(mutation):
                    found = caught_by_tests(tree, backend, False)
                if found:
                    yield Broken(mutation, BY[0], found)
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


class Kept:
    """What was caught of a library by this run and earlier ones."""

    def __init__(self, backend: str, arch: str, again: bool) -> None:
        self.folder = ROOT / "backends" / backend
        self.path = RESULTS / "mutation" / f"{backend}-{arch}.json"
        self.again = again
        self.caught = remembered(self.path)

    def known(self, mutation: Mutation) -> Broken | None:
        each = {} if self.again else self.caught.get(mutation.name, {})
        if each.get("digest") != mutation.digest(self.folder) or each.get("by") not in BY:
            return None
        return Broken(mutation, each["by"], each["found"])

    def keep(self, broken: Broken) -> None:
        if broken.by in BY:
            digest = broken.mutation.digest(self.folder)
            self.caught[broken.mutation.name] = {"digest": digest, "by": broken.by, "found": broken.found}
            write_if_changed(self.path, json.dumps(self.caught, indent=1, sort_keys=True) + "\n")


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
    parser.add_argument("--again", action="store_true")
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
            kept = Kept(backend, arch, options.again)
            before = [each for each in map(kept.known, chosen) if each]
            rigs[backend].prepare()
            counts = results[f"{backend} on {arch}"] = Counter(each.by for each in before)
            new = [mutation for mutation in chosen if not kept.known(mutation)]
            for each in before:
                print(each, flush=True)
            with contextlib.closing(break_in_all_ways(rigs[backend], new, arch)) as broken:
                for each in broken:
                    print(each, flush=True)
                    counts[each.by] += 1
                    kept.keep(each)
    for library, counts in results.items():
        print(summary(library, counts))
    return 0 if all(percent(counts) >= LEAST for counts in results.values()) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        print(f"mutation: {error}", file=sys.stderr)
        sys.exit(error.status)
