# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Run vmigen for the build:

    generate.py ARCH backends [NAME…]                    backends to build and their parents: NAME:PARENT
    generate.py ARCH others [NAME…]                      those that are for other architectures alone
    generate.py ARCH list FOLDER…                        file names that the build uses
    generate.py ARCH OUTDIR TREE DEPFILE FOLDER… [--others FOLDER…]    render

vmigen writes a tree (NAME/stubs.S, include/vmi/vmi.h, …); a Meson step must declare its outputs, and
all in one folder. So the tree goes to TREE as it is, and what is compiled also goes to OUTDIR under
flat names (NAME-stubs.S, vmi.h, …). `#include "NAME/routines.h"` works through one-line headers
beside OUTDIR; they never change, so the build sees through them to the flat file.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "codegen"))

from vmigen.cli import main as vmigen

from ci.backends import backends
from ci.util import UserError, write_if_changed
from conformance import shown

COMPILED = (".h", ".c", ".S", ".inc", ".json", ".rs", ".syms")


def outputs(common: list[str]) -> list[str]:
    """What vmigen writes and the build uses; ends the process with vmigen's status if it fails."""
    listing = io.StringIO()
    with contextlib.redirect_stdout(listing):
        status = vmigen(["list-outputs", *common])
    if status:
        sys.exit(status)
    return [path for path in listing.getvalue().split() if path.endswith(COMPILED)]


def paths(targets: str) -> list[Path]:
    """The targets of a rule for make, as vmigen writes it. To ask for them would be to check anew."""
    words = re.findall(r"(?:\\.|[^\\ ])+", targets)
    return [Path(re.sub(r"\\(.)", r"\1", word.replace("$$", "$"))) for word in words]


def flat(path: str) -> str:
    return path.removeprefix("include/vmi/").removeprefix("rust/").replace("/", "-")


def main(arguments: list[str]) -> None:
    arch, *arguments = arguments
    if arguments[0] in ("backends", "others"):
        try:
            found = backends(arguments[1:], arch)
            if arguments[0] == "backends":
                print("\n".join(f"{name}:{parent}" for name, parent in found.items()))
            else:
                print("\n".join(name for name in backends(arguments[1:]) if name not in found))
        except UserError as error:
            sys.exit(str(error))
        return
    if arguments[0] == "list":
        print("\n".join(flat(path) for path in outputs(["--arch", arch, "--backends", *arguments[1:]])))
        return
    outdir, tree, depfile = (Path(argument) for argument in arguments[:3])
    common = ["--arch", arch, "--backends", *arguments[3:]]
    rule = tree / "inputs.d"
    checks = tree / "checks.json"
    write_if_changed(checks, json.dumps(shown.checks_by_symbol(), indent=1) + "\n")
    status = vmigen(
        ["generate", *common, "--out", str(tree), "--depfile", str(rule), "--checks", str(checks)]
    )
    if status:
        sys.exit(status)
    targets, inputs = rule.read_text().rstrip().split(": ", 1)
    for path in (str(target.relative_to(tree)) for target in paths(targets)):
        if not path.endswith(COMPILED):
            continue
        write_if_changed(outdir / flat(path), (tree / path).read_bytes())
        if path.endswith(".h") and not path.startswith("include/"):
            forward = f"/* SPDX-License-Identifier: MIT OR GPL-2.0-only */\n#include <vmi/{flat(path)}>\n"
            write_if_changed(outdir.parent / path, forward)
    # The pages name the kernels' checks.
    kernels = " ".join(str(path) for path in shown.sources())
    depfile.write_text(f"{outdir / 'vmi.h'}: {inputs} {kernels} {shown.__file__} {__file__}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
