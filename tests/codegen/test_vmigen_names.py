# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""No backend has a name that something else has: in the outputs, the build, the installed tree, symbols."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from vmigen.backends import RESERVED_NAMES
from vmigen_runs import PROJECT, SMALL, Vmigen, folders, small

NAMES = {folder.name for folder in folders()}


def named(vmigen: Vmigen, folder: Path, name: str) -> str:
    """What is said of the bare backend under another name."""
    own = folder / name
    shutil.copytree(SMALL / "backends/bare", own)
    text = (own / "backend.yaml").read_text().replace("name: bare", f"name: {name}")
    (own / "backend.yaml").write_text(text.replace("vmi__bare", f"vmi__{name}"))
    return vmigen("generate", *small(), own, "--out", folder / "out").err


@pytest.mark.parametrize("name", sorted({*RESERVED_NAMES, "i386", "x86_64"}))
def test_refused(name: str, vmigen: Vmigen, tmp_path: Path) -> None:
    said = named(vmigen, tmp_path, name)
    assert f"{tmp_path}/{name}/backend.yaml:3:7: error: name '{name}' is reserved; expected " in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_those_that_were_taken_for_others() -> None:
    assert {"any", "include", "generated", "runtime", "reference", "vmi"} <= RESERVED_NAMES


def test_other_names_are_taken(vmigen: Vmigen, tmp_path: Path) -> None:
    assert named(vmigen, tmp_path, "anything") == ""
    assert not NAMES & RESERVED_NAMES


def test_too_long_a_name(vmigen: Vmigen, tmp_path: Path) -> None:
    assert "at most 40" in named(vmigen, tmp_path, "x" * 41)
    assert named(vmigen, tmp_path, "x" * 40) == ""


def test_what_lies_beside_backends_in_the_outputs(vmigen: Vmigen) -> None:
    listed = vmigen("list-outputs", *small()).out.split()
    first = {path.partition("/")[0] for path in listed if "/" in path}
    assert first and first <= RESERVED_NAMES
    # In the build a backend's headers lie below include/NAME.
    second = {path.split("/")[1] for path in listed if path.startswith("include/")}
    assert second and second <= RESERVED_NAMES


def test_what_is_called_like_a_backends_library_or_kernel() -> None:
    """vmi-NAME, libvmi-NAME.a, vmi-NAME-ARCH.pc; KERNEL-NAME.elf."""
    found = set()
    for path in PROJECT.glob("**/meson.build"):
        if not {"build", ".venv", "tests"} & set(path.relative_to(PROJECT).parts):
            text = path.read_text()
            found |= set(re.findall(r"'vmi-([a-z0-9_]+)[-']", text))
            found |= set(re.findall(r"static_library\(\s*'[a-z]+-([a-z0-9_]+)'", text))
    assert {"any", "kernel", "runtime", "lint"} <= found
    assert found <= RESERVED_NAMES


def test_symbols_of_the_runtime() -> None:
    """A backend's own are `vmi__NAME_…`, and so are the macros that are generated for it."""
    files = subprocess.run(
        ["git", "ls-files", "runtime", "include", "codegen/vmigen/templates", "sample_kernel", "conformance"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    found: dict[str, str] = {}
    for name in files:
        for first in re.findall(r"\bvmi__([a-z0-9]+)_", (PROJECT / name).read_text()):
            found.setdefault(first, name)
    assert len(found) > 15
    missing = {first: name for first, name in found.items() if first not in RESERVED_NAMES | NAMES}
    assert missing == {}, "add them to RESERVED_NAMES in codegen/vmigen/backends.py"
