# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Whatever is done to the generator, it ends with one clear line (or a hundred and a count) and a status."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_vmigen_outputs import backend_with_template
from vmigen_runs import PROJECT, SMALL, Run, Vmigen, process, real, small, tree

SPEC = (SMALL / "vmi.yaml").read_text()


def one_line(run: Run, status: int, said: str) -> None:
    assert said in run.err
    assert (run.status, run.err.count("\n")) == (status, 1), run.err
    assert len(run.err) < 1000


def check(vmigen: Vmigen, path: Path, text: str | bytes) -> Run:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return vmigen("check", "--spec", path)


# ---- numbers ----


@pytest.mark.parametrize(
    ("found", "key", "value"),
    [
        (r"\bordinal: (\d+)", "ordinal", r"\1.0"),
        (r"\bword_bits: 32", "word_bits", "32.0"),
        (r"\bmajor: (\d+)", "major", r"\1.0"),
        (r"\bstack_words: (\d+)", "stack_words", "2.0"),
        (r"\bbits: 32", "bits", "32.0"),
        (r"\bvalue: 0x80000000", "value", "2147483648.0"),
        (r"size: \{i386: (\d+)", "i386", r"\1.0"),
        (r"\bordinal: (\d+)", "ordinal", "1e2"),
        (r"\bordinal: (\d+)", "ordinal", "true"),
    ],
)
def test_no_fraction_is_an_integer(found: str, key: str, value: str, vmigen: Vmigen, tmp_path: Path) -> None:
    name, _, _ = found.removeprefix(r"\b").partition(":")
    replaced = f"{name}: {{i386: {value}" if "{" in found else f"{name}: {value}"
    text, count = re.subn(found, replaced, SPEC, count=1)
    assert count == 1
    run = check(vmigen, tmp_path / "vmi.yaml", text)
    first = run.err.splitlines()[0]
    what = "true" if value == "true" else "the number "
    assert re.search(rf": error: '{key}' is {what}", first), run.err
    assert run.status == 1


@pytest.mark.parametrize(("key", "value"), [("number", "1.0"), ("priority", "7.0")])
def test_nor_in_a_backend(key: str, value: str, vmigen: Vmigen, tmp_path: Path) -> None:
    own = tmp_path / "hyper"
    shutil.copytree(SMALL / "backends/hyper", own)
    text = (own / "backend.yaml").read_text()
    if key == "priority":
        text = text.replace("\narchitectures:", f"\npriority: {value}\narchitectures:")
    else:
        text = re.sub(rf"\b{key}: \d+", f"{key}: {value}", text, count=1)
    (own / "backend.yaml").write_text(text)
    run = vmigen("check", *small("bare"), own)
    assert f": error: '{key}' is the number {value}" in run.err.splitlines()[0]
    assert run.status == 1


# ---- sizes ----


def test_a_name_of_a_megabyte_is_shortened(vmigen: Vmigen, tmp_path: Path) -> None:
    name = "x" * 1_000_000
    path = tmp_path / "vmi.yaml"
    for wrong in (
        re.sub(r"^  - name: \w+$", f"  - name: {name}", SPEC, count=1, flags=re.MULTILINE),
        SPEC + f'"{name}": 1\n',
        SPEC.replace("type: u32", f"type: {name}", 1),
        SPEC.replace("type: u32", f"type: {'a b ' * 250_000}", 1),
        SPEC.replace("category: ", f"category: {name}", 1).replace("core", name, 1),
        SPEC.replace("{i386: [eax", f"{{{name}: [eax", 1),
        SPEC.replace("[eax", f"[{name}", 1),
        SPEC + SPEC.partition("\ncalls:")[2].replace("- name: ", f"- name: {name}", 1),
    ):
        run = check(vmigen, path, wrong)
        assert run.status == 1
        assert len(run.err.splitlines()) < 40
        assert all(len(line) < 2000 for line in run.err.splitlines())


def test_a_path_that_is_too_long(vmigen: Vmigen) -> None:
    one_line(vmigen("check", "--spec", "x" * 100_000), 1, "File name too long")
    one_line(vmigen("x" * 100_000), 2, "invalid choice: ")
    one_line(vmigen("check", "--arch", "x" * 100_000), 2, "unknown architecture ")


def test_of_many_problems_the_first_hundred_are_shown_and_all_are_counted(
    vmigen: Vmigen, tmp_path: Path
) -> None:
    keys = "".join(f"wrong{i}: 1\n" for i in range(200_000))
    run = check(vmigen, tmp_path / "vmi.yaml", SPEC + keys)
    lines = run.err.splitlines()
    assert (run.status, len(lines)) == (1, 101)
    assert lines[-1] == "200000 problems; the first 100 are shown"
    first = SPEC.count("\n") + 1
    assert [int(line.split(":")[1]) for line in lines[:-1]] == list(range(first, first + 100))


def test_a_hundred_problems_need_no_count(vmigen: Vmigen, tmp_path: Path) -> None:
    keys = "".join(f"wrong{i}: 1\n" for i in range(100))
    run = check(vmigen, tmp_path / "vmi.yaml", SPEC + keys)
    assert (run.status, len(run.err.splitlines())) == (1, 100)


def test_a_file_without_end(vmigen: Vmigen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vmigen import files

    one_line(vmigen("check", "--spec", "/dev/zero"), 1, "Is a pipe, socket or device")
    monkeypatch.setattr(files, "LIMIT", 1 << 20)
    run = check(vmigen, tmp_path / "vmi.yaml", SPEC + "#" * (1 << 20))
    one_line(run, 1, "cannot read the file (Has more than 1 MiB)")


# ---- folders and pipes where files are meant ----


def zero(path: Path) -> None:
    """A device of the test's own, should one be replaced after all."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
        path.open("rb").close()
    except PermissionError:
        pytest.skip("only root makes devices")


@pytest.fixture(params=["folder", "pipe", "device"])
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "odd"
    if request.param == "folder":
        path.mkdir()
    elif request.param == "pipe":
        os.mkfifo(path)
    else:
        zero(path)
    return path


def test_no_file_to_read(odd: Path, vmigen: Vmigen, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "backend.yaml").symlink_to(odd)
    spec = PROJECT / "spec/vmi.yaml"
    out = ("--out", tmp_path / "out")
    for status, arguments in (
        (1, ("check", "--spec", odd)),
        (1, ("check", *small(), own)),
        (2, ("diff", odd, spec)),
        (2, ("diff", spec, odd)),
        (2, ("diff", spec, spec, "--changes", odd)),
        (1, ("generate", *small("bare"), *out, "--checks", odd)),
        (1, ("pages", *small("bare"), *out, "--guide", odd)),
        (1, ("pages", *small("bare"), *out, "--costs", odd)),
    ):
        run = vmigen(*arguments)
        assert re.search(r"Is a directory|Is a pipe, socket or device", run.err), (arguments, run.err)
        assert (run.status, run.err.count("\n")) == (status, 1)
    assert not (tmp_path / "out").exists()


def test_no_file_to_write(odd: Path, vmigen: Vmigen, tmp_path: Path) -> None:
    """A device is not replaced by a file, as root could."""
    before = odd.stat()
    run = vmigen("generate", *small("bare"), "--out", tmp_path / "out", "--depfile", odd)
    one_line(run, 1, f"{odd}:1:1: error: cannot write (")
    after = odd.stat()
    assert (after.st_mode, after.st_rdev) == (before.st_mode, before.st_rdev)


# ---- templates ----


def own_template(vmigen: Vmigen, folder: Path, text: str) -> Run:
    shutil.rmtree(folder / "bare", ignore_errors=True)
    options = backend_with_template(folder, "routines.h.j2", text)
    return vmigen("generate", *options, "--out", folder / "out")


@pytest.mark.parametrize("way", ["itself", "included"])
def test_a_template_that_is_not_utf8(way: str, vmigen: Vmigen, tmp_path: Path) -> None:
    options = backend_with_template(tmp_path, "routines.h.j2", '{% include "part.j2" %}\n')
    name = "routines.h.j2" if way == "itself" else "part.j2"
    path = tmp_path / "bare/templates" / name
    path.write_bytes(b"{{ banner }}\n/* caf\xe9 */\n")
    run = vmigen("generate", *options, "--out", tmp_path / "out")
    one_line(run, 1, f"{path}:2:7: error: template: byte 0xe9 is not UTF-8; ")
    assert not (tmp_path / "out").exists()


def test_a_template_that_is_no_file(vmigen: Vmigen, tmp_path: Path) -> None:
    """It is not passed over in favour of the generator's own."""
    options = backend_with_template(tmp_path, "routines.h.j2", "")
    path = tmp_path / "bare/templates/routines.h.j2"
    for make, said in (
        (path.mkdir, "Is a directory"),
        (lambda: os.mkfifo(path), "Is a pipe"),
        (lambda: path.symlink_to("nowhere"), "No such file"),
    ):
        path.rmdir() if path.is_dir() else path.unlink()
        make()
        run = vmigen("generate", *options, "--out", tmp_path / "out")
        one_line(run, 1, f"{path}:1:1: error: template: cannot read ({said}")
    shutil.rmtree(path.parent)
    path.parent.write_text("")
    run = vmigen("generate", *options, "--out", tmp_path / "out")
    assert f"{path.parent}:1:1: error: template: is no folder; " in run.err
    assert run.status == 1


ENDLESS = "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}"
END = "{% endfor %}" * 3


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (f"\n{ENDLESS}\n{{% set d = a %}}{END}\n", (2, 3), "takes more than 0.2 s"),
        (f"\n{ENDLESS}\n{{{{ 'much' * 1000 }}}}\n{END}", (2, 3, 4), "writes more than 1 MiB"),
        ("\n{% macro m() %}\n{{ m() }}\n{% endmacro %}\n{{ m() }}\n", (3,), "maximum recursion depth"),
        ("\n\n{{ range(10 ** 12) | sum }}\n", (3,), "a range of more than 1000000 numbers"),
        ('\n{% include "routines.h.j2" %}\n', (2,), "maximum recursion depth"),
    ],
    ids=["silent", "writing", "recursive", "long range", "included by itself"],
)
def test_a_template_without_end(
    text: str,
    line: tuple[int, ...],
    said: str,
    vmigen: Vmigen,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from vmigen import render

    if "seconds" in said or "0.2 s" in said:
        monkeypatch.setattr(render, "MOST_SECONDS", 0.2)
    monkeypatch.setattr(render, "MOST_TEXT", 1 << 20)
    run = own_template(vmigen, tmp_path, text)
    one_line(run, 1, said)
    place = re.match(rf"{tmp_path}/bare/templates/routines\.h\.j2:(\d+):1: error: template: ", run.err)
    assert place and int(place[1]) in line, run.err
    assert not (tmp_path / "out").exists()


# ---- output ----


FULL = r"^vmigen: standard output.*: No space left on device; "


def redirected(command: str) -> subprocess.CompletedProcess[str]:
    """The generator under a shell's redirections."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "codegen"), "PYTHONUNBUFFERED": ""}
    environment["PY"] = sys.executable
    words = ["sh", "-c", f'"$PY" -m vmigen {command}']
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        (f"list-outputs --spec {SMALL}/vmi.yaml > /dev/full", 1, FULL),
        ("diff --help > /dev/full", 1, FULL),
        (f"check --spec {SMALL}/none.yaml 2> /dev/full", 1, ""),
        (f"list-outputs --spec {SMALL}/vmi.yaml >&-", 0, ""),
        (f"check --spec {SMALL}/none.yaml 2>&-", 1, ""),
        ("check --colour > /dev/full", 2, "unrecognized arguments"),
    ],
)
def test_full_and_closed_devices(command: str, status: int, said: str) -> None:
    done = redirected(command)
    assert re.search(said, done.stderr)
    assert (done.returncode, done.stderr.count("\n")) == (status, 1 if said else 0), done.stderr


def test_a_tree_that_cannot_be_written(vmigen: Vmigen, tmp_path: Path) -> None:
    """/proc stands in for it: nobody can write there, root neither."""
    run = vmigen("generate", *small("bare"), "--out", "/proc/self/out")
    one_line(run, 1, "/proc/self/out")
    run = vmigen("generate", *small("bare"), "--out", tmp_path, "--depfile", "/proc/self/vmi.d")
    one_line(run, 1, "/proc/self")


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_a_locale_without_the_characters(tmp_path: Path) -> None:
    assert process("generate", *real(), "--out", tmp_path / "plain", LC_ALL="C.UTF-8").status == 0
    assert process("generate", *real(), "--out", tmp_path / "ascii", **ASCII).status == 0
    assert tree(tmp_path / "ascii") == tree(tmp_path / "plain")
    text = SPEC.replace("summary: ", "summary: Größe. ", 1)
    (tmp_path / "new.yaml").write_text(text.replace('"Interrupts are off."', '"Größe der Unterbrechung."'))
    run = process("diff", SMALL / "vmi.yaml", tmp_path / "new.yaml", **ASCII)
    assert r"Gr\xf6\xdfe" in run.out and "Traceback" not in run.err
    one_line(process("check", "--spec", tmp_path / "größe.yaml", **ASCII), 1, "No such file")
    (tmp_path / "bad.yaml").write_text(text + "größe: 1\n")
    one_line(process("check", "--spec", tmp_path / "bad.yaml", **ASCII), 1, r"unknown key 'gr\xf6\xdfe'")


def test_ctrl_c_at_any_moment(tmp_path: Path) -> None:
    """One line or none; the outputs are whole or not there."""
    out = tmp_path / "out"
    # Until the package's first line Python itself would answer the signal. It is held back so long.
    code = (
        "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}); print('up', flush=True);"
        "import runpy; runpy.run_module('vmigen', run_name='__main__', alter_sys=True)"
    )
    ends = set()
    for step in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", code, "generate", *real(), "--out", str(out)],
            env={**os.environ, "PYTHONPATH": str(PROJECT / "codegen")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as run:
            assert run.stdout and run.stdout.readline() == "up\n"
            time.sleep(step * 0.1)
            run.send_signal(signal.SIGINT)
            _, said = run.communicate(timeout=300)
        ends.add(run.returncode)
        assert (run.returncode, said) in ((130, "vmigen: interrupted\n"), (-signal.SIGINT, ""), (0, ""))
        assert not [name for name in tree(tmp_path) if "/." in name], "temporary files"
        if run.returncode == 0:
            break
    assert 130 in ends or -signal.SIGINT in ends
