# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Fixtures of the linter's tests: objects made from source, and the linter run on them in this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from lint_runs import CC, PLAIN, Build, Lint, Run, make
from vmi_lint.cli import main


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """build(source, bits, *flags, name=, suffix=, cc=): an object."""

    def run(
        source: str, bits: int, *flags: str, name: str = "made", suffix: str = ".S", cc: str = ""
    ) -> Path:
        file = tmp_path / f"{name}{suffix}"
        file.write_text(source)
        out = tmp_path / f"{name}-{bits}.o"
        compiler = [cc, f"-m{bits}"] if cc else CC[bits]
        plain = PLAIN if suffix == ".c" else ()
        make([*compiler, *plain, "-fno-pic", *flags, "-c", file, "-o", out])
        return out

    return run


@pytest.fixture
def lint(capsys: pytest.CaptureFixture[str]) -> Lint:
    """Runs the linter."""

    def run(*arguments: object) -> Run:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Run(status, captured.out, captured.err)

    return run
