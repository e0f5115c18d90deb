# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Each way to use the SDK from another project (examples/consumers), built as its files say and booted."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ci.backends import backends
from ci.build import BOUND
from ci.lint import tracked
from ci.util import ARCHITECTURES, ROOT, tied

BACKEND = "native"
CONSUMERS = ROOT / "examples/consumers"
# A kernel is linked with a library, or with what lets it bind itself.
built_for = pytest.mark.parametrize(
    ("library", "arch"), [(library, arch) for arch in ARCHITECTURES for library in (BACKEND, BOUND)]
)


built_bound = pytest.mark.parametrize("arch", ARCHITECTURES)


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the consumer of the test's name, with the kernel where the consumer looks for it."""
    name = request.node.originalname.removeprefix("test_").partition("_")[0]
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


def made(folder: Path, library: str, arch: str) -> Path:
    """The kernel for `library`, by the Makefile, whose kernels for all architectures lie in one folder."""
    return folder / f"kernel-{library}-{arch}.elf"


def says_hello(folder: Path, library: str, arch: str = ARCHITECTURES[0]) -> None:
    """The kernel for `library`, in a folder that has one architecture's."""
    kernel_says_hello(folder / f"kernel-{library}.elf", library, arch)


def kernel_says_hello(kernel: Path, library: str, arch: str) -> None:
    """On a PC without anything of a hypervisor that QEMU has by default."""
    command = [
        f"qemu-system-{arch}", "-machine", "pc,vmport=off", "-display", "none", "-serial", "stdio",
        "-no-reboot", "-kernel", kernel,
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, preexec_fn=tied()
    )
    assert done.returncode == 0, done.stderr
    *binding, hello = done.stdout.splitlines()
    assert hello.endswith(f", linked with the library for {BACKEND}"), done.stdout
    assert [line.partition(" sites=")[0] for line in binding] == (
        [f"# bind provider={BACKEND} source=builtin"] if library == BOUND else []
    )


@built_for
def test_make(project: Path, installed: Path, library: str, arch: str) -> None:
    where = str(installed / "share/pkgconfig")
    build(project, ["make", f"BACKEND={library}", f"ARCH={arch}"], PKG_CONFIG_LIBDIR=where)
    kernel_says_hello(made(project, library, arch), library, arch)


def test_make_keeps_architectures_apart(project: Path, installed: Path) -> None:
    """One after the other, with nothing made anew in between, and each is still there."""
    where = str(installed / "share/pkgconfig")
    build(project, *(["make", f"ARCH={arch}"] for arch in ARCHITECTURES), PKG_CONFIG_LIBDIR=where)
    for arch in ARCHITECTURES:
        kernel_says_hello(made(project, BACKEND, arch), BACKEND, arch)
    build(project, ["make", "clean"])
    assert [path.name for path in project.iterdir()] == ["Makefile"]


def calls_left(kernel: Path) -> str:
    """What vmi-bind says of a kernel."""
    command = [ROOT / "vmi", "bind", "-o", kernel.with_suffix(".again"), kernel]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@built_bound
def test_make_binds(project: Path, installed: Path, arch: str) -> None:
    where = str(installed / "share/pkgconfig")
    build(project, ["make", "BIND=yes", f"ARCH={arch}"], PKG_CONFIG_LIBDIR=where)
    kernel_says_hello(made(project, BACKEND, arch), BACKEND, arch)
    assert "was bound to native already" in calls_left(made(project, BACKEND, arch))


def test_make_leaves_no_kernel_that_is_not_bound(project: Path, installed: Path) -> None:
    """A kernel that is refused is not there, as if it had not been linked."""
    where = {**os.environ, "PKG_CONFIG_LIBDIR": str(installed / "share/pkgconfig")}
    command = ["make", "BIND=yes", "LDFLAGS=-s"]
    done = subprocess.run(command, cwd=project, env=where, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "it has no symbols; bind it before it is stripped" in done.stderr
    assert not list(project.glob("*.elf"))


@built_bound
def test_cmake_binds(project: Path, installed: Path, arch: str) -> None:
    configure = ["cmake", "-B", "build", "--toolchain", f"{arch}.cmake", f"-DCMAKE_PREFIX_PATH={installed}"]
    build(project, [*configure, "-DBIND=ON"], ["cmake", "--build", "build"])
    says_hello(project / "build", BACKEND, arch)
    assert "was bound to native already" in calls_left(project / f"build/kernel-{BACKEND}.elf")


@pytest.mark.parametrize("words", [["BACKEND=nowhere"], ["ARCH=m68k"]])
def test_make_ends_where_a_package_is_not_found(project: Path, installed: Path, words: list[str]) -> None:
    """With what pkg-config says, and nothing is compiled."""
    where = {**os.environ, "PKG_CONFIG_LIBDIR": str(installed / "share/pkgconfig")}
    command = ["make", *words]
    done = subprocess.run(command, cwd=project, env=where, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "was not found in the pkg-config search path" in done.stderr
    assert "pkg-config has not found vmi-kernel-" in done.stderr
    assert not done.stdout and not list(project.glob("*.o")) and "fatal error" not in done.stderr


@built_for
def test_cmake(project: Path, installed: Path, library: str, arch: str) -> None:
    configure = ["cmake", "-B", "build", "--toolchain", f"{arch}.cmake", f"-DCMAKE_PREFIX_PATH={installed}"]
    build(project, [*configure, f"-DBACKEND={library}"], ["cmake", "--build", "build"])
    says_hello(project / "build", library, arch)


def test_cmake_says_what_there_is(project: Path, installed: Path) -> None:
    done = subprocess.run(
        ["cmake", "-B", "build", "--toolchain", "i386.cmake", f"-DCMAKE_PREFIX_PATH={installed}",
         "-DBACKEND=nowhere"],
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "there is no backend nowhere-i386; there are: " in done.stderr


def meson(arch: str) -> list[str]:
    return ["meson", "setup", "--cross-file", f"{arch}.ini", "build"]


MESON = meson(ARCHITECTURES[0])


@built_for
def test_meson_with_the_installed_libraries(
    project: Path, installed: Path, library: str, arch: str
) -> None:
    setup = [*meson(arch), f"-Dlibrary={library}"]
    build(project, setup, ["ninja", "-C", "build"], PKG_CONFIG_LIBDIR=str(installed / "share/pkgconfig"))
    assert not (project / "build/subprojects").exists()
    says_hello(project / "build", library, arch)


@pytest.mark.parametrize(("library", "arch"), zip((BACKEND, BOUND), ARCHITECTURES, strict=True))
def test_meson_with_a_subproject(project: Path, library: str, arch: str) -> None:
    """The wrap file provides the dependencies by what lies in subprojects/."""
    for path in tracked():
        target = project / "subprojects/vmi" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, target)
    setup = [*meson(arch), f"-Dlibrary={library}", f"-Dvmi:backends={BACKEND}"]
    build(project, setup, ["ninja", "-C", "build"], PKG_CONFIG_LIBDIR=str(project))
    assert (project / f"build/subprojects/vmi/backends/libvmi-{library}.a").is_file()
    says_hello(project / "build", library, arch)


@pytest.mark.parametrize(
    ("subproject", "arch"), [*((False, arch) for arch in ARCHITECTURES), (True, ARCHITECTURES[-1])]
)
def test_meson_binds(project: Path, installed: Path, subproject: bool, arch: str) -> None:
    """By the installed vmi-bind, or by that of the subproject."""
    for path in tracked() if subproject else ():
        target = project / "subprojects/vmi" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, target)
    setup = [*meson(arch), "-Dbind=true", *([f"-Dvmi:backends={BACKEND}"] if subproject else [])]
    where = {
        "PKG_CONFIG_LIBDIR": str(project if subproject else installed / "share/pkgconfig"),
        "PATH": f"{installed / 'bin'}:{os.environ['PATH']}",
    }
    build(project, setup, ["ninja", "-C", "build"], **where)
    says_hello(project / "build", BACKEND, arch)
    kernel = project / f"build/kernel-{BACKEND}.elf"
    # The subproject's build is another than the front door's, or the same: both are of this specification.
    assert "was bound to native already" in calls_left(kernel)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_vendored(project: Path, arch: str) -> None:
    """The libraries' sources in the project's own tree, with nothing of the SDK but them."""
    command = [ROOT / "vmi", "vendor", "--arch", arch, project / "vmi"]
    subprocess.run(command, check=True, capture_output=True)
    lists = (project / "vmi/vmi.mk").read_text()
    sources = re.search(rf"^VMI_SOURCES_{BACKEND} := (.*)$", lists, re.MULTILINE)
    assert sources and {"devices/interface.c", "devices/virtio_blk/virtio_blk.c"} <= {*sources[1].split()}
    flags = re.search(r"^VMI_CFLAGS := (.*)$", lists, re.MULTILINE)
    assert flags and "-fPIE" not in flags[1].split(), "options of a library alone are none of the kernel's"
    # That nothing of the others is missing shows on one architecture: their lists are made in the same way.
    others = [name for name in backends(arch=arch) if name != BACKEND and arch == ARCHITECTURES[0]]
    build(project, *(["make", f"BACKEND={name}", "-j2"] for name in (BACKEND, BOUND, *others)))
    says_hello(project, BACKEND, arch)
    says_hello(project, BOUND, arch)
    done = subprocess.run(
        ["make", "BACKEND=nowhere"], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.endswith("vmi/vmi.mk has no library nowhere.  Stop.\n")
    # docs/packaging.md says why. (For the first architecture test_options.py has clang.)
    if arch != ARCHITECTURES[0]:
        direct = "CFLAGS=-O2 -fdirect-access-external-data"
        build(project, ["make", "--always-make", "CC=clang", f"BACKEND={BACKEND}", "-j2", direct])
        says_hello(project, BACKEND, arch)


def test_vendored_elsewhere_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    done = subprocess.run([ROOT / "vmi", "vendor", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"vmi: {tmp_path} has other files in it; ")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
