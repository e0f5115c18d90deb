# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What reads a domain's memory in the Xen rig (ci/xl-memory.c), with a /dev/xen/privcmd that is played."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ci.elf_core import PAGE, read_qemu

PLAYED = Path(__file__).with_name("xl_memory.c")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("xl-memory") / "xl-memory"
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", built, PLAYED], check=True)
    return built


def run(program: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([program, *words], capture_output=True, check=False)


def test_a_domain_s_memory(program: Path, tmp_path: Path) -> None:
    """What it has up to there, at its own addresses; not what lies between."""
    done = run(program, "7", "2")
    assert (done.returncode, done.stderr) == (0, b"")
    (tmp_path / "memory").write_bytes(done.stdout)
    dump = read_qemu(tmp_path / "memory", alone=True)
    assert [(piece.address // PAGE, piece.size // PAGE) for piece in dump.pieces] == [
        (2, 158), (192, 64),
    ]  # fmt: skip
    assert {frame for frame in range(300) if dump.read(frame * PAGE, PAGE)} == {
        *range(2, 160), *range(192, 256),
    }  # fmt: skip
    for frame in (2, 159, 192, 255):
        assert dump.read(frame * PAGE, PAGE) == bytes([frame]) * PAGE
    assert not dump.cpus


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("8", "1"), "mapping the domain's frames: No such process"),
        (("7",), "usage: xl-memory DOMAIN MIB"),
        (("7", "0"), "expected a number from 1 to 1048576, found 0"),
        (("7", "64m"), "expected a number from 1 to 1048576, found 64m"),
        (("70000", "1"), "expected a number from 1 to 65535, found 70000"),
    ],
)
def test_what_cannot_be_read_is_one_line(program: Path, words: tuple[str, ...], said: str) -> None:
    done = run(program, *words)
    assert done.returncode == 1 and done.stdout == b""
    (line,) = done.stderr.decode().splitlines()
    assert said in line
