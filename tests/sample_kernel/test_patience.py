# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""How long the kernels' checks wait: by a clock that is played, on the build machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ci.util import ROOT

PLAY = r"""
/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <stdio.h>
#include <stdlib.h>
#include <vmi/vmi.h>

#include "patience.h"

static unsigned long long clock_ms = 1000;

uint64_t vmi_clock_nanoseconds(void)
{
    return clock_ms * 1000000;
}

/* A number of milliseconds to wait; then, for each look, how long after the one before it comes. */
int main(int count, char **words)
{
    struct patience patience;

    patience_begin(&patience, (unsigned)atoi(words[1]));
    for (int i = 2; i < count; i++) {
        clock_ms += (unsigned)atoi(words[i]);
        if (!patience_left(&patience)) {
            printf("%d", i - 1);
            return 0;
        }
    }
    printf("left");
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("patience")
    # The one call that it makes; the rest is C for any machine.
    (folder / "vmi").mkdir()
    (folder / "vmi/vmi.h").write_text("#include <stdint.h>\nuint64_t vmi_clock_nanoseconds(void);\n")
    (folder / "play.c").write_text(PLAY)
    kernel = ROOT / "sample_kernel"
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-I", folder, "-I", kernel]
    files = [folder / "play.c", kernel / "patience.c"]
    subprocess.run(["gcc", *flags, "-o", folder / "play", *files], check=True)
    return folder / "play"


@pytest.mark.parametrize(
    ("wait", "looks", "ends"),
    [
        (100, [10] * 9, "left"),
        (100, [10] * 10, "10"),
        (100, [0] * 1000, "left"),
        # The CPU was away for an hour: what it waits for may have been as well.
        (1000, [10, 3_600_000, 10, 10], "left"),
        (1000, [3_600_000] * 19, "left"),
        (1000, [3_600_000] * 20, "20"),
        (30, [3_600_000], "1"),
        (4_000_000, [50] * 100, "left"),
    ],
)
def test_time_in_which_the_cpu_was_away_hardly_counts(
    wait: int, looks: list[int], ends: str, program: Path
) -> None:
    command = [program, str(wait), *map(str, looks)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ends
