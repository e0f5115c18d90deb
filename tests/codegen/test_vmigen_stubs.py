# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Entry points in machine code: an instruction is that and `ret`, a routine is one `jmp`."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from vmigen_runs import ARCHITECTURES, COMPILE


def assemble(arch: str, source: str, folder: Path, name: str, *flags: str) -> Path:
    """An object file from assembly."""
    file = folder / f"{name}.S"
    file.write_text(source)
    command = ["gcc", COMPILE[arch], *flags, "-c", str(file), "-o", str(folder / f"{name}.o")]
    subprocess.run(command, check=True, timeout=300)
    return folder / f"{name}.o"


def code(path: Path) -> dict[str, bytes]:
    """The bytes of every function, by the sizes that its symbol declares."""
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        text = elf.get_section_by_name(".text").data()
        return {
            symbol.name: text[symbol["st_value"] : symbol["st_value"] + symbol["st_size"]]
            for symbol in elf.get_section_by_name(".symtab").iter_symbols()
            if symbol["st_info"]["type"] == "STT_FUNC"
        }


def counts(path: Path) -> dict[str, int]:
    """Instructions per function, padding left out."""
    listing = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", str(path)], capture_output=True, text=True, check=True
    ).stdout
    sizes = {name: len(data) for name, data in code(path).items()}
    found: dict[str, int] = {}
    for start, name, body in re.findall(r"^([0-9a-f]+) <(\w+)>:\n((?:.+\n)*)", listing, re.MULTILINE):
        lines = [
            int(line.split(":")[0], 16) for line in body.splitlines() if re.match(r"\s*[0-9a-f]+:", line)
        ]
        found[name] = sum(
            int(start, 16) <= address < int(start, 16) + sizes.get(name, 0) for address in lines
        )
    return found


@pytest.fixture(scope="module", params=ARCHITECTURES)
def arch(request: pytest.FixtureRequest) -> str:
    """An architecture."""
    return str(request.param)


@pytest.fixture(scope="module")
def generated(arch: str, generated_for: dict[str, Path]) -> Path:
    """What is rendered for it."""
    return generated_for[arch]


@pytest.fixture(scope="module")
def model(generated: Path) -> dict[str, Any]:
    """The resolved model of the project."""
    loaded: dict[str, Any] = json.loads((generated / "model.json").read_text())
    return loaded


@pytest.fixture(scope="module")
def objects(
    arch: str, model: dict[str, Any], generated: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Each backend's stubs, assembled."""
    folder = tmp_path_factory.mktemp("objects")
    found = {}
    for backend in model["backends"]:
        own = generated / backend["name"]
        source = "".join(f'#include "{path}"\n' for path in sorted(own.glob("stubs*.S")))
        found[backend["name"]] = assemble(
            arch, source, folder, backend["name"], f"-I{generated}", f"-I{generated}/include"
        )
    return found


def test_each_library_has_every_symbol_and_no_other(model: dict[str, Any], objects: dict[str, Path]) -> None:
    expected = sorted(call["c_name"] for call in model["spec"]["calls"])
    assert objects
    for path in objects.values():
        assert sorted(code(path)) == expected
        with path.open("rb") as stream:
            elf = ELFFile(stream)
            assert elf.get_section_by_name(".note.GNU-stack")["sh_flags"] == 0
            exported = [
                s.name
                for s in elf.get_section_by_name(".symtab").iter_symbols()
                if s["st_info"]["bind"] == "STB_GLOBAL"
            ]
        assert set(expected) <= set(exported)


def test_an_instruction_costs_itself_and_ret(
    arch: str,
    model: dict[str, Any],
    objects: dict[str, Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The lines of backend.yaml, assembled alone, are the stub's bytes; `ret` is all that is added."""
    jumps = {call["name"] for call in model["spec"]["calls"] if call["convention"] == "jump"}
    symbols = {call["name"]: call["c_name"] for call in model["spec"]["calls"]}
    summary = []
    for backend in model["backends"]:
        ways = {name: way for name, way in backend["calls"].items() if way["kind"] == "instruction"}
        listed = [
            "\n".join(
                [
                    f".globl {symbols[n]}",
                    f".type {symbols[n]}, @function",
                    f"{symbols[n]}:",
                    *listed_lines(way, n in jumps),
                ]
            )
            + f"\n.size {symbols[n]}, . - {symbols[n]}\n"
            for n, way in ways.items()
        ]
        alone = assemble(arch, "\n".join(listed), tmp_path, f"{backend['name']}-alone")
        stubs, wanted = code(objects[backend["name"]]), code(alone)
        lengths = counts(objects[backend["name"]])
        for name, way in ways.items():
            # A jump to another entry point is as long as that is far.
            if not any(re.search(r"\bvmi_", line) for line in way["instructions"]):
                own = stubs[symbols[name]]
                if way["forms"]:
                    own = own.rstrip(b"\xcc")
                assert own == wanted[symbols[name]], f"{backend['name']}: {name}"
            if way["forms"]:
                continue  # the rest of its room is filled
            if not any(line.startswith(".") for line in way["how"].split("; ")):
                added = 0 if name in jumps else 1
                wrote = (
                    sum(not line.endswith(":") for line in way["how"].split("; "))
                    if way["how"] != "nothing"
                    else 0
                )
                assert lengths[symbols[name]] == wrote + added, f"{backend['name']}: {name}"
        bare = [lengths[symbols[n]] for n in ways if n not in jumps]
        single = bare.count(2)
        what = f"{len(ways)} calls by instruction, {single} of them one and ret"
        summary.append(f"# {backend['name']} on {arch}: {what}")
    with capfd.disabled():
        print("\n" + "\n".join(summary))


def listed_lines(way: dict[str, Any], jump: bool) -> list[str]:
    """The instructions as backend.yaml lists them, with the `ret` that the generator owes them."""
    how = way["how"].split(", else ")[-1]  # of several forms the last is linked
    lines = [] if how == "nothing" else how.split("; ")
    return lines if jump else [*lines, "ret"]


def test_a_routine_under_the_c_convention_is_one_jump(
    model: dict[str, Any], objects: dict[str, Path]
) -> None:
    scratch = set(model["spec"]["architecture"]["scratch"])
    found = 0
    for backend in model["backends"]:
        lengths = counts(objects[backend["name"]])
        for call in model["spec"]["calls"]:
            way = backend["calls"][call["name"]]
            if way["routine"] and call["convention"] == "c" and not scratch & set(call["kept"]):
                assert way["instructions"] == [f"jmp {way['routine']}"]
                assert lengths[call["c_name"]] == 1
                found += 1
    assert found


def test_each_hypercall_counts_itself_just_before_the_transfer(
    arch: str, model: dict[str, Any], generated: Path
) -> None:
    for backend in model["backends"]:
        text = (generated / backend["name"] / "hypercalls.S").read_text()
        for hypercall in backend["hypercalls"]:
            body = text.split(f"\n{hypercall['c_name']}:\n", 1)[1].split(".size", 1)[0]
            counter = hypercall["counter"] + ("(%rip)" if arch == "x86_64" else "")
            assert f"lock incl {counter}\n        vmi__{hypercall['owner']}_transfer\n" in body
            register = re.sub("^r([a-z])", r"e\1", hypercall["number_register"])
            assert f"mov ${hypercall['number']}, %{register}\n" in body


NATIVE = {
    "SetCR3": ["mov %rdi,%cr3", "ret"],
    "GetCR2": ["mov %cr2,%rax", "ret"],
    "CPUID": ["cpuid", "ret"],
    "WRMSR": ["wrmsr", "ret"],
    "RDMSR": ["rdmsr", "ret"],
    "EnableInterrupts": ["sti", "ret"],
    "DisableInterrupts": ["cli", "ret"],
    "GetInterruptMask": ["pushf", "pop %rax", "ret"],
    "SwapGS": ["swapgs", "ret"],
    "SetPxELong": ["mov %rdi,(%rsi)", "ret"],
}
"""x86-64's plain hardware, as a disassembler reads it."""


def test_native_entry_points_are_the_instruction_and_ret(
    generated_for: dict[str, Path], tmp_path: Path
) -> None:
    """Read by a disassembler: the instructions of backend.yaml, one `ret`, and nothing else."""
    rendered = generated_for["x86_64"]
    source = "".join(f'#include "{path}"\n' for path in sorted((rendered / "native").glob("stubs*.S")))
    path = assemble("x86_64", source, tmp_path, "native", f"-I{rendered}", f"-I{rendered}/include")
    listing = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", str(path)], capture_output=True, text=True, check=True
    ).stdout
    model = json.loads((rendered / "model.json").read_text())
    ways = next(each for each in model["backends"] if each["name"] == "native")["calls"]
    sizes = {name: len(data) for name, data in code(path).items()}
    read: dict[str, list[str]] = {}
    for start, name, body in re.findall(r"^([0-9a-f]+) <(\w+)>:\n((?:.+\n)*)", listing, re.MULTILINE):
        if name not in sizes:
            continue  # a form that is jumped to
        lines = re.findall(r"^\s*([0-9a-f]+):\t(.*)$", body, re.MULTILINE)
        own = [text for at, text in lines if int(at, 16) < int(start, 16) + sizes[name]]
        read[name] = [" ".join(text.split()) for text in own]
    for name, lines in NATIVE.items():
        (call,) = (call for call in model["spec"]["calls"] if call["name"] == name)
        assert [re.sub(r"^(push|pop|ret)q?\b", r"\1", line) for line in read[call["c_name"]]] == lines
    single = 0
    for call in model["spec"]["calls"]:
        way = ways[call["name"]]
        if way["kind"] != "instruction" or call["convention"] == "jump":
            continue
        body = read[call["c_name"]]
        if way["forms"]:
            body = body[: body.index("int3")]
        assert body[-1].startswith("ret")
        given = [line for line in way["instructions"] if not line.endswith(":") and line[0] != "."]
        assert len(body) == len(given), call["name"]
        single += len(body) == 2
    assert single > 30
