# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Fixtures of the generator's tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from vmigen_runs import ARCHITECTURES, PROJECT, Run, Vmigen, process, real

sys.path.insert(0, str(PROJECT / "codegen"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-goldens`: take what is generated now as right; look at the difference before a commit."""
    parser.addoption("--update-goldens", action="store_true", help="rewrite tests/codegen/golden")


@pytest.fixture
def vmigen(capfd: pytest.CaptureFixture[str]) -> Vmigen:
    """Runs the generator in this process."""
    from vmigen.cli import main

    def run(*arguments: object) -> Run:
        capfd.readouterr()
        status = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Run(status, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def generated_for(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The project's specification and backends, rendered for each architecture."""
    made = {}
    for arch in ARCHITECTURES:
        made[arch] = tmp_path_factory.mktemp(f"generated-{arch}")
        run = process("generate", *real(arch=arch), "--out", made[arch])
        assert run.status == 0, run.err
    return made


@pytest.fixture(scope="session")
def generated(generated_for: dict[str, Path]) -> Path:
    """What is rendered for i386."""
    return generated_for["i386"]
