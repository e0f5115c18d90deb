# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""docs/lab.md on loopback: coordinator, exporter, a place, and a machine that boots by PXE.

The machine is QEMU. The power switch that starts and ends it, and the console server at which its serial port
ends, are parts of this test which speak what such devices speak: HTTP, and bytes over TCP.
"""

from __future__ import annotations

import contextlib
import http.server
import os
import re
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci.build import kernels
from ci.util import ROOT, tied

BACKEND = "native"
BIN = Path(sys.executable).parent
DOCUMENT = (ROOT / "docs/lab.md").read_text()


class ConsoleServer(threading.Thread):
    """Passes bytes on from the machine's serial port to whoever listens; both come and go."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.machine, self.user = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
        self.selector = selectors.DefaultSelector()
        for server in (self.machine, self.user):
            self.selector.register(server, selectors.EVENT_READ, server)
        self.users: list[socket.socket] = []

    def run(self) -> None:
        while True:
            for key, _ in self.selector.select():
                if key.data is not None:
                    connection, _ = key.data.accept()
                    self.selector.register(connection, selectors.EVENT_READ)
                    if key.data is self.user:
                        self.users.append(connection)
                    continue
                line = key.fileobj
                assert isinstance(line, socket.socket)
                data = b""
                with contextlib.suppress(ConnectionError):
                    data = line.recv(65536)
                if not data:
                    self.selector.unregister(line)
                    line.close()
                    self.users = [user for user in self.users if user is not line]
                elif line not in self.users:
                    for user in self.users:
                        with contextlib.suppress(OSError):
                            user.sendall(data)


class Switch(http.server.BaseHTTPRequestHandler):
    """A power switch: GET /1/1 is on, /1/0 off."""

    command_line: list[str]
    child: subprocess.Popen[bytes] | None = None
    switched: list[str] = []

    def do_GET(self) -> None:
        kind = type(self)
        value = self.path.rpartition("/")[2]
        kind.switched.append(value)
        if kind.child:
            kind.child.kill()
            kind.child.wait()
            kind.child = None
        if value == "1":
            kind.child = subprocess.Popen(self.command_line, preexec_fn=tied())
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: the test looks at `switched`."""


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture
def laboratory(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Everything but the place; its environment variables."""
    tftp = tmp_path / "tftp"
    tftp.mkdir()
    console = ConsoleServer()
    console.start()
    Switch.switched = []
    Switch.command_line = [
        "qemu-system-i386", "-nodefaults", "-display", "none", "-m", "128M", "-smp", "2", "-no-reboot",
        "-serial", f"tcp:127.0.0.1:{console.machine.getsockname()[1]}",
        "-boot", "n", "-device", "virtio-net-pci,netdev=n", "-netdev",
        f"user,id=n,tftp={tftp},bootfile=vmi.ipxe",
    ]  # fmt: skip
    switch = http.server.HTTPServer(("127.0.0.1", 0), Switch)
    threading.Thread(target=switch.serve_forever, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    text = (ROOT / "docs/lab/exporter.yaml").read_text()
    text = text.replace("SWITCH", f"127.0.0.1:{switch.server_address[1]}").replace("CONSOLE", "127.0.0.1")
    wires = text.replace("port: 4001", f"port: {console.user.getsockname()[1]}")
    (tmp_path / "exporter.yaml").write_text(wires)
    started = []
    with open(tmp_path / "log", "wb") as log:
        for command in (
            ["labgrid-coordinator", "--listen", address],
            ["labgrid-exporter", "--coordinator", address, "--name", "shelf", "exporter.yaml"],
        ):
            command[0] = str(BIN / command[0])
            started.append(subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, preexec_fn=tied()))
            if len(started) == 1:
                wait_for(address)
    try:
        yield {"LG_COORDINATOR": address, "TFTP": str(tftp)}
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(30)
        switch.shutdown()
        if Switch.child:
            Switch.child.kill()
            Switch.child.wait()


def wait_for(address: str) -> None:
    host, port = address.split(":")
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            return
        time.sleep(0.2)
    raise AssertionError(f"nothing listens at {address}")


def test_place(laboratory: dict[str, str]) -> None:
    client = BIN / "labgrid-client"
    words = [line.split()[1:] for line in re.findall(r"^    (labgrid-client .*)$", DOCUMENT, re.MULTILINE)]
    assert [each[2] for each in words] == ["create", "add-match", "acquire", "release"]
    for arguments in words[:2]:
        done = run(client, *(argument.strip("'") for argument in arguments), **laboratory)
        assert done.returncode == 0, done.stderr
    offered = ""
    for _ in range(30):
        if "pc-1/NetworkSerialPort" in offered:
            break
        offered = run(client, "resources", **laboratory).stdout
    assert "pc-1/NetworkPowerPort" in offered
    assert run(client, *words[2], **laboratory).returncode == 0
    (line,) = re.findall(r"^    vmi (lab pc-1 \S+ --tftp) ", DOCUMENT, re.MULTILINE)
    kernel = kernels("sample")[BACKEND]
    assert line.split()[2] == str(kernel.relative_to(ROOT))
    command = [ROOT / "vmi", "lab", "pc-1", kernel, "--tftp", laboratory["TFTP"], "--append", "checks=boot"]
    done = run(*command, **laboratory)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert f"# boot backend={BACKEND}" in done.stdout
    assert "vmi: pc-1: passed" in done.stderr
    # Off, on, and off when the result had been read.
    assert Switch.switched == ["0", "1", "0"]
    done = run(*command[:-1], "checks=boot test=fail", **laboratory)
    assert done.returncode == 1
    assert re.search(r"^vmi: pc-1: not ok \d+ test\.fail: ", done.stderr, re.MULTILINE)
    assert run(client, *words[3], **laboratory).returncode == 0


def test_no_coordinator(tmp_path: Path) -> None:
    kernel = kernels("hello")[BACKEND]
    done = run(ROOT / "vmi", "lab", "pc-1", kernel, "--tftp", tmp_path, LG_COORDINATOR="127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("vmi: ")
    assert "Traceback" not in done.stderr


def test_what_is_no_kernel_is_not_put_on_a_machine(tmp_path: Path) -> None:
    done = run(ROOT / "vmi", "lab", "pc-1", ROOT / "README.md", "--tftp", tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("found a text")
    assert not list(tmp_path.iterdir())
