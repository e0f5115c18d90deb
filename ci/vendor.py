# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi vendor`: the sources of libraries as a folder that another project can keep in its own tree.

Which files and options make up a library is what Meson says of the build (`meson introspect`), so that the
lists cannot differ from it.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .backends import backends
from .build import BOUND, build, rom, tree
from .util import ARCHITECTURES, ROOT, UserError, progress

BANNER = "SPDX-License-Identifier: MIT OR GPL-2.0-only\n#\n# Written by ./vmi vendor; do not edit."
LISTS = "vmi.mk"
INCLUDED = ("*.h", "*.inc")
"""Files that others include."""
# Options that are the build's own or the reader's choice: warnings, optimization, folders.
LEFT_OUT = re.compile(r"-(W|I|O|g$|fdiagnostics|D_FILE_OFFSET_BITS)")


@dataclass(frozen=True)
class Library:
    """What is compiled, and how, to make one library."""

    sources: list[Path]
    options: list[str]


def library(targets: Sequence[dict[str, Any]], name: str) -> Library:
    """A library by Meson's description: its own target, and that of its drivers, if it has some."""
    named = {each["name"]: each for each in targets}
    whole = [
        next(part for part in named[target]["target_sources"] if part.get("language") == "c")
        for target in (f"vmi-{name}", f"vmi-{name}-devices")
        if target in named
    ]
    options = whole[0]["compiler"][1:] + [
        each for each in whole[0]["parameters"] if not LEFT_OUT.match(each)
    ]  # fmt: skip
    sources = [Path(each) for part in whole for each in part["sources"] + part["generated_sources"]]
    return Library(sources, options)


def placed(path: Path, built: Path) -> Path:
    """Where a file of this tree or of the build goes; generated ones lie in include/ as in the build."""
    return path.relative_to(built if path.is_relative_to(built) else ROOT)


def link_options(built: Path) -> list[str]:
    """How a kernel is linked, without the linker script's path: as its pkg-config file says."""
    (file,) = built.glob("meson-private/vmi-kernel-*.pc")
    found = re.search(r"^Libs: (.*)$", file.read_text(), re.MULTILINE)
    assert found
    return [each for each in found[1].split() if not each.startswith("-T")]


def lists(
    chosen: dict[str, Library], common: Library, options: list[str], includes: dict[str, list[str]],
    script: Path, built: Path,
) -> dict[str, list[str]]:  # fmt: skip
    """The variables of vmi.mk and vmi.cmake; `options` are a kernel's, with which each library's begin."""
    variables = {
        "VMI_LINKER_SCRIPT": [str(placed(script, built))],
        "VMI_CFLAGS": options,
        "VMI_LDFLAGS": link_options(built),
    }
    for name, found in chosen.items():
        # What a kernel is bound by has its own choice of what libraries share.
        sources = found.sources if name == BOUND else common.sources + found.sources
        variables[f"VMI_SOURCES_{name}"] = [str(placed(path, built)) for path in sources]
        variables[f"VMI_INCLUDES_{name}"] = includes[name]
        variables[f"VMI_CFLAGS_{name}"] = found.options[len(options) :]
    return variables


def vendor(folder: Path, names: Sequence[str], arch: str = ARCHITECTURES[0]) -> int:
    """Write the sources of an architecture's libraries that are named, or of all."""
    # Parents are compiled into their children, and an image of each into what chooses among all.
    order = list(backends([name for name in names if name != BOUND], arch))
    wanted = list(names) or [*order, BOUND]
    if BOUND in wanted:
        order = list(backends(arch=arch))
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is not a folder", 2)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / LISTS).is_file():
        raise UserError(f"{folder} has other files in it; name a new folder, or one of ./vmi vendor", 2)
    build(arch=arch)
    built, script = tree(arch), ROOT / f"runtime/arch/{arch}/kernel.ld"
    targets = json.loads((built / "meson-info/intro-targets.json").read_text())
    common = library(targets, "runtime")
    chosen = {name: library(targets, name) for name in wanted}
    files = {path for found in (common, *chosen.values()) for path in found.sources}
    files |= {built / "include/vmi/vmi.h", built / "include/vmi/constants.h"}
    files |= {script, *(ROOT / "devices").rglob("*.h")}
    files |= {path for kind in INCLUDED for path in (ROOT / "runtime").rglob(kind)}
    files |= {*(ROOT / "LICENSES").iterdir()}
    below = ROOT / "backends"
    folders = {path.relative_to(below).parts[0] for path in files if path.is_relative_to(below)} | {*order}
    files |= {path for folder in folders for kind in INCLUDED for path in (below / folder).rglob(kind)}
    for name in order:
        files |= {*built.glob(f"include/vmi/{name}-*.h")}
        files |= {*built.glob(f"include/{name}/*.h")}
    includes = {name: ["include", f"include/{name}", "runtime", "devices", "backends"] for name in wanted}
    if BOUND in wanted:
        files |= {rom(name, arch) for name in order}
        includes[BOUND].remove(f"include/{BOUND}")
    # What kernels are bound by is compiled as kernels are; libraries have more options.
    every = [found.options for found in (common, library(targets, BOUND), *chosen.values())]
    same = itertools.takewhile(lambda each: len(set(each)) == 1, zip(*every, strict=False))
    options = [each[0] for each in same]
    variables = lists(chosen, common, options, includes, script, built)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
            new = Path(temporary) / "new"
            for path in sorted(files):
                target = new / placed(path, built)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
            make = "".join(f"{name} := {' '.join(values)}\n" for name, values in variables.items())
            (new / LISTS).write_text(f"# {BANNER}\n{make}")
            cmake = "".join(f"set({' '.join([name, *values])})\n" for name, values in variables.items())
            (new / "vmi.cmake").write_text(f"# {BANNER}\n{cmake}")
            if folder.is_dir():
                folder.rename(Path(temporary) / "old")
            new.rename(folder)
    except OSError as error:
        raise UserError(f"cannot write {error.filename or folder}: {error.strerror}") from None
    progress(f"wrote {len(files) + 2} files for {arch}: {', '.join(wanted)}; {folder / LISTS} lists them")
    return 0
