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


def verified(terms: dict[str, str], rules: dict[str, Any]) -> list[str]:
    """The terms that have a check, in the specification's order."""
    checks, unseen = rules["checks"], rules["unseen"]
    for name in terms:
        if (name in checks) == (name in unseen):
            raise TableError(
                f"term {name} is in {'both lists' if name in checks else 'no list'} of rules.yaml; expected: "
                "in `checks`, with its function vmi__check_" + name + ", or in `unseen`, with the reason"
            )
    for name in (*checks, *unseen):
        if name not in terms:
            raise TableError(f"rules.yaml has {name}, which is no term of the specification; remove it")
    return [name for name in terms if name in checks]


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
        page = call["category"].replace(" ", "-").replace("/", "-").lower()
        where = f"docs/reference/{page}.md#{call['name'].lower()}"
        mask = sum(1 << i for i in held)
        lines.append(
            f"    [{call['ordinal']}] = {{{text(call['name'])}, {text(where)}, {mask:#x}u, "
            f"{str(call.get('nmi', False)).lower()}}},"
        )
    return "\n".join([*lines, "};", ""])


def main(arguments: list[str]) -> int:
    model, rules, out = map(Path, arguments)
    listed = YAML(typ="safe", pure=True).load(rules)
    return write(
        "runtime/checked/generate.py", model, out, lambda found: table(found, listed)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
