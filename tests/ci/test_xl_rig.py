# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The part in dom0 of rigs with Xen's toolstack, its script as it is, with programs that play Xen's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ci.control import Answer, Control
from ci.util import ROOT
from ci.xl import end_state

from .test_control import played, run

RIG = """
share=$1 state=$2
. "$3"
. "$state/xl-init.sh"
PATH=$state:$PATH
tell ready 0
serve
"""

# The toolstack, with a domain 7 whose console is read late, as by a xenconsoled that others keep from
# running: its last line comes while who has it waits for more, and does not if it is destroyed before.
XL = """#!/bin/sh
cd STATE
case $1 in
create)
    [ ! -f hangs ] || exec sleep 60
    echo "Waiting for domain guest (domid 7) to die [pid 1]"
    until [ -f released ]; do sleep 0.05; done
    (
        echo first
        until [ -f due ] || [ -f destroyed ]; do sleep 0.02; done
        [ -f destroyed ] || echo last
    ) >guest-guest.log &
    until grep -q first console; do sleep 0.02; done
    echo "Domain 7 has shut down, reason code $(cat reason) 0x0"
    case $* in *'on_poweroff="preserve"'*) ;; *) touch destroyed ;; esac
    ;;
unpause)
    if [ -s refusals ]; then
        sed -i 1d refusals
        echo "guest is an invalid domain identifier (rc=-6)" >&2
        exit 2
    fi
    touch released
    ;;
dump-core)
    if [ -f destroyed ]; then
        echo "domain $2 is gone" >&2
        exit 1
    fi
    printf memory >"$3"
    ;;
destroy) touch destroyed ;;
dmesg) echo "(XEN) d7v0 Triple fault - invoking HVM shutdown action 1" ;;
esac
"""

NAP = """#!/bin/sh
cd STATE
sleep 0.05
[ "$1" = 250000 ] && [ ! -f due ] || exit 0
touch due
until grep -q last console; do sleep 0.02; done
"""

MEMORY = """#!/bin/sh
[ -f STATE/destroyed ] || exec echo domain $1 up to $2 MiB
echo it is gone >&2
exit 1
"""

PROGRAMS = {
    "xl": XL,
    "xl-memory": MEMORY,
    "xenctx": "#!/bin/sh\necho rip of $3\n",
    "dmesg": "#!/bin/sh\n",
    "usleep": NAP,
}
WORDS = ("killed", "registers")


@pytest.fixture
def dom0(tmp_path: Path) -> Iterator[tuple[Control, Path]]:
    """Its places and those of the machine are not this machine's."""
    state = tmp_path / "state"
    state.mkdir()
    for name, text in PROGRAMS.items():
        (state / name).write_text(text.replace("STATE", str(state)))
        (state / name).chmod(0o755)
    script = (ROOT / "ci/xl-init.sh").read_text()
    for place in ("/run/", "/var/log/xen/", "/dev/pts/"):
        assert place in script
        script = script.replace(place, f"{state}/")
    (state / "xl-init.sh").write_text(script)
    (state / "reason").write_text("0\n")
    with played(RIG, tmp_path) as (control, _, _):
        yield control, state


def ended(control: Control, deadline: int = 15) -> Answer:
    return run(control, f"opt_deadline={deadline}\n")


def test_the_console_is_read_to_its_end(dom0: tuple[Control, Path]) -> None:
    """What a domain writes before it ends is there, however late xenconsoled comes to it."""
    control, state = dom0
    answer = ended(control)
    assert answer.console == b"first\nlast\n"
    assert not [word for word in WORDS if word in answer.frames]
    assert (state / "destroyed").exists()
    assert end_state({**answer.frames, "dmesg": []}, ["first"]) == (
        True, "domain shut down, reason 0 (poweroff)", "",
    )  # fmt: skip


def test_a_domain_that_xl_does_not_find_at_once_is_released(dom0: tuple[Control, Path]) -> None:
    control, state = dom0
    (state / "refusals").write_text("once\ntwice\n")
    answer = ended(control)
    assert answer.console == b"first\nlast\n"
    assert answer.frames["xl"][:2] == ["guest is an invalid domain identifier (rc=-6)"] * 2
    assert "killed" not in answer.frames


def test_a_domain_that_is_not_created_in_time_ends(dom0: tuple[Control, Path]) -> None:
    control, state = dom0
    (state / "hangs").touch()
    answer = ended(control, deadline=1)
    assert "killed" in answer.frames
    assert answer.console == b""


@pytest.mark.parametrize("reason", [1, 3])
def test_a_domain_that_is_lost_leaves_its_registers(dom0: tuple[Control, Path], reason: int) -> None:
    """And what Xen said of it is in the end's words."""
    control, state = dom0
    (state / "reason").write_text(f"{reason}\n")
    answer = ended(control)
    assert answer.frames["registers"] == ["rip of 7"]
    assert answer.console == b"first\nlast\n"
    assert "; Xen says: d7v0 Triple fault - invoking HVM" in end_state(answer.frames, ["first"])[1]


@pytest.mark.parametrize("gone", [False, True])
def test_a_domain_s_memory_is_written_before_it_goes(dom0: tuple[Control, Path], gone: bool) -> None:
    """Or it is said why not, and there is no part of it."""
    control, state = dom0
    if gone:
        (state / "usleep").write_text((state / "usleep").read_text() + f"touch {state}/destroyed\n")
    answer = run(control, f"opt_deadline=15\nopt_core='{state}/core'\n")
    assert (state / "destroyed").exists()
    if gone:
        assert answer.frames["core"] == ["domain 7 is gone"] and not (state / "core").exists()
    else:
        assert "core" not in answer.frames and (state / "core").read_text() == "memory"


@pytest.mark.parametrize("gone", [False, True])
def test_memory_alone_is_read_by_the_rig_s_own_program(dom0: tuple[Control, Path], gone: bool) -> None:
    control, state = dom0
    if gone:
        (state / "usleep").write_text((state / "usleep").read_text() + f"touch {state}/destroyed\n")
    answer = run(control, f"opt_deadline=15\nopt_core='{state}/core'\nopt_memory_mib=96\n")
    if gone:
        assert answer.frames["core"] == ["it is gone"] and not (state / "core").exists()
    else:
        assert "core" not in answer.frames and (state / "core").read_text() == "domain 7 up to 96 MiB\n"
