# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The reference as it is built: every link leads somewhere, every call of each architecture has its registers
there, what is the same is said once, no network is needed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from ci.backends import backends
from ci.build import tree
from ci.util import ARCHITECTURES, BUILD, ROOT
from tests.report.browser import Browser

HTML = BUILD / "docs/html"
MAN = BUILD / "docs/man"
KINDS = ("instruction", "hypercall", "routine", "unsupported")
# Elements that have no end.
VOID = {"meta", "link", "input", "br", "hr", "img", "wbr"}


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
        self.tables: dict[str, list[list[str]]] = {}
        """By the label of the region that a table is in; cells of its rows."""
        self.region = ""
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
        if given.get("role") == "region":
            self.region = str(given["aria-label"])
            self.tables.setdefault(self.region, [])
        elif self.region and tag == "tr":
            self.tables[self.region].append([])
        elif self.region and tag in ("td", "th"):
            self.tables[self.region][-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.region and {"td", "th"} & set(self.open):
            self.tables[self.region][-1][-1] += data


@pytest.fixture(scope="module")
def pages() -> dict[str, Page]:
    return {path.name: Page(path) for path in HTML.glob("*.html")}


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    return {arch: json.loads((tree(arch) / "generated/model.json").read_text()) for arch in ARCHITECTURES}


def each_call(models: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Calls by name, and by the architectures that have them."""
    found: dict[str, dict[str, Any]] = {}
    for arch, model in models.items():
        for call in model["spec"]["calls"]:
            found.setdefault(call["name"], {})[arch] = call
    return found


def values(call: dict[str, Any]) -> list[dict[str, Any]]:
    """Its arguments and results."""
    return [*call["arguments"], *([call["result"]] if call["result"] else call["results"])]


def table_of(section: str, begins: str) -> list[list[str]]:
    """A table in Markdown, by how its first line begins; cells of its rows."""
    lines = section.splitlines()
    if not any(line.startswith(begins) for line in lines):
        return []
    first = next(number for number, line in enumerate(lines) if line.startswith(begins))
    rows = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return [rows[0], *rows[2:]]


@pytest.fixture(scope="module")
def sections() -> dict[str, str]:
    """What docs/reference says of each call."""
    found: dict[str, str] = {}
    for path in (ROOT / "docs/reference").glob("*.md"):
        if path.name != "README.md":
            for part in path.read_text().split("\n## ")[1:]:
                name, _, text = part.partition("\n")
                assert name not in found, name
                found[name] = text
    return found


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


def test_every_call_has_a_page_with_everything(pages: dict[str, Page], models: dict[str, Any]) -> None:
    for name, on in each_call(models).items():
        page = pages[f"{next(iter(on.values()))['c_name']}.html"]
        text = " ".join(page.text.split())
        ways = {" ".join(" ".join(row).split()) for row in page.tables["Each backend's way"]}
        where = " ".join(on) if len(on) == len(models) else f"{next(iter(on))} only"
        assert f"On {where.replace(' ', ', ') if len(on) == len(models) else where}" in text, name
        for arch, call in on.items():
            for fact in (call["summary"], call["replaces"], call["source"], call["prototype"]):
                assert " ".join(fact.split()) in text, name
            for error in call["errors"]:
                assert error["constant"]["c_name"] in text
            for backend in models[arch]["backends"]:
                way = backend["calls"][name]
                how = f"{way['kind']} {' '.join(way['how'].split())}"
                told = [f"{backend['title']} {how}", f"{backend['title']} {arch} {how}"]
                if way["inherited"]:
                    told.append(f"{backend['title']} {way['kind']} inherited from {way['origin']}")
                assert any(row.startswith(tuple(told)) for row in ways), (name, arch, told)
            assert f"Since {call['since']}" in text


def test_every_register_is_on_the_pages(
    pages: dict[str, Page], models: dict[str, Any], sections: dict[str, str]
) -> None:
    """Of each architecture's calls, in its own column of both references, and in the manual page."""
    calls = each_call(models)
    assert sections.keys() == calls.keys()
    checked = 0
    for name, on in calls.items():
        c_name = next(iter(on.values()))["c_name"]
        html = pages[f"{c_name}.html"].tables.get("Arguments and results", [])
        markdown = table_of(sections[name], "| | name | type |")
        manual = " ".join((MAN / f"man3/{c_name}.3").read_text().replace("\\-", "-").split())
        for arch, call in on.items():
            for text in (sections[name], pages[f"{c_name}.html"].text):
                for kept in ("kept", "clobbers"):
                    assert ", ".join(call[kept]) in " ".join(text.split()), (name, arch)
            if not values(call):
                continue
            column, place = html[0].index(arch), markdown[0].index(f"on {arch} in")
            for value in values(call):
                shown = "" if value is call["result"] else value["name"]
                registers = value["registers"]
                rows = [row for row in html if row[0].split()[:1] == [value["name"] if shown else "result"]]
                assert ":".join(reversed(registers)) in [row[column] for row in rows], (name, arch)
                lines = [row for row in markdown if row[1].strip("`") == shown]
                assert ", ".join(registers) in [row[place] for row in lines], (name, arch)
                assert re.search(rf" {':'.join(reversed(registers))}( on {arch}|, |\)\")", manual), (
                    name,
                    arch,
                )
                checked += 1
    assert checked > 400


def test_what_is_the_same_is_said_once(models: dict[str, Any], sections: dict[str, str]) -> None:
    """A call's declaration, the meaning of an argument, how a backend does it."""
    for name, on in each_call(models).items():
        section = sections[name]
        prototypes = {call["prototype"] for call in on.values()}
        shown = section.split("```c\n")[1].split("```")[0].splitlines()
        assert sorted(line for line in shown if not line.startswith("/*")) == sorted(prototypes), name
        assert (f"**On {next(iter(on))} only.**" in section) == (len(on) < len(models)), name
        rows = table_of(section, "| | name | type |")
        meant = {
            (value["name"], value["type"]["name"], value["summary"], value["unit"])
            for call in on.values()
            for value in values(call)
        }
        assert max(0, len(rows) - 1) == len(meant), name
        same = {(tuple(call["kept"]), tuple(call["clobbers"])) for call in on.values()}
        assert len(re.findall(r"(?i)keeps [^|\n]*; destroys ", section)) == len(same), name
        titles = [row[0] for row in table_of(section, "| backend ")[1:]]
        assert len(titles) == len(set(titles)), name


def test_structures_have_each_layout(pages: dict[str, Page], models: dict[str, Any]) -> None:
    readme = (ROOT / "docs/reference/README.md").read_text()
    differ = 0
    for structure in models[ARCHITECTURES[0]]["spec"]["structures"]:
        head = f"struct vmi_{structure['name']}"
        section = readme.split(f"### {head}\n")[1].split("\n### ")[0]
        table, html = table_of(section, "| offset"), pages["structures.html"].tables[head]
        layouts = {
            arch: next(each for each in model["spec"]["structures"] if each["name"] == structure["name"])
            for arch, model in models.items()
        }
        offsets = [[(f["name"], f["offset"]) for f in each["fields"]] for each in layouts.values()]
        same = all(each == offsets[0] for each in offsets)
        differ += not same
        for arch, layout in layouts.items():
            assert f"{layout['size']} bytes" in section, head
            column = table[0].index("offset" if same else f"offset on {arch}")
            assert html[0][column] == ("offset" if same else f"offset, {arch}")
            for field in layout["fields"]:
                for rows in (table, html):
                    found = [row for row in rows if re.search(rf"\b{field['name']}\b", row[-2])]
                    assert str(field["offset"]) in [row[column] for row in found], (head, arch, field["name"])
        assert len(table[0]) == (3 if same else 2 + len(models)), head
    assert differ > 3


def test_the_indexes_say_what_is_where(pages: dict[str, Page], models: dict[str, Any]) -> None:
    readme = table_of((ROOT / "docs/reference/README.md").read_text(), "| no. ")
    matrix = (ROOT / "docs/support-matrix.md").read_text()
    index = [
        row
        for label, rows in pages["index.html"].tables.items()
        if label.startswith("Calls: ")
        for row in rows
    ]
    for name, on in each_call(models).items():
        only = "" if len(on) == len(models) else next(iter(on))
        assert [row[2] for row in readme if row[1].startswith(f"[{name}]")] == [only], name
        wanted = f"{name} {only} only" if only else name
        assert [row[1].strip() for row in index if row[1].split()[:1] == [name]] == [wanted], name
        (line,) = (line for line in matrix.splitlines() if f"| [{name}](" in line)
        assert (f") {only} only |" in line) == bool(only), name
    for arch, model in models.items():
        for backend in model["backends"]:
            ways = list(backend["calls"].values())
            counts = [sum(way["kind"] == kind for way in ways) for kind in KINDS]
            inherited = sum(way["inherited"] for way in ways)
            row = " | ".join(map(str, (backend["title"], arch, *counts, inherited, len(ways))))
            assert f"| {row} |" in matrix


def test_pages_are_the_same_from_each_build() -> None:
    """One set of pages is installed, from whichever."""

    def files(folder: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }

    first = files(BUILD / "docs/html") | files(MAN) | files(BUILD / "generated/reference")
    assert len(first) > 250
    for arch in ARCHITECTURES[1:]:
        folder = tree(arch)
        assert (
            files(folder / "docs/html") | files(folder / "docs/man") | files(folder / "generated/reference")
            == first
        )


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


def test_pages_fit_a_telephone(browser: Browser) -> None:
    """No page is wider than the screen, and no table of registers is to be scrolled."""
    browser.look(width=360)
    wide = []
    for path in sorted(HTML.glob("*.html")):
        browser.open(path)
        beyond = browser.run(
            "[document.documentElement, ...[...document.querySelectorAll('.registers')].map((each) =>"
            " each.parentElement)].map((each) => each.scrollWidth - each.clientWidth)"
        )
        wide += [path.name] if max(beyond) > 0 else []
    assert wide == []


def test_pages_can_be_read_by_all(browser: Browser) -> None:
    for name in ("vmi_write_idt_entry", "vmi_swap_gs", "structures", "support-matrix", "index"):
        for scheme in ("light", "dark"):
            browser.look(scheme)
            browser.open(HTML / f"{name}.html")
            assert browser.axe() == [], name


def test_pages_fit_on_paper(browser: Browser) -> None:
    """A4 less its margins is 700 CSS pixels wide; what is beyond is cut off."""
    browser.look(width=700, media="print")
    for name in ("vmi_write_idt_entry", "vmi_set_alarm", "structures", "support-matrix", "index"):
        browser.open(HTML / f"{name}.html")
        beyond = browser.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert beyond <= 0, name


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
    page = chromium(
        "--host-resolver-rules=MAP * ~NOTFOUND", "--dump-dom", f"file://{HTML}/index.html?q=setcr3"
    )
    found = re.findall(r'<li><a href="([^"]+)"><b>', page)
    assert found[0] == "vmi_set_cr3.html"
    assert re.search(r"<p>\d+ found</p>", page)
    assert 'hidden=""' not in re.findall(r"<form[^>]*>", page)[0]


def test_manual_pages(models: dict[str, Any]) -> None:
    names = {path.name for path in MAN.rglob("*.?")}
    wanted = {f"{call['c_name']}.3" for model in models.values() for call in model["spec"]["calls"]}
    assert wanted | {"vmi.7", "vmigen.1"} <= names
    files = sorted(MAN.rglob("*.?"))
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", *files], capture_output=True, text=True, check=False
    )
    # Pages of the same input are the same bytes, so none has a date.
    assert [line for line in done.stdout.splitlines() if 'missing date, using ""' not in line] == []
    page = MAN / "man3/vmi_set_cr3.3"
    shown = subprocess.run(["mandoc", "-T", "utf8", page], capture_output=True, text=True, check=True)
    text = re.sub(".\b", "", shown.stdout)
    assert "/* i386 */\n       void vmi_set_cr3(uint32_t value);" in text
    assert "/* x86_64 */\n       void vmi_set_cr3(uint64_t value, uint64_t user);" in text
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
    assert "cost on i386, instructions" in shown
    assert '<td class="number">7</td>' in shown
    assert "cost on " not in (tmp_path / "out/html/vmi_get_cr3.html").read_text()


def test_costs_that_are_none_are_one_line(tmp_path: Path) -> None:
    done = pages_of(tmp_path, "{}")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "bench.json:1:1: error: no costs (KeyError: 'calls')" in done.stderr
