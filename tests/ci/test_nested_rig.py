# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The part in a nested rig's Linux, its script as it is, with a program that plays QEMU and its monitor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ci.control import Answer, Control
from ci.util import ROOT

from .test_control import played, run

RIG = """
share=$1 state=$2
. "$3"
. "$state/nested-init.sh"
PATH=$state:$PATH
tell ready 0
serve
"""

# A machine that writes two lines and then does what the file `word` says, unless it is told something else.
QEMU = """#!/bin/sh
cd STATE
echo $$ >qemu.pid
echo "$*" >arguments
exec 7<>monitor.in 8<>monitor.out
echo '{"QMP": {"version": {}}}' >&8
printf 'first\\nlast\\n'
case $(cat word) in
stop) : >stop ;;
halt) echo '{"timestamp": {}, "event": "STOP"}' >&8 ;;
end) exit 33 ;;
esac
while read -r line <&7; do
    echo "$line" >>told
    case $line in
    *dump-guest-memory*'"file:STATE/dump"'*'"id": "core"}')
        if [ "$(cat word)" = full ]; then
            echo '{"id": "core", "error": {"class": "GenericError", "desc": "no room"}}' >&8
        else
            printf memory >dump
            echo '{"return": {}, "id": "core"}' >&8
        fi
        ;;
    *) echo '{"return": {}}' >&8 ;;
    esac
done
"""
PROGRAMS = {
    "qemu": QEMU,
    "killall": "#!/bin/sh\nkill -KILL $(cat STATE/qemu.pid)\n",
    "sleep": "#!/bin/sh\n",
    "usleep": "#!/bin/sh\nexec /bin/sleep 0.02\n",
}


@pytest.fixture
def linux(tmp_path: Path) -> Iterator[tuple[Control, Path]]:
    """Its places and those of the machine are not this machine's."""
    state = tmp_path / "state"
    state.mkdir()
    script = (ROOT / "ci/nested-init.sh").read_text()
    for place in ("/run/", "/sys/kernel/debug/"):
        assert place in script
        script = script.replace(place, f"{state}/")
    (state / "nested-init.sh").write_text(script)
    for name, text in PROGRAMS.items():
        (state / name).write_text(text.replace("STATE", str(state)))
        (state / name).chmod(0o755)
    with played(RIG, tmp_path) as (control, _, _):
        yield control, state


def ended(control: Control, state: Path, word: str, deadline: int = 60) -> Answer:
    (state / "word").write_text(f"{word}\n")
    return run(control, f"opt_deadline={deadline}\nopt_core='{state}/core'\n")


def test_a_guest_that_is_stopped_is_written_first(linux: tuple[Control, Path]) -> None:
    control, state = linux
    answer = ended(control, state, "stop")
    assert answer.console == b"first\nlast\n"
    assert (answer.frames["stopped"], (state / "core").read_text()) == (["as asked"], "memory")
    told = [line.split('"')[3] for line in (state / "told").read_text().splitlines()]
    assert told == ["qmp_capabilities", "stop", "dump-guest-memory"]
    assert "core" not in answer.frames


def test_so_is_one_that_stands_still_at_its_end(linux: tuple[Control, Path]) -> None:
    control, state = linux
    answer = ended(control, state, "halt")
    assert (answer.frames["stopped"], (state / "core").read_text()) == (["at its end"], "memory")


def test_so_is_one_that_has_had_its_time(linux: tuple[Control, Path]) -> None:
    control, state = linux
    answer = ended(control, state, "run", deadline=1)
    assert (answer.frames["killed"], (state / "core").read_text()) == (["after 1 s"], "memory")
    assert "stopped" not in answer.frames


def test_why_there_is_no_dump_is_said(linux: tuple[Control, Path]) -> None:
    control, state = linux
    answer = ended(control, state, "full", deadline=1)
    assert "no room" in answer.frames["core"][0] and not (state / "core").exists()


def test_a_machine_that_is_gone_is_not_waited_for(linux: tuple[Control, Path]) -> None:
    control, state = linux
    answer = ended(control, state, "end")
    assert answer.frames["exit"] == ["33"]
    assert "stopped" not in answer.frames and not (state / "core").exists()
