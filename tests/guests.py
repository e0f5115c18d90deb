# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Fixtures for tests that boot, as a plugin of pytest: rigs are discovered, each is opened once, guests
share it.

A test that takes `configuration` runs once per configuration of every rig, those left out that are
limited (ci.rig.Configuration); with the mark `every_architecture`, for each architecture of its library, and
with `but_the_slowest` not where guests are slowest.
`run` boots a kernel there; consoles of what a test ran are in its report.
VMI_SKIP names configurations to leave out (`./vmi test --skip`).

With several workers (pytest-xdist) each rig's tests go to one of them, for a rig is slow to open, and so do
those of each other file. Rigs go first, as they take longest. What guests did is kept for all workers.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import re
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pluggy import Result
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from ci import checked, ktap
from ci.backends import backends
from ci.build import bound_kernel, kernels
from ci.figure import named
from ci.kernel import architecture
from ci.rig import Configuration, Guest, Outcome, Rig, SteadySession, discover
from ci.util import ARCHITECTURES, RESULTS, ROOT, die_with, locked, progress, write_if_changed

LOGS = RESULTS / "test" / os.environ.get("PYTEST_XDIST_WORKER", "")
"""Of sessions and guests; each worker may have a session of the same rig."""

if "PYTEST_XDIST_WORKER" in os.environ:
    die_with(os.getppid())

# Tools of the same environment as pytest, however it was started.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


@dataclass(frozen=True)
class Place:
    """A configuration, the rig that boots it, and the architecture of what is booted."""

    backend: str
    configuration: Configuration
    rig: Rig
    arch: str

    def __str__(self) -> str:
        return named(self.configuration.name, self.arch)

    @property
    def limited(self) -> str:
        """Why whole kernels cannot run here; empty if they can."""
        return self.configuration.given(self.arch)[1]


@functools.cache
def rigs_here() -> dict[str, Rig]:
    """The same rigs for whoever asks."""
    return discover(progress)


@functools.cache
def places(arch: str = ARCHITECTURES[0]) -> list[Place]:
    """All configurations but those left out, of the libraries that an architecture has."""
    skipped = os.environ.get("VMI_SKIP", "").split()
    libraries = backends(arch=arch)
    return [
        Place(backend, configuration, rig, arch)
        for backend, rig in rigs_here().items()
        for configuration in rig.configurations
        if configuration.name not in skipped and backend in libraries
    ]


def slowest(place: Place) -> bool:
    """Whether less is shown there: guests in nested rigs are slow, most of all those of i386, and what is the
    rig's, or was compiled from the same source, is shown by the other architecture's."""
    return not place.rig.instruction_counter and place.arch != ARCHITECTURES[-1]


def whole_places(arch: str = ARCHITECTURES[0]) -> list[Place]:
    """The configurations in which every kernel runs."""
    return [place for place in places(arch) if not place.limited]


def pytest_configure() -> None:
    """Tests send Ctrl-C to what they start, which would not hear it if whoever started the tests ignores it,
    as a shell does for what it runs in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "configuration" in metafunc.fixturenames:
        every = metafunc.definition.get_closest_marker("every_architecture")
        chosen = [place for arch in (ARCHITECTURES if every else ARCHITECTURES[:1]) for place in places(arch)]
        if metafunc.definition.get_closest_marker("but_the_slowest"):
            chosen = [place for place in chosen if not slowest(place)]
        whole = [place for place in chosen if not place.limited]
        skipped = [
            pytest.param(place, marks=pytest.mark.skip(reason=place.limited))
            for place in chosen
            if place.limited
        ]
        metafunc.parametrize("configuration", [*whole, *skipped], ids=str, scope="session")


def rig_of(nodeid: str) -> str:
    """The backend whose rig a test needs, or in whose folder it is; empty if there is none. Packaging's tests
    have libraries among their parameters and open no rig: they share what their file has built."""
    path, _, name = nodeid.partition("::")
    folder, backend, *_ = path.split("/")
    if folder == "backends":
        return backend
    if backend == "packaging":
        return ""
    parameters = name.partition("[")[2].rstrip("]").split("-")
    return next((place.backend for place in places() if str(place) in parameters), "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not rig_of(item.nodeid))


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """One worker for the tests of a rig, and for those of another file."""

    def _split_scope(self, nodeid: str) -> str:
        return rig_of(nodeid) or nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Scheduling(config, log)


EVIDENCE = 100
"""Lines of each kind of evidence that are in a test's report."""

FAILED = RESULTS / "failed"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Result[pytest.TestReport], None]:
    """What a failed test says, with the consoles of its guests, is kept until the same test fails again: the
    next run writes over everything else."""
    report = (yield).get_result()
    if report.failed:
        parts = [f"{item.nodeid}, {report.when}", report.longreprtext]
        parts += [f"---- {title} ----\n{text}" for title, text in report.sections]
        name = re.sub(r"[^\w.]+", "-", item.nodeid).strip("-")
        write_if_changed(FAILED / f"{name}.log", "\n".join(parts))


POLLED_KIB = 8
"""What is typed for a kernel that asks the console all the time."""


class Rigs:
    """Open sessions by backend; one that has died is opened again for the next test. What guests did is
    kept in the folder `outcomes`."""

    def __init__(self, stack: contextlib.ExitStack, outcomes: Path) -> None:
        self.stack = stack
        self.outcomes = outcomes
        self.sessions: dict[str, SteadySession] = {}
        self.prepared: set[str] = set()

    def prepare(self, place: Place) -> None:
        if place.backend not in self.prepared:
            place.rig.prepare()
            self.prepared.add(place.backend)

    def session(self, place: Place) -> SteadySession:
        if place.backend not in self.sessions:
            session = self.stack.enter_context(place.rig.steady_session(LOGS))
            self.sessions[place.backend] = session
        self.sessions[place.backend].renew()
        return self.sessions[place.backend]

    def once(self, place: Place, guest: Guest, again: bool) -> Outcome:
        """Run a guest, its disks blank, or tell what became of it when it was run before."""
        what = (str(place), guest.kernel, guest.append, guest.cpus, guest.memory_mib, guest.deadline,
                sorted(guest.options.items()), guest.typed, guest.option_rom, guest.witness,
                guest.exits, guest.disks, guest.nets, guest.rng, guest.requests, guest.firmware)  # fmt: skip
        kept = self.outcomes / hashlib.sha256(repr(what).encode()).hexdigest()
        with locked(kept.with_suffix(".lock")):
            if again or not kept.is_file():
                checked.blank(guest.disks)
                outcome = self.session(place).run(guest)
                if overrun(outcome):
                    checked.blank(guest.disks)
                    outcome = self.session(place).run(guest)
                log = LOGS / f"{guest.name}-{guest.kernel.stem}.guest.log"
                write_if_changed(log, outcome.console + "\n")
                write_if_changed(kept, pickle.dumps(outcome))
            return pickle.loads(kept.read_bytes())  # type: ignore[no-any-return]


def overrun(outcome: Outcome) -> bool:
    """Whether a trace lacks records, since dom0 did not come to empty Xen's buffers on a busy machine: then
    there is no witness, whatever the guest did."""
    return any(re.search(r"\b[1-9]\d* records lost", line) for line in outcome.evidence.get("trace", ()))


@pytest.fixture(scope="session")
def rigs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rigs]:
    # A worker's folder is in one that all workers of a run share.
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with contextlib.ExitStack() as stack:
        yield Rigs(stack, shared / "outcomes")


Run = Callable[..., tuple[Outcome, ktap.Report]]


@pytest.fixture
def run(rigs: Rigs, request: pytest.FixtureRequest) -> Run:
    """run(place, append="", kernel="sample", …) boots a kernel to its end; further arguments are
    Guest's. A sample kernel that makes all its checks has devices for them (ci.checked), another one
    with `devices`. The same guest is
    run only once per test session unless `again` is true."""

    def boot(
        place: Place, append: str = "", kernel: str | Path = "sample", again: bool = False,
        devices: bool | None = None, **more: object,
    ) -> tuple[Outcome, ktap.Report]:
        rigs.prepare(place)
        image = kernels(kernel, place.arch)[place.backend] if isinstance(kernel, str) else kernel
        options = {**place.configuration.given(architecture(image))[0], **more.pop("options", {})}  # type: ignore[dict-item]
        more.setdefault("cpus", 2)
        more.setdefault("deadline", 240.0)
        name = re.sub(r"\W+", "-", f"{request.node.name}-{append}").strip("-")
        guest = Guest(image, name, append, options=options, **more)  # type: ignore[arg-type]
        if devices is None:
            devices = kernel == "sample" and not append
        if devices and not place.limited:
            disk = rigs.outcomes / f"{place}{'' if kernel == 'sample' else f'-{image.stem}'}.disk"
            guest = checked.with_devices(guest, place.rig, disk)
        outcome = rigs.once(place, guest, again)
        outside = [] if outcome.clean else outcome.said_of_it(EVIDENCE)
        text = "\n".join([outcome.command, outcome.end, *outside, outcome.console])
        request.node.add_report_section("call", f"console of {name}", text)
        return outcome, ktap.parse(outcome.console)

    return boot


Whole = Callable[[Place], tuple[Outcome, ktap.Report]]


def seen_from_outside(place: Place) -> bool:
    """Whether a witness sees the hypercalls of guests there."""
    return not place.limited and place.rig.witnessed(place.arch)


def ends(report: ktap.Report) -> dict[str, str]:
    """How the checks that a kernel was asked for have ended, by name."""
    return {each.name: each.status for each in report.tests if each.asked}


@pytest.fixture
def whole(run: Run) -> Whole:
    """whole(place) boots the sample kernel with all that it checks, seen from outside where it can be: one
    boot for all tests of it."""
    return lambda place: run(place, witness=seen_from_outside(place))


SOME = "boot,interrupts,paging,disks.opened,disks.whole,networks.opened,networks.sizes"
"""Checks of the sample kernel where it is slowest."""


@pytest.fixture
def bound(run: Run) -> Whole:
    """bound(place) boots the sample kernel that binds itself when it starts, with all that it checks, or some
    where guests are slowest: one boot for all tests of it."""

    def boot(place: Place) -> tuple[Outcome, ktap.Report]:
        told = place.configuration.bound_append
        if slowest(place):
            told += f" checks={SOME}"
        return run(place, told, bound_kernel("sample", place.arch), devices=True)

    return boot


class LeftOver:
    """Looks what a rig keeps of guests that have ended. The first one may have it keep things of its own. A
    rig that is opened anew begins anew."""

    def __init__(self) -> None:
        self.opened: tuple[SteadySession | None, int] = (None, 0)
        self.guests = 0
        """Since the first."""
        self.before: dict[str, str] = {}

    def guest_ended(self, session: SteadySession) -> None:
        """To be called after each guest."""
        self.guests += 1
        if self.opened != (session, session.opened):
            self.opened, self.guests = (session, session.opened), 0
            self.before = session.resources()

    def found(self) -> str:
        """What is not as it was after the first guest; empty if all is."""
        session, _ = self.opened
        now = session.resources() if session else {}
        return "; ".join(
            f"{name} was {self.before.get(name, 'not there')}, and is {now.get(name, 'not there')} "
            f"{self.guests} guests later"
            for name in dict.fromkeys((*self.before, *now))
            if self.before.get(name) != now.get(name)
        )


Created = Callable[..., list[tuple[Outcome, ktap.Report]]]


@pytest.fixture
def created(rigs: Rigs, run: Run) -> Created:
    """created(place, times, …) boots a guest so many times, with the arguments of `run`, and one before them.
    Each must pass, and at the end its rig keeps nothing of them."""

    def create(place: Place, times: int, *args: object, **more: object) -> list[tuple[Outcome, ktap.Report]]:
        left = LeftOver()
        ended = []
        for number in range(times + 1):
            outcome, report = run(place, *args, again=True, **more)
            assert report.failures() == [], (number, outcome.end, outcome.evidence.get("registers"))
            assert outcome.clean, f"{number}: {outcome.end}\n{outcome.console[-1000:]}"
            left.guest_ended(rigs.session(place))
            ended.append((outcome, report))
        assert left.found() == ""
        return ended[1:]

    return create


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT
