# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The reference for people: a static HTML site and manual pages, from the same model as the code.

A page per call, guides written in Markdown, and the command line of tools from their argparse parsers. The
site needs no network and no server: its search looks in an index that is one of its files.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import markupsafe
from markdown_it import MarkdownIt
from markdown_it.token import Token

from . import files
from .model import Call, Model
from .problems import Problems, Stop, reason
from .render import TEMPLATES, Output, Renderer, backend_source
from .rules import slug
from .sides import everywhere

ASSETS = ("style.css", "search.js")
# Names of calls that are words of English as well are left as they stand in a text.
_NAME = re.compile(r"\b(?=\w*[a-z]\w*[A-Z]|[A-Z_0-9]{4,}|vmi_|struct )(?:struct )?\w+\b")


@dataclass(frozen=True)
class Section:
    """A heading within a page."""

    title: str
    anchor: str


@dataclass(frozen=True)
class Guide:
    """A page that a person wrote."""

    path: Path
    url: str
    title: str
    sections: tuple[Section, ...]
    tokens: tuple[Token, ...]


@dataclass(frozen=True)
class Command:
    """A tool, or one of its subcommands."""

    name: str
    usage: str
    summary: str
    paragraphs: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    epilog: tuple[str, ...]
    """Lines, as they stand in its help."""


class Pages:
    """What the site and the manual consist of, and how their pages name each other."""

    def __init__(
        self,
        models: Mapping[str, Model],
        spec_source: str,
        folders: dict[str, Path],
        guides: Sequence[Path],
        costs: Path | None,
        checks: Mapping[str, Sequence[str]],
    ) -> None:
        self._models = models
        self._model = everywhere(models)
        self._spec_source = spec_source
        self._folders = folders
        self._costs_file = costs
        self._checks = checks
        self._costs = _costs(costs)
        self._markdown = MarkdownIt("commonmark", {"xhtmlOut": False}).enable("table")
        self._guides = [self._guide(path) for path in guides]
        readmes = {name: folder / "README.md" for name, folder in folders.items()}
        self._readmes = {
            name: self._guide(path, backend_url(name)) for name, path in readmes.items() if path.is_file()
        }
        self._urls = {guide.path: guide.url for guide in (*self._guides, *self._readmes.values())}
        self._pictures = {
            picture.name: picture
            for guide in (*self._guides, *self._readmes.values())
            for picture in self._pictures_of(guide)
        }
        self._names = self._known_names()

    # Names and addresses

    def _known_names(self) -> dict[str, str]:
        """Where each call, constant and structure is described, by the names that texts use."""
        known: dict[str, str] = {}
        for call in self._model.spec.calls:
            known |= {call.name: call_url(call), call.c_name: call_url(call)}
        for group in self._model.spec.constants:
            known |= {value.c_name: f"constants.html#{value.c_name}" for value in group.values}
        for structure in self._model.spec.structures:
            known[f"struct vmi_{structure.name}"] = f"structures.html#{structure.name}"
        return known

    def linked(self, text: str) -> markupsafe.Markup:
        """Text with links to the calls, constants and structures that it names."""
        parts: list[markupsafe.Markup] = []
        end = 0
        for found in _NAME.finditer(text):
            url = self._names.get(found[0])
            if url:
                name = markupsafe.escape(found[0])
                parts += [markupsafe.escape(text[end : found.start()])]
                parts += [markupsafe.Markup(f'<a href="{url}">{name}</a>')]
                end = found.end()
        return markupsafe.Markup("").join([*parts, markupsafe.escape(text[end:])])

    # Guides

    def _guide(self, path: Path, url: str = "") -> Guide:
        path = path.resolve()
        try:
            text = files.text(path)
        except OSError as error:
            message = f"{path}:1:1: error: cannot read ({reason(error)}); expected Markdown; correct the path"
            raise Stop(message) from None
        tokens = [token for token in self._markdown.parse(text) if token.type != "html_block"]
        title, sections = "", []
        used = set(_TAKEN)
        for token, inline in itertools.pairwise(tokens):
            if token.type != "heading_open":
                continue
            words = _plain(inline)
            anchor = _anchor(words, used)
            token.attrSet("id", anchor)
            if token.tag == "h1" and not title:
                title = words
            elif token.tag == "h2":
                sections.append(Section(words, anchor))
        if not title:
            raise Stop(f"{path}:1:1: error: no title; expected a line `# TITLE`; write one")
        name = path.parent.name if path.stem == "README" else path.stem
        return Guide(path, url or f"guide-{slug(name)}.html", title, tuple(sections), tuple(tokens))

    def body(self, guide: Guide) -> markupsafe.Markup:
        """A guide as HTML, without its title. Links to what is no page of the site are text."""
        tokens = list(guide.tokens)
        for position, token in enumerate(tokens):
            if token.type == "heading_open" and token.tag == "h1":
                del tokens[position : position + 3]
                break
        for token in tokens:
            if token.type == "inline":
                token.children = self._links(guide, token.children or [])
        html = self._markdown.renderer.render(tokens, self._markdown.options, {})
        html = html.replace("<table>", _SCROLL + "<table>").replace("</table>", "</table></div>")
        return markupsafe.Markup(html.replace("<pre>", '<pre tabindex="0">'))

    @staticmethod
    def _pictures_of(guide: Guide) -> list[Path]:
        """Files that a guide shows, which lie on the site beside its page."""
        children = (child for token in guide.tokens for child in token.children or [])
        return [guide.path.parent / str(child.attrGet("src")) for child in children if child.type == "image"]

    def _links(self, guide: Guide, tokens: list[Token]) -> list[Token]:
        kept: list[Token] = []
        dropped = 0
        for token in tokens:
            if token.type == "link_open":
                url = self._address(guide, str(token.attrGet("href")))
                if url is None:
                    dropped += 1
                    continue
                token.attrSet("href", url)
            elif token.type == "link_close" and dropped:
                dropped -= 1
                continue
            kept.append(token)
        return kept

    def _address(self, guide: Guide, target: str) -> str | None:
        """Where a guide's link leads on the site."""
        if re.match(r"https?://|mailto:|#", target):
            return target
        file, _, fragment = target.partition("#")
        path = (guide.path.parent / file).resolve()
        if path in self._urls:
            return self._urls[path] + (f"#{fragment}" if fragment else "")
        if path.parent.name == "reference" and path.suffix == ".md":
            calls = {call.name.lower(): call_url(call) for call in self._model.spec.calls}
            return calls.get(fragment, "index.html")
        return "support-matrix.html" if path.name == "support-matrix.md" else None

    # Everything

    def render(self, tools: Sequence[str], problems: Problems) -> dict[str, str]:
        """Path and text of every page."""
        renderer = Renderer(
            self._models,
            next(iter(self._models)),
            self._spec_source,
            self._folders,
            problems,
            self._checks,
            {
                "call_url": call_url,
                "backend_url": backend_url,
                "linked": self.linked,
                "body": self.body,
                "costs": lambda call: self._costs["calls"].get(call.name, {}),
                "cost_unit": self._costs["unit"],
                "costs_on": next(iter(self._models)),
                "guides": self._guides,
                "readmes": self._readmes,
                "roff": roff,
                "begun": lambda text: text[:1].upper() + text[1:],
            },
        )
        wanted = (*self._html(), *self._man(tools))
        texts = renderer.render([replace(output, page=True) for output in wanted])
        for name in ASSETS:
            texts[f"html/{name}"] = (TEMPLATES / name).read_text(encoding="utf-8")
        for name, picture in self._pictures.items():
            texts[f"html/{name}"] = picture.read_text(encoding="utf-8")
        texts["html/search-index.js"] = self._index()
        return texts

    def inputs(self) -> list[Path]:
        """What pages are made from beside the model."""
        return [
            *sorted(path for path in TEMPLATES.iterdir() if path.is_file()),
            *sorted(Path(__file__).resolve().parent.glob("*.py")),
            *(guide.path for guide in (*self._guides, *self._readmes.values())),
            *self._pictures.values(),
            *([self._costs_file] if self._costs_file and self._costs_file.is_file() else []),
        ]

    def _html(self) -> list[Output]:
        spec = self._model.spec
        own = (self._spec_source,)
        everything = (self._spec_source, "the backends") if self._model.backends else own
        calls = list(spec.calls)
        found = [
            Output("html/index.html", "index.html.j2", own),
            Output("html/constants.html", "constants.html.j2", own),
            Output("html/structures.html", "structures.html.j2", own),
            Output("html/support-matrix.html", "support-matrix.html.j2", everything),
        ]
        for before, call, after in zip([None, *calls], calls, [*calls[1:], None], strict=False):
            more = {"call": call, "before": before, "after": after}
            found.append(Output(f"html/{call_url(call)}", "call.html.j2", everything, more=more))
        for backend in self._model.backends:
            sources = (self._spec_source, backend_source(backend.name))
            found.append(Output(f"html/{backend_url(backend.name)}", "backend.html.j2", sources, backend))
        for guide in self._guides:
            source = (guide.path.name,)
            found.append(Output(f"html/{guide.url}", "guide.html.j2", source, more={"guide": guide}))
        return found

    def _man(self, tools: Sequence[str]) -> list[Output]:
        spec = self._model.spec
        everything = (self._spec_source, "the backends") if self._model.backends else (self._spec_source,)
        found = [Output("man/man7/vmi.7", "vmi.7.j2", everything)]
        for call in spec.calls:
            more = {"call": call, "others": [c for c in spec.categories[call.category] if c is not call]}
            found.append(Output(f"man/man3/{call.c_name}.3", "call.3.j2", everything, more=more))
        for tool in tools:
            name, parser = load_parser(tool)
            more = {"tool": name, "commands": commands(parser)}
            found.append(Output(f"man/man1/{name}.1", "command.1.j2", (f"{name} --help",), more=more))
        return found

    def _index(self) -> str:
        """What the search knows: title, address, kind, and a line of text that is searched as well."""
        spec = self._model.spec
        rows: list[tuple[str, str, str, str]] = []
        for call in spec.every_call:
            text = f"{call.c_name} {call.ordinal}: {call.summary}"
            rows.append(
                (call.name, call_url(call), "call", text + (f" {call.only} only" if call.only else ""))
            )
        for group in spec.constants:
            for value in group.values:
                url = f"constants.html#{value.c_name}"
                rows.append((value.c_name, url, "constant", f"{value.text}: {value.summary}"))
        for structure in spec.structures:
            name = f"struct vmi_{structure.name}"
            rows.append((name, f"structures.html#{structure.name}", "structure", structure.summary))
        for known in spec.types:
            url = f"structures.html#type-{known.name}"
            rows.append((known.name, url, "type", f"{known.c}: {known.summary}"))
        for backend in self._model.backends:
            rows.append((backend.title, backend_url(backend.name), "backend", backend.summary))
            for _, hypercall in (next(iter(entry.values())) for entry in backend.hypercall_rows):
                url = f"{backend_url(backend.name)}#hypercall-{hypercall.name}"
                rows.append((hypercall.name, url, "hypercall", f"{backend.title}: {hypercall.summary}"))
        for guide in self._guides:
            rows.append((guide.title, guide.url, "guide", ""))
            rows += [(s.title, f"{guide.url}#{s.anchor}", "guide", guide.title) for s in guide.sections]
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        return f"// SPDX-License-Identifier: MIT OR GPL-2.0-only\nconst vmiIndex = [\n{lines}\n];\n"


# Anchors that the templates set on pages with a person's text.
_TAKEN = ("search", "words", "hint", "found", "content", "ways", "hypercalls")
_SCROLL = '<div class="scroll" tabindex="0" role="region" aria-label="Table">'


def call_url(call: Call) -> str:
    """A call's page."""
    return f"{call.c_name}.html"


def backend_url(name: str) -> str:
    """A backend's page."""
    return f"backend-{name}.html"


def _plain(inline: Token) -> str:
    return "".join(child.content for child in inline.children or [] if child.type in ("text", "code_inline"))


def _anchor(words: str, used: set[str]) -> str:
    """A heading's name in addresses, as GitHub makes it."""
    base = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
    anchor, number = base, 0
    while anchor in used:
        number += 1
        anchor = f"{base}-{number}"
    used.add(anchor)
    return anchor


LINKED = "static"
UNIT = "instructions"
"""Of the costs in docs/benchmarks.md, those that the pages show."""


def _costs(path: Path | None) -> dict[str, Any]:
    """What was measured; nothing where no measurement is there."""
    if path is None or not os.path.lexists(path):
        return {"unit": "", "calls": {}}
    try:
        found = json.loads(files.text(path))
        calls: dict[str, dict[str, float]] = {}
        for row in found["calls"]:
            if row["binding"] == LINKED and row["unit"] == UNIT:
                for call, cost in row["calls"].items():
                    calls.setdefault(str(call), {})[str(row["backend"])] = float(cost)
        return {"unit": UNIT, "calls": calls}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Stop(
            f"{path}:1:1: error: no costs ({type(error).__name__}: {error}); expected "
            "the lists of docs/benchmarks.md; measure again, or remove the file"
        ) from None


# Manual pages


def roff(text: str, keep: bool = False) -> str:
    """Text for a manual page: no character of it is taken as a request or an escape. Its spaces are folded,
    unless they are to be kept."""
    text = str(text) if keep else " ".join(str(text).split())
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = text.replace("'", "\\(aq").replace("`", "\\(ga").replace("^", "\\(ha").replace("~", "\\(ti")
    return "\\&" + text if text.startswith(".") else text


def load_parser(tool: str) -> tuple[str, argparse.ArgumentParser]:
    """The argparse parser of a tool, by NAME=FOLDER:MODULE:FUNCTION."""
    try:
        name, _, where = tool.partition("=")
        folder, module, function = where.split(":")
        sys.path.insert(0, folder)
        parser = getattr(importlib.import_module(module), function)(name)
        if not isinstance(parser, argparse.ArgumentParser):
            raise TypeError(f"what {module}.{function} made is no argparse parser")
        return name, parser
    except (ValueError, ImportError, AttributeError, TypeError) as error:
        expected = "NAME=FOLDER:MODULE:FUNCTION"
        raise Stop(f"vmigen: error: --tool {tool}: {error}; expected {expected}; correct it", 2) from None


def commands(parser: argparse.ArgumentParser) -> list[Command]:
    """A parser's own command line, then those of its subcommands."""
    found = [_command(parser, (parser.description or parser.prog).split("\n\n")[0].split(". ")[0])]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            found += [_command(sub, helps.get(name, "")) for name, sub in action.choices.items()]
    return found


def _command(parser: argparse.ArgumentParser, summary: str) -> Command:
    formatter = argparse.HelpFormatter(prog=parser.prog, width=10_000)
    groups = parser._mutually_exclusive_groups
    formatter.add_usage(parser.usage, parser._actions, groups, prefix="")
    usage = formatter.format_help().strip().removeprefix(parser.prog).strip()
    options = []
    for action in parser._actions:
        if action.help == argparse.SUPPRESS or isinstance(action, argparse._SubParsersAction):
            continue
        default = (
            formatter._get_default_metavar_for_optional(action)
            if action.option_strings
            else formatter._get_default_metavar_for_positional(action)
        )
        value = "" if action.nargs == 0 else formatter._format_args(action, default)
        head = ", ".join(action.option_strings) + (f" {value}" if action.option_strings and value else "")
        text = (action.help or "") % {**vars(action), "prog": parser.prog}
        options.append((head or value, text))
    paragraphs = tuple((parser.description or "").strip("\n").split("\n\n"))
    epilog = tuple((parser.epilog or "").strip("\n").splitlines())
    return Command(parser.prog, usage, summary.strip().rstrip("."), paragraphs, tuple(options), epilog)
