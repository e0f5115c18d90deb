# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`meson install`: what is there, that it can be moved, and that no path of the build machine is in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ci.backends import backends
from ci.build import BOUND, rom, tree
from ci.util import ARCHITECTURES, BUILD, ROOT

NAMES = list(backends())


def libraries(arch: str) -> list[str]:
    return [*backends(arch=arch), BOUND]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_backend_is_there(installed: Path, arch: str) -> None:
    for name in libraries(arch):
        assert (installed / f"lib/vmi/{arch}/libvmi-{name}.a").read_bytes().startswith(b"!<arch>\n")
        assert (installed / f"share/pkgconfig/vmi-{name}-{arch}.pc").is_file()
    for name in NAMES:
        assert (installed / f"share/vmi/backends/{name}/backend.yaml").is_file()
    own = installed / "share/vmi" / arch
    model = json.loads((own / "model.json").read_text())
    assert sorted(backend["name"] for backend in model["backends"]) == sorted(backends(arch=arch))
    for name in ("vmi.yaml", "vmi.schema.json", "backend.schema.json"):
        assert (installed / "share/vmi/spec" / name).read_bytes() == (ROOT / "spec" / name).read_bytes()
    for name in ("kernel.ld", "rust/vmi/vmi.rs", "rust/vmi/Cargo.toml"):
        assert (own / name).is_file()
    calls = model["spec"]["calls"]
    for call in calls:
        assert (installed / f"share/man/man3/{call['c_name']}.3").is_file()
        assert (installed / f"share/doc/vmi/html/{call['c_name']}.html").is_file()
    for tool in (installed / "bin").iterdir():
        assert (installed / f"share/man/man1/{tool.name}.1").is_file()
    for name in ("vmi.h", "constants.h"):
        assert (installed / "include/vmi" / arch / name).read_bytes() == (
            tree(arch) / "include/vmi" / name
        ).read_bytes()
    there = {path.name for path in (installed / "include/vmi").iterdir()}
    assert there == {"vmi.h", "constants.h", *ARCHITECTURES}


def test_no_architecture_overwrites_another(compiled: None, tmp_path: Path) -> None:
    """What two of them install under one name has the same bytes; what Python compiled is not installed."""
    for arch in ARCHITECTURES:
        command = ["meson", "install", "-C", tree(arch), "--no-rebuild", "--quiet", "--destdir"]
        subprocess.run([*command, tmp_path / arch], check=True, capture_output=True)
    assert list(tmp_path.rglob("__pycache__")) == []
    first, *others = (
        {path.relative_to(tmp_path / arch): path for path in (tmp_path / arch).rglob("*") if path.is_file()}
        for arch in ARCHITECTURES
    )
    for other in others:
        common = first.keys() & other.keys()
        assert len(common) > 50
        assert [name for name in common if first[name].read_bytes() != other[name].read_bytes()] == []


def test_architecture_that_is_not_installed_is_said(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "vmi").mkdir()
    shutil.copy(installed / "include/vmi/vmi.h", tmp_path / "vmi")
    for option, arch in (("-m32", "i386"), ("-m64", "x86_64")):
        command = ["gcc", option, "-ffreestanding", f"-I{tmp_path}", "-fsyntax-only", "-include", "vmi/vmi.h"]
        done = subprocess.run([*command, "-xc", "/dev/null"], capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert f"the VMI SDK is not installed for {arch}" in done.stderr


def test_no_path_of_the_build_machine(installed: Path) -> None:
    """Neither where it was built, nor by whom, nor where it was installed first."""
    # Guides show paths in a folder of the reader's: those follow a name.
    others = rb"(?<![\w.$-])/(usr/local|home/|root/|tmp/|build/)"
    forbidden = re.compile(re.escape(str(ROOT)).encode() + b"|" + others)
    files = [path for path in installed.rglob("*") if path.is_file()]
    assert len(files) > 200
    for path in files:
        found = forbidden.search(path.read_bytes())
        assert not found, f"{path.relative_to(installed)}: {found[0]!r}"


def pkg_config(installed: Path, *arguments: str, **environment: str) -> list[str]:
    where = {"PATH": os.environ["PATH"], "PKG_CONFIG_LIBDIR": str(installed / "share/pkgconfig")}
    done = subprocess.run(
        ["pkg-config", *arguments], env=where | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("sysroot", [False, True], ids=["moved", "sysroot"])
def test_pkg_config_names_files_that_are_there(installed: Path, sysroot: bool, arch: str) -> None:
    environment = {"PKG_CONFIG_SYSROOT_DIR": str(installed)} if sysroot else {}
    for name in libraries(arch):
        needs = [f"vmi-kernel-{arch}", f"vmi-{name}-{arch}"]
        paths = {}
        for option in pkg_config(installed, "--cflags", "--libs", *needs, **environment):
            kind, path = re.fullmatch(r"(-I|-L|-T|)(.*)", option).groups()  # type: ignore[union-attr]
            if kind:
                paths[kind] = Path(path).resolve()
        assert paths == {
            "-I": installed / "include",
            "-L": installed / "lib/vmi" / arch,
            "-T": installed / "share/vmi" / arch / "kernel.ld",
        }
    (data,) = pkg_config(installed, "--variable=data", f"vmi-kernel-{arch}", **environment)
    assert Path(data).resolve() == installed / "share/vmi"
    (roms,) = pkg_config(installed, "--variable=roms", f"vmi-{BOUND}-{arch}", **environment)
    for name in backends(arch=arch):
        assert (Path(roms) / f"{name}.rom").read_bytes() == rom(name, arch).read_bytes()


def test_installed_generator_renders_the_same(installed: Path, tmp_path: Path) -> None:
    """From the installed specification and the installed backends, to the build's bytes."""
    folders = [installed / "share/vmi/backends" / name for name in NAMES]
    subprocess.run(
        [installed / "bin/vmigen", "generate", "--backends", *folders, "--out", tmp_path,
         "--checks", BUILD / "generated/checks.json"],
        check=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    rendered = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(rendered) > 5 * len(NAMES)
    for path in rendered:
        assert path.read_bytes() == (BUILD / "generated" / path.relative_to(tmp_path)).read_bytes(), path.name
