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
from ci.util import ROOT

from .test_consumers import built_for, kernel_says_hello, made

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
    assert {f"./usr/{p.relative_to(installed)}" for p in installed.rglob("*") if p.is_file()} <= set(held)


@built_for
def test_kernel_is_built_from_the_packages(
    packages: list[Path], tmp_path: Path, library: str, arch: str
) -> None:
    root = tmp_path / "root"
    for package in packages:
        subprocess.run(["dpkg-deb", "--extract", package, root], check=True)
    shutil.copy(ROOT / "examples/hello/hello.c", tmp_path)
    subprocess.run(
        ["make", "-f", ROOT / "examples/consumers/make/Makefile", f"BACKEND={library}", f"ARCH={arch}",
         "KERNEL=hello.c"],
        cwd=tmp_path, check=True, capture_output=True,
        env={**os.environ, "PKG_CONFIG_LIBDIR": str(root / "usr/share/pkgconfig")},
    )  # fmt: skip
    kernel_says_hello(made(tmp_path, library, arch), library, arch)


def test_version_is_the_project_s() -> None:
    (project,) = re.findall(r"^    version: '(.*)',$", (ROOT / "meson.build").read_text(), re.MULTILINE)
    assert (SOURCE / "changelog").read_text().startswith(f"vmi-sdk ({project}) ")
