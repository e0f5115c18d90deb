# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""A backend is its folder: without it the tree does not refer to it, builds, collects its tests and documents
itself. That tree, built in another folder, also shows that building there gives the same bytes, and that
nothing is done that is not needed.

Asked of every backend that nobody inherits from. Whose name is not that of a hypervisor or interface that
shared parts have to speak of, its folder's own tests ask for more (`speak_of`).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ci.backends import backends
from ci.build import tree as folder_of
from ci.lint import tracked
from ci.util import ARCHITECTURES, BUILD, ROOT

ALONE = [name for name in backends() if name not in backends().values()]
PROSE = ("docs/", "README.md", "codegen/README.md")
"""Generated pages show what was there when they were made; the others take examples from what there is."""


def lines_with(word: re.Pattern[str], name: str, besides: tuple[str, ...]) -> list[str]:
    """Where a word stands outside a backend's folder."""
    return [
        f"{path}:{number}: {line.strip()}"
        for path in tracked()
        if not path.startswith((f"backends/{name}/", *besides))
        for number, line in enumerate((ROOT / path).read_text(errors="replace").splitlines(), 1)
        if word.search(line)
    ]


def title(name: str) -> str:
    file = ROOT / "backends" / name / "backend.yaml"
    found = re.search(r"^title: (.*)$", file.read_text(), re.MULTILINE)
    assert found
    return found[1]


def speak_of(name: str) -> list[str]:
    """Where the backend's name or title stands outside its folder, even as a plain word."""
    word = re.compile(rf"\b({re.escape(name)}|{re.escape(title(name))})\b", re.IGNORECASE)
    return lines_with(word, name, ("docs/",))


@pytest.mark.parametrize("name", ALONE)
def test_nothing_else_refers_to_it(name: str) -> None:
    """No folder, symbol, built file or choice of it by its name."""
    own = re.escape(name)
    # Names that begin with this one are other folders' own.
    others = (path.name for path in (ROOT / "backends").glob(f"{name}_*/"))
    longer = "|".join(re.escape(other[len(name) + 1 :]) for other in others)
    no_longer = f"(?!({longer})_)" if longer else ""
    headers = {"routines.h", "hypercalls.h", *(path.name for path in (ROOT / "backends" / name).glob("*.h"))}
    header = "|".join(re.escape(file) for file in sorted(headers))
    word = re.compile(
        rf"backends[/.]{own}\b|\bvmi__{own}_{no_longer}|libvmi-{own}\b|-{own}\.elf|"
        rf"#include\s*[<\"]{own}/({header})\b|"
        rf"(backend|configuration|place|kernels|rig)\W[^#]*[\"']{own}[\"']",
        re.IGNORECASE,
    )
    assert lines_with(word, name, PROSE) == []


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree without all of them at once."""
    tree = tmp_path_factory.mktemp("rest") / "tree"
    for path in tracked():
        if path.split("/")[0] == "backends" and path.split("/")[1] in ALONE:
            continue
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, tree / path, follow_symlinks=False)
    for arch in ARCHITECTURES:
        python(tree, "-c", f"from ci import build; build.configure({arch!r})")
        ninja(tree / folder_of(arch).name)
    python(tree, "-c", "from ci import build; build.regenerate()")
    return tree


def ninja(folder: Path) -> str:
    """Builds all but the kernels to be measured, which are the sample kernel compiled three times more."""
    targets = json.loads((folder / "meson-info/intro-targets.json").read_text())
    files = [Path(file) for target in targets if target["build_by_default"] for file in target["filename"]]
    names = [str(file.relative_to(folder)) for file in files if "bench-" not in file.name]
    done = subprocess.run(
        ["ninja", "-C", folder, *names], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def python(tree: Path, *arguments: str) -> None:
    folder = Path(sys.executable).parent
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tree, capture_output=True, text=True, timeout=300, check=False,
        env={"PATH": f"{folder}:/usr/local/bin:/usr/bin:/bin", "HOME": str(Path.home())},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]


@pytest.mark.skipif(not ALONE, reason="no backend stands alone")
def test_the_rest_builds(rest: Path) -> None:
    built = {path.name for path in (rest / "build/backends").glob("*.a")}
    assert {f"libvmi-{name}.a" for name in backends() if name not in ALONE} <= built
    assert not {f"libvmi-{name}.a" for name in ALONE} & built
    python(rest, "-m", "pytest", "-q", "--collect-only")


@pytest.mark.skipif(not ALONE, reason="no backend stands alone")
def test_the_rest_documents_itself(rest: Path) -> None:
    """The matrix has no column of theirs, and pages are current and lead nowhere that is gone."""
    matrix = (rest / "docs/support-matrix.md").read_text()
    for name in ALONE:
        assert f"| {title(name)} |" not in matrix
    tests = ("ci/test_docs.py", "docs/test_readme.py", "codegen/test_vmigen_manual.py")
    python(rest, "-m", "pytest", "-q", *(f"tests/{name}" for name in tests))


def test_same_bytes_in_another_folder(rest: Path) -> None:
    """The objects' hash is that of the sources, not of where, when or with which backends they are built."""
    here, there = (
        {path.name: path.read_bytes() for path in folder.glob("*/libsample-kernel.a.p/*.o")}
        for folder in (BUILD, rest / BUILD.name)
    )
    assert here and here == there


def test_comment_in_the_specification_runs_one_step(rest: Path) -> None:
    folder, specification = rest / BUILD.name, rest / "spec/vmi.yaml"
    assert "no work to do" in ninja(folder)
    specification.write_text(specification.read_text() + "# a comment\n")
    done = re.findall(r"^\[\d+/\d+\] (.*)$", ninja(folder), re.MULTILINE)
    assert len(done) == 1 and "vmigen" in done[0], done
    assert "no work to do" in ninja(folder)
