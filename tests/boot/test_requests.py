# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""A running kernel is asked for something from outside, in the way of each rig's hypervisor."""

from __future__ import annotations

import re

import pytest

from ci.rig import Outcome

from ..guests import Place, Run

NOBODY = "the kernel takes no requests, so it ends here"
"""Of what the library says of a request that no kernel takes."""

pytestmark = pytest.mark.every_architecture


def asked(
    configuration: Place, run: Run, word: str, more: str = "", cpus: int = 1
) -> tuple[Outcome, str, bool]:
    """A sample kernel that waits for a request: its outcome, its console, and whether it ended well."""
    if word not in configuration.rig.requests:
        pytest.skip(f"nobody asks a guest for {word} here")
    outcome, report = run(configuration, f"test={word} {more or 'checks=nothing'}", requests=True, cpus=cpus)
    wanted = [test for test in report.tests if test.name.startswith("test.request")]
    if any(test.status == "skip" for test in wanted):
        pytest.skip("the kernel says that nobody can ask it for anything")
    return outcome, outcome.console, outcome.clean


def test_a_kernel_ends_with_its_own_last_words(configuration: Place, run: Run) -> None:
    """Before that its CPUs are taken away, but the first, and given back, where somebody can; and memory."""
    vcpus = configuration.arch in configuration.rig.vcpus
    outcome, console, clean = asked(
        configuration, run, "poweroff", "checks=cpus.start vcpus=yes" if vcpus else "", 2 if vcpus else 1
    )
    assert "# last words: asked to power off" in console
    assert clean
    if vcpus:
        assert re.findall(r"^# vcpus online (0x\w+)$", console, re.MULTILINE) == ["0x1", "0x3"]
        # What the hypervisor has of the second one, before it is asked for one CPU and for two.
        listed = "\n".join(outcome.evidence["request"])
        states = re.findall(r"^\S+ +\d+ +1 +\S+ +(\S+)", listed, re.MULTILINE)
        assert [state == "--p" for state in states] == [False, True], listed
    if configuration.arch in configuration.rig.balloons:
        # A quarter of the memory is left, until it is asked to take all of it again.
        moved = re.search(r"^# memory target=(\d+) held=(\d+) of=(\d+)$", console, re.MULTILINE)
        assert moved
        target, held, most = map(int, moved.groups())
        assert held == min(target, most) and held > most // 2
    else:
        assert "test.memory # SKIP there is no memory balloon" in console


def test_a_key_comes_with_its_character(configuration: Place, run: Run) -> None:
    _, console, clean = asked(configuration, run, "key")
    assert "test.request_key" in console and "# last words: asked to power off" in console
    assert clean


def test_a_kernel_is_asked_to_reboot(configuration: Place, run: Run) -> None:
    """Its domain ends as one that wants to."""
    _, console, _ = asked(configuration, run, "reboot")
    assert console.rstrip().endswith("# last words: asked to reboot")


def test_a_kernel_that_takes_no_requests_is_ended(configuration: Place, run: Run) -> None:
    if not configuration.rig.requests:
        pytest.skip("nobody asks a guest for anything here")
    outcome, _ = run(configuration, "test=nobody checks=nothing", requests=True)
    assert outcome.console.rstrip().endswith(NOBODY)
    assert outcome.clean


def test_a_kernel_is_saved_and_restored(configuration: Place, run: Run) -> None:
    """Three times, on two CPUs, with its disk at work, and into other frames where it has the machine's."""
    if "suspend" not in configuration.rig.requested(configuration.arch):
        pytest.skip("nobody asks a guest for suspend here")
    if "suspend" in configuration.rig.slow:
        pytest.skip("it takes long here: ./vmi life and ./vmi test --long do it")
    outcome, report = run(
        configuration, "test=suspend checks=cpus.start rounds=3", cpus=2, requests=True, deadline=400,
        devices=True,
    )  # fmt: skip
    if any(test.name == "test.suspend" and test.status == "skip" for test in report.tests):
        pytest.skip("the kernel says that nobody can ask it for it")
    assert outcome.clean, outcome.console[-2000:]
    rounds = re.findall(r"^# suspended round=(\d) result=0 ", outcome.console, re.MULTILINE)
    assert rounds == ["0", "1", "2"]
    frames = re.findall(
        r"^# suspended .* frame=(\w+) before=(\w+) requests=32$", outcome.console, re.MULTILINE
    )
    assert len(frames) == 3
    assert any(now != before for now, before in frames)
