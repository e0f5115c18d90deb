# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The Debian packages are built from a copy of the tree, unpacked into a folder, and used from there.

(Their build dependencies are not asked for: the tools are those of the other tests.)
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ci.lint import tracked
from ci.util import ARCHITECTURES, ROOT, tied

from .test_consumers import BACKEND, build, built_for, kernel_says_hello, made, meson, project, says_hello

__all__ = ["project"]

SOURCE = ROOT / "debian"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    tree = tmp_path_factory.mktemp("debian") / "tree"
    for path in tracked():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tree / path)
    done = subprocess.run(
        ["dpkg-buildpackage", "--build=binary", "--no-sign", "--no-check-builddeps"],
        cwd=tree, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "warning:" not in done.stdout.lower() + done.stderr.lower()
    return sorted(tree.parent.glob("*.deb"))


def test_packages_hold_everything_that_is_installed(packages: list[Path], installed: Path) -> None:
    names = re.findall(r"^Package: (\S+)$", (SOURCE / "control").read_text(), re.MULTILINE)
    assert sorted(path.name.split("_")[0] for path in packages) == sorted(names)
    held = []
    for package in packages:
        listing = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], capture_output=True, check=True)
        files = subprocess.run(["tar", "-t"], input=listing.stdout, capture_output=True, check=True)
        held += [line.removesuffix(".gz") for line in files.stdout.decode().splitlines() if line[-1] != "/"]
    assert len(held) == len(set(held))
    # Those who ran what was installed have left what Python makes of it.
    there = [p for p in installed.rglob("*") if p.is_file() and p.parent.name != "__pycache__"]
    assert {f"./usr/{p.relative_to(installed)}" for p in there} <= set(held)


def test_lintian_finds_nothing(packages: list[Path]) -> None:
    command = ["lintian", "--fail-on", "error,warning", "--tag-display-limit", "0", *packages]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0 and not done.stdout, done.stdout + done.stderr


@pytest.fixture(scope="module")
def unpacked(packages: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the packages have below /usr."""
    root = tmp_path_factory.mktemp("unpacked")
    for package in packages:
        subprocess.run(["dpkg-deb", "--extract", package, root], check=True)
    return root / "usr"


@built_for
def test_make_from_the_packages(project: Path, unpacked: Path, library: str, arch: str) -> None:
    where = str(unpacked / "share/pkgconfig")
    build(project, ["make", f"BACKEND={library}", f"ARCH={arch}"], PKG_CONFIG_LIBDIR=where)
    kernel_says_hello(made(project, library, arch), library, arch)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_cmake_from_the_packages(project: Path, unpacked: Path, arch: str) -> None:
    configure = ["cmake", "-B", "build", "--toolchain", f"{arch}.cmake", f"-DCMAKE_PREFIX_PATH={unpacked}"]
    build(project, configure, ["cmake", "--build", "build"])
    says_hello(project / "build", BACKEND, arch)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_meson_from_the_packages(project: Path, unpacked: Path, arch: str) -> None:
    where = str(unpacked / "share/pkgconfig")
    build(project, meson(arch), ["ninja", "-C", "build"], PKG_CONFIG_LIBDIR=where)
    says_hello(project / "build", BACKEND, arch)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_rust_from_the_packages(unpacked: Path, tmp_path: Path, arch: str) -> None:
    """The crate and its compiler's driver, and a link as pkg-config says."""
    kernel, library = tmp_path / "kernel.elf", tmp_path / "libhello.a"
    rustc = [unpacked / "bin/vmi-rust", "--arch", arch, "rustc", "--crate-type=staticlib", "-O",
             ROOT / "examples/hello-rust/hello.rs", "-o", library]  # fmt: skip
    where = {"PKG_CONFIG_LIBDIR": str(unpacked / "share/pkgconfig")}
    build(tmp_path, rustc)
    asked = ["pkg-config", "--libs", f"vmi-kernel-{arch}", f"vmi-{BACKEND}-{arch}"]
    flags = subprocess.run(
        asked, env={**os.environ, **where}, capture_output=True, text=True, check=True
    ).stdout.split()
    build(tmp_path, ["gcc", library, *flags, "-Wl,--gc-sections", "-o", kernel])
    command = [f"qemu-system-{arch}", "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", kernel]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, preexec_fn=tied()
    )
    assert "Hello from ring 0 and Rust" in done.stdout


def test_version_is_the_project_s() -> None:
    (project,) = re.findall(r"^    version: '(.*)',$", (ROOT / "meson.build").read_text(), re.MULTILINE)
    assert (SOURCE / "changelog").read_text().startswith(f"vmi-sdk ({project}) ")
