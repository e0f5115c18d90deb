# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The generated headers compile alone, with every wrapper used, in all dialects and with both compilers."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from vmigen_runs import COMPILE, SMALL, process

COMPILERS = ("gcc", "clang")
STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Wundef", "-Wcast-align", "-Wshadow", "-pedantic", "-Werror")
DIALECTS = {"c99": "c", "c11": "c", "c23": "c", "c++98": "c++", "c++11": "c++", "c++17": "c++"}


def compiles(
    compiler: str,
    source: str,
    folder: Path,
    include: Path,
    *flags: str,
    language: str = "c",
    arch: str = "i386",
) -> subprocess.CompletedProcess[str]:
    """Compiles a text for an architecture, without any header of the system."""
    if shutil.which(compiler) is None:
        pytest.fail(f"{compiler} is needed for this test")
    file = folder / ("source.S" if language == "assembler-with-cpp" else "source.c")
    file.write_text(source)
    command = [
        compiler,
        COMPILE[arch],
        "-nostdinc",
        "-ffreestanding",
        "-x",
        language,
        f"-I{include}",
        *flags,
        "-c",
        str(file),
    ]
    command += ["-o", str(folder / "out.o")]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def standard(compiler: str, dialect: str) -> str:
    """The option for a dialect; both compilers call the newest C by its draft's name."""
    return f"-std={'c2x' if dialect == 'c23' else dialect}"


def users(model: dict[str, Any]) -> str:
    """A source with one function per wrapper that does nothing but call it."""
    lines = ["#include <vmi/vmi.h>"]
    for call in model["spec"]["calls"]:
        if call["convention"] == "jump":
            lines.append(f"const unsigned char *use_{call['symbol']}(void);")
            lines.append(f"const unsigned char *use_{call['symbol']}(void) {{ return {call['c_name']}; }}")
            continue
        match = re.fullmatch(r"(.*?)(\w+)\((.*)\);", call["prototype"])
        assert match, call["prototype"]
        returns, name, parameters = match.groups()
        names = [] if parameters == "void" else [re.findall(r"\w+", p)[-1] for p in parameters.split(", ")]
        head = f"{returns}use_{call['symbol']}({parameters})"
        back = "" if returns.strip() == "void" else "return "
        lines += [f"{head};", f"{head} {{ {back}{name}({', '.join(names)}); }}"]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def model(generated: Path) -> dict[str, Any]:
    """The resolved model of the project."""
    loaded: dict[str, Any] = json.loads((generated / "model.json").read_text())
    return loaded


REGISTERS = ["eax", "ecx", "edx", "ebx", "flags", "ebp", "esi", "edi"]
"""By the processor's numbers; esp's place is taken by the flags, for esp is always kept."""


@pytest.mark.parametrize("optimization", ["-O0", "-O2"])
@pytest.mark.parametrize("position", ["-fno-pic", "-fpic", "-fPIE"])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_wrapper(
    compiler: str,
    dialect: str,
    position: str,
    optimization: str,
    model: dict[str, Any],
    generated: Path,
    tmp_path: Path,
) -> None:
    language = DIALECTS[dialect]
    flags = [*STRICT, standard(compiler, dialect), position, optimization]
    flags += ["-Wmissing-prototypes", "-Wstrict-prototypes"] if language == "c" else ["-Wno-long-long"]
    if dialect == "c++98" and compiler == "clang":
        flags.append("-Wno-c++11-long-long")
    done = compiles(compiler, users(model), tmp_path, generated / "include", *flags, language=language)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("header", ["vmi/vmi.h", "vmi/constants.h"])
@pytest.mark.parametrize("language", ["c", "c++", "assembler-with-cpp"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_each_header_alone_and_twice(
    compiler: str, language: str, header: str, generated: Path, tmp_path: Path
) -> None:
    if header == "vmi/vmi.h" and language == "assembler-with-cpp":
        source = (
            "#include <vmi/constants.h>\n.long VMI_ORDINALS, VMI_SIZEOF_AP_STATE, VMI_PAGE_PT, VMI_EINVAL\n"
        )
    else:
        source = f"#include <{header}>\n#include <{header}>\n"
    done = compiles(compiler, source, tmp_path, generated / "include", "-Wall", "-Werror", language=language)
    assert done.returncode == 0, done.stderr


INTEGERS = "".join(
    f"extern {name}_t of_{name};\n{name}_t of_{name} = 1;\n"
    for bits in ("8", "16", "32", "64", "ptr")
    for name in (f"int{bits}", f"uint{bits}")
)
"""Each type of an integer that a kernel and the header share."""


@pytest.mark.parametrize(
    ("dialect", "language"),
    [*DIALECTS.items(), ("c17", "c"), ("gnu17", "c"), ("c++20", "c++"), ("gnu++20", "c++")],
)
@pytest.mark.parametrize("arch", COMPILE)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_one_header_is_enough(
    compiler: str, arch: str, dialect: str, language: str, generated_for: dict[str, Path], tmp_path: Path
) -> None:
    """With nothing before it: a kernel has addresses as numbers, too."""
    source = f"#include <vmi/vmi.h>\n{INTEGERS}extern uintptr_t at;\nuintptr_t at = (uintptr_t)&of_uint8;\n"
    flags = ("-Wall", "-Werror", "-mgeneral-regs-only", standard(compiler, dialect))
    include = generated_for[arch] / "include"
    done = compiles(compiler, source, tmp_path, include, *flags, language=language, arch=arch)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "order", [("stdint.h", "vmi/vmi.h"), ("vmi/vmi.h", "stdint.h")], ids=["before", "after"]
)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_beside_stdint(
    compiler: str, order: tuple[str, str], dialect: str, generated: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source.c"
    source.write_text("".join(f"#include <{header}>\n" for header in order) + "uint64_t value;\n")
    command = [
        compiler,
        "-m32",
        "-ffreestanding",
        standard(compiler, dialect),
        "-x",
        DIALECTS[dialect],
        "-Wall",
        "-Werror",
    ]
    command += [f"-I{generated}/include", "-c", str(source), "-o", str(tmp_path / "out.o")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("compiler", COMPILERS)
def test_another_architecture_is_refused_clearly(compiler: str, generated: Path, tmp_path: Path) -> None:
    done = compiles(compiler, "#include <vmi/vmi.h>\n", tmp_path, generated / "include", "-m64")
    assert done.returncode != 0
    assert "vmi/vmi.h is for i386 only; compile for it (on a PC: -m32)" in done.stderr


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_wrong_layout_does_not_compile(compiler: str, generated: Path, tmp_path: Path) -> None:
    """The assertions are there to fail: for each structure, an option that moves its fields is noticed."""
    for dialect, language in DIALECTS.items():
        flags = (standard(compiler, dialect), "-fpack-struct=1")
        done = compiles(
            compiler, "#include <vmi/vmi.h>\n", tmp_path, generated / "include", *flags, language=language
        )
        assert done.returncode != 0


@pytest.mark.parametrize("optimization", ["-O0", "-O2"])
@pytest.mark.parametrize("position", ["-fno-pic", "-fpic"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_wrapper_is_one_call_with_its_record(
    compiler: str, position: str, optimization: str, model: dict[str, Any], generated: Path, tmp_path: Path
) -> None:
    flags = (position, optimization, "-fno-asynchronous-unwind-tables")
    done = compiles(compiler, users(model), tmp_path, generated / "include", *flags)
    assert done.returncode == 0, done.stderr
    calls = [call for call in model["spec"]["calls"] if call["convention"] != "jump"]
    by_name = {call["c_name"]: call for call in calls}
    with (tmp_path / "out.o").open("rb") as stream:
        elf = ELFFile(stream)
        symbols = elf.get_section_by_name(".symtab")
        text = elf.get_section_by_name(".text")
        sites = elf.get_section_by_name(".vmi.sites")
        assert sites["sh_flags"] == 2, "read-only data that is loaded"
        records = sites.data()
        assert len(records) == 8 * len(calls)
        targets = {
            r["r_offset"]: symbols.get_symbol(r["r_info_sym"]).name
            for r in elf.get_section_by_name(".rel.text").iter_relocations()
        }
        code = text.data()
        called = {}
        for i, relocation in enumerate(elf.get_section_by_name(".rel.vmi.sites").iter_relocations()):
            symbol = symbols.get_symbol(relocation["r_info_sym"])
            record = records[8 * i : 8 * i + 8]
            address = symbol["st_value"] + int.from_bytes(record[:4], "little")
            assert code[address] == 0xE8, "the record names the call instruction"
            call = by_name[targets[address + 1]]
            assert record[6] == call["site"]
            kept = [register for register in call["kept"] if register != "esp"]
            assert record[7] == sum(1 << REGISTERS.index(register) for register in kept)
            called[targets[address + 1]] = int.from_bytes(record[4:6], "little")
    assert called == {call["c_name"]: call["ordinal"] for call in calls}


NUMBERS = [
    *("rax", "rcx", "rdx", "rbx", "flags", "rbp", "rsi", "rdi"),
    *(f"r{number}" for number in range(8, 16)),
]
"""x86-64's by the processor's numbers."""


@pytest.fixture(scope="module")
def model64(generated_for: dict[str, Path]) -> dict[str, Any]:
    """The resolved model for x86-64."""
    loaded: dict[str, Any] = json.loads((generated_for["x86_64"] / "model.json").read_text())
    return loaded


def parts(model: dict[str, Any]) -> list[str]:
    """Those of which each library has the entry points in an object of their own."""
    return sorted({call["part"] for call in model["spec"]["calls"] if "part" in call})


KERNEL = ("-mcmodel=kernel", "-fno-pic", "-mno-red-zone", "-mgeneral-regs-only", "-O2")
"""As a kernel at -2 GiB is compiled."""


@pytest.mark.parametrize("flags", [KERNEL, ("-fpic", *KERNEL[2:])], ids=["kernel", "pic"])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_wrapper_on_x86_64(
    compiler: str,
    dialect: str,
    flags: tuple[str, ...],
    model64: dict[str, Any],
    generated_for: dict[str, Path],
    tmp_path: Path,
) -> None:
    language = DIALECTS[dialect]
    options = [*STRICT, standard(compiler, dialect), *flags]
    options += ["-Wmissing-prototypes", "-Wstrict-prototypes"] if language == "c" else ["-Wno-long-long"]
    if dialect == "c++98" and compiler == "clang":
        options.append("-Wno-c++11-long-long")
    include = generated_for["x86_64"] / "include"
    done = compiles(compiler, users(model64), tmp_path, include, *options, language=language, arch="x86_64")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("language", ("c", "c++"))
@pytest.mark.parametrize("arch", COMPILE)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_kernel_that_would_use_sse_is_refused(
    compiler: str, arch: str, language: str, generated_for: dict[str, Path], tmp_path: Path
) -> None:
    """One line that names the flags; who saves the registers says so, and bindgen makes no code."""
    include = generated_for[arch] / "include"
    source = "#include <vmi/vmi.h>\n"
    done = compiles(compiler, source, tmp_path, include, "-msse2", language=language, arch=arch)
    assert done.returncode != 0
    errors = [line for line in done.stderr.splitlines() if " error: " in line]
    flags = {"i386": "-mgeneral-regs-only", "x86_64": "-mno-red-zone -mgeneral-regs-only"}[arch]
    assert len(errors) == 1 and f"uses SSE registers, which nobody saves; add {flags} (or " in errors[0]
    for more in ("-mgeneral-regs-only", "-DVMI_ALLOW_SSE", "-D__BINDGEN__"):
        done = compiles(compiler, source, tmp_path, include, "-msse2", more, language=language, arch=arch)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_wrapper_on_x86_64_is_one_call_with_its_record(
    compiler: str, model64: dict[str, Any], generated_for: dict[str, Path], tmp_path: Path
) -> None:
    """A record of 12 bytes: distance, ordinal, registers that live on, length of the site, three of zero."""
    flags = (*KERNEL, "-fno-asynchronous-unwind-tables")
    include = generated_for["x86_64"] / "include"
    done = compiles(compiler, users(model64), tmp_path, include, *flags, arch="x86_64")
    assert done.returncode == 0, done.stderr
    calls = {call["c_name"]: call for call in model64["spec"]["calls"] if call["convention"] != "jump"}
    with (tmp_path / "out.o").open("rb") as stream:
        elf = ELFFile(stream)
        symbols = elf.get_section_by_name(".symtab")
        code = elf.get_section_by_name(".text").data()
        records = elf.get_section_by_name(".vmi.sites").data()
        targets = {
            r["r_offset"]: symbols.get_symbol(r["r_info_sym"]).name
            for r in elf.get_section_by_name(".rela.text").iter_relocations()
        }
        sites = list(elf.get_section_by_name(".rela.vmi.sites").iter_relocations())
        found = [
            (relocation, symbols.get_symbol(relocation["r_info_sym"])["st_value"]) for relocation in sites
        ]
    assert len(records) == 12 * len(calls) == 12 * len(sites)
    called = {}
    for i, (relocation, value) in enumerate(found):
        assert relocation["r_offset"] == 12 * i
        address = value + relocation["r_addend"]
        assert code[address] == 0xE8, "the record names the call instruction"
        call = calls[targets[address + 1]]
        _, ordinal, live, length, rest = struct.unpack_from("<IHHB3s", records, 12 * i)
        kept = [register for register in call["kept"] if register != "rsp"]
        assert live == sum(1 << NUMBERS.index(register) for register in kept)
        assert (length, rest) == (call["site"], bytes(3))
        called[call["c_name"]] = ordinal
    assert called == {name: call["ordinal"] for name, call in calls.items()}


@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_other_files_on_x86_64(
    compiler: str, model64: dict[str, Any], generated_for: dict[str, Path], tmp_path: Path
) -> None:
    """Jumps of assembly, tables, and instructions in place of calls."""
    generated = generated_for["x86_64"]
    include = generated / "include"
    jumps = [call for call in model64["spec"]["calls"] if call["convention"] == "jump"]
    source = "#include <vmi/constants.h>\n" + "".join(f"VMI_{c['symbol'].upper()}\n" for c in jumps)
    done = compiles(compiler, source, tmp_path, include, language="assembler-with-cpp", arch="x86_64")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out.o").open("rb") as stream:
        records = ELFFile(stream).get_section_by_name(".vmi.sites").data()
    ordinals = [struct.unpack_from("<IHHB", record)[1] for (record,) in struct.iter_unpack("12s", records)]
    assert ordinals == [call["ordinal"] for call in jumps]
    for backend in model64["backends"]:
        name = backend["name"]
        for file, language, flags in (
            (f"{name}/stubs.S", "assembler-with-cpp", ()),
            *((f"{name}/stubs-{part}.S", "assembler-with-cpp", ()) for part in parts(model64)),
            (f"{name}/hypercalls.S", "assembler-with-cpp", ()),
            ("slots.S", "assembler-with-cpp", ()),
            ("pointers.S", "assembler-with-cpp", ()),
            (
                f"{name}/calls.c",
                "c",
                (*STRICT, "-std=gnu11", "-Wno-overlength-strings"),
            ),
            (f"{name}/routines.h", "c", (*STRICT, "-std=c99")),
            (f"{name}/routines.h", "c++", (*STRICT, "-std=c++11")),
            (f"{name}/hypercalls.h", "c", (*STRICT, "-std=c99")),
            (f"{name}/hypercalls.h", "c++", (*STRICT, "-std=c++11")),
        ):
            source = f'#include "{generated / file}"\n'
            if file.endswith(".h"):
                source += "#include <vmi/vmi.h>\n"
            done = compiles(
                compiler,
                source,
                tmp_path,
                include,
                f"-I{generated}",
                "-mgeneral-regs-only",
                *flags,
                language=language,
                arch="x86_64",
            )
            assert done.returncode == 0, (file, done.stderr)
        inline = (f'-DVMI_INLINE="{name}/inline.inc"', f"-Wa,-I{generated}", *KERNEL[2:])
        done = compiles(compiler, users(model64), tmp_path, include, *inline, arch="x86_64")
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("compiler", COMPILERS)
def test_jumps_of_assembly_are_recorded(
    compiler: str, model: dict[str, Any], generated: Path, tmp_path: Path
) -> None:
    jumps = [call for call in model["spec"]["calls"] if call["convention"] == "jump"]
    source = "#include <vmi/constants.h>\n" + "".join(f"VMI_{c['symbol'].upper()}\n" for c in jumps)
    for counting in ([], ["-DVMI_COUNT_CALLS"]):
        done = compiles(
            compiler, source, tmp_path, generated / "include", *counting, language="assembler-with-cpp"
        )
        assert done.returncode == 0, done.stderr
        with (tmp_path / "out.o").open("rb") as stream:
            elf = ELFFile(stream)
            text = elf.get_section_by_name(".text").data()
            records = elf.get_section_by_name(".vmi.sites").data()
        assert len(records) == 8 * len(jumps)
        for i, call in enumerate(jumps):
            address, ordinal, length, _ = struct.unpack_from("<IHBB", records, 8 * i)
            assert (text[address], ordinal, length) == (0xE9, call["ordinal"], call["site"])
        assert text.count(b"\xf0\xff\x05") == (len(jumps) if counting else 0)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_instructions_in_place_of_calls(
    compiler: str, model: dict[str, Any], generated: Path, tmp_path: Path
) -> None:
    """With VMI_INLINE a call is left only where the backend has no instructions that can stand alone."""
    for backend in model["backends"]:
        flags = (f'-DVMI_INLINE="{backend["name"]}/inline.inc"', f"-Wa,-I{generated}", "-O2")
        done = compiles(compiler, users(model), tmp_path, generated / "include", *flags)
        assert done.returncode == 0, done.stderr
        with (tmp_path / "out.o").open("rb") as stream:
            elf = ELFFile(stream)
            assert elf.get_section_by_name(".vmi.sites") is None
            called = {
                symbol.name
                for symbol in elf.get_section_by_name(".symtab").iter_symbols()
                if symbol["st_shndx"] == "SHN_UNDEF" and symbol.name.startswith("vmi_")
            }
        ways = {
            call["c_name"]: backend["calls"][call["name"]]
            for call in model["spec"]["calls"]
            if call["convention"] != "jump"
        }
        alone = {
            name
            for name, way in ways.items()
            if way["kind"] == "instruction"
            and not way["forms"]
            and not re.search("esp|:|ret|j", " ".join(way["instructions"][:-1]))
        }
        assert called & set(ways) == set(ways) - alone


@pytest.mark.parametrize("compiler", COMPILERS)
def test_records_of_a_dropped_inline_function_go_with_it(
    compiler: str, generated: Path, tmp_path: Path
) -> None:
    """In C++ each source file has its instance of an inline function, and the linker keeps one."""
    source = """
        #include <vmi/vmi.h>
        inline uint32_t shared() { return vmi_get_cr0(); }
        uint32_t (*FUNCTION)() = shared;
    """
    objects = []
    for name in ("first", "second"):
        done = compiles(
            compiler,
            source,
            tmp_path,
            generated / "include",
            f"-DFUNCTION={name}",
            "-fno-pic",
            language="c++",
        )
        assert done.returncode == 0, done.stderr
        objects.append(str((tmp_path / "out.o").rename(tmp_path / f"{name}.o")))
    command = [
        "ld",
        "-m",
        "elf_i386",
        "--defsym",
        "vmi_get_cr0=0",
        "--entry",
        "0",
        *objects,
        "-o",
        str(tmp_path / "linked"),
    ]
    linked = subprocess.run(command, capture_output=True, text=True)
    assert linked.returncode == 0, linked.stderr
    with (tmp_path / "linked").open("rb") as stream:
        assert len(ELFFile(stream).get_section_by_name(".vmi.sites").data()) == 8


@pytest.mark.parametrize("compiler", COMPILERS)
def test_calls_are_counted_on_request(
    compiler: str, model: dict[str, Any], generated: Path, tmp_path: Path
) -> None:
    done = compiles(
        compiler, users(model), tmp_path, generated / "include", "-DVMI_COUNT_CALLS", "-O2", "-fno-pic"
    )
    assert done.returncode == 0, done.stderr
    listing = subprocess.run(
        ["objdump", "-dr", str(tmp_path / "out.o")], capture_output=True, text=True, check=True
    ).stdout
    calls = [call for call in model["spec"]["calls"] if call["convention"] != "jump"]
    assert len(re.findall(r"lock incl? ", listing)) == len(calls)
    for call in calls:
        body = listing.split(f"<use_{call['symbol']}>:", 1)[1].split(">:\n", 1)[0]
        counter = re.search(r"lock incl (0x[0-9a-f]+|\d+)\s.*?vmi_call_count", body, re.DOTALL)
        assert counter and int(counter.group(1), 16) == 4 * call["ordinal"], call["name"]


@pytest.mark.parametrize("compiler", COMPILERS)
def test_no_text_of_a_person_becomes_code(compiler: str, tmp_path: Path) -> None:
    """Texts that end comments and strings, or that a table of Markdown would take for its own."""
    hostile = """*/ /* " ' \\\\ ??/ ??> %s | < # // é ‮ {{ x }} {% if %}"""
    quoted = json.dumps(hostile, ensure_ascii=False)
    project = tmp_path / "small"
    shutil.copytree(SMALL, project)
    spec = project / "vmi.yaml"
    replaced = re.sub(r"summary: (\"[^\"]*\"|[^,}\n]*)", lambda _: f"summary: {quoted}", spec.read_text())
    spec.write_text(re.sub(r"unit: \w+", lambda _: f"unit: {quoted}", replaced))
    backend = project / "backends/bare/backend.yaml"
    backend.write_text(backend.read_text().replace('"a machine has no | state"', quoted))
    out = tmp_path / "out"
    run = process("generate", "--spec", spec, "--backends", backend.parent, "--out", out)
    assert run.status == 0, run.err
    source = users(json.loads((out / "model.json").read_text()))
    flags = (
        "-std=c99",
        "-trigraphs",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Wno-unicode-homoglyph",
        "-Wno-bidi-chars",
    )
    known = [flag for flag in flags if compiler == "clang" or "homoglyph" not in flag]
    done = compiles(compiler, source, tmp_path, out / "include", *known, "-Wno-unknown-warning-option")
    assert done.returncode == 0, done.stderr
    for name, language in (("stubs.S", "assembler-with-cpp"), ("calls.c", "c"), ("routines.h", "c")):
        include = f'#include "{out / "bare" / name}"\n'
        done = compiles(compiler, include, tmp_path, out / "include", f"-I{out}", "-Wall", language=language)
        assert done.returncode == 0, done.stderr
    rows = [line for line in (out / "support-matrix.md").read_text().splitlines() if "Fetch" in line]
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [4]


@pytest.mark.parametrize("compiler", COMPILERS)
def test_assembly_and_tables_of_each_backend(
    compiler: str, model: dict[str, Any], generated: Path, tmp_path: Path
) -> None:
    include = generated / "include"
    for backend in model["backends"]:
        folder = generated / backend["name"]
        for name, language, flags in (
            ("stubs.S", "assembler-with-cpp", ()),
            *((f"stubs-{part}.S", "assembler-with-cpp", ()) for part in parts(model)),
            ("hypercalls.S", "assembler-with-cpp", ()),
            ("calls.c", "c", (*STRICT, "-std=gnu11", "-Wmissing-prototypes", "-Wno-overlength-strings")),
            ("routines.h", "c", (*STRICT, "-std=c99")),
            ("routines.h", "c++", (*STRICT, "-std=c++11")),
            ("hypercalls.h", "c", (*STRICT, "-std=c99")),
            ("hypercalls.h", "c++", (*STRICT, "-std=c++11")),
        ):
            source = f'#include "{folder / name}"\n#include <vmi/constants.h>\n'
            if language != "assembler-with-cpp":
                source += (
                    "extern const uint32_t vmi__unused;\n" if name == "calls.c" else "#include <vmi/vmi.h>\n"
                )
            done = compiles(compiler, source, tmp_path, include, f"-I{generated}", *flags, language=language)
            assert done.returncode == 0, done.stderr
