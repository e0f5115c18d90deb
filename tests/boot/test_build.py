# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The build: one set of kernel objects in every link, and no work that is not needed."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from ci import conformance
from ci.boot import needed
from ci.build import BOUND, kernels, tree
from ci.figure import kernel_objects
from ci.util import ARCHITECTURES, BUILD

from ..guests import places
from ..units import each_once


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
    conforming = conformance.needed(backend for backend, _ in chosen)
    assert conforming and all((tree(arch) / name).is_file() for name in conforming)


def set_up(cross: str, folder: Path, root: Path) -> None:
    command = ["meson", "setup", "-Ddocs=disabled", "--cross-file", root / f"cross/{cross}.ini", folder, root]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_other_compilers(root: Path, tmp_path: Path, arch: str) -> None:
    """By clang every source compiles without a warning, and kernels and the image link: of the first library,
    and of the one whose image has the least room."""
    set_up(f"{arch}-clang", tmp_path, root)
    images = sorted((tree(arch) / "backends").glob("*.rom"), key=lambda image: image.stat().st_size)
    names = [f"sample_kernel/sample-{name}.elf" for name in (places(arch)[0].backend, images[-1].stem)]
    ninja(tmp_path, f"backends/{images[-1].name}", *names)
    objects = each_once(tmp_path)
    ninja(tmp_path, *objects)
    assert len(objects) > 300 and all((tmp_path / name).is_file() for name in objects)


@pytest.mark.long
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_other_compilers_build_everything(root: Path, tmp_path: Path, arch: str) -> None:
    """Every library, image and kernel."""
    set_up(f"{arch}-clang", tmp_path, root)
    ninja(tmp_path)
    built, wanted = (
        {path.name for kind in ("backends/*.rom", "sample_kernel/*.elf") for path in folder.glob(kind)}
        for folder in (tmp_path, tree(arch))
    )
    assert built == wanted >= {path.name for path in kernels("sample", arch).values()}


def test_cross_compiler(root: Path, tmp_path: Path) -> None:
    """GCC as a compiler for i386 alone has it, which builds the same sources."""
    set_up("i386-linux-gnu", tmp_path, root)
    name = f"sample_kernel/{kernels('sample')[places()[0].backend].name}"
    ninja(tmp_path, name)
    assert (tmp_path / name).read_bytes()[:4] == b"\x7fELF"
