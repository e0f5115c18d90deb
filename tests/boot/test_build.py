# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The build: one set of kernel objects in every link, and no work that is not needed."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ci.boot import needed
from ci.build import BOUND, kernels, tree
from ci.figure import kernel_objects
from ci.util import ARCHITECTURES, BUILD

from ..guests import places


def ninja(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["ninja", "-C", folder, *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def linked_objects(kernel: Path, tmp_path: Path) -> dict[str, str]:
    """The objects that the linker took for a kernel, by its own map, with the SHA-256 of each.

    The link is repeated with a map; that its result has the same bytes shows that the map is that of
    the kernel itself.
    """
    target = str(kernel.relative_to(BUILD))
    command = ninja(BUILD, "-t", "commands", target).splitlines()[-1]
    again, link_map = tmp_path / "again.elf", tmp_path / "again.map"
    assert f"-o {target} " in command
    command = command.replace(f"-o {target} ", f"-o {again} ") + f" -Wl,-Map={link_map}"
    subprocess.run(command, shell=True, cwd=BUILD, check=True)
    assert again.read_bytes() == kernel.read_bytes()
    names = re.findall(r"^LOAD (\S+\.o)$", link_map.read_text(), re.MULTILINE)
    return {Path(name).name: hashlib.sha256((BUILD / name).read_bytes()).hexdigest() for name in names}


def test_every_link_has_the_same_kernel_objects(tmp_path: Path) -> None:
    samples = kernels("sample")
    assert samples
    objects = kernel_objects()
    assert len(objects) > 10
    for backend, kernel in samples.items():
        assert linked_objects(kernel, tmp_path) == objects, backend


def test_kernel_objects_know_no_backend() -> None:
    """No object of the kernel refers to a symbol of a library beyond the interface."""
    folder = next(BUILD.glob("*/libsample-kernel.a.p"))
    for path in sorted(folder.glob("*.o")):
        shown = subprocess.run(["nm", "-u", path], capture_output=True, text=True, check=True).stdout
        private = [name for name in shown.split() if name.startswith("vmi__")]
        assert private == [], path.name


def test_building_again_does_nothing() -> None:
    assert "no work to do" in ninja(BUILD)


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("bound", [False, True])
def test_boot_builds_what_it_boots(arch: str, bound: bool) -> None:
    """Nothing but those kernels, which the build knows by these names."""
    if bound and arch != ARCHITECTURES[0]:
        pytest.skip("kernels that bind themselves are for the first architecture")
    chosen = [(place.backend, place.configuration) for place in places(arch)]
    names = needed({backend for backend, _ in chosen}, chosen, arch, bound)
    assert names and all((tree(arch) / name).is_file() for name in names)
    assert f"sample_kernel/sample-{BOUND if bound else chosen[0][0]}.elf" in names


@pytest.fixture(scope="module")
def copy(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources copied and built."""
    tree = tmp_path_factory.mktemp("copy") / "vmi"
    shutil.copytree(
        root, tree,
        ignore=shutil.ignore_patterns(
            ".git", ".venv", "build", "build-*", "results", "__pycache__", ".hypothesis"
        ),
    )  # fmt: skip
    subprocess.run(
        ["meson", "setup", "--cross-file", tree / "cross/i386-gcc.ini", tree / "build", tree],
        check=True, capture_output=True,
    )  # fmt: skip
    ninja(tree / "build")
    return tree


def steps(output: str) -> list[str]:
    return re.findall(r"^\[\d+/\d+\] (.*)$", output, re.MULTILINE)


def test_comment_in_the_specification_runs_one_step(copy: Path) -> None:
    specification = copy / "spec/vmi.yaml"
    specification.write_text(specification.read_text() + "# a comment\n")
    done = steps(ninja(copy / "build"))
    assert len(done) == 1, done
    assert "vmigen" in done[0]
    assert "no work to do" in ninja(copy / "build")


def test_same_bytes_in_another_folder(copy: Path) -> None:
    """The objects' hash is that of the sources, not of where or when they were built."""
    here = {path.name: path.read_bytes() for path in BUILD.glob("*/libsample-kernel.a.p/*.o")}
    there = {path.name: path.read_bytes() for path in copy.glob("build/*/libsample-kernel.a.p/*.o")}
    assert here and here == there


@pytest.mark.parametrize("compiler", ["i386-clang", "x86_64-clang"])
def test_other_compilers(root: Path, tmp_path: Path, compiler: str) -> None:
    """Every library and kernel builds without a warning by clang."""
    arch = compiler.partition("-")[0]
    command = ["meson", "setup", "--cross-file", root / f"cross/{compiler}.ini", tmp_path / "build", root]
    subprocess.run(command, check=True, capture_output=True)
    ninja(tmp_path / "build")
    built, wanted = (
        {path.name for kind in ("backends/*.rom", "sample_kernel/*.elf") for path in folder.glob(kind)}
        for folder in (tmp_path / "build", tree(arch))
    )
    assert built == wanted >= {path.name for path in kernels("sample", arch).values()}


def test_cross_compiler(root: Path, tmp_path: Path) -> None:
    """GCC as a compiler for i386 alone has it, which builds the same sources."""
    command = ["meson", "setup", "--cross-file", root / "cross/i386-linux-gnu.ini", tmp_path / "build", root]
    subprocess.run(command, check=True, capture_output=True)
    name = f"sample_kernel/{kernels('sample')[places()[0].backend].name}"
    ninja(tmp_path / "build", name)
    assert (tmp_path / "build" / name).read_bytes()[:4] == b"\x7fELF"
