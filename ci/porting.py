# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi new-backend` and `./vmi check`: a backend begun, and how far it has come (docs/porting.md)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmigen.backends import RESERVED_NAMES
from vmigen.render import architectures

from . import ktap
from .backends import backends
from .boot import CPUS
from .build import build, kernels
from .conformance import DEADLINE, needed
from .rig import Guest, discover
from .util import BUILD, RESULTS, ROOT, UserError, progress, write_if_changed

LICENCE = "SPDX-License-Identifier: MIT OR GPL-2.0-only"


@dataclass(frozen=True)
class Transfer:
    """One way into a hypervisor, as lines of backend.yaml."""

    lines: tuple[str, ...]
    clobbers: str
    """What dies besides the result."""
    about: str
    arguments: str = "ebx, ecx, edx, esi, edi"
    page: bool = False
    """Whether the hypervisor fills in a page of code."""


def transfer(name: str, kind: str) -> Transfer:
    """What `--hypercall` asks for."""
    number = r"(0x[0-9a-fA-F]+|0|[1-9][0-9]*)"
    if kind == "vmcall":
        return Transfer(
            ("vmcall",), "none", "Intel's instruction; a processor of AMD's has vmmcall in its place."
        )
    if kind == "page":
        return Transfer(
            (f"call vmi__{name}_hypercall_page",), "none",
            "A page of code that the hypervisor writes (hypercall_page.S).", page=True,
        )  # fmt: skip
    if (found := re.fullmatch(rf"int:{number}", kind)) and int(found[1], 0) <= 0xFF:
        return Transfer((f"int ${int(found[1], 0):#x}",), "none", "A trap gate of the hypervisor's.")
    if (found := re.fullmatch(rf"port:{number}", kind)) and int(found[1], 0) <= 0xFFFF:
        return Transfer(
            (f"mov ${int(found[1], 0):#x}, %edx", "in %dx, %eax"), "[edx]",
            "A read from a port, at which the hypervisor looks at the other registers.",
            arguments="ebx, ecx, esi, edi",
        )  # fmt: skip
    raise UserError(f"--hypercall {kind}: expected vmcall, int:0xNN, page or port:0xNNNN", 2)


def _yaml(name: str, parent: str, way: Transfer | None) -> str:
    text = f"""\
# yaml-language-server: $schema=../../spec/backend.schema.json
# {LICENCE}
#
# What this backend does its own way; every call that is not listed is inherited. codegen/README.md has the
# format, `./vmi check {name}` says how far it has come.

name: {name}
title: {name.capitalize()}
summary: "{name.capitalize()}, on top of what {parent} does."
architectures: [i386]
inherits: {parent}
defaults: inherited
"""
    if way:
        lines = "".join(f"      - {json.dumps(line)}\n" for line in way.lines)
        text += f"""
hypercalls:
  prefix: vmi__{name}_hypercall_
  # {way.about} The registers and what dies are the hypervisor's to say.
  i386:
    number: eax
    arguments: [{way.arguments}]
    result: eax
    clobbers: {way.clobbers}
    transfer:
{lines}  calls:
    - {{name: first, number: 0, summary: "The first hypercall; replace it by those that there are."}}
"""
    return text


def _init(name: str, parent: str) -> str:
    path = ROOT / "backends" / parent / "backend_init.c"
    if not path.is_file():
        able = [p.parent.name for p in sorted(ROOT.glob("backends/*/backend_init.c"))]
        raise UserError(
            f"{parent} starts in a way of its own, without backend_init.c; inherit from {' or '.join(able)}",
            2,
        )
    body = path.read_text().split("*/", 1)[1]
    body = re.sub(r'#include "([^/"]+)"', rf'#include "{parent}/\1"', body)
    body = body.replace(f'boot->backend = "{parent}";', f'boot->backend = "{name}";')
    # Its image must not take a machine for its own before it can tell one.
    body = re.sub(r"(bool vmi__backend_here\(void\)\n\{\n    return ).*;", r"\1false;", body)
    head = (
        f"/* {LICENCE}\n *\n * Start of the {name} library, at first that of {parent}. "
        "Here the hypervisor is looked\n * for: where it is missing, vmi__fatal(reason) says so and stops."
        "\n */"
    )
    return head + body


def _files(name: str, parent: str, way: Transfer | None) -> dict[str, str]:
    entry = ["'backend_init.c'"]
    files = {
        "backend.yaml": _yaml(name, parent, way),
        "backend_init.c": _init(name, parent),
        "rig.py": f'''\
# {LICENCE}
"""At first the machine of {parent}; the hypervisor's own takes its place."""

from __future__ import annotations

from typing import Any

from ci.rig import Configuration, rig_class

Parent: Any = rig_class("{parent}")


class BackendRig(Parent):  # type: ignore[misc]  # known only when it runs
    configurations = (Configuration("{name}", "{name.capitalize()}"),)
''',
        "README.md": f"""\
<!-- {LICENCE} -->
# {name.capitalize()}

## Purpose

A library for {name.capitalize()}, which does what `backend.yaml` lists and otherwise what {parent} does.

## How the machine is detected

Not at all yet: it runs wherever {parent} does.

## How it boots

As {parent} does; `rig.py` is for the tests.

## What is unsupported, and why

What {parent} does not support.
""",
    }
    if way and way.page:
        entry.append("'hypercall_page.S'")
        files["hypercall_page.S"] = f"""\
/* {LICENCE} */
/*
 * The page that the hypervisor fills with the way into it; backend_init.c tells it where the page is. Until
 * then a hypercall returns VMI_ENOSYS: eax holds the number before and the result after.
 */
#include <vmi/constants.h>

    .section .text.hypercall_page, "ax", @progbits
    .balign 4096
    .globl vmi__{name}_hypercall_page
vmi__{name}_hypercall_page:
    movl $VMI_ENOSYS, %eax
    ret
    .balign 4096

    .section .note.GNU-stack, "", @progbits
"""
    files["meson.build"] = (
        f"# {LICENCE}\nbackend_sources = files()\n"
        f"backend_entry = [runtime_entry, files({', '.join(entry)})]\n"
    )
    return files


def new_backend(name: str, parent: str, hypercall: str) -> int:
    known = backends()
    if not re.fullmatch(r"[a-z][a-z0-9]{1,30}", name):
        raise UserError(f"{name}: expected lower-case letters and digits, a letter first", 2)
    if name in RESERVED_NAMES or name in architectures():
        raise UserError(f"name '{name}' is reserved; choose another", 2)
    folder = ROOT / "backends" / name
    if folder.exists():
        raise UserError(f"backends/{name} is there already; choose another name, or remove it", 2)
    if parent not in known:
        raise UserError(f"no backend {parent}; there are: {', '.join(known)}", 2)
    files = _files(name, parent, transfer(name, hypercall) if hypercall else None)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as new:
        (Path(new) / name).mkdir(mode=0o755)
        for file, text in files.items():
            write_if_changed(Path(new) / name / file, text)
        (Path(new) / name).rename(folder)
    about = {
        "backend.yaml": "add the calls that it does its own way"
        + (", and its hypercalls" if hypercall else ""),
        "backend_init.c": "say whether the hypervisor is there, and refuse where it is missing",
        "hypercall_page.S": "nothing; backend_init.c says where it is",
        "meson.build": "add files of routines to backend_sources",
        "rig.py": "how a kernel is booted on it",
        "README.md": "how it is detected and boots, what is unsupported and why",
    }
    print(f"backends/{name} inherits from {parent}. What to fill in:")
    for file in about:
        if file in files:
            print(f"  {file:<17} {about[file]}")
    print(f"./vmi check {name} says how far it has come.")
    return 0


def model() -> dict[str, Any]:
    """The resolved model of the last build."""
    found: dict[str, Any] = json.loads((BUILD / "generated/model.json").read_text())
    return found


def problems(name: str) -> str:
    """What the generator says is wrong with a backend; empty if nothing is."""
    folders = [ROOT / "backends" / each for each in backends([name])]
    command = [
        sys.executable,
        "-m",
        "vmigen",
        "check",
        "--spec",
        "spec/vmi.yaml",
        "--backends",
        *map(str, folders),
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "codegen")},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.replace(f"{ROOT}/", "") if done.returncode else ""


def declared(name: str, way: dict[str, Any]) -> str:
    """How a call is done, in a few words."""
    how = (
        way["how"]
        if way["kind"] != "instruction" or len(way["how"]) <= 30
        else f"{len(way['instructions'])} lines"
    )
    text = f"{way['kind']}: {how}"
    return text if way["origin"] == name else f"{text} (from {way['origin']})"


def _runs(name: str) -> dict[str, ktap.Report]:
    """The conformance kernel in each configuration of a backend."""
    rig = discover(progress).get(name)
    if rig is None:
        raise UserError(f"backends/{name} has no rig.py, so nothing can be shown")
    own = [configuration for configuration in rig.configurations if not configuration.limited]
    if not own:
        raise UserError(f"nothing can be shown: {rig.configurations[0].limited}")
    rig.prepare()
    image = kernels("conformance")[name]
    reports = {}
    with rig.steady_session(RESULTS / "check") as session:
        for configuration in own:
            progress(f"conformance of {configuration.name}")
            guest = Guest(
                image, configuration.name, cpus=CPUS, deadline=DEADLINE, options=configuration.options
            )
            reports[configuration.name] = ktap.parse(session.run(guest).console)
    return reports


def shown(call: str, reports: dict[str, ktap.Report]) -> tuple[str, str]:
    """Whether every configuration shows a call: `shown`, `not shown` or `WRONG`, and why not."""
    found = [
        test
        for report in reports.values()
        for test in report.tests
        if test.name in (f"contract.{call}", f"matrix.{call}")
    ]
    for test in found:
        if test.status == "fail":
            return "WRONG", test.reason
    if len(found) < 2 * len(reports):
        return "not shown", "the kernel did not come so far"
    for test in found:
        if test.status == "skip":
            return "not shown", test.reason
    return "shown", ""


def check(name: str) -> int:
    if name not in backends():
        raise UserError(f"no backend {name}; there are: {', '.join(backends())}", 2)
    wrong = problems(name)
    if wrong:
        print(f"missing or wrong in backends/{name}:")
        print(wrong.rstrip())
        return 1
    build(*needed([name]))
    resolved = model()
    ways = next(backend for backend in resolved["backends"] if backend["name"] == name)["calls"]
    reports = _runs(name)
    verdicts: Counter[str] = Counter()
    for call, way in ways.items():
        verdict, reason = shown(call, reports)
        verdicts[verdict] += 1
        line = f"{call:<18} {verdict:<9} {declared(name, way)}"
        print(line + (f" — {reason}" if reason else ""))
    own = sum(way["origin"] == name for way in ways.values())
    kinds = Counter(way["kind"] for way in ways.values())
    others = [
        f"{configuration}: {failure}"
        for configuration, report in reports.items()
        for failure in report.failures()
        if not re.match(r"not ok \d+ (contract|matrix)\.", failure)
    ]
    for line in others:
        print(line)
    print(
        f"{name}: {len(ways)} calls, {own} of its own; declared: "
        + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    )
    print(f"{name}: {verdicts['shown']} shown, {verdicts['not shown']} not shown, {verdicts['WRONG']} wrong")
    return 1 if verdicts["WRONG"] or others else 0
