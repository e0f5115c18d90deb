# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What a rig and its host say to each other, both ends as they are, over a line that loses what it likes."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ci import control
from ci.console import lines, text
from ci.control import Control, RigFailed, frame, options, signed
from ci.util import ROOT, UserError

RIG = """
share=$1 state=$2
. "$3"
run_guest() {
    echo run >>"$state/runs"
    printf 'hello\\r\\n# data 0 0123\\nlast' >"$console"
    show <"$console"
    [ -z "$opt_wait" ] || while [ ! -f "$state/stop" ]; do sleep 0.02; done
    say exit "$opt_append"
    printf 'one\\ntwo' | frame counter
}
tell ready 0
serve
"""

Spoil = Callable[[bytes], bytes]


@dataclass
class Line:
    """The host's end of the serial port, in the place of labgrid's driver and strategy."""

    port: socket.socket
    log: Path
    to_rig: list[Spoil] = field(default_factory=list)
    """What happens to the next lines that the host sends."""
    from_rig: list[Spoil] = field(default_factory=list)
    """What happens to the next lines of the rig that are not empty."""
    pending: bytes = b""
    sent: int = 0

    @property
    def qemu(self) -> Line:
        return self

    def sendline(self, line: str) -> None:
        self.sent += 1
        data = line.encode() + b"\n"
        self.port.sendall(self.to_rig.pop(0)(data) if self.to_rig else data)

    def line(self, timeout: float) -> str | None:
        end = time.monotonic() + timeout
        while True:
            while b"\n" in self.pending:
                line, _, self.pending = self.pending.partition(b"\n")
                if self.from_rig:
                    line = self.from_rig.pop(0)(line)
                return text(line)
            if not select.select([self.port], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError
            data = self.port.recv(4096)
            if not data:
                return None
            self.pending += data

    def console(self) -> str:
        return ""

    def monitor_command(self, command: str, arguments: Any) -> str:
        return ""


@contextlib.contextmanager
def played(script: str, tmp_path: Path) -> Iterator[tuple[Control, Line, Path]]:
    """A rig's shell on this machine, the host's end, and the rig's state."""
    share, state = tmp_path / "share", tmp_path / "state"
    share.mkdir()
    state.mkdir(exist_ok=True)
    ours, theirs = socket.socketpair()

    def as_serial_port() -> None:
        os.dup2(theirs.fileno(), 3)

    child = subprocess.Popen(
        ["sh", "-c", script, "rig", share, state, ROOT / "ci/rig-protocol.sh"], preexec_fn=as_serial_port,
        close_fds=False, start_new_session=True,
    )  # fmt: skip
    theirs.close()
    line = Line(ours, tmp_path / "log")
    end = Control(line, "small", share)  # type: ignore[arg-type]  # as much of a strategy as it takes
    try:
        end.start(20)
        yield end, line, state
        ours.close()
        (state / "stop").touch()
        child.wait(20)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Control, Line, Path]]:
    monkeypatch.setattr(control, "AGAIN_SECONDS", 0.2)
    monkeypatch.setattr(control, "NUDGE_SECONDS", 0.2)
    with played(RIG, tmp_path) as parts:
        yield parts


def run(end: Control, more: str = "", **how: Any) -> control.Answer:
    folder = end.folder()
    (folder / "options").write_text(options({"append": "a 'b' $c"}) + more)
    return end.run("run", folder, 20, **how)


def runs(state: Path) -> int:
    return len((state / "runs").read_text().splitlines())


def untouched(data: bytes) -> bytes:
    return data


def test_what_a_guest_writes_arrives_whole(rig: tuple[Control, Line, Path]) -> None:
    end, _, state = rig
    seen: list[str] = []
    answer = run(end, live=seen.append)
    assert answer.console == b"hello\r\n# data 0 0123\nlast"
    assert lines(answer.console) == ["hello", "# data 0 0123", "last"]
    assert answer.frames == {"exit": ["a 'b' $c"], "counter": ["one", "two"]}
    assert seen == ["hello", "last"]
    assert runs(state) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-5] + b"\n",
        lambda data: data[:1] + data[6:],
        lambda data: data.replace(b"run", b"rn"),
        lambda data: data[:-1],
        lambda data: b"",
        lambda data: b"vm.elf\n",
        lambda data: data.replace(b" 1 run 1", b" 1 run 2"),
    ],
    ids=["its end", "its beginning", "a byte", "its newline", "all of it", "all but its end", "another"],
)
@pytest.mark.parametrize("times", [1, 3])
def test_a_command_that_is_garbled_is_sent_again(
    rig: tuple[Control, Line, Path], spoil: Spoil, times: int
) -> None:
    end, line, state = rig
    line.to_rig = [spoil] * times
    assert run(end).frames["exit"] == ["a 'b' $c"]
    assert line.sent > 1  # a new line ends what is left of the one before
    assert run(end).frames["exit"] == ["a 'b' $c"]
    assert runs(state) == 2


def test_a_command_whose_answer_is_lost_is_carried_out_once(rig: tuple[Control, Line, Path]) -> None:
    end, line, state = rig
    line.from_rig = [lambda data: b""]
    run(end)
    assert line.sent > 1
    assert runs(state) == 1


def test_an_end_that_is_lost_is_found(rig: tuple[Control, Line, Path]) -> None:
    end, line, state = rig
    # @ack, two lines of the console, @done.
    line.from_rig = [untouched, untouched, untouched, lambda data: data.replace(b"@done", b"@dne")]
    assert run(end).frames["exit"] == ["a 'b' $c"]
    assert runs(state) == 1


def test_an_error_of_the_rig_ends_the_wait(rig: tuple[Control, Line, Path]) -> None:
    """And not a time-out: that would be another error."""
    end, _, _ = rig
    with pytest.raises(UserError, match="the small rig says: unknown command: rnu") as error:
        end.command("rnu")
        end.command("run", "1")
    assert not isinstance(error.value, RigFailed)
    with pytest.raises(UserError, match="unknown command"):
        run(end)


def test_a_folder_that_is_not_there_ends_the_wait(rig: tuple[Control, Line, Path]) -> None:
    end, _, _ = rig
    with pytest.raises(UserError, match="no folder 1 in the channel") as error:
        end.run("run", end.share / "1", 20)
    assert not isinstance(error.value, RigFailed)


def test_a_rig_that_never_answers_is_silent(
    rig: tuple[Control, Line, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "COMMAND_SECONDS", 1.0)
    end, line, _ = rig
    line.to_rig = [lambda data: b""] * 100
    with pytest.raises(RigFailed, match="has not answered for 1 s"):
        end.command("stop")


def test_a_guest_is_stopped_by_who_looks(rig: tuple[Control, Line, Path]) -> None:
    end, _, _ = rig
    assert run(end, "opt_wait=yes\n", live=lambda line: line == "last").frames["exit"]


def test_a_rig_that_does_not_hear_its_serial_port_gets_a_packet(rig: tuple[Control, Line, Path]) -> None:
    """After some lines for which it does not stir: theirs may be the interrupt that was lost."""
    end, line, state = rig
    with socket.create_server(("127.0.0.1", 0)) as network:
        end.forwarded[control.POKE_PORT] = network.getsockname()

        def stir() -> None:
            with contextlib.suppress(OSError):
                network.accept()
                (state / "stop").touch()

        threading.Thread(target=stir, daemon=True).start()
        assert run(end, "opt_wait=yes\n").frames["exit"]
    assert line.sent > control.POKES_AFTER


def test_scripts(rig: tuple[Control, Line, Path]) -> None:
    end, _, _ = rig
    assert end.script("echo one; echo two >&2") == "one\ntwo\n"
    with pytest.raises(UserError, match="in the small rig: gone"):
        end.script("echo gone; exit 3")


def test_files_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    end = Control(None, "small", tmp_path)  # type: ignore[arg-type]  # nothing is said
    folder = end.folder()
    for number in (1, 2):
        (tmp_path / f"from{number}").mkdir()
        (tmp_path / f"from{number}/k.elf").write_text(str(number))
    places = [end.put(tmp_path / f"from{number}/k.elf", folder) for number in (1, 2)]
    assert places == ["/share/1/k.elf", "/share/1/2-k.elf"]
    assert [(tmp_path / place.removeprefix("/share/")).read_text() for place in places] == ["1", "2"]


@pytest.mark.parametrize(
    ("line", "tag", "said"),
    [
        ("@console a", "console", "a"),
        ("@console  indented", "console", " indented"),
        ("@console ", "console", ""),
        ("@ready", "ready", ""),
        ("SeaBIOS", "", "SeaBIOS"),
        ("", "", ""),
        ("a @console b", "", "a @console b"),
    ],
)
def test_frames(line: str, tag: str, said: str) -> None:
    assert frame(line) == (tag, said)


@pytest.mark.parametrize("value", ["a\nend", "\x1b[2J", "a\0"])
def test_only_printable_text_goes_to_a_rig(tmp_path: Path, value: str) -> None:
    end = Control(None, "small", tmp_path)  # type: ignore[arg-type]  # refused before anything is sent
    for refused in (lambda: options({"append": value}), lambda: end.command("run", value)):
        with pytest.raises(UserError) as error:
            refused()
        assert error.value.status == 2


def test_signed() -> None:
    """As the rig's sha256sum has it."""
    done = subprocess.run(["sha256sum"], input=b"1 run 2", capture_output=True, check=True)
    assert signed("1 run 2") == f"{done.stdout.decode()[:8]} 1 run 2"
