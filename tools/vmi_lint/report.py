# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Results as text, JSON and SARIF 2.1.0."""

from __future__ import annotations

import json
from typing import Any

from .allow import Entry
from .lint import Finding, Result
from .rules import CLASSES, Rules

SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def text(result: Result, unused: list[Entry], everything: bool) -> str:
    """One line per finding in the manner of a compiler, then a summary."""
    lines = [_line(finding) for finding in result.left]
    if everything:
        lines += [_line(finding) for finding in result.selectors if finding.allowed is None]
        lines += [
            f"{finding.object}: allowed: {finding.rule.name} in {finding.where}: {finding.allowed.reason}"
            for finding in (*result.findings, *result.selectors)
            if finding.allowed
        ]
        lines += [f"{gap.object}: note: {gap.text}" for gap in result.unknown]
    lines += [
        f"{entry.place}: warning: nothing is allowed by this entry (symbol '{entry.symbol}'); remove it"
        for entry in unused
    ]
    return "\n".join([*lines, *_summary(result, everything)]) + "\n"


def _line(finding: Finding) -> str:
    place = str(finding.source.place) if finding.source else finding.object
    inside = f" of {finding.object}" if finding.source else ""
    frames = "".join(
        f", inlined from {frame.function} at {frame.called}"
        for frame in (finding.source.frames if finding.source else ())
    )
    rule = finding.rule
    what = f"{rule.name} ({finding.text}) in {finding.where}{inside}{frames}"
    return f"{place}: {rule.level}: {what}; {rule.advice}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _summary(result: Result, everything: bool) -> list[str]:
    allowed = sum(finding.allowed is not None for finding in result.findings)
    parts = [_count(len(result.left), "sensitive instruction")]
    if allowed:
        parts.append(f"{allowed} allowed")
    if result.selectors and not everything:
        parts.append(f"{_count(len(result.selectors), 'selector load')} (--all lists them)")
    of = f"{_count(result.objects, 'object')}, {result.code} bytes of code"
    lines = [f"vmi lint: {', '.join(parts)} in {of}"]
    unknown = sum(gap.size for gap in result.unknown)
    if unknown:
        where = "" if everything else "; --all lists them"
        lines.append(f"vmi lint: not checked, as not told from data: {_count(unknown, 'byte')}{where}")
    lines += [
        f"vmi lint: {name} has no symbol table: only what is reached from its entry point and unwind "
        "information was checked; lint the file before it is stripped"
        for name in result.stripped
    ]
    return lines


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
    }


def as_json(result: Result, unused: list[Entry], rules: Rules) -> str:
    """Everything that was found, selectors, what is allowed and what is not known included."""
    return _dump(
        {
            "tool": "vmi lint",
            "interface": rules.version,
            "objects": result.objects,
            "code_bytes": result.code,
            "findings": [_finding(finding) for finding in (*result.findings, *result.selectors)],
            "unknown": [vars(gap) for gap in result.unknown],
            "stripped": result.stripped,
            "unused_allowed": [
                {"file": entry.place.file, "line": entry.place.line, "symbol": entry.symbol}
                for entry in unused
            ],
            "problems": result.problems,
        }
    )


def sarif(result: Result, unused: list[Entry], rules: Rules) -> str:
    """SARIF 2.1.0 (OASIS), as code scanning services read it."""
    listed = list(rules.by_name.values())
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
                    "results": [
                        _sarif_result(finding, index) for finding in (*result.findings, *result.selectors)
                    ],
                }
            ],
        }
    )


def _sarif_result(finding: Finding, index: dict[str, int]) -> dict[str, Any]:
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
    if finding.source and finding.source.frames:
        made["relatedLocations"] = [
            {
                "message": {"text": f"{frame.function} is inlined here"},
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(frame.called.file)},
                    **({"region": {"startLine": frame.called.line}} if frame.called.line else {}),
                },
            }
            for frame in finding.source.frames
        ]
    if finding.allowed:
        made["suppressions"] = [{"kind": "external", "justification": finding.allowed.reason}]
    return made


def _uri(path: str) -> str:
    from urllib.parse import quote

    return ("file://" if path.startswith("/") else "") + quote(path)


def _dump(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
