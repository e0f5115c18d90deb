# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`vmigen diff` of backends: each rule by a pair of trees; trees, revisions and what is left aside."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from vmigen.cli import BACKEND_SCHEMA, SPEC_SCHEMA
from vmigen.diff import RULES, Level, checked, compare
from vmigen_runs import PROJECT, SMALL, Vmigen

SPEC = (SMALL / "vmi.yaml").read_text()
BARE = (SMALL / "backends/bare/backend.yaml").read_text()
HYPER = (SMALL / "backends/hyper/backend.yaml").read_text()

Tree = dict[str, str]
"""Texts of backend.yaml by backend."""


def tree(**backends: str) -> Tree:
    return {"bare": BARE, "hyper": HYPER, **backends}


def entry(text: str, call: str, way: str) -> str:
    """A backend that does the call so."""
    made, count = re.subn(rf"^  {call}:.*\n(?:    .*\n)*", f"  {call}: {way}\n", text, flags=re.MULTILINE)
    return made if count else made.rstrip("\n") + f"\n  {call}: {way}\n"


UNSUPPORTED = '{unsupported: "no longer"}'
ROUTINE = "{routine: vmi__bare_another}"


@dataclass(frozen=True)
class Case:
    rule: str
    subject: str
    new: Tree
    old: Tree = field(default_factory=tree)
    level: Level = Level.COMPATIBLE


def line(text: str, start: str) -> str:
    """The whole line that starts so."""
    (found,) = re.findall(rf"^{re.escape(start)}.*$", text, re.MULTILINE)
    return str(found)


WITHOUT = tree()
del WITHOUT["hyper"]
ARCHITECTURES = line(BARE, "architectures: ")
ONE = ARCHITECTURES.replace("[i386, x86_64]", "[i386]")
NUMBER = re.search(r"number: (\d+)", HYPER)
assert NUMBER and ONE != ARCHITECTURES

LOST = tree(bare=entry(BARE, "Load", UNSUPPORTED))
CHILD = "name: child\ntitle: C\nsummary: S.\narchitectures: [i386]\ninherits: bare\ndefaults: inherited\n"
OTHER = BARE.replace("name: bare", "name: other").replace("vmi__bare", "vmi__other")

CASES = [
    Case("backend-architecture-added", "hyper", tree(), tree(hyper=HYPER.replace(ARCHITECTURES, ONE))),
    Case(
        "backend-architecture-removed",
        "hyper",
        tree(hyper=HYPER.replace(ARCHITECTURES, ONE)),
        tree(),
        Level.BREAKING,
    ),
    Case(
        "backend-inherits",
        "child",
        tree(other=OTHER, child=CHILD.replace(": bare", ": other")),
        tree(other=OTHER, child=CHILD),
    ),
    Case("backend-added", "hyper", tree(), WITHOUT),
    Case("backend-removed", "hyper", WITHOUT, level=Level.BREAKING),
    Case("backend-unsupported", "bare.Load", LOST, level=Level.BREAKING),
    Case("backend-supported", "bare.Load", tree(), LOST),
    Case("backend-way", "bare.Load", tree(bare=entry(BARE, "Load", ROUTINE))),
    Case("documentation", "bare", tree(bare=BARE.replace("title: ", "title: New "))),
    Case("documentation", "hyper", tree(hyper=re.sub("^summary: .*", "summary: S.", HYPER, flags=re.M))),
    Case("backend-sign", "bare", tree(bare=BARE.replace(ARCHITECTURES, f"{ARCHITECTURES}\nsign: never"))),
    Case("backend-priority", "bare", tree(bare=BARE.replace(ARCHITECTURES, f"{ARCHITECTURES}\npriority: 9"))),
    Case(
        "backend-hypercalls",
        "hyper",
        tree(hyper=HYPER.replace(NUMBER[0], f"number: {int(NUMBER[1]) + 1000}", 1)),
    ),
    Case(
        "documentation",
        "bare.Load",
        tree(bare=entry(BARE, "Load", UNSUPPORTED)),
        tree(bare=entry(BARE, "Load", '{unsupported: "never"}')),
    ),
]


def changes(old: Tree, new: Tree, spec: str = SPEC, new_spec: str = "") -> list[tuple[str, str, str]]:
    sides = []
    for name, text, backends in (("old", spec, old), ("new", new_spec or spec, new)):
        files = {f"{name}/backends/{each}/backend.yaml": part.encode() for each, part in backends.items()}
        sides.append(checked(f"{name}/spec/vmi.yaml", text.encode(), SPEC_SCHEMA, files, BACKEND_SCHEMA))
    found = compare(*sides)
    for change in found:
        # The place is a line of the text that the change is about.
        side = old if change.place.file.startswith("old/") else new
        if "/backends/" in change.place.file:
            part = side[change.place.file.split("/")[2]]
            assert 1 <= change.place.line <= part.count("\n")
    # An architecture that differs from another is told by itself.
    return list(dict.fromkeys((change.rule, change.subject, str(change.level)) for change in found))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}-{case.subject}")
def test_rule(case: Case) -> None:
    assert changes(case.old, case.new).count((case.rule, case.subject, str(case.level))) == 1
    assert RULES[case.rule][0] is case.level


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES} >= {rule for rule in RULES if rule.startswith("backend-")}


def test_nothing_changed() -> None:
    assert changes(tree(), tree()) == []


def test_what_a_parent_loses_its_children_lose() -> None:
    """Each of them by name, for kernels are linked with one of them."""
    found = changes(tree(child=CHILD), tree(child=CHILD, bare=LOST["bare"]))
    assert ("backend-unsupported", "bare.Load", "BREAKING") in found
    assert ("backend-unsupported", "child.Load", "BREAKING") in found
    # One that has a way of its own loses nothing.
    own = CHILD + "calls:\n  Load: {routine: vmi__child_load}\n"
    found = changes(tree(child=own), tree(child=own, bare=LOST["bare"]))
    assert [subject for rule, subject, _ in found if rule == "backend-unsupported"] == ["bare.Load"]


def test_another_parent() -> None:
    other = entry(OTHER, "Load", UNSUPPORTED)
    moved = CHILD.replace(": bare", ": other")
    found = changes(tree(child=CHILD, other=other), tree(child=moved, other=other))
    assert ("backend-inherits", "child", "COMPATIBLE") in found
    assert ("backend-unsupported", "child.Load", "BREAKING") in found


def test_a_call_that_is_new_or_gone_is_told_once() -> None:
    """By the specification's rules; that backends have it, or do not any more, goes without saying."""
    call = re.search(r"^  - name: Load\n(?:(?!  - ).*\n)*", SPEC, re.MULTILINE)
    assert call
    more = call[0].replace("Load", "More").replace("load", "more")
    more = re.sub(r"ordinal: \d+", "ordinal: 120", more)
    more = re.sub(r"    instructions: .*\n", "", more)
    with_it = SPEC.replace("\ncalls:\n", "\ncalls:\n" + more.rstrip("\n") + "\n\n", 1)
    both = tree(bare=entry(BARE, "More", UNSUPPORTED), hyper=entry(HYPER, "More", UNSUPPORTED))
    rules = [rule for rule, _, _ in changes(tree(), both, SPEC, with_it)]
    assert "call-added" in rules and not [rule for rule in rules if rule.startswith("backend-")]
    rules = [rule for rule, _, _ in changes(both, tree(), with_it, SPEC)]
    assert "call-removed" in rules and not [rule for rule in rules if rule.startswith("backend-")]


def test_a_call_with_another_name() -> None:
    """It is the same one, by its symbol."""
    renamed = SPEC.replace("- name: Load\n", "- name: Charge\n")
    backends = {name: text.replace("  Load:", "  Charge:") for name, text in tree().items()}
    wrong = {**backends, "bare": entry(backends["bare"], "Charge", UNSUPPORTED)}
    rules = [(rule, subject) for rule, subject, _ in changes(tree(), wrong, SPEC, renamed)]
    assert ("call-renamed", "Charge") in rules and ("backend-unsupported", "bare.Charge") in rules


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository; its tag v1 has both backends, since then one of them has lost a call."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    folder = tmp_path / "repository"
    shutil.copytree(SMALL / "backends", folder / "backends")
    (folder / "spec").mkdir()
    (folder / "spec/vmi.yaml").write_text(SPEC)

    def git(*words: str) -> None:
        identity = ("-c", "user.name=Test", "-c", "user.email=test@example.invalid")
        subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    git("tag", "v1")
    (folder / "backends/bare/backend.yaml").write_text(entry(BARE, "Load", UNSUPPORTED))
    git("commit", "-qam", "two")
    monkeypatch.chdir(folder)
    return folder


def test_git_revisions_and_trees(
    vmigen: Vmigen, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = r"backends/bare/backend\.yaml:\d+:\d+: BREAKING backend-unsupported: bare\.Load: "
    for old, new in (
        ("v1", "HEAD"),
        ("v1", "."),
        ("v1:spec/vmi.yaml", "spec/vmi.yaml"),
        ("HEAD~1", repository),
        ("v1", "HEAD:spec/vmi.yaml"),
    ):
        run = vmigen("diff", old, new)
        assert (run.status, run.err) == (1, ""), (old, new)
        assert re.search(said + r"unsupported now: no longer \(i386, x86_64\)$", run.out, re.MULTILINE), (
            run.out
        )
        assert vmigen("diff", old, new, "--no-backends").status == 0
        assert vmigen("diff", new, old).status == 0
    monkeypatch.chdir(repository / "spec")
    assert vmigen("diff", "v1", "HEAD").status == 1
    # A specification that lies in no tree has no backends.
    (tmp_path / "alone.yaml").write_text(SPEC)
    run = vmigen("diff", "v1", tmp_path / "alone.yaml")
    assert (run.status, run.out) == (0, "vmi diff: 0 BREAKING, 0 SOURCE-COMPATIBLE, 0 COMPATIBLE\n")


def test_announced(vmigen: Vmigen, repository: Path) -> None:
    changes_file = repository / "CHANGES.md"
    changes_file.write_text("# Changes\n")
    run = vmigen("diff", "v1", "HEAD", "--changes", changes_file)
    assert (run.status, run.err.count("\n")) == (1, 1)
    assert "expected a line with `backend-unsupported` and `bare.Load`; " in run.err
    api = re.search(r"major: (\d+), minor: (\d+)", SPEC)
    assert api
    changes_file.write_text(f"## {api[1]}.{api[2]}\n\n- `backend-unsupported` of `bare.Load`: gone.\n")
    assert vmigen("diff", "v1", "HEAD", "--changes", changes_file).status == 0


def test_a_backend_that_is_wrong_is_not_compared(vmigen: Vmigen, repository: Path) -> None:
    description = repository / "backends/bare/backend.yaml"
    description.write_text(entry(BARE, "Load", "{routine: load}"))
    run = vmigen("diff", "v1", ".")
    assert (run.status, run.out) == (2, "")
    assert "backends/bare/backend.yaml:" in run.err and "routine 'load'" in run.err
    assert vmigen("diff", "v1", ".", "--no-backends").status == 0


def test_the_real_backends_are_compared(vmigen: Vmigen) -> None:
    """Each that can lose a call loses one, and that is told."""
    listed = sorted(path.parent.name for path in (PROJECT / "backends").glob("*/backend.yaml"))
    texts = {name: (PROJECT / "backends" / name / "backend.yaml").read_text() for name in listed}
    spec = (PROJECT / "spec/vmi.yaml").read_text()
    call = "SetCR3"
    lost = {}
    for name, text in texts.items():
        text = text if re.search(r"^calls:", text, re.MULTILINE) else f"{text.rstrip()}\n\ncalls:\n"
        lost[name] = entry(text, call, UNSUPPORTED)
    found = changes(texts, lost, spec)
    gone = [subject for rule, subject, _ in found if rule == "backend-unsupported"]
    assert gone == [f"{name}.{call}" for name in listed]
