# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The page of `./vmi report`, as a browser, a keyboard, a screen reader and a printer have it."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import html5lib
import pytest

from ci import figure, ktap
from ci.boot import BOUND_FIGURE, FIGURE
from ci.build import tree
from ci.conformance import DOCUMENT as CONFORMANCE
from ci.life import DOCUMENT as LIFE
from ci.life import Event
from ci.life import Row as LifeRow
from ci.life import as_json as life_json
from ci.long import DOCUMENT as LONG
from ci.long import Kept, Result, Results
from ci.machines import DOCUMENT as MACHINES
from ci.machines import Boot, record
from ci.page_update import Step
from ci.report import report
from ci.report.inputs import BENCHMARKS
from ci.report.page import Machines, render
from ci.rig import discover
from ci.setup import provide
from ci.testing import JUNIT
from ci.util import ARCHITECTURES, RESULTS
from ci.virtualization import DOCUMENT as EXITS
from ci.virtualization import EVERY, Counts, as_json, ways_of

from ..guests import Place, Whole, whole_places
from .browser import Browser

CHROMIUM = {"chromium": "chromium"}
KEYS = {"Tab": 9, "Enter": 13}

TESTS_OF_EACH_KIND = """
import pytest

def test_passes():
    pass

def test_fails():
    assert "<b>expected</b>" == "seen"

@pytest.mark.skip(reason="for the report")
def test_skipped():
    pass
"""


def row(place: Place, outcome: object, report: ktap.Report) -> figure.Row:
    on = place.rig.describe()
    return figure.Row(place.configuration, place.backend, place.arch, on, {}, outcome, report)  # type: ignore[arg-type]


def benchmarks() -> dict[str, object]:
    """Every section of docs/benchmarks.md."""
    common = {"backend": "pc", "configuration": "pc", "unit": "instructions"}
    spread = {"median": 1.25, "mad": 0.01, "least": 1.2, "runs": 5}
    bindings = ("static", "linked", "boot", "inline", "pointer")
    rows = [{**common, "architecture": arch, "binding": b} for arch in ARCHITECTURES for b in bindings]
    return {
        "schema": 2,
        "quick": False,
        "machine": {"processor": "Some processor", "processors": 2, "rigs": {"pc": {"qemu": "7.2"}}},
        "calls": [{**row, "calls": {"CPUID": 12.0, "SetCR3": 3400.5}} for row in rows],
        "workloads": [
            {**row, "workloads": {"syscall": {"rounds": 10, "ticks": 4000, "per_round": 400.0}}}
            for row in rows
        ],
        "boot": [{**row, "ticks": 123456} for row in rows],
        "counted": [{"backend": "pc", "title": "exits", "rows": [{"operation": "clock", "exits": "0.00"}]}],
        "dispatch": [
            {"call": "cli", "way": w, "unit": "nanoseconds", **spread} for w in ("direct", "pointer")
        ],
        "sizes": [{"name": "libvmi-pc.a", "file": 40000, "text": 20000, "data": 12, "bss": 4096}],
        "times": [{"what": "generate", "unit": "seconds", **spread}],
    }


TRAPS, HYPERCALLS = 1234, 567
"""Of a boot by the exits that the page shows."""


def exits() -> str:
    """results/exits.json, with the same counts for all ways."""
    found = ways_of(discover(print), [], ARCHITECTURES)
    reasons = {each.name: {"io": 1.5} for each in EVERY}
    steps = [Step("write_cr3", "mov %rax, %cr3", "load"), Step("hypercall", "mmu_update", "")]
    reasons["boot"] = {"io": TRAPS - 4, "hypercall": HYPERCALLS, "msr": 4}
    counts = Counts({"a hypervisor": "1"}, reasons, [(7, 14)], steps)
    return as_json([(each, [counts] * len(each.ways)) for each in found])


def long_tests(folder: Path) -> None:
    """results/long.json, of one part."""
    identity = {"commit": "0123456789abcdef", "changed": False, "tree": "", "tools": {"compiler": "gcc 12"}}
    made = Results(folder / LONG.name, {"schema": 1, **identity})
    part = made.parts["boots"] = Kept("boots", planned=["pc 1", "pc 2", "pc 3"])
    part.take(Result("pc 1", {"boots": 2500}, on={"Xen": "4.17"}), 3600)
    part.take(Result("pc 2", {"boots": 500}, "boot 7: <b>hung</b>\nconsole"), 1800)
    made.save()


def lives(folder: Path) -> None:
    """results/life.json, of one configuration."""
    events = [Event("stop", 3, 0, 84.25), Event("file", 3, 1, 1.0, ["the <b>wall clock</b> is wrong by 9 s"])]
    (folder / LIFE.name).write_text(life_json([LifeRow("pc", "x86_64", events)], 3, 10))


WHEN = "2026-01-31 12:00 UTC"
REFUSAL = "the processor has no <b>long mode</b>"


def machine_boots(folder: Path) -> None:
    """results/machines.json, with a boot of each verdict and tier."""
    for machine, cpu, arch, verdict, words, tier in (
        ("pc", "pentium3", "i386", "runs", "97 checks, 34 skipped", "ordinary"),
        ("pc", "pentium3", "x86_64", "refuses", REFUSAL, "ordinary"),
        ("pc", "EPYC-Milan", "x86_64", "fails", "ended with panic; PANIC: vector 0x0d", "long"),
        ("pc", "EPYC-Genoa", "i386", "absent", "this QEMU has no such model", "long"),
    ):
        record(
            Boot(machine, cpu, "SeaBIOS", arch, verdict, words, "QEMU 7.2.0, TCG", WHEN, tier),
            folder / MACHINES.name,
        )


@pytest.fixture
def results(
    whole: Whole, bound: Whole, tmp_path_factory: pytest.TempPathFactory, cache: dict[str, Path]
) -> Path:
    """A results folder as runs leave it: guests in every configuration, pytest's XML, benchmarks."""
    if "results" not in cache:
        folder = tmp_path_factory.mktemp("results")
        # As tests/boot has them: they are booted once.
        for name, boot in {FIGURE.name: whole, BOUND_FIGURE.name: bound}.items():
            rows = [row(place, *boot(place)) for place in whole_places()]
            (folder / name).write_text(figure.as_json(rows, figure.every_object(rows)))
        (folder / CONFORMANCE.name).write_bytes((folder / FIGURE.name).read_bytes())
        (folder / BENCHMARKS[0]).write_text(json.dumps(benchmarks()))
        long_tests(folder)
        lives(folder)
        (folder / EXITS.name).write_text(exits())
        machine_boots(folder)
        (folder / "test_kinds.py").write_text(TESTS_OF_EACH_KIND)
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", f"--junitxml={folder / JUNIT.name}",
             "--rootdir", folder, "-p", "no:cacheprovider", "-p", "no:labgrid", folder / "test_kinds.py"],
            capture_output=True, check=False,
        )  # fmt: skip
        cache["results"] = folder
    return cache["results"]


@pytest.fixture(scope="module")
def cache() -> dict[str, Path]:
    """What tests of this file share but can only make with `run`."""
    return {}


@pytest.fixture
def page(results: Path, cache: dict[str, Path]) -> Path:
    if "page" not in cache:
        cache["page"] = results / "report.html"
        assert report(results, cache["page"]) == 0
    return cache["page"]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    provide(CHROMIUM)
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium: Browser, page: Path) -> Browser:
    """The page, fresh, without network, as most people see it."""
    chromium.look()
    chromium.send(
        "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0
    )
    chromium.open(page)
    return chromium


def test_loads_alone_and_without_a_word(browser: Browser, page: Path) -> None:
    assert [each["request"]["url"] for each in browser.of("Network.requestWillBeSent")] == [page.as_uri()]
    assert browser.of("Log.entryAdded") == []
    assert browser.of("Runtime.consoleAPICalled") == []
    assert browser.of("Runtime.exceptionThrown") == []
    assert browser.run("document.title") == "VMI SDK: report of the last runs"
    assert not re.search(r'(?:src|href)="(?!#|data:,")', page.read_text())


def test_figure_has_the_numbers_of_the_runs(browser: Browser, results: Path) -> None:
    for name, section in ((FIGURE.name, "figure"), (BOUND_FIGURE.name, "bound")):
        labels = browser.run(
            f"[...document.querySelectorAll('#{section} figure svg')].map((s) => s.ariaLabel)"
        )
        texts = browser.run(
            f"[...document.querySelectorAll('#{section} figure svg')].map((s) => s.textContent)"
        )
        rows = json.loads((results / name).read_text())["rows"]
        assert len(labels) == len(texts) == len(rows) == len(whole_places())
        for label, text, each in zip(labels, texts, rows, strict=True):
            calls = sum(call["count"] for call in each["calls"])
            hypercalls = sum(one["count"] for one in each["hypercalls"])
            passed = sum(check["status"] == "pass" for check in each["checks"])
            for said in (f"ring {each['boot']['rpl']}", f"{passed} of {len(each['checks'])} checks passed"):
                assert said in label and said in text
            assert f"{calls:,} calls" in label and f"{calls:,}" in text
            assert f"{hypercalls:,} hypercalls" in label and f"{hypercalls:,}" in text


def test_exits_are_on_the_arrows(browser: Browser, results: Path) -> None:
    """A drawing for each way, and a table of all operations for each hypervisor."""
    found = json.loads((results / EXITS.name).read_text())["hypervisors"]
    labels = browser.run("[...document.querySelectorAll('#exits figure svg')].map((s) => s.ariaLabel)")
    assert len(labels) == sum(len(each["ways"]) for each in found) > 0
    for label in labels:
        assert f"{TRAPS:,} traps and {HYPERCALLS} hypercalls to: " in label
    rows = browser.run("document.querySelectorAll('#exits tbody tr').length")
    assert rows == len(found) * len(EVERY)
    steps = browser.run("[...document.querySelectorAll('#exits ol li')].map((each) => each.textContent)")
    assert steps == ["write_cr3: mov %rax, %cr3 in load", "hypercall: mmu_update"] * len(labels)


def test_accessible(browser: Browser) -> None:
    """Everything opened, so that nothing hides from axe-core."""
    browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert browser.axe() == []
    browser.look("dark")
    assert browser.axe("color-contrast") == []


def test_problems_would_be_found(browser: Browser) -> None:
    browser.run("document.querySelector('#figure figure svg').removeAttribute('aria-label')")
    browser.run("document.documentElement.style.setProperty('--quiet', '#cccccc')")
    browser.run("document.querySelector('#figure .scroll').removeAttribute('tabindex')")
    browser.look(width=360)
    found = {line.split(":")[0] for line in browser.axe(within="#figure")}
    assert found == {"svg-img-alt", "color-contrast", "scrollable-region-focusable"}


def test_results_can_be_seen(browser: Browser) -> None:
    browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    words = browser.run(
        "[...document.querySelectorAll('.status')].filter((each) => each.getBoundingClientRect().x >= 0)"
        ".map((each) => each.textContent)"
    )
    assert len(words) == browser.run("document.querySelectorAll('.status').length")
    of_machines = {word for _, word in Machines.MARKS.values()}
    assert set(words) == {"✓ pass", "✗ FAIL", "– skip"} | of_machines


def test_fits_a_telephone(browser: Browser) -> None:
    browser.look(width=360)
    browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert browser.run("document.documentElement.scrollWidth") <= 360
    # What is wide is scrolled, not broken into lines: rows of the figures' tables have one, their heads two.
    heights = browser.run(
        "[...document.querySelectorAll('#figure tbody tr, #bound tbody tr')].map((row) => row.offsetHeight)"
    )
    assert heights and max(heights) < 2 * min(heights) and max(heights) < 40


def luminance(colour: str) -> float:
    """WCAG 2.1, relative luminance, of #rrggbb."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("scheme", "media"), [("light", ""), ("dark", ""), ("dark", "print")])
def test_drawings_are_readable(browser: Browser, scheme: str, media: str) -> None:
    """axe-core does not look into drawings: their colours have WCAG's contrast, 4.5 to 1 for text and 3 to 1
    for shapes."""
    browser.look(scheme, media=media)
    names = ("back", "raised", "text", "quiet", "accent", "kernel", "library", "below", "good", "bad")
    colours = browser.run(
        f"Object.fromEntries({json.dumps(names)}.map((name) => [name,"
        " getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim()]))"
    )
    if media == "print":
        assert colours["back"] == "#ffffff"
    text = [("text", box) for box in ("back", "raised", "kernel", "library", "below")]
    text += [(name, "back") for name in ("quiet", "good", "bad")]
    for front, back, least in [*((*pair, 4.5) for pair in text), ("accent", "back", 3)]:
        light, dark = sorted((luminance(colours[front]), luminance(colours[back])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= least, (front, back)
    clipped = browser.run(
        "[...document.querySelectorAll('svg text')].filter((text) => {"
        " const box = text.getBBox(); const view = text.ownerSVGElement.viewBox.baseVal;"
        " return box.x < -1 || box.x + box.width > view.width + 1 || box.y + box.height > view.height + 1;"
        "}).map((text) => text.textContent)"
    )
    assert clipped == []
    legends = browser.run(
        "[...document.querySelectorAll('#benchmarks svg')].map((drawing) => ["
        "new Set([...drawing.querySelectorAll('.mark')].map((each) => each.getAttribute('class'))).size,"
        "drawing.querySelectorAll('.line').length]).filter(([marks]) => marks)"
    )
    assert legends and all(marks == names for marks, names in legends), "two series look the same"


def models() -> dict[str, Any]:
    """What the support matrix is made from, by architecture."""
    return {arch: json.loads((tree(arch) / "generated/model.json").read_text()) for arch in ARCHITECTURES}


def shown(browser: Browser) -> list[str]:
    """Calls that the support matrix shows."""
    names: list[str] = browser.run(
        "[...document.querySelectorAll('#matrix-table .call')].filter((row) => row.offsetParent)"
        ".map((row) => row.querySelector('th').firstChild.textContent.trim())"
    )
    return names


def press(browser: Browser, key: str) -> None:
    browser.press(key, KEYS[key], "\r" if key == "Enter" else "")


def focused(browser: Browser) -> str:
    return str(browser.run("document.activeElement.id || document.activeElement.className"))


def test_works_by_keyboard(browser: Browser) -> None:
    press(browser, "Tab")
    assert focused(browser) == "skip-link"
    press(browser, "Enter")
    assert focused(browser) == "content"
    for _ in range(30):
        press(browser, "Tab")
        if focused(browser) == "filter-text":
            break
    assert focused(browser) == "filter-text"
    assert browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    every = {call["name"] for model in models().values() for call in model["spec"]["calls"]}
    assert sorted(shown(browser)) == sorted(every)
    browser.send("Input.insertText", text="setcr3")
    assert shown(browser) == ["SetCR3"]
    assert browser.run("document.getElementById('filter-count').textContent") == f"1 of {len(every)} calls"
    browser.run("document.getElementById('filter').reset()")
    browser.run("new Promise((done) => setTimeout(done, 50))")
    assert len(shown(browser)) == len(every)
    browser.run("document.querySelector('#checks details summary').focus()")
    press(browser, "Enter")
    assert browser.run("document.querySelector('#checks details').open") is True


def test_matrix_is_filtered_by_kind_and_backend(browser: Browser) -> None:
    wanted: dict[str, set[str]] = {}
    for model in models().values():
        for backend in model["backends"]:
            calls = {name for name, way in backend["calls"].items() if way["kind"] == "hypercall"}
            wanted.setdefault(backend["name"], set()).update(calls)
    for name, calls in wanted.items():
        browser.run(
            f"document.getElementById('filter-backend').value = {json.dumps(name)};"
            "document.getElementById('filter-kind').value = 'hypercall';"
            "document.getElementById('filter-kind').dispatchEvent(new Event('input', {bubbles: true}))"
        )
        assert sorted(shown(browser)) == sorted(calls)


def test_matrix_has_both_architectures(tmp_path: Path) -> None:
    """Each call of either is a row, and each backend's ways of both are in its cell."""
    page, _ = render(tmp_path)
    document = html5lib.parse(page, namespaceHTMLElements=False)
    rows = {
        row.find("th").text.strip(): {
            cell.get("data-backend"): " ".join("".join(cell.itertext()).split())
            for cell in row.iter("td")
            if cell.get("data-backend")
        }
        for row in document.iter("tr")
        if row.get("class") == "call"
    }
    seen = set()
    for arch, model in models().items():
        for backend in model["backends"]:
            for name, way in backend["calls"].items():
                seen.add(name)
                cell = rows[name][backend["name"]]
                how = " ".join(way["how"].split())
                said = f"{way['kind']} ↑ {way['origin']}" if way["inherited"] else how
                assert said in cell, (arch, backend["name"], name)
        assert f"{arch} only" in page
    assert set(rows) == seen
    assert "i386: instruction mov %eax, %cr3" in rows["SetCR3"]["native"]
    assert "x86_64: instruction mov %rdi, %cr3" in rows["SetCR3"]["native"]
    for arch in ARCHITECTURES:
        assert f"{tree(arch).name}/backends/libvmi-native.a" in page


def test_whole_without_scripts(browser: Browser, page: Path) -> None:
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page)
        assert len(shown(browser)) > 80
        assert browser.run("document.getElementById('filter').hidden") is True
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)


def test_prints(browser: Browser) -> None:
    """On pages of A4, dark scheme or not; the print is kept, and pictures, to be looked at."""
    for name, scheme, width in (("light", "light", 1280), ("dark", "dark", 1280), ("narrow", "light", 360)):
        browser.look(scheme, width)
        picture = browser.send("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        keep(f"report-{name}.png", picture["data"])
    browser.look("dark")
    data = keep("report.pdf", browser.send("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)["data"])
    browser.look(media="print")
    printed = browser.run(
        "[...document.querySelectorAll('#tests details, #long details')].filter((each) => each.offsetHeight)"
        ".map((each) => each.querySelector('summary').textContent.trim())"
    )
    assert printed and all("FAIL" in each for each in printed), "what failed is printed, what is shut is not"
    assert data.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", data)) <= 40


def keep(name: str, data: str) -> bytes:
    path = RESULTS / "test" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(base64.b64decode(data))
    return path.read_bytes()


def test_page_is_html(page: Path) -> None:
    html5lib.HTMLParser(strict=True).parse(page.read_text())


def test_results_are_in_it(page: Path) -> None:
    text = page.read_text()
    assert "1 passed, 1 failed, 1 skipped" in text
    assert "&lt;b&gt;expected&lt;/b&gt;" in text and "<b>expected" not in text
    assert "for the report" in text
    for place in whole_places():
        assert f"Console of {place} (" in text
    for said in ("SetCR3", "3400.50", "123,456", "libvmi-pc.a", "Some processor", "exits"):
        assert said in text
    assert "Not here." not in text


def test_same_page_again(page: Path, results: Path, tmp_path: Path) -> None:
    report(results, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_failures_are_told(results: Path, tmp_path: Path, chromium: Browser) -> None:
    """Text of a console never becomes part of the page."""
    document = json.loads((results / FIGURE.name).read_text())
    each = document["rows"][0]
    each["passed"], each["failures"] = False, ["not ok 1 boot.information: <script>alert(1)</script>"]
    each["checks"][0]["status"] = "fail"
    each["console"] = "</pre><script>console.error('run')</script>"
    (tmp_path / FIGURE.name).write_text(json.dumps(document))
    path = tmp_path / "report.html"
    report(tmp_path, path)
    chromium.look()
    chromium.open(path)
    assert chromium.of("Runtime.consoleAPICalled") == []
    assert chromium.run("document.scripts.length") == 1
    assert "1 FAILED" in chromium.run("document.querySelector('#figure figure svg').textContent")
    assert "✗ FAIL" in chromium.run("document.querySelector('#figure tbody tr').textContent")
    assert chromium.axe(within="#figure") == chromium.axe(within="#checks") == []


def test_long_tests_are_told(tmp_path: Path) -> None:
    long_tests(tmp_path)
    path = tmp_path / "report.html"
    report(tmp_path, path)
    section = path.read_text().partition('<section id="long"')[2].partition("</section>")[0]
    row = re.search(r'<th scope="row">boots</th>(.*?)</tr>', section)
    assert row and re.findall(r"<td>(.*?)</td>", row[1]) == ["2", "3", "1", "3,000 boots", "1.5"]
    assert "<code>0123456789ab</code>" in section
    assert "boots: pc 2: boot 7: &lt;b&gt;hung&lt;/b&gt;" in section
    for name, version in (("compiler", "gcc 12"), ("Xen", "4.17")):
        assert f"<dt>{name}</dt><dd>{version}</dd>" in section


def test_lives_are_told(tmp_path: Path) -> None:
    lives(tmp_path)
    path = tmp_path / "report.html"
    report(tmp_path, path)
    section = path.read_text().partition('<section id="life"')[2].partition("</section>")[0]
    rows = re.findall(r'<th scope="row">pc-x86_64</th>(.*?)</tr>', section)
    found = [re.findall(r"<td>(.*?)</td>", row) for row in rows]
    assert found == [["stop", "3", "0", "84.2"], ["file", "3", "1", "1.0"]]
    assert "pc-x86_64, file: the &lt;b&gt;wall clock&lt;/b&gt; is wrong by 9 s" in section


def test_machines_are_told(tmp_path: Path) -> None:
    """A row for each machine, a cell for each architecture: verdict, words, where, when."""
    machine_boots(tmp_path)
    path = tmp_path / "report.html"
    report(tmp_path, path)
    section = path.read_text().partition('<section id="machines"')[2].partition("</section>")[0]
    assert "1 run, 1 refuse and say why, 1 fail, 1 are not to be had here" in section
    rows = html5lib.parse(section, namespaceHTMLElements=False).iter("tr")
    cells = [[" ".join("".join(cell.itertext()).split()) for cell in row] for row in rows][1:]
    when = f"QEMU 7.2.0, TCG; {WHEN}"
    long = f"QEMU 7.2.0, TCG; long tier, {WHEN}"
    assert cells == [
        ["pc", "EPYC-Genoa", "SeaBIOS", f"– not here this QEMU has no such model {long}", "not booted"],
        ["pc", "EPYC-Milan", "SeaBIOS", "not booted", f"✗ FAILS ended with panic; PANIC: vector 0x0d {long}"],
        ["pc", "pentium3", "SeaBIOS", f"✓ runs 97 checks, 34 skipped {when}", f"– refuses {REFUSAL} {when}"],
    ]


def test_what_is_missing_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], chromium: Browser
) -> None:
    path = tmp_path / "report.html"
    assert report(tmp_path, path) == 0
    lines = capsys.readouterr().out
    for word in ("boot", "boot any", "conformance", "bench", "test", "test --long", "life"):
        assert f"not run; ./vmi {word} makes it\n" in lines
        assert f"not run; ./vmi {word} makes it." in path.read_text()
    html5lib.HTMLParser(strict=True).parse(path.read_text())
    chromium.look()
    chromium.open(path)
    assert chromium.axe() == []


@pytest.mark.parametrize(
    "name",
    [
        FIGURE.name, BOUND_FIGURE.name, CONFORMANCE.name, BENCHMARKS[0], JUNIT.name, LONG.name,
        MACHINES.name, LIFE.name,
    ],
)
@pytest.mark.parametrize("content", ["", "[1]", '{"rows": [{}], "calls": [{}]}'])
def test_what_is_damaged_is_said(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert report(tmp_path, tmp_path / "report.html") == 0
    assert re.search(rf"{name} is (damaged|of another version); ", (tmp_path / "report.html").read_text())
