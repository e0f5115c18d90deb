# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""No machine outlives whoever started it, however that ended."""

from __future__ import annotations

import functools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ci.build import kernels
from ci.lint import tracked

from ..guests import places

BOUND_SECONDS = 300
"""For what happens at once on a machine that is not busy."""


def status(pid: int) -> dict[str, str]:
    """A process by proc(5); empty if there is none, or only what is left of it until it is waited for."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    found = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return {} if found["State"].startswith(("Z", "X")) else found


def below(pid: int) -> dict[int, str]:
    """All living descendants of a process, with their programs' names."""
    everything = {int(path.name): status(int(path.name)) for path in Path("/proc").glob("[0-9]*")}
    found = {pid: ""}
    for _ in range(8):
        found |= {
            each: fields["Name"]
            for each, fields in everything.items()
            if fields and int(fields["PPid"]) in found
        }
    return {each: name for each, name in found.items() if each != pid}


def with_machine(pid: int) -> set[int]:
    """What is below a process while there is a machine; nothing before. One look: a QEMU that is only asked
    for its version is gone at the next."""
    found = below(pid)
    return set(found) if any(name.startswith("qemu") for name in found.values()) else set()


def wait_until(what: str, true: object) -> None:
    deadline = time.monotonic() + BOUND_SECONDS
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@contextmanager
def front_door(*command: str | Path) -> Iterator[tuple[subprocess.Popen[bytes], set[int]]]:
    """A front door with a machine that does not end by itself, and all processes that it has started. Whoever
    starts the tests may ignore SIGHUP, as nohup does; the front door does not."""
    # A worker's tests are not to take this run for theirs.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment,
        preexec_fn=functools.partial(signal.signal, signal.SIGHUP, signal.SIG_DFL),
    ) as process:  # fmt: skip
        try:
            started: set[int] = set()
            wait_until("no QEMU", lambda: started.update(with_machine(process.pid)) or started)
            yield process, started
        finally:
            for pid in below(process.pid):
                os.kill(pid, signal.SIGKILL)
            process.kill()


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_is_left_of_a_run(root: Path, sent: signal.Signals) -> None:
    place = next(place for place in places() if place.rig.instruction_counter)
    kernel = kernels("sample")[place.backend]
    words = ("run", str(place), kernel, "--append", "checks=none test=hang")
    with front_door(root / "vmi", *words) as (process, started):
        process.send_signal(sent)
        wait_until("the front door runs on", lambda: process.poll() is not None)
        wait_until(f"left after {sent.name}", lambda: not any(status(pid) for pid in started))


def test_nothing_is_left_of_tests_with_workers(root: Path, tmp_path: Path) -> None:
    """`./vmi test` starts pytest, which starts workers, which start machines."""
    place = next(place for place in places() if place.rig.instruction_counter)
    # Where the scheduler finds a folder and a file of it.
    folder = tmp_path / "tests/hang"
    folder.mkdir(parents=True)
    (folder / "test_hang.py").write_text(
        f"""\
from ci.build import kernels
from ci.cli import main

def test_hang():
    kernel = str(kernels("sample")[{place.backend!r}])
    assert main(["run", {str(place)!r}, kernel, "--append", "checks=none test=hang"]) == 0
"""
    )
    options = ["-n", "1", "-p", "no:cacheprovider", f"-c{root}/pyproject.toml", "--rootdir", tmp_path, folder]
    code = f"from ci.testing import pytest; pytest({list(map(str, options))}, [])"
    with front_door(sys.executable, "-c", code) as (process, started):
        assert len(started) >= 3, "pytest, a worker and a machine"
        process.kill()
        wait_until("left", lambda: not any(status(pid) for pid in started))


def test_a_child_whose_parent_has_ended_before_it_could_be_tied_ends() -> None:
    """The parent's end would never be told to it: it sees that it has another parent."""
    code = (
        "import os, time; from ci.util import die_with; parent = os.getpid()\n"
        "if os.fork(): os._exit(0)\n"
        "while os.getppid() == parent: time.sleep(0.01)\n"
        "die_with(parent); print('alive', flush=True)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_machine_is_tied(root: Path) -> None:
    """Whatever starts QEMU by itself does it so that QEMU ends with it."""
    by_itself = re.compile(r'\["qemu-system-|= \[\s*"qemu-system-|command_line = \[')
    named = ["ci/guest.py", "ci/probe.py", "ci/testing.py", "ci/bench.py", "tests/mutation/__main__.py"]
    for name in tracked():
        if name.startswith(("tests/", "backends/")) and name.endswith(".py"):
            text = (root / name).read_text()
            if by_itself.search(text) and "subprocess." in text and name != "tests/ci/test_orphans.py":
                named.append(name)
    assert len(named) > 5
    missing = [name for name in named if "preexec_fn=tied()" not in (root / name).read_text()]
    assert missing == [], "subprocess needs preexec_fn=tied() of ci/util.py there"
