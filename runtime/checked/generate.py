# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The table of what the flavour `checked` checks, by call:

    generate.py MODEL RULES RULES.C

MODEL is the generator's model.json, of one architecture; RULES is rules.yaml. A term of the specification
that has no check there and no reason why it has none is an error, and so is one that the specification lacks.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flavour_table import TableError, write

RULES_MOST = 32
LISTS = ("checks", "stores", "unseen")


def verified(terms: dict[str, str], rules: dict[str, Any]) -> list[str]:
    """The terms that have a check, in the specification's order."""
    for name in terms:
        found = [each for each in LISTS if name in rules[each]]
        if len(found) != 1:
            raise TableError(
                f"term {name} is in {' and '.join(found) or 'no list'} of rules.yaml; expected: "
                f"in `checks`, with its function vmi__check_{name}, in `stores`, if stores break it, or in "
                "`unseen`, with the reason"
            )
    for name in (each for list_ in LISTS for each in rules[list_]):
        if name not in terms:
            raise TableError(f"rules.yaml has {name}, which is no term of the specification; remove it")
    return [name for name in terms if name in rules["checks"]]


def reference(call: dict[str, Any]) -> str:
    page = call["category"].replace(" ", "-").replace("/", "-").lower()
    return f"docs/reference/{page}.md#{call['name'].lower()}"


def text(words: str) -> str:
    return json.dumps(words, ensure_ascii=True)


def table(model: dict[str, Any], rules: dict[str, Any]) -> str:
    spec = model["spec"]
    terms = {each["name"]: each["summary"] for each in spec["terms"]}
    known = {each["name"] for each in spec["calls"]}
    checked = verified(terms, rules)
    if len(checked) > RULES_MOST:
        raise TableError(
            f"{len(checked)} rules are more than the {RULES_MOST} bits of vmi__checked_call.rules"
        )
    arch = spec["architecture"]["name"]
    also = {
        name: [*rule.get("also", []), *rule.get("also_of", {}).get(arch, [])]
        for name, rule in rules["checks"].items()
    }
    for name in checked:
        for call in also[name]:
            if call not in known:
                raise TableError(
                    f"rule {name} of rules.yaml names {call}, which is no call; see spec/vmi.yaml"
                )
    lines = [
        "/* SPDX-License-Identifier: MIT OR GPL-2.0-only */",
        "/* Generated from model.json and rules.yaml by generate.py; do not edit. */",
        '#include "checked.h"',
        "",
        "const struct vmi__rule vmi__rules[] = {",
    ]
    for name in checked:
        mend = rules["checks"][name]["mend"]
        lines.append(f"    {{{text(name)}, {text(terms[name])}, {text(mend)}, vmi__check_{name}}},")
    lines += ["};", "", "const struct vmi__checked_call vmi__checked_calls[VMI_ORDINALS] = {"]
    for call in spec["calls"]:
        asked = {each["name"] for each in call["requires"]}
        held = [i for i, name in enumerate(checked) if name in asked or call["name"] in also[name]]
        where = reference(call)
        mask = sum(1 << i for i in held)
        lines.append(
            f"    [{call['ordinal']}] = {{{text(call['name'])}, {text(where)}, {mask:#x}u, "
            f"{str(call.get('nmi', False)).lower()}}},"
        )
    lines.append("};")
    for name, rule in rules["stores"].items():
        (asks,) = (call for call in spec["calls"] if call["name"] == rule["call"])
        lines += [
            "",
            f"const struct vmi__store vmi__checked_store_{name} = {{",
            f"    .rule = {{{text(name)}, {text(terms[name])}, {text(rule['mend'])}, 0}},",
            f"    .reference = {text(reference(asks))},",
            "};",
        ]
    return "\n".join([*lines, ""])


def main(arguments: list[str]) -> int:
    model, rules, out = map(Path, arguments)
    listed = YAML(typ="safe", pure=True).load(rules)
    return write("runtime/checked/generate.py", model, out, lambda found: table(found, listed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
