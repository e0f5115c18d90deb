# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The guides say what is so: their commands are run, and what they name is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

sys.path.insert(0, str(Path(__file__).parent))

from porting_walk import walk

from ci.build import tree
from ci.rig import discover
from ci.util import ARCHITECTURES, BUILD, ROOT, progress, tied

DOCS = ROOT / "docs"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with the SDK as its subfolder vmi-sdk."""
    (tmp_path / "vmi-sdk").symlink_to(ROOT)
    return tmp_path


def test_quick_start(desk: Path) -> None:
    """Word for word."""
    text = (DOCS / "quick-start.md").read_text()
    assert text.count("```console") == 7
    assert walk(text, desk) == text


def test_calls_that_are_named_exist() -> None:
    text = (DOCS / "port-a-kernel.md").read_text()
    model = json.loads((BUILD / "generated/model.json").read_text())
    calls = {call["name"] for call in model["spec"]["calls"]}
    named = set(re.findall(r"\b(?:[A-Z][a-z]+){2,}(?:[A-Z]+\w*)?\b|\b[SG]et[A-Z]\w+", text))
    assert len(named) > 20
    assert named <= calls


def test_code_of_the_pae_guide_is_the_example() -> None:
    source = (ROOT / "examples/address_spaces/address_spaces.c").read_text()
    excerpts = re.findall(r"^```c\n(.*?)^```$", (DOCS / "pae.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(excerpts) == 4
    for excerpt in excerpts:
        assert excerpt in source


def test_code_of_the_porting_guide_compiles(tmp_path: Path) -> None:
    excerpts = re.findall(
        r"^```c\n(.*?)^```$", (DOCS / "port-a-kernel.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert excerpts
    source = tmp_path / "excerpts.c"
    source.write_text("#include <vmi/vmi.h>\n" + "".join(excerpts))
    command = ["gcc", "-m32", "-ffreestanding", "-Wall", "-Werror", "-Wno-unused-function",
               f"-I{BUILD / 'include'}", "-fsyntax-only", source]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def steps(name: str) -> dict[str, str]:
    """Parts of a source file by the step of the guide that shows them."""
    source = (ROOT / "examples/ported" / name).read_text()
    return dict(re.findall(r"^/\* step: (\w+) \*/\n(.*?)^/\* end \*/$", source, re.MULTILINE | re.DOTALL))


PORTED = tree("x86_64") / "examples/ported"


def test_code_of_the_walk_through_is_the_example() -> None:
    """Before and after, step by step; nothing else is shown. The build compiles both."""
    excerpts = re.findall(
        r"^```c\n(.*?)^```$", (DOCS / "port-x86-64.md").read_text(), re.MULTILINE | re.DOTALL
    )
    before, after = steps("pc.c"), steps("kernel.c")
    assert list(before) == list(after) == ["console", "gates", "timer", "idle", "end"]
    assert excerpts == [code for name in before for code in (before[name], after[name])]
    assert (PORTED / "libported-pc.a").is_file()


def test_the_walk_through_leaves_nothing_sensitive() -> None:
    """The linter finds what the guide lists in the kernel before, and nothing in the one after."""
    found = {}
    for name in ("pc", "kernel"):
        command = [ROOT / "vmi", "lint", PORTED / f"libported-{name}.a"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found[name] = done.returncode, set(re.findall(r"error: [^(]*\((\w+)", done.stdout + done.stderr))
    assert found["kernel"] == (0, set())
    assert found["pc"] == (1, {"outb", "outw", "lidtq", "cli", "sti", "hlt", "iretq", "movw"})


def test_the_ported_kernel_runs() -> None:
    done = subprocess.run(
        ["qemu-system-x86_64", "-accel", "tcg", "-m", "64", "-display", "none", "-serial", "stdio",
         "-no-reboot", "-nodefaults", "-no-user-config", "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
         "-append", "vmi.debug_exit=0xf4", "-kernel", PORTED / "ported-native.elf"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False, preexec_fn=tied(),
    )  # fmt: skip
    assert (done.returncode, done.stdout.splitlines()) == (33, ["10 ticks"])


SERVICES = {
    "github": ("github-actions.yml", ["--builtin-schema", "vendor.github-workflows"]),
    "gitlab": ("gitlab-ci.yml", ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]),
}


@pytest.mark.parametrize("service", SERVICES)
def test_ci_example_is_valid(service: str) -> None:
    """By the schemas that the services publish."""
    name, schema = SERVICES[service]
    command = ["check-jsonschema", *schema, DOCS / "ci" / name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def github(job: Any, backend: str, arch: str) -> tuple[list[str], dict[str, list[str]]]:
    steps = [step["run"] for step in job["boot"]["steps"] if step.get("name") in ("Build", "Boot")]
    replaced = [
        step.replace("${{ matrix.backend }}", backend).replace("${{ matrix.arch }}", arch) for step in steps
    ]
    return replaced, job["boot"]["strategy"]["matrix"]


def gitlab(job: Any, backend: str, arch: str) -> tuple[list[str], dict[str, list[str]]]:
    matrix = {name.lower(): values for name, values in job["boot"]["parallel"]["matrix"][0].items()}
    return [f"BACKEND={backend}", f"ARCH={arch}", *job["boot"]["script"]], matrix


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("service", SERVICES)
def test_ci_example_runs(service: str, arch: str, desk: Path) -> None:
    """Its script, on this machine, for the first configuration of its matrix; the others are there."""
    document = YAML(typ="safe").load(DOCS / "ci" / SERVICES[service][0])
    jobs = document.get("jobs", document)
    read = {"github": github, "gitlab": gitlab}[service]
    _, matrix = read(jobs, "", "")
    first = matrix["backend"][0]
    lines, _ = read(jobs, first, arch)
    there = [each.name for rig in discover(progress).values() for each in rig.configurations]
    assert set(matrix["backend"]) <= set(there)
    assert list(matrix["arch"]) == list(ARCHITECTURES)
    shutil.copytree(ROOT / "examples/consumers/make", desk / "my-kernel")
    shutil.copy(ROOT / "examples/hello/hello.c", desk / "my-kernel/kernel.c")
    script = ["bash", "-e", "-c", "\n".join(lines)]
    done = subprocess.run(script, cwd=desk, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"linked with the library for {first}" in done.stdout
    assert len(list((desk / "sdk").rglob("*.a"))) > 1
