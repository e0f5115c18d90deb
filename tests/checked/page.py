# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""docs/checked-rules.md: each rule with the violations that the tests make of it, what `checked` says, and
what hypervisors have made of it.

    python -m tests.checked.page            # writes the page
    python -m tests.checked.page --take     # takes what `./vmi test --long violations` has found first
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from ruamel.yaml import YAML

from ci.bench_page import table
from ci.build import tree
from ci.lint import LICENCE
from ci.util import ARCHITECTURES, ROOT, UserError, remembered, write_if_changed

from .reactions import DOCUMENT, KINDS, NOTHING, OTHERWISE, RECORD
from .reactions import recorded as recorded_in
from .violations import STORE, Violation, listed

PAGE = ROOT / "docs/checked-rules.md"
RULES = ROOT / "runtime/checked/rules.yaml"
HERE = "<!-- From here on: python -m tests.checked.page -->\n"
"""Below which the page is rendered."""


def recorded() -> dict[str, dict[str, Any]]:
    """What the backends' folders have of violations, by backend."""
    return {
        path.parts[-3]: recorded_in(path.parent) for path in sorted(ROOT.glob(f"backends/*/tests/{RECORD}"))
    }


def cell(violation: Violation, found: dict[str, Any], architecture: str) -> str:
    """What came of a violation."""
    if architecture not in violation.architectures:
        return f"not made: it is {shown(violation.architectures[0])}'s"
    each = found.get(violation.name)
    if each is None:
        return "not run"
    said = f"**{each['kind']}**" + (f": {each['said']}" if each["said"] else "")
    return f"{said}. {violation.needed_by}".rstrip() if each["kind"] in (NOTHING, OTHERWISE) else said


def message(violation: Violation) -> str:
    said = dict.fromkeys(violation.found[arch] for arch in violation.architectures)
    return "; ".join(said)


def models() -> list[dict[str, Any]]:
    """The specification of each architecture: some calls, and some rules, are of one alone."""
    files = [tree(arch) / "include/vmi/model.json" for arch in ARCHITECTURES]
    return [json.loads(file.read_text(encoding="utf-8"))["spec"] for file in files]


def rendered() -> str:
    """The page as it is to be; its text above HERE as it is."""
    before, there, _ = PAGE.read_text(encoding="utf-8").partition(HERE)
    if not there:
        raise UserError(f"{PAGE}: expected the line {HERE.strip()}, below which the page is rendered")
    calls: dict[str, Any] = {}
    words: dict[str, str] = {}
    for spec in models():
        calls |= {each["name"]: each for each in spec["calls"]}
        words |= {each["name"]: each["summary"] for each in spec["terms"]}
    return before + there + "".join(tables(calls, words, seen(), recorded()))


def seen() -> dict[str, dict[str, Any]]:
    """What rules.yaml says of each rule that can be seen to be broken."""
    rules = YAML(typ="safe", pure=True).load(RULES)
    return {**rules["checks"], **rules["stores"]}


def link(calls: dict[str, Any], violation: Violation, rule: dict[str, Any]) -> str:
    """The call that breaks a rule; for a store the one that asks for it."""
    if violation.call == STORE:
        return f"{STORE} after {linked(calls[rule['call']])}"
    return linked(calls[violation.call])


def linked(call: dict[str, Any]) -> str:
    page = call["category"].replace(" ", "-").replace("/", "-").lower()
    return f"[{call['name']}](reference/{page}.md#{call['name'].lower()})"


def tables(
    calls: dict[str, Any], words: dict[str, str], rules: dict[str, Any], found: dict[str, Any]
) -> Iterator[str]:
    """How many reactions of each kind there are, and the violations by rule."""
    for backend, each in found.items():
        on = ", ".join(f"{name} {version}" for name, version in each["on"].items())
        yield "\n".join([f"\n{title(backend, each)} ({on}):\n", *kinds_of(each["reactions"]), ""])
    for rule in dict.fromkeys(violation.rule for violation in listed()):
        yield f"\n## {rule}\n\n{words[rule]} To mend it: {rules[rule]['mend']}.\n\n"
        rows: list[Sequence[str]] = [
            ["call", "violation", "what `checked` says", *(title(*one) for one in found.items())]
        ]
        for violation in listed():
            if violation.rule == rule:
                only = "" if len(violation.architectures) > 1 else f" ({shown(violation.architectures[0])})"
                rows.append(
                    [link(calls, violation, rules[rule]), violation.what + only, message(violation),
                     *(cell(violation, each["reactions"], each["architecture"]) for each in found.values())]
                )  # fmt: skip
        yield "\n".join([*markdown(rows), ""])


def markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    """A table without a title."""
    return list(table("", rows))[3:]


def shown(architecture: str) -> str:
    return architecture.replace("_", "-")


def title(backend: str, each: dict[str, Any]) -> str:
    return f"{backend.capitalize()}, {shown(each['architecture'])}"


def kinds_of(reactions: dict[str, Any]) -> Iterator[str]:
    """A table of how many of each kind there are."""
    counts = Counter(each["kind"] for each in reactions.values())
    rows = [["what", "violations", "meaning"]]
    rows += [[kind, str(counts[kind]), meaning] for kind, meaning in KINDS.items()]
    yield from markdown(rows)


def take() -> None:
    """What was found into the folders of the backends that it was found for."""
    found = remembered(DOCUMENT)
    if not found:
        raise UserError(f"{DOCUMENT} is not there or damaged; ./vmi test --long violations writes it")
    for backend, each in found.items():
        folder = ROOT / "backends" / backend / "tests"
        kept = {**recorded_in(folder)["reactions"], **each["reactions"]}
        each |= {"$comment": LICENCE, "reactions": kept}
        write_if_changed(folder / RECORD, json.dumps(each, indent=1, sort_keys=True) + "\n")


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--take"]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        if arguments:
            take()
        write_if_changed(PAGE, rendered())
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
