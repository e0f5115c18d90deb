# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Breaks a backend on purpose, one way at a time, and counts how many the conformance kernel notices:

    .venv/bin/python -m tests.mutation NAME [TEXT]

What is broken is listed in backends/NAME/mutations.yaml: `call` and `way` replace how backend.yaml does a
call, `file`, `old` and `new` a text that stands once in one of the folder's files. TEXT chooses the
mutations whose names contain it. Each is built in a copy of the tree and booted in the backend's rig; one is
caught if the kernel reports it, dies, hangs or ends otherwise than it was to, if its console data or its
other ends are wrong, or by the tests of backends and stubs that run without a machine. The unbroken library
must pass first. Exit status 1 if fewer than 95 % are caught.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from ci import ktap
from ci.conformance import console_data, data_received
from ci.rig import Guest, Outcome, Session, discover
from ci.util import RESULTS, ROOT, UserError, progress

LEAST = 95
CPUS = 2
DEADLINE = 30.0
CONSOLE_KIB = 16


@dataclass(frozen=True)
class Mutation:
    """One thing that is broken."""

    name: str
    call: str = ""
    way: str = ""
    file: str = ""
    old: str = ""
    new: str = ""

    def apply(self, folder: Path) -> Path:
        """Break it in a copy of the backend's folder; the file that changed."""
        path = folder / (self.file or "backend.yaml")
        text = path.read_text()
        if self.call:
            entry = rf"^  {self.call}:.*\n(?:    .*\n)*"
            new, count = re.subn(entry, lambda _: f"  {self.call}: {self.way}\n", text, flags=re.MULTILINE)
        else:
            new, count = text.replace(self.old, self.new), text.count(self.old)
        if count != 1:
            raise UserError(f"mutation {self.name}: what it breaks stands {count} times in {path.name}")
        path.write_text(new)
        return path


def mutations(backend: str) -> list[Mutation]:
    path = ROOT / "backends" / backend / "mutations.yaml"
    if not path.is_file():
        raise UserError(f"{path.relative_to(ROOT)} does not exist", 2)
    return [Mutation(**entry) for entry in YAML(typ="safe").load(path)]


def build(tree: Path, target: str) -> str:
    """What the build says if it refuses; empty if all is well."""
    done = subprocess.run(
        ["ninja", "-C", str(tree / "build"), target], capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode else ""


def copy(tree: Path, backend: str) -> None:
    """The tree with a build of its own."""
    ignore = shutil.ignore_patterns(".git", ".venv", "build", "results", "__pycache__", ".hypothesis")
    shutil.copytree(ROOT, tree, ignore=ignore)
    subprocess.run(
        ["meson", "setup", "--cross-file", "cross/i386-gcc.ini", "-Dbackends=" + backend, "build"],
        cwd=tree, check=True, capture_output=True,
    )  # fmt: skip


Run = Callable[..., Outcome]


def caught_by(run: Run) -> str:
    """What notices that something is wrong; empty if nothing does."""
    outcome = run("")
    report = ktap.parse(outcome.console)
    failed = [test.name for test in report.tests if test.status == "fail"]
    if failed:
        return ", ".join(failed[:3]) + (f" and {len(failed) - 3} more" if len(failed) > 3 else "")
    if report.errors or not outcome.clean:
        last = report.tests[-1].name if report.tests else "the start"
        return f"{outcome.end}, after {last}"
    if data_received(run(f"console={CONSOLE_KIB}").console) != console_data(CONSOLE_KIB):
        return "console data"
    for end in ("shutdown", "reboot", "crash"):
        outcome = run(f"end={end}")
        if outcome.end.startswith("hung") or (end == "crash" and outcome.clean):
            return f"end={end}: {outcome.end}"
    return ""


def host_tests(tree: Path) -> str:
    """The first test of those that run without a machine which notices; empty if none does."""
    build(tree, "all")
    tests = ("tests/backends", "tests/codegen/test_vmigen_library_stubs.py")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return found[1] if done.returncode and found else ""


def main(arguments: list[str]) -> int:
    if not arguments or len(arguments) > 2:
        raise UserError("usage: python -m tests.mutation NAME [TEXT]", 2)
    backend, text = arguments[0], "".join(arguments[1:])
    chosen = [mutation for mutation in mutations(backend) if text in mutation.name]
    rig = discover(progress).get(backend)
    if rig is None:
        raise UserError(f"no backend {backend} that can be booted", 2)
    configuration = rig.configurations[0]
    if configuration.limited:
        raise UserError(f"{configuration.name} boots no conformance kernel here: {configuration.limited}")
    rig.prepare()
    with tempfile.TemporaryDirectory(prefix="vmi-mutation-") as folder:
        tree, images = Path(folder) / "vmi", Path(folder)
        copy(tree, backend)
        target = f"conformance/conformance-{backend}.elf"
        refused = build(tree, target)
        if refused:
            raise UserError(f"the unbroken library is not built:\n{refused}")
        shutil.copy(tree / "build" / target, images / "unbroken.elf")
        results: dict[str, str] = {}
        refusals = set()
        for number, mutation in enumerate(chosen):
            folder_of = tree / "backends" / backend
            before = {path: path.read_bytes() for path in folder_of.iterdir() if path.is_file()}
            changed = mutation.apply(folder_of)
            refused = build(tree, target)
            if refused:
                refusals.add(mutation.name)
                print(f"refused {mutation.name}: not built, so not counted", flush=True)
            else:
                shutil.copy(tree / "build" / target, images / f"m{number}.elf")
            changed.write_bytes(before[changed])
        every = sorted(images.glob("*.elf"))
        opened: list[tuple[object, Session]] = []

        def session() -> Session:
            if opened and getattr(opened[-1][1], "broken", ""):
                with contextlib.suppress(OSError):  # nobody is there to be told the end
                    opened.pop()[0].__exit__(None, None, None)  # type: ignore[attr-defined]
            if not opened:
                context = rig.session(every, RESULTS / "mutation")
                opened.append((context, context.__enter__()))
            return opened[-1][1]

        def runner(image: Path) -> Run:
            def run(append: str) -> Outcome:
                name = f"{image.stem}-{append}".strip("-").replace("=", "-")
                return session().run(
                    Guest(image, name, append, CPUS, deadline=DEADLINE, options=configuration.options)
                )

            return run

        try:
            unbroken = host_tests(tree) or caught_by(runner(images / "unbroken.elf"))
            if unbroken:
                raise UserError(f"the unbroken library does not pass: {unbroken}")
            for number, mutation in enumerate(chosen):
                if mutation.name in refusals:
                    continue
                try:
                    results[mutation.name] = caught_by(runner(images / f"m{number}.elf"))
                except UserError as error:  # the guest has taken the rig along
                    results[mutation.name] = str(error).splitlines()[0]
                if not results[mutation.name]:
                    changed = mutation.apply(tree / "backends" / backend)
                    results[mutation.name] = host_tests(tree)
                    changed.write_bytes((ROOT / "backends" / backend / changed.name).read_bytes())
                result = results[mutation.name]
                said = f"caught  {mutation.name}: {result}" if result else f"MISSED  {mutation.name}"
                print(said, flush=True)
        finally:
            if opened:
                opened[-1][0].__exit__(None, None, None)  # type: ignore[attr-defined]
    caught = sum(bool(result) for result in results.values())
    percent = 100 * caught // max(len(results), 1)
    print(f"{backend}: {caught} of {len(results)} mutations caught ({percent} %)")
    return 0 if percent >= LEAST else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        print(f"mutation: {error}", file=sys.stderr)
        sys.exit(error.status)
