# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""A call more is a part of the specification and a line per root backend; damage ends in messages."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from vmigen_runs import ARCHITECTURES, PROJECT, Vmigen, folders, process, real, tree

from tests.seeds import numbers

CALL = """
  - name: TakeTemperature
    symbol: take_temperature
    ordinal: {ordinal}
    group: extension
    category: {category}
    since: "3.1"
    summary: Read the temperature of a processor.
    replaces: a look at the fan
    convention: c
    arguments:
      - {{name: cpu, type: u32, registers: {{i386: [eax]}}, summary: Which.}}
    result: {{type: s32, registers: {{i386: [eax]}}, summary: The temperature., unit: kelvin}}
    clobbers: {{i386: [ecx, edx, flags], x86_64: scratch}}
    memory: false
    suspend: none
    stack: 256
    interruptible: false
    source: a thermometer
"""


def copy(folder: Path) -> Path:
    """The parts of the project that the generator reads, and itself."""
    project = folder / "project"
    for part in ("spec", "codegen"):
        shutil.copytree(PROJECT / part, project / part, ignore=shutil.ignore_patterns("__pycache__"))
    for backend in folders():
        (project / "backends" / backend.name).mkdir(parents=True)
        shutil.copy(backend / "backend.yaml", project / "backends" / backend.name)
        if (backend / "templates").is_dir():
            shutil.copytree(backend / "templates", project / "backends" / backend.name / "templates")
    return project


def generate(project: Path, out: Path, arch: str = "i386") -> tuple[int, str]:
    """Runs the copy's own generator."""
    run = process("generate", *real(project, arch), "--out", out, PYTHONPATH=str(project / "codegen"))
    return run.status, run.err


@pytest.mark.parametrize("category", ["processors", "weather"])
def test_adding_a_call(category: str, tmp_path: Path) -> None:
    project = copy(tmp_path)
    assert generate(project, tmp_path / "before") == (0, "")
    before = tree(project)
    model = json.loads((tmp_path / "before/model.json").read_text())
    # Calls of the other architecture have ordinals, too.
    specification = (project / "spec/vmi.yaml").read_text()
    ordinal = (
        max(int(number) for number in re.findall(r"^    ordinal: (\d+)", specification, re.MULTILINE)) + 1
    )

    with (project / "spec/vmi.yaml").open("a") as stream:
        stream.write(CALL.format(ordinal=ordinal, category=category))
    status, errors = generate(project, tmp_path / "after")
    roots = [backend["name"] for backend in model["backends"] if backend["inherits"] is None]
    assert status == 1
    assert errors.count("call 'TakeTemperature' is left out") == errors.count("\n") >= len(roots)
    for name in re.findall(r"/(\w+)/backend\.yaml:", errors):
        with (project / "backends" / name / "backend.yaml").open("a") as stream:
            stream.write(f"  TakeTemperature: {{routine: vmi__{name}_take_temperature}}\n")

    assert generate(project, tmp_path / "after") == (0, "")
    assert generate(project, tmp_path / "after64", "x86_64") == (0, "")
    header = (tmp_path / "after64/include/vmi/vmi.h").read_text()
    assert "int32_t vmi_take_temperature(uint32_t cpu)" in header
    after = tree(project)
    touched = {path for path in after if before.get(path) != after[path] and "__pycache__" not in path}
    assert touched <= {
        "spec/vmi.yaml",
        *(f"backends/{backend['name']}/backend.yaml" for backend in model["backends"]),
    }
    assert {f"backends/{name}/backend.yaml" for name in roots} <= touched

    out = tmp_path / "after"
    header = (out / "include/vmi/vmi.h").read_text()
    assert "TakeTemperature" in header and "int32_t vmi_take_temperature(uint32_t cpu)" in header
    assert f"#define VMI_ORDINAL_TAKE_TEMPERATURE {ordinal}" in (out / "include/vmi/constants.h").read_text()
    assert "TakeTemperature" in (out / "support-matrix.md").read_text()
    page = (out / f"reference/{category}.md").read_text()
    assert "## TakeTemperature" in page and "kelvin" in page
    grown = json.loads((out / "model.json").read_text())
    assert any(call["name"] == "TakeTemperature" for call in grown["spec"]["calls"])
    for backend in model["backends"]:
        name = backend["name"]
        assert "\nvmi_take_temperature:\n" in (out / name / "stubs.S").read_text()
        assert "_take_temperature(uint32_t cpu);" in (out / name / "routines.h").read_text()
        assert '"TakeTemperature"' in (out / name / "calls.c").read_text(), (
            "the table that the test kernels go through"
        )
    source = tmp_path / "use.c"
    source.write_text(
        "#include <vmi/vmi.h>\nint32_t use(void);\nint32_t use(void) { return vmi_take_temperature(0); }\n"
    )
    subprocess.run(
        [
            "gcc",
            "-m32",
            "-nostdinc",
            "-Werror",
            f"-I{out}/include",
            "-c",
            str(source),
            "-o",
            str(tmp_path / "use.o"),
        ],
        check=True,
    )


def test_adding_a_backend_folder_and_removing_it(tmp_path: Path) -> None:
    project = copy(tmp_path)
    assert generate(project, tmp_path / "out") == (0, "")
    before = tree(tmp_path / "out")
    new = project / "backends" / "brandnew"
    new.mkdir()
    roots = [f for f in folders(project) if "inherits:" not in (f / "backend.yaml").read_text()]
    (new / "backend.yaml").write_text(
        "name: brandnew\ntitle: Brand New\nsummary: New.\narchitectures: [i386]\n"
        f"inherits: {roots[0].name}\ndefaults: inherited\n"
    )
    assert generate(project, tmp_path / "out") == (0, "")
    assert "Brand New" in (tmp_path / "out/support-matrix.md").read_text()
    assert (tmp_path / "out/brandnew/stubs.S").exists()
    shutil.rmtree(new)
    assert generate(project, tmp_path / "again") == (0, "")
    assert tree(tmp_path / "again") == before


MUTATIONS = 80
JUNK = [
    *("", " ", "\t", "\n", "é", "\u2028", *":-[]{}'\"#&*!|>%@`~\\"),
    *("&a", "*a", "null", "yes", "0", "-1", "9" * 20, "1e999", ".inf"),
    *("eax", "stack9", "u64", "flags", "inherited"),
    *("r8", "x86_64", "[x86_64]", "scratch", "word"),
]


def mutate(text: str, dice: random.Random) -> str:
    """A text with one to three small accidents."""
    for _ in range(dice.choice([1, 1, 1, 2, 3])):
        lines = text.split("\n")
        kind = dice.randrange(9)
        i = dice.randrange(len(lines))
        if kind == 0:
            del lines[i]
        elif kind == 1:
            lines.insert(i, lines[dice.randrange(len(lines))])
        elif kind == 2:
            j = dice.randrange(len(lines))
            lines[i], lines[j] = lines[j], lines[i]
        elif kind == 3:
            lines[i] = " " * dice.randint(1, 3) + lines[i]
        elif kind == 4:
            lines[i] = lines[i][dice.randint(1, 3) :]
        elif kind == 5:
            words = re.split(r"(\W+)", lines[i])
            words[dice.randrange(len(words))] = dice.choice(JUNK)
            lines[i] = "".join(words)
        elif kind == 6:
            at = dice.randint(0, len(lines[i]))
            lines[i] = lines[i][:at] + dice.choice(JUNK) + lines[i][at:]
        elif kind == 7:
            lines[i] = re.sub(
                r"\d+", lambda _: str(dice.choice([0, 1, 2, 7, 63, 64, 128, 4096, 2**31])), lines[i]
            )
        elif len(lines) > 40:
            lines = lines[: dice.randint(20, len(lines))]
        text = "\n".join(lines) or "a"
    return text


@pytest.mark.seeded
@pytest.mark.parametrize("seed", numbers([3, 1409]))
def test_damaged_input_is_told_never_a_traceback(
    seed: int, vmigen: Vmigen, generated: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each mutation ends 0 with all outputs or 1 with messages in the one form and no output."""
    dice = random.Random(seed)
    complete = set(tree(generated))
    project = copy(tmp_path)
    sources = [project / "spec/vmi.yaml", *(folder / "backend.yaml" for folder in folders(project))]
    good = {path: path.read_text() for path in sources}
    ends = {0: 0, 1: 0}
    start = time.monotonic()
    for number in range(MUTATIONS // 2):
        path = sources[0] if dice.random() < 0.6 else dice.choice(sources)
        path.write_text(mutate(good[path], dice))
        out = tmp_path / f"out{number}"
        run = vmigen("generate", *real(project, dice.choice(ARCHITECTURES)), "--out", out)
        ends[run.status] += 1
        if run.status:
            for line in run.err.splitlines():
                told = r"[^:]+:\d+:\d+: error: .+; .+; .+|\d+ problems; the first 100 are shown"
                assert re.fullmatch(told, line), (number, line)
            assert run.err
            assert not out.exists()
        else:
            assert run.err == ""
            assert {path for path in tree(out) if path.startswith("include/")} <= complete
            assert not [path for path, data in tree(out).items() if not data]
            shutil.rmtree(out)
        path.write_text(good[path])
    assert ends[1] > ends[0] / 4, "most accidents do harm"
    with capfd.disabled():
        seconds = time.monotonic() - start
        print(f"\n# seed {seed}: {ends[0]} mutations harmless, {ends[1]} refused, {seconds:.0f} s")
