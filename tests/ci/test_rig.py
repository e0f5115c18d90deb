# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Rigs as the front door sees them: discovered, cached under what goes into them, never silent."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from ci import backends, boot, nested, probe, rig
from ci.build import kernels
from ci.control import Control
from ci.kernel import architecture, is_linux
from ci.packages import Package
from ci.util import ARCHITECTURES, UserError


def tree(folder: Path, **parents: str) -> None:
    for name, parent in parents.items():
        path = folder / "backends" / name
        path.mkdir(parents=True)
        (path / "backend.yaml").write_text(f"name: {name}\n" + (f"inherits: {parent}\n" if parent else ""))


def test_backends_are_found_parents_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, alpha="beta", beta="gamma", gamma="", lonely="")
    (tmp_path / "backends/no_backend").mkdir()
    monkeypatch.setattr(backends, "ROOT", tmp_path)
    assert list(backends.backends()) == ["gamma", "beta", "alpha", "lonely"]
    assert backends.backends(["beta"]) == {"gamma": "", "beta": "gamma"}
    with pytest.raises(UserError, match="no backend delta; there are: alpha, beta, gamma, lonely"):
        backends.backends(["delta"])


def test_backends_that_inherit_in_a_circle_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator reports the circle; finding the folders must only come to an end."""
    tree(tmp_path, alpha="beta", beta="alpha")
    monkeypatch.setattr(backends, "ROOT", tmp_path)
    assert sorted(backends.backends()) == ["alpha", "beta"]


def test_a_new_folder_is_a_new_rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """A folder with a rig.py is all that it takes."""
    tree(tmp_path, bare="")
    (tmp_path / "backends/bare/rig.py").write_text((root / "backends/native/rig.py").read_text())
    for module in (backends, rig):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    found = rig.discover(print)
    assert list(found) == ["bare"]
    assert found["bare"].folder == tmp_path / "backends/bare"
    configurations = [configuration for _, configuration in boot.choose(found, ["bare"])]
    assert configurations == list(found["bare"].configurations)
    with pytest.raises(UserError, match="no configuration other; there are: "):
        boot.choose(found, ["other"])


class SmallRig(rig.LinuxRig):
    configurations = ()
    modules = ()
    module_paths = ()

    def fill(self, archive: object, trees: list[Path], image: Path) -> dict[str, str]:
        return {}

    def describe(self) -> dict[str, str]:
        return {}

    def session(self, logs: Path) -> object:  # type: ignore[override]
        raise AssertionError("never opened here")

    def inputs(self) -> list[Path]:
        return [self.folder / "input"]


def test_image_is_named_after_everything_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, small="")
    folder = tmp_path / "backends/small"
    ours = [tmp_path / "ci" / name for name in ("rig.py", "packages.py", "initramfs.py", *rig.SCRIPTS)]
    sources = [*ours, *(folder / name for name in ("rig-init.sh", "a.cfg", "input"))]
    (tmp_path / "ci").mkdir()
    for path in sources:
        path.write_text("1")
    monkeypatch.setattr(rig, "ROOT", tmp_path)
    small = SmallRig("small", print)
    package = Package("linux", "6.1", 1, "abc")
    keys = [small._key([package])]
    assert small._key([package]) == keys[0]
    for path in sources:
        path.write_text("22")
        keys.append(small._key([package]))
    for other in (replace(package, version="6.2"), replace(package, sha256="abd")):
        keys.append(small._key([other]))
    keys.append(small._key([package, package]))
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("code", "shutdown", "clean", "end"),
    [
        (33, "", True, "exit status 0x10 (pass)"),
        (35, "", False, "exit status 0x11 (fail)"),
        (37, "", False, "exit status 0x12 (panic)"),
        (39, "", False, "exit status 0x13 (refused)"),
        (43, "", False, "exit status 0x15 (unknown)"),
        (0, "guest-reset", False, "machine reset or powered off without a status (guest-reset)"),
        (0, "", False, "machine reset or powered off without a status"),
        (1, "", False, "QEMU exited with 1"),
        (-9, "", False, "QEMU exited with -9"),
        (None, "", False, "hung: stopped at its deadline"),
    ],
)
def test_ends_of_qemu(code: int | None, shutdown: str, clean: bool, end: str) -> None:
    found, words, advice = rig.qemu_end(code, shutdown)
    assert (found, words) == (clean, end)
    assert bool(advice) != clean


@pytest.mark.parametrize(
    ("code", "shutdown", "end"),
    [
        (0, "", "ended by the debugger"),
        (0, "guest-shutdown", "ended by the debugger, or powered off without a status (guest-shutdown)"),
        (0, "guest-reset", "machine reset or powered off without a status (guest-reset)"),
        (33, "", "exit status 0x10 (pass)"),
        (1, "", "QEMU exited with 1"),
    ],
)
def test_ends_of_qemu_with_a_debugger(code: int, shutdown: str, end: str) -> None:
    """Whatever QEMU's version calls it."""
    assert rig.qemu_end(code, shutdown, debugged=True)[1] == end


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("test=hang", "the small rig has not answered for 3 s"),
        ("test=panic", "the small rig has ended by itself"),
    ],
)
def test_silent_rig_is_told_with_its_last_lines(tmp_path: Path, option: str, message: str) -> None:
    """A machine that is no rig at all: it prints, and then hangs or ends without a word of the
    protocol."""
    kernel = next(iter(kernels("sample").values()))
    machine = rig.Machine(
        "qemu-system-i386", "pc", "qemu32", "64M", kernel, f"{rig.DEBUG_EXIT} checks=none {option}",
        ("-nodefaults", "-no-user-config", *rig.QEMU_END),
    )  # fmt: skip
    with rig.boot(machine, "small", tmp_path, 20) as strategy:
        control = Control(strategy, "small", tmp_path)
        with pytest.raises(UserError) as error:
            control.start(3)
        console = strategy.console()
    told = str(error.value).splitlines()
    assert told[0] == message
    assert told[1:-1] == console.splitlines()[-40:]
    assert f"{option[5:]}" in console
    assert str(tmp_path / "small.console.log") in told[-1]
    assert control.broken == message
    assert (tmp_path / "small.console.registers").is_file() == (option == "test=hang")


@pytest.mark.parametrize("how", [signal.SIGSEGV, signal.SIGKILL])
def test_crash_of_qemu_is_its_rigs(tmp_path: Path, how: signal.Signals) -> None:
    """And a reason to start the guest again; that somebody ends QEMU is none."""
    kernel = next(iter(kernels("sample").values()))
    machine = rig.Machine(
        "qemu-system-i386", "pc", "qemu32", "64M", kernel, f"{rig.DEBUG_EXIT} checks=none test=hang",
        ("-nodefaults", "-no-user-config", *rig.QEMU_END),
    )  # fmt: skip

    def end(_: str) -> bool:
        for children in Path("/proc/self/task").glob("*/children"):
            for child in map(int, children.read_text().split()):
                if b"qemu-system-i386" in Path(f"/proc/{child}/cmdline").read_bytes():
                    os.kill(child, how)
        return False

    guest = rig.Guest(kernel, "crash", deadline=20)
    if how == signal.SIGKILL:
        assert rig.run_machine(machine, guest, tmp_path, end).end == "QEMU exited with -9"
    else:
        with pytest.raises(rig.RigFailed, match=r"^qemu-system-i386 ended by SIGSEGV \("):
            rig.run_machine(machine, guest, tmp_path, end)


class TiredRig(SmallRig):
    """Whose sessions have each a number of silences in them."""

    def __init__(self, silences: list[int]) -> None:
        self.said: list[str] = []
        super().__init__("tired", self.said.append)
        self.silences = silences
        self.opened = 0
        self.closed = 0
        self.logs: list[Path] = []

    @contextlib.contextmanager
    def session(self, logs: Path) -> Iterator[rig.Session]:
        self.opened += 1
        self.logs.append(logs)
        try:
            yield TiredSession(self)
        finally:
            self.closed += 1


class TiredSession(rig.Session):
    def __init__(self, owner: TiredRig) -> None:
        self.owner = owner

    def run(self, guest: rig.Guest, live: rig.Live | None = None) -> rig.Outcome:
        if self.owner.silences.pop(0):
            raise rig.RigFailed("the tired rig has not answered for 3 s\nits last line")
        return rig.Outcome(guest, "", True, "", "", 1.0, "", Path("log"))


def test_a_rig_that_stands_still_is_opened_anew_once(tmp_path: Path) -> None:
    guest = rig.Guest(tmp_path / "kernel", "guest")
    tired = TiredRig([0, 1, 0, 1, 1])
    with tired.steady_session(tmp_path) as session:
        assert session.run(guest).clean
        assert tired.said == []
        assert session.run(guest).clean
        assert tired.said == [
            "the tired rig has not answered for 3 s: it is started anew, for guest once more"
        ]
        assert (tired.opened, tired.closed) == (2, 1)
        with pytest.raises(rig.RigFailed):
            session.run(guest)
    assert tired.opened == tired.closed == 3
    assert tired.logs == [tmp_path, tmp_path / "opened-2", tmp_path / "opened-3"]


def test_what_was_said_outside_of_a_guest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last words of everybody, without warnings and numbers; `./vmi boot` prints them."""
    evidence = {
        "xl": ["Parsing config", "Domain 1 has shut down"], "qemu": ["warning: TCG", "it failed"],
        "counter": ["exits 3"], "dmesg": [],
    }  # fmt: skip
    guest = rig.Guest(tmp_path / "kernel", "guest")
    outcome = rig.Outcome(guest, "", False, "lost", "", 1.0, "xl create", tmp_path / "log", evidence)
    assert outcome.said_of_it(1) == ["xl: Domain 1 has shut down", "qemu: it failed"]
    boot.show_failure(outcome, [outcome.end], rig.Rig.own_lines)
    shown = capsys.readouterr().err
    assert "\n  xl: Parsing config\n  xl: Domain 1 has shut down\n  qemu: it failed\n" in shown


def test_kernels_of_64_bits(tmp_path: Path) -> None:
    kernel = tmp_path / "kernel"
    linux = bytearray(0x400)
    linux[0x202:0x208] = b"HdrS\x0c\x02"
    for content, wide in (
        (b"\x7fELF\1", False), (b"\x7fELF\2", True), (b"", False), (bytes(linux), False),
        (bytes(linux[:0x236] + b"\1" + linux[0x237:]), True),
        (bytes(linux[:0x206] + b"\x0b\x02" + linux[0x208:0x236] + b"\1" + linux[0x237:]), False),
    ):  # fmt: skip
        kernel.write_bytes(content)
        assert architecture(kernel) == ARCHITECTURES[wide], content[:8]
        assert is_linux(content) == (len(content) == 0x400)


def test_modules_as_qemu_takes_them(tmp_path: Path) -> None:
    assert rig.module_list([("/a", ""), ("/b,c", "x=1 y=2")]) == "/a,/b,,c x=1 y=2"


def test_reasons_of_the_nested_rig_are_one_message() -> None:
    """What QEMU says is quoted, and does not run on from what the rig says."""
    done = probe.Done([], -6, "", "qemu-system-x86_64: first\nqemu-system-x86_64: kvm.c:3183: failed.\n")
    assert nested.NestedRig._refusal(done) == (
        "a tiny guest failed under this machine's /dev/kvm; QEMU exited with -6 "
        '("qemu-system-x86_64: kvm.c:3183: failed.")'
    )


class EmulatedSession(rig.ControlSession):
    def __init__(self) -> None:
        super().__init__(cast(Control, SimpleNamespace(name="nested")))

    def run(self, guest: rig.Guest, live: rig.Live | None = None) -> rig.Outcome:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("line", "failed"),
    [
        ("PANIC: vector 0x40 came while interrupts were masked, at 0xffffffff80104d69", True),
        ("# PANIC: vector 0x40 came while interrupts were masked, at 0xffffffff80104d69", False),
        ("PANIC: trap 14 (page fault), error code 0x0", False),
        ("# life stop:3 rounds=8 alarms=16 interrupts=8 lost=0 early=0 twice=1 readings=9", True),
        ("# life stop:3 rounds=8 alarms=16 interrupts=8 lost=1 early=1 twice=0 readings=9", False),
    ],
)
def test_an_interrupt_that_the_emulated_svm_delivers_twice(line: str, failed: bool) -> None:
    """That no processor does, nor any library while interrupts are masked: the flags in the frame are the
    processor's. While they are let in a library could; on a plain PC nothing takes it for the rig's."""
    with pytest.raises(rig.RigFailed) if failed else contextlib.nullcontext():
        EmulatedSession().check_svm(["ok 1 boot.information", line])
