# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The table of where calls have what the flavour `traced` notes of them:

    generate.py MODEL CALLS.C

MODEL is the generator's model.json, of one architecture. Places are numbers of words of struct
vmi__flavour_frame (runtime/flavour.h): the registers but the stack pointer, then the stack.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flavour_table import TableError, write

LAYOUT = Path(__file__).with_name("ring.h").read_text()
WORDS = int(re.findall(r"^#define VMI__TRACE_WORDS +(\d+)$", LAYOUT, re.MULTILINE)[0])
"""That a record has room for."""


def places(spec: dict[str, Any], call: dict[str, Any], listed: list[dict[str, Any]]) -> list[int]:
    """Words of the frame, in the order of the arguments or results."""
    registers = [name for name in spec["architecture"]["registers"] if name not in ("esp", "rsp")]
    # Behind the registers lie the return address and what the caller has pushed.
    found = [
        len(registers) + 1 + int(name.removeprefix("stack"))
        if name.startswith("stack")
        else registers.index(name)
        for each in listed
        for name in each["registers"]
    ]
    if len(found) > WORDS:
        raise TableError(
            f"{call['name']} has {len(found)} words of arguments or results; a record has room for {WORDS}: "
            "raise VMI__TRACE_WORDS in ring.h, and WORDS in ci/ring.py"
        )
    return found


def table(model: dict[str, Any]) -> str:
    spec = model["spec"]
    lines = [
        "/* SPDX-License-Identifier: MIT OR GPL-2.0-only */",
        "/* Generated from model.json by generate.py; do not edit. */",
        '#include "ring.h"',
        "",
        "const struct vmi__traced_call vmi__traced_calls[VMI_ORDINALS] = {",
    ]
    for call in spec["calls"]:
        result = [call["result"]] if call["result"] else []
        taken = places(spec, call, call["arguments"])
        given = places(spec, call, result + call["results"])
        words = ", ".join(
            "{" + ", ".join(map(str, each or [0])) + "}" for each in (taken, given)
        )
        lines.append(f"    [{call['ordinal']}] = {{{len(taken)}, {len(given)}, {words}}},")
    return "\n".join([*lines, "};", ""])


def main(arguments: list[str]) -> int:
    model, out = map(Path, arguments)
    return write("runtime/traced/generate.py", model, out, table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
