# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Headless Chromium by its DevTools protocol (https://chromedevtools.github.io/devtools-protocol/)."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from importlib.resources import files
from pathlib import Path
from typing import Any

import websocket

DEADLINE = 300.0


class Browser:
    """One browser with one page."""

    def __init__(self, folder: Path) -> None:
        """`folder` is for the browser's own files."""
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        self.log = (folder / "chromium.log").open("wb")
        self.process = subprocess.Popen(
            ["chromium", "--headless=new", *sandbox, "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--disable-extensions", "--disable-background-networking",
             "--remote-debugging-port=0", f"--user-data-dir={folder / 'profile'}", "about:blank"],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self.events: list[dict[str, Any]] = []
        self.number = 0
        try:
            self.socket = websocket.create_connection(
                self._address(folder / "profile/DevToolsActivePort"), timeout=DEADLINE, suppress_origin=True
            )
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            self.send(f"{domain}.enable")

    def _address(self, port_file: Path) -> str:
        """Where the page listens."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            assert self.process.poll() is None, Path(self.log.name).read_text()
            if port_file.is_file() and (text := port_file.read_text()).count("\n"):
                with urllib.request.urlopen(f"http://127.0.0.1:{text.split()[0]}/json/list") as answer:
                    pages = [page for page in json.load(answer) if page["type"] == "page"]
                if pages:
                    return str(pages[0]["webSocketDebuggerUrl"])
            time.sleep(0.05)
        raise TimeoutError("chromium has opened no page")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command; its result. Events that come before it are kept."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.number:
                assert "error" not in message, f"{method}: {message['error']}"
                return dict(message["result"])
            if "method" in message:
                self.events.append(message)

    def wait(self, event: str) -> None:
        while not any(each["method"] == event for each in self.events):
            self.events.append(json.loads(self.socket.recv()))

    def open(self, page: Path) -> None:
        """Load a page; the events of the one before are forgotten."""
        self.events.clear()
        self.send("Page.navigate", url=page.as_uri())
        self.wait("Page.loadEventFired")

    def of(self, event: str) -> list[dict[str, Any]]:
        return [each["params"] for each in self.events if each["method"] == event]

    def run(self, script: str) -> Any:
        """The value of an expression in the page; promises are awaited."""
        done = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def look(self, scheme: str = "light", width: int = 1280, media: str = "") -> None:
        """As which reader: colour scheme, width of the window, `print`."""
        self.send(
            "Emulation.setEmulatedMedia",
            media=media,
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )

    def press(self, key: str, code: int, text: str = "") -> None:
        """One key, by its name and Windows key code."""
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    def axe(self, *rules: str, within: str = "html") -> list[str]:
        """What axe-core finds wrong by these rules, or by all: WCAG 2.1 A and AA, and its best practices."""
        if not self.run("'axe' in window"):
            self.run(files("axe_core_python").joinpath("axe.min.js").read_text() + "; 0")
        options = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
        found = self.run(
            f"axe.run({json.dumps(within)}, {json.dumps(options)}).then((result) => result.violations)"
        )
        return [
            f"{each['id']}: {each['help']}: {node['html'][:200]}" for each in found for node in each["nodes"]
        ]

    def close(self) -> None:
        self.socket.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
