# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Rows of `./vmi boot` beyond the rigs' configurations: a flavour of a library, and another machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from ci import flavour, ktap
from ci.boot import findings, only
from ci.build import kernels
from ci.figure import named
from ci.rig import Configuration, Guest, discover
from ci.util import ARCHITECTURES, RESULTS, ROOT, UserError


def vmi(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "vmi", *words], capture_output=True, text=True, timeout=300)


def test_rows_pass_with_a_disk_and_a_network() -> None:
    """And the sample kernel breaks no rule."""
    done = vmi("boot", "native-checked", "microvm")
    assert done.returncode == 0, done.stdout + done.stderr
    for row in ("native-checked", "microvm"):
        for arch in ARCHITECTURES:
            line = rf"^{row} +{arch} +sample +0 +1\d\d +0 "
            assert re.search(line, done.stdout, re.MULTILINE), done.stdout
            console = (RESULTS / f"boot/{named(row, arch)}.guest.log").read_text()
            for check in ("disks.whole", "networks.flood"):
                assert re.search(rf"^ok \d+ {check}$", console, re.MULTILINE), console
            calls = re.search(r"^# checked: rules broken=0 checked calls=\d{5}", console, re.MULTILINE)
            assert bool(calls) == (row == "native-checked")


def test_a_broken_rule_fails_its_row(tmp_path: Path) -> None:
    """Although the kernel itself passes."""
    guest = Guest(tmp_path / "kernel.elf", "native-checked")
    seen = ktap.Report()
    console = "# checked: rules broken=2 checked calls=5\n"
    row = Configuration("native-checked", "", flavour=flavour.CHECKED)
    assert findings(row, guest, seen, console) == ["2 times a rule was broken"]
    assert findings(Configuration("native", ""), guest, seen, console) == []


def test_a_kernel_of_ones_own_runs_on_the_other_machine() -> None:
    done = vmi("run", "microvm", kernels("hello", "x86_64")["native"])
    assert done.returncode == 0, done.stderr
    assert "Hello from ring 0" in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--disk {file},nvme", "microvm has no disk device nvme; it has no choice of one"),
        ("--net user,e1000", "microvm has no network device e1000; it has no choice of one"),
        ("--firmware uefi", "microvm has no firmware uefi; it has none to choose"),
        ("--rom {file}", "microvm has no option ROMs; a provider can be a --module"),
    ],
)
def test_what_it_has_not_is_refused(tmp_path: Path, words: str, says: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(512))
    done = vmi("run", "microvm", kernels("hello", "x86_64")["native"], *words.format(file=file).split())
    assert (done.returncode, done.stderr) == (2, f"vmi: {says}\n")


def test_flavours_are_for_the_sample_kernel() -> None:
    """A kernel of one's own is linked with one for `./vmi run NAME --checked`."""
    rigs = discover(lambda line: None)
    with pytest.raises(UserError, match=r"no configuration native-checked; there are: .*, microvm"):
        only(rigs, "native-checked")
    assert only(rigs, "microvm")[1].options["disk"] == "virtio-blk-device"
