# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi build` and `./vmi regenerate`: Meson and ninja, from .venv."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from .backends import backends
from .house import PICTURE, picture
from .kernel import MULTIBOOT, look
from .status import Step, at_terminal, shown
from .util import (
    ARCHITECTURES,
    BUILD,
    ROOT,
    Told,
    UserError,
    locked,
    progress,
    remembered,
    write_if_changed,
    writing,
)

BOUND = "any"
"""What stands for a backend's name in kernels that choose among all of them when they start."""
PAGES = ("support-matrix.md", "reference")
LOCK = ROOT / ".vmi-build.lock"
"""Of whoever builds in this tree."""
_PARTS = re.compile(r"\[(\d+)/(\d+)\] ")
"""How lines of ninja begin."""


def run(command: Sequence[str], what: str, step: Step) -> None:
    """Run a tool with a line of how far it is. If it fails, that is because of the place or of the
    specification, which one line says, or else the tool's output is shown."""
    said: list[str] = []
    environment = {**os.environ, "NINJA_STATUS": "[%f/%t] "}
    with (
        shown(step),
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace",
        ) as child,
    ):  # fmt: skip
        assert child.stdout
        try:
            for line in child.stdout:
                said.append(line)
                step.line(line)
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        check_place(BUILD)
        check_specification()
        sys.stderr.write("".join(said))
        raise UserError(f"{what} failed; messages above")


class Parts(Step):
    """How far ninja is; without a terminal a line of progress for each tenth of a large build."""

    least = 100
    """Steps of a build that is large."""
    told = 0

    def line(self, line: str) -> None:
        if not (found := _PARTS.match(line)):
            return
        done, total = int(found[1]), int(found[2])
        self.doing = f"{done} of {total} steps"
        tenths = 10 * done // total
        if self.told < tenths < 10 and total >= self.least and not at_terminal():
            self.told = tenths
            progress(self.text())


def check_place(folder: Path) -> None:
    """OSError if nothing can be written there."""
    folder.mkdir(parents=True, exist_ok=True)
    with writing(folder), tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(1 << 20))


def check_specification() -> None:
    """UserError with the generator's own lines, if something is wrong in the specification, a backend or a
    template."""
    here = Path.cwd() == ROOT
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "codegen")}
    said: dict[str, None] = {}
    for arch in ARCHITECTURES:
        inputs = [ROOT / "spec/vmi.yaml", *(ROOT / "backends" / name for name in backends(arch=arch))]
        spec, *folders = (str(path.relative_to(ROOT) if here else path) for path in inputs)
        command = [sys.executable, "-m", "vmigen", "check", "--arch", arch]
        command += ["--spec", spec, "--backends", *folders]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            said |= dict.fromkeys(done.stderr.strip().splitlines())
    if said:
        raise Told("\n".join(said))


def tree(arch: str) -> Path:
    """The build directory of an architecture."""
    return BUILD if arch == ARCHITECTURES[0] else BUILD.with_name(f"{BUILD.name}-{arch}")


def configure(arch: str) -> None:
    """Make a build directory, and again when backend folders have come or gone: Meson sees files
    that it knows, not folders that are new. It is begun anew when meson.build has changed, whose default
    options reach only a new one."""
    folder = tree(arch)
    known = folder / "configured.json"
    project = hashlib.sha256((ROOT / "meson.build").read_bytes()).hexdigest()
    now = {"project": project, "backends": backends(arch=arch), "shown": list(backends())}
    before = remembered(known)
    if (folder / "build.ninja").is_file() and before.get("project") == project:
        if before == now:
            return
        step = Step(f"configuring the build for {arch} again", "backends have changed")
        run(["meson", "setup", "--reconfigure", str(folder), str(ROOT)], "meson setup", step)
    else:
        step = Step(f"configuring the build for {arch}", "looking at compilers and specification")
        shutil.rmtree(folder, ignore_errors=True)
        cross = ROOT / f"cross/{arch}-gcc.ini"
        run(["meson", "setup", "--cross-file", str(cross), str(folder), str(ROOT)], "meson setup", step)
    write_if_changed(known, json.dumps(now))


def build(*targets: str, arch: str = ARCHITECTURES[0]) -> None:
    """Build all for an architecture, or these targets; nothing is printed when there is nothing to do. One
    at a time in this tree: Meson and Ninja do not look whether somebody else is at work."""
    with locked(LOCK, "another command builds in this tree; waiting until it has"):
        configure(arch)
        ninja = ["ninja", "-C", str(tree(arch))]
        plan = subprocess.run([*ninja, "-n", *targets], capture_output=True, text=True, check=False)
        if plan.returncode == 0 and "no work to do" in plan.stdout:
            return
        step = Parts(f"building into {tree(arch).relative_to(ROOT)}/", "looking at what has changed")
        run([*ninja, *targets], "the build", step)


def build_all(architectures: Iterable[str] = ARCHITECTURES) -> None:
    """Build all for these architectures."""
    for arch in architectures:
        build(arch=arch)


def kernels(name: str, arch: str = ARCHITECTURES[0]) -> dict[str, Path]:
    """Built kernels of an architecture called `name`, by the backend they are linked with."""
    found = {}
    folder = tree(arch)
    for backend in backends():
        paths = sorted(folder.glob(f"*/{name}-{backend}.elf")) + sorted(
            folder.glob(f"*/*/{name}-{backend}.elf")
        )
        if paths:
            found[backend] = paths[0]
    return found


def rom(backend: str, arch: str = ARCHITECTURES[0]) -> Path:
    """The provider image of a backend."""
    return tree(arch) / f"backends/{backend}.rom"


def loaded_by_multiboot(arch: str = ARCHITECTURES[0]) -> list[str]:
    """Backends whose kernels of an architecture are started so."""
    return [name for name, path in kernels("sample", arch).items() if MULTIBOOT in look(path).ways]


def bound_kernel(name: str, arch: str = ARCHITECTURES[0]) -> Path:
    """The built kernel of an architecture called `name` that binds itself when it starts."""
    paths = [path for depth in ("*", "*/*") for path in tree(arch).glob(f"{depth}/{name}-{BOUND}.elf")]
    if not paths:
        raise UserError(f"the build has no {name} kernel for {arch} that binds itself when it starts")
    return paths[0]


def stale_pages(docs: Path = ROOT / "docs") -> dict[Path, bytes | None]:
    """Pages of docs/ that are not as they are rendered now, and what is to be in them; None if they are
    to go."""
    build("include/vmi/vmi.h")
    stale: dict[Path, bytes | None] = {}
    for page in PAGES:
        source, shown = BUILD / "generated" / page, docs / page
        wanted = {
            shown / path.relative_to(source): path.read_bytes()
            for path in (source, *source.rglob("*"))
            if path.is_file()
        }
        if not wanted:
            raise UserError(f"the build has rendered no {page}")
        for path, data in wanted.items():
            if not path.is_file() or path.read_bytes() != data:
                stale[path] = data
        for path in shown.rglob("*"):
            if path.is_file() and path not in wanted:
                stale[path] = None
    drawn = docs / PICTURE.name
    data = picture().encode()
    if not drawn.is_file() or drawn.read_bytes() != data:
        stale[drawn] = data
    return stale


def regenerate() -> None:
    """Render, and bring the rendered pages of docs/ up to date."""
    stale = stale_pages()
    for path, data in sorted(stale.items()):
        if data is None:
            os.unlink(path)
            progress(f"removed {path.relative_to(ROOT)}")
        else:
            write_if_changed(path, data)
            progress(f"wrote {path.relative_to(ROOT)}")
    progress(f"{len(stale)} files of docs/ changed; code is in {BUILD.relative_to(ROOT)}/generated/")
