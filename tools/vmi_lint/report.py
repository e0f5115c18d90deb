# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Results as text, JSON and SARIF 2.1.0."""

from __future__ import annotations

import json
from typing import Any

from . import stores
from .allow import Entry
from .lint import Finding, Result
from .rules import BELOW_STACK, CLASSES, NOT_INSTRUCTIONS, UNKNOWN, Rules

SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def text(result: Result, unused: list[Entry], everything: bool) -> str:
    """One line per finding in the manner of a compiler, then a summary."""
    lines = [_line(group) for group in _groups(result.left)]
    lines += [_line(group) for group in _groups(_open(result.hints))]
    if everything:
        lines += [_line(group) for group in _groups(_open([*result.selectors, *result.entries]))]
        lines += [
            f"{finding.object}: library: {finding.rule.name} ({finding.text}) in {finding.where}"
            for finding in result.all
            if finding.library
        ]
        lines += [
            f"{finding.object}: allowed: {finding.rule.name} in {finding.where}: {finding.allowed.reason}"
            for finding in result.all
            if finding.allowed
        ]
        lines += [f"{gap.object}: note: {gap.text}" for gap in result.unknown]
    lines += [
        f"{entry.place}: warning: nothing is allowed by this entry (symbol '{entry.symbol}'); remove it"
        for entry in unused
    ]
    return "\n".join([*lines, *_summary(result, everything)]) + "\n"


def _open(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.allowed is None and not finding.library]


def _groups(findings: list[Finding]) -> list[list[Finding]]:
    """Findings in their order, those of one instruction on one line of the source together."""
    made: dict[object, list[Finding]] = {}
    for i, finding in enumerate(findings):
        same = finding.source is not None and finding.rule.kind != UNKNOWN
        key = (finding.source.place, finding.rule.name) if same and finding.source else i
        made.setdefault(key, []).append(finding)
    return list(made.values())


_SHOWN = 3
"""Places of one group that are named."""


def _line(group: list[Finding]) -> str:
    finding = group[0]
    place = str(finding.source.place) if finding.source else finding.object
    rule = finding.rule
    places = [_place(each) for each in group[:_SHOWN]]
    if len(group) > _SHOWN:
        places.append(f"{len(group) - _SHOWN} more")
    times = f" {len(group)} times," if len(group) > 1 else ""
    return f"{place}: {rule.level}: {rule.name} ({finding.text}){times} in {'; '.join(places)}; {rule.advice}"


def _place(finding: Finding) -> str:
    inside = f" of {finding.object}" if finding.source else ""
    frames = "".join(
        f", inlined from {frame.function} at {frame.called}"
        for frame in (finding.source.frames if finding.source else ())
    )
    return f"{finding.where}{inside}{frames}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _summary(result: Result, everything: bool) -> list[str]:
    allowed = sum(finding.allowed is not None for finding in result.findings)
    undecoded = [finding for finding in result.left if finding.rule.kind == UNKNOWN]
    below = [finding for finding in result.left if finding.rule.kind == BELOW_STACK]
    left = [finding for finding in result.left if finding.rule.kind not in (UNKNOWN, BELOW_STACK)]
    lines = len(_groups(left))
    parts = [_count(len(left), "sensitive instruction")]
    if lines < len(left):
        parts[0] += f" at {_count(lines, 'place')} of the source"
    if below:
        parts.append(_count(len(below), "use of the red zone", "uses of the red zone"))
    if undecoded:
        parts.append(f"{_count(len(undecoded), 'place')} in functions that could not be decoded")
    if result.library:
        parts.append(f"{len(result.library)} in the library's own code")
    if allowed:
        parts.append(f"{allowed} allowed")
    selectors = [finding for finding in result.selectors if not finding.library]
    if selectors and not everything:
        parts.append(f"{_count(len(selectors), 'selector load')} (--all lists them)")
    if result.entries:
        parts.append(f"{len(result.entries)} right in a user program")
    if hints := _open(result.hints):
        parts.append(_count(len(hints), "store to look at", "stores to look at"))
    of = f"{_count(result.objects, 'object')}, {result.code} bytes of code"
    if result.problems:
        of += f"; {_count(len(result.problems), 'file')} not read"
    said = [f"vmi lint: {', '.join(parts)} in {of}"]
    unknown = sum(gap.size for gap in result.unknown)
    if unknown:
        where = "" if everything else "; --all lists them"
        said.append(f"vmi lint: not checked, as not told from data: {_count(unknown, 'byte')}{where}")
    said += [
        f"vmi lint: {name} has very much debug information: stores were not looked for (--hints=always does)"
        for name in result.no_hints
    ]
    said += [
        f"vmi lint: {name} has no symbol table: only what is reached from its entry point and unwind "
        "information was checked; lint the file before it is stripped"
        for name in result.stripped
    ]
    return said


def _finding(finding: Finding) -> dict[str, Any]:
    source = finding.source
    return {
        "instruction": finding.rule.name,
        "class": finding.rule.kind,
        "level": finding.rule.level,
        "file": finding.file,
        "member": finding.member,
        "section": finding.section,
        "offset": finding.offset,
        "symbol": finding.symbol,
        "symbol_offset": finding.symbol_offset,
        "bytes": finding.code.hex(),
        "text": finding.text,
        "source": {"file": source.place.file, "line": source.place.line} if source else None,
        "inlined": [
            {"function": frame.function, "file": frame.called.file, "line": frame.called.line}
            for frame in (source.frames if source else ())
        ],
        "calls": [{"name": name, "symbol": symbol} for name, symbol in finding.rule.calls],
        "instead": finding.rule.instead,
        "allowed": finding.allowed.reason if finding.allowed else None,
        "library": finding.library,
    }


def as_json(result: Result, unused: list[Entry], rules: Rules) -> str:
    """Everything that was found, selectors, what is allowed and what is not known included."""
    return _dump(
        {
            "tool": "vmi lint",
            "interface": rules.version,
            "objects": result.objects,
            "code_bytes": result.code,
            "counted": len(result.left),
            "findings": [_finding(finding) for finding in result.all],
            "unknown": [vars(gap) for gap in result.unknown],
            "stripped": result.stripped,
            "no_hints": result.no_hints,
            "unused_allowed": [
                {"file": entry.place.file, "line": entry.place.line, "symbol": entry.symbol}
                for entry in unused
            ],
            "problems": result.problems,
        }
    )


def sarif(result: Result, unused: list[Entry], rules: Rules) -> str:
    """SARIF 2.1.0 (OASIS), as code scanning services read it."""
    listed = [*rules.by_name.values(), *NOT_INSTRUCTIONS, *(stores.rule(kind, rules) for kind in stores.KINDS)]
    index = {rule.name: i for i, rule in enumerate(listed)}
    notices = [
        *(f"{gap.object}: {gap.text}"
          for gap in result.unknown),
        *(f"{name} has no symbol table: only what is reached from its entry point and unwind information was "
          "checked" for name in result.stripped),
        *(f"{entry.place}: nothing is allowed by this entry (symbol '{entry.symbol}')" for entry in unused),
    ]  # fmt: skip
    errors = [{"level": "error", "message": {"text": problem}} for problem in result.problems]
    return _dump(
        {
            "$schema": SARIF_SCHEMA,
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {
                        "driver": {
                            "name": "vmi lint",
                            "version": rules.version,
                            "rules": [
                                {
                                    "id": rule.id,
                                    "name": "".join(word.capitalize() for word in rule.id.split("-")),
                                    "shortDescription": {"text": f"{rule.name}: {rule.summary}"},
                                    "fullDescription": {"text": f"{rule.name} {CLASSES[rule.kind]}."},
                                    "help": {"text": f"{rule.advice}. Source: {rule.source}."},
                                    "defaultConfiguration": {"level": rule.level},
                                    "properties": {"tags": [rule.kind]},
                                }
                                for rule in listed
                            ],
                        }
                    },
                    "columnKind": "unicodeCodePoints",
                    "invocations": [
                        {
                            "executionSuccessful": not result.problems,
                            "toolExecutionNotifications": [
                                *errors,
                                *({"level": "note", "message": {"text": notice}} for notice in notices),
                            ],
                        }
                    ],
                    "results": [_sarif_result(group, index, result) for group in _sarif_groups(result)],
                }
            ],
        }
    )


def _sarif_groups(result: Result) -> list[list[Finding]]:
    """Those that count together, those that do not each by itself; in their order."""
    counted = {id(group[0]): group for group in _groups(result.left)}
    grouped = {id(finding) for group in counted.values() for finding in group}
    return [
        counted.get(id(finding), [finding])
        for finding in result.all
        if id(finding) in counted or id(finding) not in grouped
    ]


def _sarif_result(group: list[Finding], index: dict[str, int], result: Result) -> dict[str, Any]:
    finding = group[0]
    rule = finding.rule
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(finding.file)}}
    if finding.source:
        place = {
            "artifactLocation": {"uri": _uri(finding.source.place.file)},
            "region": {"startLine": finding.source.place.line},
        }
    place["address"] = {
        "relativeAddress": finding.offset,
        "length": len(finding.code),
        "name": finding.section,
        "kind": "instruction",
    }
    location: dict[str, Any] = {"physicalLocation": place}
    if finding.symbol:
        location["logicalLocations"] = [
            {"name": finding.symbol, "fullyQualifiedName": f"{finding.object}:{finding.symbol}",
             "kind": "function"}
        ]  # fmt: skip
    made: dict[str, Any] = {
        "ruleId": rule.id,
        "ruleIndex": index[rule.name],
        "level": rule.level,
        "message": {
            "text": f"{rule.name} ({finding.text}) in {finding.where} of {finding.object}; {rule.advice}"
        },
        "locations": [location],
        "partialFingerprints": {
            "instruction/v1": ":".join(
                (finding.object, finding.symbol or finding.section, f"{finding.symbol_offset:#x}", rule.id)
            )
        },
    }
    frames = [frame for each in group if each.source for frame in each.source.frames]
    if frames:
        made["relatedLocations"] = [
            {
                "message": {"text": f"{frame.function} is inlined here"},
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(frame.called.file)},
                    **({"region": {"startLine": frame.called.line}} if frame.called.line else {}),
                },
            }
            for frame in frames
        ]
    if len(group) > 1:
        made["occurrenceCount"] = len(group)
    if finding.library or any(finding is entry for entry in result.entries):
        made |= {"kind": "informational", "level": "none"}
    if result.allow_unknown and rule.kind == UNKNOWN:
        made["suppressions"] = [{"kind": "external", "justification": "--allow-unknown"}]
    if finding.allowed:
        made["suppressions"] = [{"kind": "external", "justification": finding.allowed.reason}]
    return made


def _uri(path: str) -> str:
    from urllib.parse import quote

    return ("file://" if path.startswith("/") else "") + quote(path)


def _dump(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
