# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The command line: `python -m vmigen generate|pages|check|diff|list-outputs|list-backends`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import diff, files, output, schema
from . import document as yaml
from .backends import BackendRules, BackendSource
from .model import Model
from .problems import Problems, Stop, reason
from .program import Parser, ended, tell
from .render import TEMPLATES, Renderer, architectures
from .rules import SpecRules, names

PROJECT = Path(__file__).resolve().parents[2]
SPEC_SCHEMA = PROJECT / "spec" / "vmi.schema.json"
BACKEND_SCHEMA = PROJECT / "spec" / "backend.schema.json"
BACKEND_FILE = "backend.yaml"


DIFF = """\
Classes every change between two specifications:

  BREAKING           a source, in C or assembly, that was right is wrong, or a provider of the published
                     interface, or a kernel that is linked with a backend
  SOURCE-COMPATIBLE  sources stay right; objects must be compiled again
  COMPATIBLE         objects stay right

Exit status: 0 nothing breaks, 1 something does, 2 misuse or a specification that does not pass `check`."""


class _Parser(Parser):
    """One line for misuse, and exit status 2."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise Stop(f"{self.prog}: error: {message}; see {self.prog} --help", 2)


@dataclass
class Loaded:
    """Everything that was read and resolved: the model of the architecture that was asked for, and of all
    that are supported, which pages show."""

    model: Model
    models: dict[str, Model]
    folders: dict[str, Path]
    inputs: list[Path]


def main(arguments: list[str], program: str = "vmigen") -> int:
    """Runs one subcommand; 0 well, 1 problems in the input, 2 misuse, 130 Ctrl-C."""

    def run() -> int:
        try:
            return _run(_parser(program).parse_args(arguments))
        except Stop as stop:
            tell(stop.message)
            return stop.status

    return ended(program, run)


def _parser(program: str) -> argparse.ArgumentParser:
    parser = _Parser(prog=program, description="Generates everything that repeats the VMI specification.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    common = _Parser(add_help=False)
    common.add_argument(
        "--spec",
        type=Path,
        default=PROJECT / "spec" / "vmi.yaml",
        help="the specification (default: spec/vmi.yaml)",
    )
    common.add_argument(
        "--backends",
        type=Path,
        nargs="*",
        default=[],
        metavar="FOLDER",
        help="backend folders, parents included",
    )
    single = _Parser(add_help=False, parents=[common])
    single.add_argument("--arch", default="i386", help="architecture (default: i386)")
    generate = commands.add_parser("generate", parents=[single], help="check, render and write all outputs")
    generate.add_argument(
        "--others",
        type=Path,
        nargs="*",
        default=[],
        metavar="FOLDER",
        help="backend folders that are for other architectures alone; the pages show them",
    )
    generate.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to")
    generate.add_argument(
        "--depfile", type=Path, metavar="FILE", help="write the inputs as a Makefile rule, for the build"
    )
    pages = commands.add_parser(
        "pages",
        parents=[common],
        help="write the HTML reference (DIR/html) and the manual pages (DIR/man), of all architectures",
    )
    pages.set_defaults(arch=None)
    pages.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to")
    pages.add_argument(
        "--depfile", type=Path, metavar="FILE", help="write the inputs beside the model as a Makefile rule"
    )
    pages.add_argument(
        "--guide",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="Markdown that becomes a page of the reference, in order",
    )
    pages.add_argument(
        "--tool",
        action="append",
        default=[],
        metavar="NAME=FOLDER:MODULE:FUNCTION",
        help="a command, and the function that makes an argparse parser of that name; NAME(1) is written",
    )
    pages.add_argument(
        "--costs", type=Path, metavar="FILE", help="JSON with measured costs of calls, shown if it is there"
    )
    for command in (generate, pages):
        command.add_argument(
            "--checks",
            type=Path,
            metavar="FILE",
            help="JSON: names of the checks that show a call, by the call's symbol; for the pages",
        )
    commands.add_parser("check", parents=[single], help="check only")
    commands.add_parser("list-outputs", parents=[single], help="paths that `generate` writes, one per line")
    listing = commands.add_parser(
        "list-backends", help="names of the backends in a folder, one per line, parents first"
    )
    listing.add_argument("folder", type=Path, metavar="FOLDER")
    between = commands.add_parser(
        "diff",
        help="class what changed between two specifications",
        description=DIFF,
        epilog=_rules_text(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    between.add_argument(
        "old", metavar="OLD", help="a file, a tree's folder, or a git revision: REV, or REV:path"
    )
    between.add_argument("new", metavar="NEW", help="the same")
    between.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    between.add_argument("--strict", action="store_true", help="fail for SOURCE-COMPATIBLE changes as well")
    between.add_argument(
        "--no-backends",
        action="store_false",
        dest="backends",
        help="compare the specifications alone, not the backends of their trees",
    )
    between.add_argument(
        "--changes",
        type=Path,
        metavar="FILE",
        help="fail instead for changes that are not COMPATIBLE and that this CHANGES.md does not name",
    )
    return parser


def _rules_text() -> str:
    width = max(map(len, diff.RULES))
    lines = [f"  {rule:{width}}  {level}: {text}" for rule, (level, text) in diff.RULES.items()]
    return "\n".join(["rules:", *lines])


def _diff(options: argparse.Namespace) -> int:
    backend_schema = BACKEND_SCHEMA if options.backends else None
    old, new = (diff.read(each, SPEC_SCHEMA, backend_schema) for each in (options.old, options.new))
    changes = diff.compare(old, new)
    if options.format == "json":
        print(diff.as_json(old, new, changes))
    else:
        diff.as_text(changes, print)
    if options.changes is None:
        failing = {diff.Level.BREAKING, *((diff.Level.SOURCE,) if options.strict else ())}
        return 1 if any(change.level in failing for change in changes) else 0
    try:
        text = files.text(options.changes)
    except OSError as error:
        what = f"cannot read '{options.changes}' ({reason(error)})"
        raise Stop(f"vmi diff: error: {what}; expected a CHANGES.md; correct the path", 2) from None
    heading = ".".join(map(str, new.api))
    missing = list(diff.announced(changes, text, heading))
    for change in missing:
        print(
            f"{options.changes}: error: {change.level} change not named under '## {heading}'; "
            f"expected a line with `{change.rule}` and `{change.subject}`; say there what kernels must do",
            file=sys.stderr,
        )
    return 1 if missing else 0


def _run(options: argparse.Namespace) -> int:
    if options.command == "list-backends":
        return _list_backends(options.folder)
    if options.command == "diff":
        return _diff(options)
    problems = Problems()
    others = options.others if options.command == "generate" else ()
    loaded = load(options.spec, options.backends, options.arch, problems, others)
    if problems or loaded is None:
        raise Stop(str(problems))
    if options.command == "pages":
        return _pages(options, loaded, problems, _checks(options.checks))
    checks = _checks(options.checks) if options.command == "generate" else {}
    renderer = Renderer(loaded.models, options.arch, options.spec.name, loaded.folders, problems, checks)
    if options.command == "list-outputs":
        print("\n".join(item.path for item in renderer.outputs()))
        return 0
    texts = renderer.render()
    if problems:
        raise Stop(str(problems))
    if options.command == "check":
        return 0
    output.write(options.out, texts)
    if options.depfile:
        rule = _rule([options.out / path for path in texts], [*loaded.inputs, *renderer.templates()])
        output.write(options.depfile.parent, {options.depfile.name: rule})
    return 0


def _pages(
    options: argparse.Namespace, loaded: Loaded, problems: Problems, checks: dict[str, list[str]]
) -> int:
    try:
        from .pages import Pages
    except ModuleNotFoundError as error:
        raise Stop(f"vmigen: error: no module {error.name}; expected markdown-it-py; install it") from None
    pages = Pages(loaded.models, options.spec.name, loaded.folders, options.guide, options.costs, checks)
    texts = pages.render(options.tool, problems)
    if problems:
        raise Stop(str(problems))
    output.write(options.out, texts)
    output.remove_others(options.out, texts, ("html", "man"))
    if options.depfile:
        targets = [options.out / name for name in ("html", "man")]
        output.write(options.depfile.parent, {options.depfile.name: _rule(targets, pages.inputs())})
    return 0


def _checks(path: Path | None) -> dict[str, list[str]]:
    if path is None:
        return {}
    try:
        return {str(symbol): list(names) for symbol, names in json.loads(files.text(path)).items()}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        found = f"{path}:1:1: error: no table of checks ({why})"
        raise Stop(f"{found}; expected JSON; correct the path") from None


def load(
    spec_path: Path,
    backend_folders: list[Path],
    arch: str | None,
    problems: Problems,
    others: Sequence[Path] = (),
) -> Loaded | None:
    """Reads, checks and resolves the specification and the backends for one architecture (None: the first
    one), and for all that are supported. A backend that is not for the architecture asked for is a problem,
    unless it is one of `others`."""
    spec_document = yaml.load(spec_path, problems)
    sources: list[BackendSource] = []
    all_folders = [*backend_folders, *others]
    for folder in all_folders:
        document = yaml.load(folder / BACKEND_FILE, problems)
        if document is not None:
            sources.append(BackendSource(folder.resolve(), document))
    inputs = [
        spec_path,
        SPEC_SCHEMA,
        BACKEND_SCHEMA,
        *(folder / BACKEND_FILE for folder in all_folders),
        *sorted(Path(__file__).resolve().parent.glob("*.py")),
    ]
    backend_schema = schema.load_schema(BACKEND_SCHEMA)
    for source in sources:
        bad = schema.check(source.document, backend_schema, problems)
        source.refused_calls = {str(path[1]) for path in bad if len(path) > 1 and path[0] == "calls"}
        source.lost = schema.prune(source.document, bad)
    if spec_document is None:
        return None
    bad = schema.check(spec_document, schema.load_schema(SPEC_SCHEMA), problems)
    known = (
        set(spec_document["architectures"]) if isinstance(spec_document.get("architectures"), dict) else set()
    )
    status = (
        {
            name: part["status"]
            for name, part in spec_document.get("architectures", {}).items()
            if isinstance(part, dict) and "status" in part
        }
        if known
        else {}
    )
    lost = schema.prune(spec_document, bad)
    supported = [name for name in status if status[name] == "supported" and name in architectures()]
    first = arch or (supported or architectures())[0]
    if known and "architectures" not in lost:
        _check_architecture(first, known, status)

    def resolved(name: str, of: list[BackendSource]) -> Model | None:
        rules = SpecRules(spec_document, name, lost, problems)
        spec = rules.resolve()
        if spec is None:
            return None
        backends = BackendRules(of, spec, rules.call_names, lost, known, problems).resolve()
        return None if problems else Model(spec, backends)

    def meant(name: str) -> list[BackendSource]:
        return [source for source in sources if name in source.document.get("architectures", ())]

    own = {folder.resolve() for folder in backend_folders}
    asked = [source for source in sources if source.folder in own]
    model = resolved(first, asked if arch else meant(first))
    if model is None:
        return None
    models = {}
    for name in supported:
        other = model if name == first else resolved(name, meant(name))
        if other is None:
            return None
        models[name] = other
    return Loaded(model, models, {source.name: source.folder for source in sources}, inputs)


def _check_architecture(arch: str, known: set[str], status: dict[str, str]) -> None:
    if arch not in known:
        found, expected = f"unknown architecture '{arch}'", f"one of {names(sorted(known))}"
    elif status.get(arch) != "supported" or arch not in architectures():
        ready = [name for name in architectures() if status.get(name) == "supported"]
        found, expected = f"architecture '{arch}' is planned, not supported", names(ready)
    else:
        return
    raise Stop(f"vmigen: error: {found}; expected {expected}; correct --arch", 2)


def _rule(targets: list[Path], inputs: list[Path]) -> str:
    def escape(path: Path) -> str:
        return str(path).replace("\\", "\\\\").replace(" ", "\\ ").replace("#", "\\#").replace("$", "$$")

    return f"{' '.join(map(escape, targets))}: {' '.join(map(escape, dict.fromkeys(inputs)))}\n"


def _list_backends(folder: Path) -> int:
    try:
        folders = sorted(path.parent for path in folder.glob(f"*/{BACKEND_FILE}"))
        if not folder.is_dir():
            raise NotADirectoryError(20, os.strerror(20))
    except OSError as error:
        why = f"cannot read '{folder}' ({reason(error)})"
        raise Stop(f"vmigen: error: {why}; expected a folder of backends; correct the path", 2) from None
    problems = Problems()
    documents = {
        path.name: document
        for path in folders
        if (document := yaml.load(path / BACKEND_FILE, problems)) is not None
    }
    if problems:
        raise Stop(str(problems))
    listed: list[str] = []

    def add(name: str, children: tuple[str, ...]) -> None:
        parent = documents[name].get("inherits")
        if isinstance(parent, str) and parent in documents and parent not in (*children, name):
            add(parent, (*children, name))
        if name not in listed:
            listed.append(name)

    for name in documents:
        add(name, ())
    print("\n".join(listed), end="\n" if listed else "")
    return 0


__all__ = ["BACKEND_SCHEMA", "SPEC_SCHEMA", "TEMPLATES", "Loaded", "load", "main"]
