# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The reference as it is built: every link leads somewhere, every call has a page, no network is needed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from ci.backends import backends
from ci.util import BUILD, ROOT

HTML = BUILD / "docs/html"
MAN = BUILD / "docs/man"
# Elements that have no end.
VOID = {"meta", "link", "input", "br", "hr", "img"}


class Page(HTMLParser):
    """Names and links of a page, and elements that do not close where they should."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.open: list[str] = []
        self.faults: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.faults += self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if given.get("id"):
            self.anchors.append(str(given["id"]))
        if tag == "a":
            self.links.append(str(given["href"]))
        self.loaded += [str(given[name]) for name in ("src", "href") if name in given and tag != "a"]
        if tag in ("td", "th", "dd"):
            self.text += " "
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def pages() -> dict[str, Page]:
    return {path.name: Page(path) for path in HTML.glob("*.html")}


@pytest.fixture(scope="module")
def model() -> dict:  # type: ignore[type-arg]
    return json.loads((BUILD / "generated/model.json").read_text())


def test_every_link_leads_somewhere(pages: dict[str, Page]) -> None:
    assert len(pages) > 90
    dead = []
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = pages.get(unquote(parts.path) or name)
            if target is None or (parts.fragment and unquote(parts.fragment) not in target.anchors):
                dead.append(f"{name}: {link}")
    assert dead == []


def test_search_index_leads_somewhere(pages: dict[str, Page]) -> None:
    index = (HTML / "search-index.js").read_text()
    rows = json.loads(index[index.index("[") : index.rindex("]") + 1])
    assert len(rows) > 200
    for title, address, kind, _ in rows:
        path, _, fragment = address.partition("#")
        assert not fragment or fragment in pages[path].anchors, (title, kind, address)


def test_pages_are_well_formed(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        assert page.faults == [], name
        assert len(page.anchors) == len(set(page.anchors)), name


def test_nothing_comes_from_a_network(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        for address in page.loaded:
            assert address == "data:," or (HTML / address).is_file(), f"{name}: {address}"
    assert not re.search(r"url\(|@import", (HTML / "style.css").read_text())


def test_every_call_has_a_page_with_everything(pages: dict[str, Page], model: dict) -> None:  # type: ignore[type-arg]
    for call in model["spec"]["calls"]:
        text = " ".join(pages[f"{call['c_name']}.html"].text.split())
        for fact in (call["summary"], call["replaces"], call["source"], call["prototype"]):
            assert " ".join(fact.split()) in text, call["name"]
        for error in call["errors"]:
            assert error["constant"]["c_name"] in text
        for backend in model["backends"]:
            way = backend["calls"][call["name"]]
            assert f"{backend['title']} {way['kind']} {' '.join(way['how'].split())}" in text, call["name"]
        assert f"Since {call['since']}" in text


def test_every_guide_is_in_it() -> None:
    """A guide is listed in docs/meson.build; pages that are generated are rendered otherwise."""
    listed = (ROOT / "docs/meson.build").read_text()
    for path in (ROOT / "docs").glob("*.md"):
        if "do not edit" not in path.read_text()[:300]:
            assert f"'{path.name}'" in listed, f"docs/{path.name}: not in docs/meson.build"


def chromium(*arguments: str) -> str:
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--timeout=20000", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_search_finds() -> None:
    """In a browser, from a file, without a network: the call asked for comes first."""
    page = chromium("--host-resolver-rules=MAP * ~NOTFOUND", "--dump-dom", f"file://{HTML}/index.html?q=setcr3")
    found = re.findall(r'<li><a href="([^"]+)"><b>', page)
    assert found[0] == "vmi_set_cr3.html"
    assert re.search(r"<p>\d+ found</p>", page)
    assert 'hidden=""' not in re.findall(r"<form[^>]*>", page)[0]


def test_manual_pages(model: dict) -> None:  # type: ignore[type-arg]
    names = {path.name for path in MAN.rglob("*.?")}
    assert {f"{call['c_name']}.3" for call in model["spec"]["calls"]} | {"vmi.7", "vmigen.1"} <= names
    files = sorted(MAN.rglob("*.?"))
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", *files], capture_output=True, text=True, check=False
    )
    # Pages of the same input are the same bytes, so none has a date.
    assert [line for line in done.stdout.splitlines() if 'missing date, using ""' not in line] == []
    page = MAN / "man3/vmi_set_cr3.3"
    shown = subprocess.run(["mandoc", "-T", "utf8", page], capture_output=True, text=True, check=True)
    text = re.sub(".\b", "", shown.stdout)
    assert "void vmi_set_cr3(uint32_t value);" in text
    assert "vmi(7)" in text


def pages_of(tmp_path: Path, costs: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "bench.json").write_text(costs)
    folders = [ROOT / "backends" / name for name in backends()]
    command = [sys.executable, "-m", "vmigen", "pages", "--out", tmp_path / "out", "--backends", *folders]
    return subprocess.run(
        [*command, "--costs", tmp_path / "bench.json"], cwd=ROOT / "codegen", capture_output=True, text=True
    )


def test_costs_are_shown_where_they_are_known(tmp_path: Path) -> None:
    name = next(iter(backends()))
    rows = [
        {"backend": name, "binding": "static", "unit": "instructions", "calls": {"SetCR3": 7}},
        {"backend": name, "binding": "boot", "unit": "instructions", "calls": {"SetCR3": 5}},
        {"backend": name, "binding": "static", "unit": "cycles", "calls": {"GetCR3": 9}},
    ]
    done = pages_of(tmp_path, json.dumps({"calls": rows}))
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""
    shown = (tmp_path / "out/html/vmi_set_cr3.html").read_text()
    assert "cost, instructions" in shown
    assert '<td class="number">7</td>' in shown
    assert "cost, " not in (tmp_path / "out/html/vmi_get_cr3.html").read_text()


def test_costs_that_are_none_are_one_line(tmp_path: Path) -> None:
    done = pages_of(tmp_path, "{}")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "bench.json:1:1: error: no costs (KeyError: 'calls')" in done.stderr
