# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What is written: goldens, the same bytes every time, whole or not at all, and only what changed."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from vmigen_runs import ARCHITECTURES, HERE, PROJECT, SMALL, Vmigen, folders, process, real, small, tree

GOLDEN = HERE / "golden"


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_goldens(arch: str, vmigen: Vmigen, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    run = vmigen("generate", "--arch", arch, *small("bare", "hyper"), "--out", tmp_path)
    assert run.status == 0, run.err
    found = tree(tmp_path)
    if request.config.getoption("--update-goldens", default=False):
        shutil.rmtree(GOLDEN / arch, ignore_errors=True)
        shutil.copytree(tmp_path, GOLDEN / arch)
    golden = tree(GOLDEN / arch)
    assert sorted(found) == sorted(golden)
    for path, data in found.items():
        assert data.decode() == golden[path].decode(), f"{path} differs; --update-goldens if that is right"


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_same_input_same_bytes(arch: str, tmp_path: Path) -> None:
    for seed in ("0", "1", "4711"):
        run = process("generate", *real(arch=arch), "--out", tmp_path / seed, PYTHONHASHSEED=seed)
        assert run.status == 0, run.err
    first = tree(tmp_path / "0")
    assert len(first) > 20
    assert tree(tmp_path / "1") == first
    assert tree(tmp_path / "4711") == first


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_no_path_of_the_machine_in_any_output(arch: str, generated_for: dict[str, Path]) -> None:
    for path, data in tree(generated_for[arch]).items():
        assert str(PROJECT).encode() not in data, path
        assert str(generated_for[arch]).encode() not in data, path


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_output_says_where_it_is_from(arch: str, generated_for: dict[str, Path]) -> None:
    for path, data in tree(generated_for[arch]).items():
        head = "\n".join(data.decode().splitlines()[:4])
        assert "do not edit" in head, path
        assert "MIT OR GPL-2.0-only" in head, path
        assert "vmi.yaml" in head, path


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_listed_outputs_are_those_written(arch: str, vmigen: Vmigen, generated_for: dict[str, Path]) -> None:
    run = vmigen("list-outputs", *real(arch=arch))
    assert run.status == 0
    assert sorted(run.out.split()) == sorted(tree(generated_for[arch]))


def test_the_architectures_differ_where_they_must(vmigen: Vmigen, tmp_path: Path) -> None:
    """Calls, arguments and fields of one alone, a word's width, registers that follow from the convention."""
    model = {}
    for arch in ARCHITECTURES:
        run = vmigen("generate", "--arch", arch, *small("bare", "hyper"), "--out", tmp_path / arch)
        assert run.status == 0, run.err
        model[arch] = json.loads((tmp_path / arch / "model.json").read_text())
    calls = {arch: {c["name"]: c for c in made["spec"]["calls"]} for arch, made in model.items()}
    assert calls["x86_64"].keys() - calls["i386"].keys() == {"Base"}
    gates = {arch: [(a["name"], a["registers"]) for a in calls[arch]["Gate"]["arguments"]] for arch in calls}
    assert gates == {
        "i386": [("table", ["eax"]), ("low", ["edx"]), ("high", ["ecx"])],
        "x86_64": [("table", ["rdi"]), ("whole", ["rsi"])],
    }
    scratch = calls["x86_64"]["Fetch"]["clobbers"]
    assert scratch == ["rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "flags"]
    header = {arch: (tmp_path / arch / "include/vmi/vmi.h").read_text() for arch in ARCHITECTURES}
    assert "uint32_t esp;" in header["i386"] and "rsp;" not in header["i386"]
    assert "uint64_t rsp;" in header["x86_64"] and "esp;" not in header["x86_64"]
    ways = {arch: made["backends"][0]["calls"]["Gate"] for arch, made in model.items()}
    assert (ways["i386"]["kind"], ways["x86_64"]["kind"]) == ("routine", "instruction")
    for made in model.values():
        terms = [term["name"] for term in made["spec"]["terms"]]
        assert terms == ["interrupts_off", "name_stays"]
        (call,) = (call for call in made["spec"]["calls"] if call["name"] == "Gate")
        assert [term["name"] for term in call["requires"]] == terms
        assert (call["suspend"], call["stack"], call["interruptible"]) == ("kept", 256, True)
        assert [call["name"] for call in made["spec"]["calls"] if call["nmi"]] == ["Fetch"]


def test_what_pages_say_once_is_the_same_on_each_architecture(generated_for: dict[str, Path]) -> None:
    """Of a call, a page asks each architecture for these alone, and takes the rest from the first."""
    models = {arch: json.loads((generated_for[arch] / "model.json").read_text()) for arch in ARCHITECTURES}
    own = {"arguments", "result", "results", "clobbers", "kept", "prototype", "site"}
    first: dict[str, dict[str, object]] = {}
    for model in models.values():
        for call in model["spec"]["calls"]:
            said = {key: value for key, value in call.items() if key not in own}
            assert first.setdefault(call["name"], said) == said
    for section in ("constants", "instructions", "features", "terms"):
        said = [model["spec"][section] for model in models.values()]
        assert all(each == said[0] for each in said), section


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_pages_have_the_backends_of_all_architectures(arch: str, vmigen: Vmigen, tmp_path: Path) -> None:
    """One that is for another alone is in no code, and its cells are of the calls that it has."""
    (other,) = set(ARCHITECTURES) - {arch}
    lone = tmp_path / "lone"
    lone.mkdir()
    text = (SMALL / "backends/bare/backend.yaml").read_text()
    text = text.replace("name: bare", "name: lone").replace("title: Bare", "title: Lone")
    text = text.replace("[i386, x86_64]", f"[{other}]").replace("vmi__bare", "vmi__lone")
    (lone / "backend.yaml").write_text(text)
    out = tmp_path / "out"
    run = vmigen("generate", "--arch", arch, *small("bare"), "--others", lone, "--out", out)
    assert run.status == 0, run.err
    assert not (out / "lone").exists()
    assert "lone" not in (out / "model.json").read_text()
    matrix = (out / "support-matrix.md").read_text()
    assert f"| Lone | {other} |" in matrix and f"| Lone | {arch} |" not in matrix
    assert f"- **Lone** ({other} only)" in matrix
    (row,) = (line for line in matrix.splitlines() if "[Clock]" in line)
    assert row.split(" | ")[-1] == f"{other}: I rdtsc |"
    assert f"| Lone ({other}) | instruction | rdtsc |" in "".join(
        path.read_text() for path in (out / "reference").iterdir()
    )


def test_a_page_is_wrong_where_any_column_is(vmigen: Vmigen, tmp_path: Path) -> None:
    project = tmp_path / "small"
    shutil.copytree(SMALL, project)
    file = project / "backends/bare/backend.yaml"
    file.write_text(file.read_text().replace(', x86_64: {instruction: ["mov %rsi, (%rdi)"]}', ""))
    options = ("--spec", project / "vmi.yaml", "--backends", project / "backends/bare")
    run = vmigen("generate", *options, "--out", tmp_path / "out")
    assert run.status == 1
    assert "backends/bare/backend.yaml:" in run.err
    assert not (tmp_path / "out").exists()


def test_backends_are_listed_parents_first(vmigen: Vmigen) -> None:
    assert vmigen("list-backends", SMALL / "backends").out.split() == ["bare", "hyper"]
    listed = vmigen("list-backends", PROJECT / "backends").out.split()
    assert sorted(listed) == sorted(folder.name for folder in folders())


def test_unchanged_outputs_are_left_alone(vmigen: Vmigen, tmp_path: Path) -> None:
    """So that a build goes on only where something changed."""
    project = tmp_path / "small"
    shutil.copytree(SMALL, project)
    out = tmp_path / "out"
    arguments = (
        "generate",
        "--spec",
        project / "vmi.yaml",
        "--backends",
        project / "backends" / "bare",
        "--out",
        out,
    )
    assert vmigen(*arguments).status == 0
    for path in tree(out):
        os.utime(out / path, (1, 1))
    assert vmigen(*arguments).status == 0
    assert {path for path in tree(out) if (out / path).stat().st_mtime != 1} == set()

    spec = project / "vmi.yaml"
    spec.write_text(
        spec.read_text().replace("name: LATER, value: 0x80000000", "name: LATER, value: 0x40000000")
    )
    assert vmigen(*arguments).status == 0
    changed = {path for path in tree(out) if (out / path).stat().st_mtime != 1}
    assert changed == {
        "digests.json",
        "include/vmi/constants.h",
        "model.json",
        "reference/README.md",
        "rust/vmi.rs",
    }


def test_depfile_names_outputs_and_inputs(vmigen: Vmigen, tmp_path: Path) -> None:
    out, depfile = tmp_path / "out", tmp_path / "a d" / "vmi.d"
    assert vmigen("generate", *small("bare"), "--out", out, "--depfile", depfile).status == 0
    targets, _, inputs = depfile.read_text().partition(":")
    assert f"{out}/include/vmi/vmi.h" in targets.split()
    for path in (
        "spec/vmi.schema.json",
        "spec/backend.schema.json",
        "codegen/vmigen/templates/vmi.h.j2",
        "codegen/vmigen/i386.py",
    ):
        assert str(PROJECT / path) in inputs.split()
    assert str(SMALL / "vmi.yaml") in inputs.split()
    assert str(SMALL / "backends/bare/backend.yaml") in inputs.split()


def test_a_folder_that_cannot_be_written(vmigen: Vmigen, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        run = vmigen("generate", *small("bare"), "--out", out)
        assert ":1:1: error: cannot write (" in run.err
        assert run.err.count("\n") == 1
        assert run.status == 1
    assert (tmp_path / "file").read_text() == ""


def test_nothing_is_written_where_one_output_cannot_be(vmigen: Vmigen, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "support-matrix.md").mkdir(parents=True)
    run = vmigen("generate", *small("bare"), "--out", out)
    assert run.status == 1
    assert tree(out) == {}


def test_a_full_disk_leaves_the_earlier_outputs_whole(vmigen: Vmigen, tmp_path: Path) -> None:
    """The limit on a file's size stands in for the disk: the same error, in the middle of a file."""
    project, out = tmp_path / "small", tmp_path / "out"
    shutil.copytree(SMALL, project)
    arguments = [
        "generate",
        "--spec",
        project / "vmi.yaml",
        "--backends",
        project / "backends" / "bare",
        "--out",
        out,
    ]
    assert vmigen(*arguments).status == 0
    before = tree(out)
    spec = project / "vmi.yaml"
    spec.write_text(spec.read_text().replace("Ask for two words.", "Ask."))
    done = subprocess.run(
        [sys.executable, "-B", "-m", "vmigen", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(PROJECT / "codegen")},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)),
        capture_output=True,
        text=True,
    )
    assert "error: cannot write (File too large)" in done.stderr
    assert done.returncode == 1
    assert tree(out) == before


def backend_with_template(folder: Path, template: str, text: str) -> list[str]:
    """Options for a copy of the bare backend that brings a template of its own."""
    own = folder / "bare"
    shutil.copytree(SMALL / "backends" / "bare", own)
    (own / "templates").mkdir()
    (own / "templates" / template).write_text(text)
    return ["--spec", str(SMALL / "vmi.yaml"), "--backends", str(own)]


def test_a_backend_replaces_a_template(vmigen: Vmigen, tmp_path: Path) -> None:
    options = backend_with_template(
        tmp_path, "routines.h.j2", "{{ banner }}\n/* {{ backend.title }}: own */\n"
    )
    assert vmigen("generate", *options, "--out", tmp_path / "out").status == 0
    assert "/* Bare: own */" in (tmp_path / "out/bare/routines.h").read_text()
    assert "vmi_probe:" in (tmp_path / "out/bare/stubs.S").read_text()


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("{{ banner }}\n\n{{ backend.colour }}\n", 3, "has no attribute 'colour'"),
        ("{{ banner }}\n{{ colour }}\n", 2, "'colour' is undefined"),
        ("{% for call in spec.calls %}\n{{ call.name }}\n", 2, "Unexpected end of template"),
        ("a\n{{ spec.ordinals + 'x' }}\n", 2, "unsupported operand"),
        ('a\n\n{% include "nothing.j2" %}\n', 3, "nothing.j2"),
    ],
)
def test_a_wrong_template_is_named_with_its_line(
    text: str, line: int, what: str, vmigen: Vmigen, tmp_path: Path
) -> None:
    options = backend_with_template(tmp_path, "routines.h.j2", text)
    run = vmigen("generate", *options, "--out", tmp_path / "out")
    assert run.err.startswith(f"{tmp_path}/bare/templates/routines.h.j2:{line}:1: error: template: ")
    assert what in run.err
    assert run.err.count("\n") == 1
    assert run.status == 1
    assert not (tmp_path / "out").exists()


def test_model_names_every_way(generated: Path) -> None:
    model = json.loads((generated / "model.json").read_text())
    names = [call["name"] for call in model["spec"]["calls"]]
    assert len(names) > 80
    assert [call["ordinal"] for call in model["spec"]["calls"]] == sorted(
        call["ordinal"] for call in model["spec"]["calls"]
    )
    for backend in model["backends"]:
        assert sorted(backend["calls"]) == sorted(names)
        for way in backend["calls"].values():
            assert way["kind"] in ("instruction", "hypercall", "routine", "unsupported")


def test_print_the_time_for_the_whole_specification(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A benchmark of both architectures: printed, not asserted on the clock."""
    times = []
    for _ in range(3):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        for arch in ARCHITECTURES:
            assert process("generate", *real(arch=arch), "--out", tmp_path / arch).status == 0
        elapsed, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append((elapsed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    elapsed, cpu = min(times)
    with capfd.disabled():
        what = ", ".join(f"{arch} with {len(folders(arch=arch))} backends" for arch in ARCHITECTURES)
        print(f"\n# generator, {what}: {elapsed:.2f} s ({cpu:.2f} s CPU)")
