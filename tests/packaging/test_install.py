# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`meson install`: what is there, that it can be moved, and that no path of the build machine is in it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from ci.backends import backends
from ci.build import BOUND, rom
from ci.util import BUILD, ROOT

NAMES = list(backends())
LIBRARIES = [*NAMES, BOUND]


def test_every_backend_is_there(installed: Path) -> None:
    for name in LIBRARIES:
        assert (installed / f"lib/vmi/i386/libvmi-{name}.a").read_bytes().startswith(b"!<arch>\n")
        assert (installed / f"share/pkgconfig/vmi-{name}-i386.pc").is_file()
    for name in NAMES:
        assert (installed / f"share/vmi/backends/{name}/backend.yaml").is_file()
    model = json.loads((installed / "share/vmi/model.json").read_text())
    assert sorted(backend["name"] for backend in model["backends"]) == sorted(NAMES)
    for name in ("vmi.yaml", "vmi.schema.json", "backend.schema.json"):
        assert (installed / "share/vmi/spec" / name).read_bytes() == (ROOT / "spec" / name).read_bytes()
    for name in ("kernel.ld", "rust/vmi/vmi.rs", "rust/vmi/Cargo.toml"):
        assert (installed / "share/vmi/i386" / name).is_file()
    calls = model["spec"]["calls"]
    assert len(list((installed / "share/man/man3").glob("vmi_*.3"))) == len(calls)
    assert len(list((installed / "share/doc/vmi/html").glob("vmi_*.html"))) == len(calls)
    for tool in (installed / "bin").iterdir():
        assert (installed / f"share/man/man1/{tool.name}.1").is_file()
    assert {path.name for path in (installed / "include/vmi").iterdir()} == {"vmi.h", "constants.h"}


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


@pytest.mark.parametrize("sysroot", [False, True], ids=["moved", "sysroot"])
def test_pkg_config_names_files_that_are_there(installed: Path, sysroot: bool) -> None:
    environment = {"PKG_CONFIG_SYSROOT_DIR": str(installed)} if sysroot else {}
    for name in LIBRARIES:
        needs = ["vmi-kernel-i386", f"vmi-{name}-i386"]
        paths = {}
        for option in pkg_config(installed, "--cflags", "--libs", *needs, **environment):
            kind, path = re.fullmatch(r"(-I|-L|-T|)(.*)", option).groups()  # type: ignore[union-attr]
            if kind:
                paths[kind] = Path(path).resolve()
        assert paths == {
            "-I": installed / "include",
            "-L": installed / "lib/vmi/i386",
            "-T": installed / "share/vmi/i386/kernel.ld",
        }
    (data,) = pkg_config(installed, "--variable=data", "vmi-kernel-i386", **environment)
    assert Path(data).resolve() == installed / "share/vmi"
    (roms,) = pkg_config(installed, "--variable=roms", f"vmi-{BOUND}-i386", **environment)
    for name in NAMES:
        assert (Path(roms) / f"{name}.rom").read_bytes() == rom(name).read_bytes()


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
