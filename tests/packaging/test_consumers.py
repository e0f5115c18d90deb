# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Each way to use the SDK from another project (examples/consumers), built as its files say and booted."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ci.backends import backends
from ci.lint import tracked
from ci.util import ROOT

BACKEND = "native"
CONSUMERS = ROOT / "examples/consumers"


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the consumer of the test's name, with the kernel where the consumer looks for it."""
    name = request.node.name.removeprefix("test_").partition("_")[0]
    for path in tracked():
        if path.startswith((f"examples/consumers/{name}/", "examples/hello/")):
            target = tmp_path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, target)
    return tmp_path / "examples/consumers" / name


def build(project: Path, *commands: list[str | Path], **environment: str) -> None:
    for command in commands:
        done = subprocess.run(
            command, cwd=project, env={**os.environ, **environment}, text=True, timeout=300, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        assert "warning" not in done.stdout.lower(), done.stdout


def says_hello(kernel: Path) -> None:
    command = ["qemu-system-i386", "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", kernel]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert f"linked with the library for {BACKEND}\n" in done.stdout


def test_make(project: Path, installed: Path) -> None:
    build(project, ["make", f"BACKEND={BACKEND}"], PKG_CONFIG_LIBDIR=str(installed / "share/pkgconfig"))
    says_hello(project / f"kernel-{BACKEND}.elf")


def test_cmake(project: Path, installed: Path) -> None:
    configure = ["cmake", "-B", "build", "--toolchain", "i386.cmake", f"-DCMAKE_PREFIX_PATH={installed}"]
    build(project, [*configure, f"-DBACKEND={BACKEND}"], ["cmake", "--build", "build"])
    says_hello(project / f"build/kernel-{BACKEND}.elf")


def test_cmake_says_what_there_is(project: Path, installed: Path) -> None:
    done = subprocess.run(
        ["cmake", "-B", "build", "--toolchain", "i386.cmake", f"-DCMAKE_PREFIX_PATH={installed}",
         "-DBACKEND=nowhere"],
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "there is no backend nowhere; there are: " in done.stderr


MESON = ["meson", "setup", "--cross-file", "i386.ini", f"-Dlibrary={BACKEND}", "build"]


def test_meson_with_the_installed_libraries(project: Path, installed: Path) -> None:
    build(project, MESON, ["ninja", "-C", "build"], PKG_CONFIG_LIBDIR=str(installed / "share/pkgconfig"))
    assert not (project / "build/subprojects").exists()
    says_hello(project / f"build/kernel-{BACKEND}.elf")


def test_meson_with_a_subproject(project: Path) -> None:
    """The wrap file provides the dependencies by what lies in subprojects/."""
    for path in tracked():
        target = project / "subprojects/vmi" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, target)
    build(project, MESON, ["ninja", "-C", "build"], PKG_CONFIG_LIBDIR=str(project))
    assert [path.name for path in (project / "build/subprojects/vmi/backends").glob("*.a")] != []
    says_hello(project / f"build/kernel-{BACKEND}.elf")


def test_vendored(project: Path) -> None:
    """The libraries' sources in the project's own tree, with nothing of the SDK but them."""
    subprocess.run([ROOT / "vmi", "vendor", project / "vmi"], check=True, capture_output=True)
    build(project, *(["make", f"BACKEND={name}", "-j2"] for name in backends()))
    says_hello(project / f"kernel-{BACKEND}.elf")


def test_vendored_elsewhere_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    done = subprocess.run([ROOT / "vmi", "vendor", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"vmi: {tmp_path} has other files in it; ")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
