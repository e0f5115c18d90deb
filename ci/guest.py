# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""labgrid driver and strategy for machines that end by themselves.

labgrid's QEMUDriver (seen in 26.0.1) expects machines to run until they are switched off: its off()
raises when QEMU has exited, expect() spins on the end of the console until its time-out, a QEMU that
dies before it opens its console hangs accept(), and the exit status is private. The subclass here
mends that. The environment must say `display: fb-headless`, which keeps -nographic away.
"""

from __future__ import annotations

import enum
import json
import select
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import attr
import pexpect
from labgrid import target_factory
from labgrid.driver import QEMUDriver
from labgrid.driver.exception import ExecutionError
from labgrid.step import step
from labgrid.strategy import Strategy
from labgrid.util import PtxExpect
from labgrid.util.qmp import QMPError, QMPMonitor

from .console import text
from .util import tied


@target_factory.reg_driver
@attr.s(eq=False)
class GuestDriver(QEMUDriver):  # type: ignore[misc]  # labgrid has no type information
    """QEMUDriver whose machine may exit: the console ends with EOF, the exit status is kept, the whole
    console goes to a file that QEMU itself writes, and nothing waits without bound."""

    start_timeout = 20.0
    move_timeout = 60.0
    status: int
    _cmd: list[str]
    _child: Any

    def arm(self, console_log: Path, halted: bool) -> None:
        """Say where the next on() records the console, and whether the machine stands still afterwards;
        before activation."""
        self.console_log = console_log
        self.halted = halted

    @property
    def command(self) -> list[str]:
        """QEMU's command line, once active."""
        return list(self._cmd)

    def on_activate(self) -> None:
        super().on_activate()
        # A process that takes the machine over writes on.
        log = ",logappend=on,logfile=" + str(self.console_log).replace(",", ",,")
        self._cmd = [a + log if a.startswith("socket,id=serialsocket") else a for a in self._cmd]

    @step()  # type: ignore[untyped-decorator]
    def on(self) -> None:
        if self.status:
            return
        self.exitcode: int | None = None
        self._expect = PtxExpect(self)  # forgets a former boot's text
        # QEMU's warnings (TCG names every CPU feature it lacks) are kept for the case that it dies.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the child
        self._launch()
        try:
            if not self.halted:
                self.monitor_command("cont")
        except (QMPError, OSError):
            self._child.wait(self.start_timeout)
            self._died("before the machine ran")
            raise

    def _launch(self, *more: str) -> None:
        """Starts a process, whose machine stands still, and joins its console and its monitor."""
        self._child = subprocess.Popen(
            [*self._cmd, *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            preexec_fn=tied(),
        )  # fmt: skip
        self._socket.settimeout(0.05)
        deadline = time.monotonic() + self.start_timeout
        while True:
            try:
                self._clientsocket, _ = self._socket.accept()
                self._clientsocket.setblocking(False)
                break
            except TimeoutError:
                self._died("before opening its console")
                if time.monotonic() > deadline:
                    self._reap(0)
                    raise ExecutionError(f"{self._cmd[0]}: no console") from None
        try:
            self.qmp = QMPMonitor(self._child.stdout, self._child.stdin)
        except (QMPError, OSError):
            self._child.wait(self.start_timeout)
            self._died("before the machine ran")
            raise
        self.status = 1

    def migrate(self) -> bytes:
        """Moves the machine into a new process by way of a socket; what the old one has written on the
        console, beyond what has been read. It is halted first: a kernel that was moved while its CPUs ran has
        been seen to fault. TCG's CPUs look up where a store goes and then store (accel/tcg/cputlb.c, "Dirty
        write flag handling"), so a page that is copied in between may miss it."""
        place = f"unix:{self._tempdir}/state"
        old = self._child, self._clientsocket, self.qmp
        try:
            self._launch("-incoming", place)
            old[2].execute("stop")
            self._give(old[2], place)
            rest = self._end(*old)
        except BaseException:
            old[0].kill()
            old[0].wait()
            raise
        self._go_on()
        return rest

    def through_file(self) -> bytes:
        """Puts the machine into a file, ends the process, and has a new one take it from there; what is left
        on the console as of migrate()."""
        place = f"{self._tempdir}/state"
        self.monitor_command("stop")
        self._give(self.qmp, f"exec:cat >{place}")
        rest = self._end(self._child, self._clientsocket, self.qmp)
        self._launch("-incoming", f"exec:cat {place}")
        self._go_on()
        return rest

    def _go_on(self) -> None:
        """Once the machine's state is there: until then `cont` would be undone by what the state says."""
        deadline = time.monotonic() + self.move_timeout
        while self.monitor_command("query-status")["status"] == "inmigrate":
            if time.monotonic() > deadline:
                raise ExecutionError(f"{self._cmd[0]}: the machine's state did not come")
            time.sleep(0.02)
        self.monitor_command("cont")

    def _give(self, qmp: Any, place: str) -> None:
        """Has a machine's state written there, all of it."""
        qmp.execute("migrate", {"uri": place})
        deadline = time.monotonic() + self.move_timeout
        while True:
            now = qmp.execute("query-migrate")
            if now.get("status") == "completed":
                return
            if now.get("status") in ("failed", "cancelled") or time.monotonic() > deadline:
                why = now.get("error-desc", now.get("status", "no answer"))
                raise ExecutionError(f"{self._cmd[0]}: the machine was not moved: {why}")
            time.sleep(0.02)

    def _end(self, child: Any, console: Any, qmp: Any) -> bytes:
        """Ends a process that has given its machine away; the last that it writes on the console."""
        qmp.execute("quit")
        console.setblocking(True)
        console.settimeout(self.start_timeout)
        rest = b""
        while data := console.recv(65536):
            rest += data
        child.wait(self.start_timeout)
        for pipe in (console, child.stdin, child.stdout):
            pipe.close()
        return rest

    def dump(self, file: Path) -> None:
        """Halts the machine and writes its memory and CPUs as QEMU does (elf_core.read_qemu)."""
        self.monitor_command("stop")
        self.monitor_command("dump-guest-memory", {"paging": False, "protocol": f"file:{file}"})

    def _died(self, when: str) -> None:
        if self._child.poll() is not None:
            status, self.status = self._child.returncode, 0
            lines = [line for line in self.errors().splitlines() if "warning:" not in line]
            raise ExecutionError(f"{self._cmd[0]} exited {status} {when}: {(lines or ['no message'])[-1]}")

    def errors(self) -> str:
        """What QEMU has written to its standard error."""
        self._errors.seek(0)
        return self._errors.read().decode("utf-8", "backslashreplace")

    def _read(self, size: int = 1, timeout: float = 10, max_size: int | None = None) -> bytes:
        # QEMU writes a serial port's bytes one by one, so that some 300 of them fill the socket and stall
        # the machine, and what waits when it exits is lost: so no pause before reading, as labgrid makes.
        if not select.select([self._clientsocket], [], [], timeout)[0]:
            raise pexpect.TIMEOUT(f"no byte in {timeout:.2f} s")
        try:
            data: bytes = self._clientsocket.recv(min(max_size or 65536, 65536))
        except ConnectionResetError:  # it has ended before it read all that was typed
            data = b""
        if not data:
            raise pexpect.EOF("machine ended")  # else expect() spins
        return data

    def feed(self, data: bytes, timeout: float) -> None:
        """Type data on the console, as fast as the machine takes it; OSError if it does not (TimeoutError)
        or has ended."""
        deadline = time.monotonic() + timeout
        while data:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([], [self._clientsocket], [], left)[1]:
                raise TimeoutError(f"{len(data)} bytes were not taken")
            data = data[self._clientsocket.send(data[:65536]) :]

    @step()  # type: ignore[untyped-decorator]
    def wait(self, timeout: float) -> int | None:
        """QEMU's exit status; subprocess.TimeoutExpired if it still runs."""
        self.exitcode = self._child.wait(timeout)
        return self.exitcode

    def shutdown_reason(self) -> str:
        """Why QEMU says it ended (QMP's SHUTDOWN event), after wait(); empty if it did not say."""
        for line in self._child.stdout.read().decode().splitlines():
            event = json.loads(line)
            if event.get("event") == "SHUTDOWN":
                return str(event["data"].get("reason", ""))
        return ""

    def _reap(self, grace: float = 2.0) -> None:
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(grace)
            except subprocess.TimeoutExpired:
                self._child.kill()
        self.exitcode = self._child.wait()

    @step()  # type: ignore[untyped-decorator]
    def off(self) -> None:
        if self.status:
            self._reap()
            for pipe in (self._clientsocket, self._child.stdin, self._child.stdout, self._errors):
                pipe.close()
            self._child = None  # else labgrid's exit handler flushes a closed pipe
            self.status = 0


class Status(enum.Enum):
    off = 0
    running = 1


@target_factory.reg_driver
@attr.s(eq=False)
class GuestStrategy(Strategy):  # type: ignore[misc]
    """off -> running; one time limit covers the whole boot. The machine may end by itself while it
    counts as running."""

    bindings = {"qemu": "GuestDriver"}
    limit = attr.ib(default=30.0, converter=float)
    halted = attr.ib(default=False, converter=bool)
    status = attr.ib(default=Status.off, init=False)
    log = attr.ib(default=Path("console.log"), init=False)
    tap = attr.ib(default=None, init=False)
    """Gets the console's bytes as they are read."""

    @step(args=["to"])  # type: ignore[untyped-decorator]
    def transition(self, to: Status | str) -> None:
        to = Status[to] if isinstance(to, str) else to
        self.target.deactivate(self.qemu)
        if to is Status.running:
            self._pending = b""
            self.log.parent.mkdir(parents=True, exist_ok=True)
            self.log.write_bytes(b"")
            self.qemu.arm(self.log, self.halted)
            self.target.activate(self.qemu)
            self.deadline = time.monotonic() + self.limit
            self.qemu.on()
        self.status = to

    def left(self) -> float:
        """Seconds left of this boot's limit."""
        return max(0.0, self.deadline - time.monotonic())

    def line(self, timeout: float) -> str | None:
        """The console's next line; None when the machine has ended. TimeoutError if none comes.

        Without pexpect, which searches all that it holds again for every piece.
        """
        deadline = time.monotonic() + timeout
        while b"\n" not in self._pending:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no line in {timeout:g} s")
            try:
                data = self.qemu.read(size=65536, timeout=left)
            except pexpect.TIMEOUT:
                raise TimeoutError(f"no line in {timeout:g} s") from None
            except pexpect.EOF:
                return None
            self.take(data)
        line, _, rest = self._pending.partition(b"\n")
        self._pending = rest
        return text(line)

    def take(self, data: bytes) -> None:
        """What the console's next bytes are."""
        self._pending += data
        if self.tap:
            self.tap(data)

    def rest(self) -> str:
        """What line() holds of a line that has not ended."""
        return text(self._pending)

    def console(self) -> str:
        """The whole console so far."""
        return text(self.log.read_bytes())
