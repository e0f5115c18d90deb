# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi run`: a kernel of anybody's, judged by how it ends."""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pexpect
import pytest

from ci.backends import backends
from ci.boot import show_failure
from ci.build import BOUND, bound_kernel, kernels, rom, tree
from ci.conformance import typed_file
from ci.guest import GuestDriver
from ci.kernel import look
from ci.rig import Guest, LinuxRig, Outcome
from ci.run import LOGS, distinct
from ci.util import ARCHITECTURES, ROOT, UserError, tied

from ..boot.test_own_kernel import compiled
from ..guests import places

NAME = next(iter(backends()))


def vmi_run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [ROOT / "vmi", "run", *words]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
    )


def test_kernel_that_passes() -> None:
    done = vmi_run(NAME, kernels("hello")[NAME])
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"Hello from ring 0, linked with the library for {NAME}\n"


def test_kernel_started_by_firmware() -> None:
    """The console is the kernel's, without what the firmware wrote before it; memory is enough for both."""
    done = vmi_run(NAME, kernels("hello", ARCHITECTURES[1])[NAME], "--firmware", "uefi")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"Hello from ring 0, linked with the library for {NAME}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--firmware", "coreboot"), f"{NAME} has no firmware coreboot; it has bios, uefi, uefi-grub"),
        (("--firmware", "uefi", "--memory", "64"), "--memory 64: this firmware needs at least 128 MiB"),
        (("--firmware", "uefi", "--gdb"), "use --firmware bios, or none"),
        (("--firmware", "uefi", "--rom", "/bin/true"), f"{NAME} by UEFI has no option ROMs"),
    ],
)
def test_firmware_that_cannot_start_it(words: tuple[str, ...], said: str) -> None:
    done = vmi_run(NAME, kernels("hello")[NAME], *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr.splitlines()[-1]


def test_kernel_that_fails_says_why() -> None:
    done = vmi_run(NAME, kernels("sample")[NAME], "--append", "checks=boot test=fail")
    assert done.returncode == 1
    assert "not ok" in done.stdout
    assert "test.fail" in done.stderr
    assert "exit status 0x11" in done.stderr


def test_what_is_expected_decides(tmp_path: Path) -> None:
    """A kernel that would run for ever is stopped when all of it has come, in any order."""
    hanging = (NAME, kernels("sample")[NAME], "--append", "checks=boot test=hang", "--deadline", "60")
    done = vmi_run(*hanging, "--expect", "test=hang", "--expect", r"^ok \d+ boot\.information")
    assert done.returncode == 0, done.stderr
    done = vmi_run(*hanging[:-1], "5", "--expect", "boot", "--expect", "never said")
    assert done.returncode == 1
    assert "--expect 'never said' is not there" in done.stderr
    assert "hung" in done.stderr


def test_what_must_not_be_there_ends_a_run() -> None:
    done = vmi_run(NAME, kernels("hello")[NAME], "--fail", "Hello from ring [0-3]")
    assert done.returncode == 1
    assert "--fail 'Hello from ring [0-3]' is there: Hello from ring 0" in done.stderr


ENDS = """
#include <vmi/vmi.h>
void kernel_main(const struct vmi_boot_info *boot)
{
    vmi_console_write("one\\r\\nlogin: ", 12);
    while (boot->command_line[0] != 0 && boot->module_count == 0)
        vmi_yield();
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
}
"""
"""Waits at its prompt, or ends there where it has a module."""


def test_last_line_without_its_end(tmp_path: Path) -> None:
    """It is shown, and looked at: of a kernel that ends, and of one that waits there."""
    kernel = compiled(ENDS, NAME, tmp_path)
    for words, status in (
        (("--initrd", kernel), 0),
        (("--initrd", kernel, "--expect", "^login: $"), 0),
        (("--initrd", kernel, "--fail", "login"), 1),
        (("--expect", "^login: $", "--deadline", "60"), 0),
        (("--fail", "login", "--expect", "never", "--deadline", "60"), 1),
    ):
        done = vmi_run(NAME, kernel, *words)
        assert done.returncode == status, (words, done.stderr)
        assert done.stdout == "one\nlogin: \n", words
        assert "hung" not in done.stderr


def test_command_of_a_kernel_that_failed_can_be_repeated() -> None:
    """As it is printed, by a shell: the same console, the same end."""
    told = ("--append", "checks=boot test=fail", "--cpus", "2")
    done = vmi_run(NAME, kernels("sample")[NAME], *told)
    (command,) = re.findall(r"^  command: (.*)$", done.stderr, re.MULTILINE)
    again = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode == 0x11 << 1 | 1, again.stderr

    def checks(console: str) -> list[str]:
        return re.findall(r"^(?:not )?ok .*|^# boot .*|^# result.*", console.replace("\r", ""), re.MULTILINE)

    assert checks(again.stdout) == checks(done.stdout) != []


def elf(machine: int, kind: int, segments: int = 1) -> bytes:
    """The header of an ELF file, with one program header behind it."""
    head = b"\x7fELF\1\1\1" + bytes(9)
    head += struct.pack("<HHIIIIIHHHHHH", kind, machine, 1, 0x100000, 52, 0, 0, 52, 32, segments, 40, 0, 0)
    return head + struct.pack("<8I", 1, 0, 0x100000, 0x100000, 84, 84, 5, 4096)


EM_386, EM_ARM, ET_REL, ET_EXEC = 3, 40, 1, 2


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "found an empty file"),
        (b"# A text\n" * 1000, "found a text"),
        (b"!<arch>\n" + bytes(60), "found an archive (link a kernel with it)"),
        (b"\x1f\x8b\x08\x00" + bytes(60), "found a compressed file (gzip)"),
        (b"\xca\xfe\xba\xbe" + bytes(60), "found other data (it begins with ca fe ba be)"),
        (elf(EM_386, ET_REL, 0), "found an object that is not linked"),
        (elf(EM_ARM, ET_EXEC), "found one for ARM"),
        (
            elf(EM_386, ET_EXEC),
            "the file has nothing by which a loader starts it; link it with libvmi-NAME.a and "
            "-Wl,-T,runtime/arch/i386/kernel.ld, or give it a header of its own",
        ),
        (elf(EM_386, ET_EXEC)[:60], "the ELF file is damaged or cut off"),
    ],
)
def test_what_is_no_kernel_is_refused_before_anything_boots(
    tmp_path: Path, content: bytes, found: str
) -> None:
    """In any configuration, whose rig may be slow to boot."""
    file = tmp_path / "file"
    file.write_bytes(content)
    for place in (places()[0], places()[-1]):
        done = vmi_run(place.configuration.name, file)
        assert done.returncode == 2, done.stderr
        *_, line = done.stderr.splitlines()
        assert line.startswith(f"vmi: kernel {file}: ") and line.endswith(found)
        assert "booting" not in done.stderr and "FAILED" not in done.stderr


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_kernel_that_was_linked_without_the_linker_script(arch: str, tmp_path: Path) -> None:
    """A linker does not notice: the kernel asks for calls only, and has no way in."""
    kernel = tmp_path / "kernel.elf"
    (library,) = tree(arch).glob(f"backends/libvmi-{NAME}.a")
    source = ROOT / "examples/hello/hello.c"
    flags = {"i386": ["-m32"], "x86_64": ["-m64", "-mcmodel=kernel", "-mno-red-zone"]}[arch]
    subprocess.run(
        ["gcc", *flags, "-O2", "-ffreestanding", "-fno-pic", "-fno-stack-protector", "-mgeneral-regs-only",
         "-nostdlib", "-static", f"-I{tree(arch)}/include", source, library, "-o", kernel],
        check=True, capture_output=True,
    )  # fmt: skip
    done = vmi_run(NAME, kernel)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(
        "the file has nothing by which a loader starts it; it was linked without the library's linker "
        f"script: add -Wl,-T,runtime/arch/{arch}/kernel.ld"
    )


def test_kernels_that_a_configuration_does_not_start() -> None:
    """Those with nothing that its loader takes, and those of an architecture that its library lacks."""
    tried = 0
    for place in places():
        for arch in ARCHITECTURES:
            for library, kernel in kernels("hello", arch).items():
                image = look(kernel)
                fits = image.ways & set(place.rig.takes) and place.backend in backends(arch=arch)
                if fits:
                    place.rig.check(image, str(place))
                    continue
                tried += 1
                refusal = f"^kernel {re.escape(str(kernel))}: expected "
                with pytest.raises(UserError, match=refusal) as refused:
                    place.rig.check(image, str(place))
                assert refused.value.status == 2 and "\n" not in str(refused.value)
                assert library != place.backend
    assert tried > 0


def test_what_a_guest_cannot_be_given_is_refused_before_anything_boots(tmp_path: Path) -> None:
    """Where a rig cannot do it."""
    file = tmp_path / "file"
    file.touch()
    tried = 0
    for place in places():
        kernel = kernels("hello")[place.backend]
        words = [("--stdin", tmp_path / "gone"), ("--interactive",)]
        words += [] if place.rig.option_roms else [("--rom", file)]
        words += [("--module", f"{file} x=1")] if place.backend != NAME and not place.rig.option_roms else []
        for more in words:
            tried += 1
            done = vmi_run(place.configuration.name, kernel, *more)
            assert done.returncode == 2, more
            assert "booting" not in done.stderr
    assert tried > 2 * len(places())


def test_several_kernels() -> None:
    """Each is judged; one that fails does not keep the others from running."""
    both = (kernels("hello")[NAME], kernels("sample")[NAME])
    done = vmi_run(NAME, *both, "--append", "test=fail checks=boot")
    assert done.returncode == 1
    assert "Hello from ring 0" in done.stdout and "not ok" in done.stdout
    assert f"vmi: {NAME}: hello-{NAME}.elf passed in" in done.stderr
    assert f"vmi: {NAME}: 1 of 2 kernels passed" in done.stderr


def test_kernels_of_one_name_have_a_log_each(tmp_path: Path) -> None:
    """As a build folder for each architecture has them."""
    for arch in ARCHITECTURES:
        (tmp_path / arch).mkdir()
        shutil.copy(kernels("hello", arch)[NAME], tmp_path / arch / "mine.elf")
    done = vmi_run(NAME, *(tmp_path / arch / "mine.elf" for arch in ARCHITECTURES))
    assert done.returncode == 0, done.stderr
    assert distinct(["a", "b", "a", "a-2", "a"]) == ["a", "b", "a-2", "a-2-2", "a-3"]
    for name in ("mine", "mine-2"):
        assert "Hello" in (LOGS / f"{NAME}-{name}.guest.log").read_text()


def test_memory_and_modules(tmp_path: Path) -> None:
    """What the kernel is given is what it finds: the second module is a provider, and it takes it."""
    disk = tmp_path / "a,b"
    disk.write_text("disk" * 100)
    given = ("--memory", "100", "--initrd", disk, "--module", f"{rom(NAME)} x=1 y=2")
    done = vmi_run(NAME, bound_kernel("sample"), "--append", "checks=boot", *given)
    assert done.returncode == 0, done.stderr
    assert "source=module@" in done.stdout
    found = re.search(r"memory_kib=(\d+)", done.stdout)
    assert found and 100_000 < int(found[1]) <= 100 * 1024


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_too_little_memory_is_refused_with_the_least_that_works(arch: str) -> None:
    """That much is enough: for a small kernel and for a large one."""
    for kind, append in (("hello", ()), ("sample", ("--append", "checks=boot.information"))):
        kernel = kernels(kind, arch)[NAME]
        done = vmi_run(NAME, kernel, "--memory", "1")
        (least,) = re.findall(r"--memory 1: \S+ with its modules needs at least (\d+) MiB\n", done.stderr)
        assert done.returncode == 2 and "booting" not in done.stderr
        assert vmi_run(NAME, kernel, "--memory", str(int(least) - 1)).returncode == 2
        done = vmi_run(NAME, kernel, "--memory", least, *append)
        assert done.returncode == 0, done.stderr


def test_another_library_is_said(tmp_path: Path) -> None:
    """In one line, before it boots; the kernel's own is not."""
    other = next(name for name in kernels("hello") if name not in (NAME, "any"))
    said = (
        f"hello-{other}.elf is linked with the library for {other}, not for {NAME}: link it with "
        f"libvmi-{NAME}.a, or run it in a configuration of {other}\n"
    )
    assert said in vmi_run(NAME, kernels("hello")[other], "--deadline", "10").stderr
    assert "is linked with" not in vmi_run(NAME, kernels("hello")[NAME]).stderr


FAULTS = {
    "vmi_send_ipi(0, 1, 0x40)": r"is \w+\+0x\w+, of the library: see what the kernel gave to SendIPI",
    "vmi_flush_tlb(0); vmi_console_write((char *)8, 9)": r"is \w+\+0x\w+, of the library: see what the "
    "kernel gave to ConsoleWrite or ShutdownReason",
    "vmi_set_idt(0)": r"is vmi__?set_idt\+0x\w+, of the library: see what the kernel gave to SetIDT",
    "*(volatile int *)0x1238 = 1": r"is kernel_main\+0x\w+, the kernel's own",
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_kernel_that_faulted(arch: str, fault: str, tmp_path: Path) -> None:
    """Before it had an IDT, by what it gave to the library or by itself: function and call are named."""
    text = f"#include <vmi/vmi.h>\nvoid kernel_main(const struct vmi_boot_info *b) {{ (void)b; {fault}; }}\n"
    kernel = compiled(text, NAME, tmp_path, arch)
    done = vmi_run(NAME, kernel)
    assert done.returncode == 1 and "faulted before it had an IDT" in done.stdout
    assert re.search(rf"^  advice: 0x\w+ {FAULTS[fault]}; ", done.stderr, re.MULTILINE), done.stderr


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_kernel_that_returns(arch: str, tmp_path: Path) -> None:
    """It has not passed, and is told how a kernel ends."""
    done = vmi_run(NAME, compiled("void kernel_main(void) { }\n", NAME, tmp_path, arch))
    assert done.returncode == 1 and "exit status 0x12" in done.stderr
    assert done.stdout == "vmi: kernel_main returned; a kernel ends by vmi_shutdown_reason\n"


def test_hypervisors_own_lines_of_a_kernel_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    """They are left out and counted; of a kernel that wrote none they are what there is to see."""
    own = re.compile(r"\(HV\) ")
    guest = Guest(Path("k.elf"), "k")
    for console, shown, left_out in (
        ("(HV) boots\n1..2\n(HV) clock\nnot ok 1 a\n", ["1..2", "not ok 1 a"], 2),
        ("(HV) boots\n \n(HV) it crashed\n", ["(HV) boots", " ", "(HV) it crashed"], 0),
    ):
        show_failure(Outcome(guest, console, False, "ended", "", 1.0, "qemu", Path("log")), ["why"], own)
        said = capsys.readouterr().err
        assert [line[4:] for line in said.splitlines() if line.startswith("  | ")] == shown
        assert (f"(without {left_out} of the hypervisor's own)" in said) == bool(left_out)


def test_kernel_that_wrote_no_line(tmp_path: Path) -> None:
    """What to look at is said, and not of one that wrote something."""
    quiet = "void kernel_main(const void *boot) { (void)boot; for (;;) { } }\n"
    done = vmi_run(NAME, compiled(quiet, NAME, tmp_path), "--deadline", "5")
    assert done.returncode == 1
    assert re.search(r"^  advice: .*it wrote no line: see whether its library .*readelf", done.stderr, re.M)
    hanging = ("--append", "checks=boot test=hang", "--deadline", "10")
    assert "it wrote no line" not in vmi_run(NAME, kernels("sample")[NAME], *hanging).stderr


STOPPED = """
#include <vmi/vmi.h>
void kernel_main(const struct vmi_boot_info *boot)
{
    volatile uint32_t local = 23 + (boot->version == 0);

    vmi_disable_interrupts();
    vmi_console_write("went on\\r\\n", 9);
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, local == 42 ? VMI_STATUS_PASS : VMI_STATUS_FAIL);
}
"""


@pytest.mark.parametrize("library", [NAME, BOUND])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_debugger(arch: str, library: str, tmp_path: Path) -> None:
    """It stops the kernel, reads and writes a variable, steps into a call, and lets go of it."""
    kernel = compiled(STOPPED, library, tmp_path, arch, "-g", "-fno-asynchronous-unwind-tables")
    with subprocess.Popen(
        [ROOT / "vmi", "run", NAME, kernel, "--gdb", "--deadline", "240"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=tied(),
    ) as run:  # fmt: skip
        assert run.stdout and run.stderr
        shown = next(line for line in run.stderr if "waits for gdb" in line)
        typed = shlex.split(shown.partition(" terminal: ")[2])
        socket = Path(typed[3].split()[-1])
        while not socket.exists() and run.poll() is None:
            time.sleep(0.05)
        more = ("next", "next", "print local", "set var local = 42", "stepi", "backtrace", "continue")
        debugged = subprocess.run(
            [*typed[:1], "-batch", "-nx", *typed[1:], *(word for each in more for word in ("-ex", each))],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        said, complained = run.communicate(timeout=240)
    assert "Breakpoint 1, kernel_main (boot=" in debugged.stdout, debugged.stderr
    assert "$1 = 23" in debugged.stdout
    assert re.search(r"^#0 .* in vmi_console_write .*\n#1 .*kernel_main ", debugged.stdout, re.MULTILINE)
    assert said.endswith("went on\n") and run.returncode == 0, complained


def test_debugger_where_there_is_none() -> None:
    """Refused before anything boots, with the reason."""
    without = [place for place in places() if place.rig.gdb]
    for place in without:
        done = vmi_run(place.configuration.name, kernels("hello")[place.backend], "--gdb")
        assert done.returncode == 2 and "has no debugger: " in done.stderr
    assert without


def test_option_rom() -> None:
    done = vmi_run(NAME, bound_kernel("sample"), "--append", "checks=boot", "--rom", rom(NAME))
    assert done.returncode == 0, done.stderr
    assert "source=rom@" in done.stdout


def test_file_that_is_typed(tmp_path: Path) -> None:
    typed = ("--append", "input=1", "--expect", "input received=1024 wrong=0")
    done = vmi_run(NAME, kernels("conformance")[NAME], *typed, "--stdin", typed_file(1))
    assert done.returncode == 0, done.stderr


def test_what_is_typed_and_never_read_is_no_failure() -> None:
    """A machine that ends before its kernel has read what was typed: the socket says so by an error."""
    near, far = socket.socketpair()
    with near:
        near.sendall(b"typed")
        far.sendall(b"done")
        far.close()
        qemu = SimpleNamespace(_clientsocket=near)
        assert GuestDriver._read(qemu, 4) == b"done"
        with pytest.raises(pexpect.EOF):
            GuestDriver._read(qemu, 1)


def test_terminal_is_joined_to_the_console() -> None:
    """Keys go to the guest and its bytes come back, until Control-] ends it."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [ROOT / "vmi", "run", NAME, kernels("conformance")[NAME], "--append", "input=1", "--interactive"],
        stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    try:
        while b"# input ready" not in seen:
            seen += os.read(ours, 4096)
        os.write(ours, typed_file(1).read_bytes()[:-1])
        os.write(ours, b"\x1d")
        assert child.wait(60) == 1
        assert child.stderr and "stopped while it ran" in child.stderr.read()
    finally:
        child.kill()
        child.wait()
        os.close(ours)


def test_linux_runs() -> None:
    """A kernel of a distribution's, for 64 bits and in its own format; rigs have one at hand."""
    place = next((place for place in places() if isinstance(place.rig, LinuxRig)), None)
    if place is None:
        pytest.skip("no rig has a Linux")
    place.rig.prepare()
    if not hasattr(place.rig, "image"):
        pytest.skip("this machine's own hypervisors are used")
    done = subprocess.run(
        [ROOT / "vmi", "run", NAME, place.rig.image.linux, "--memory", "256", "--append",
         "console=ttyS0 earlyprintk=ttyS0 panic=-1", "--expect", "Linux version [0-9]"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere", "k.elf"), "no configuration nowhere"),
        ((NAME, "k.elf"), "no kernel k.elf"),
        ((NAME, "k.elf", "--expect", "("), "not a regular expression: '('"),
        ((NAME, "k.elf", "--module", "gone x=1"), "no module gone"),
        ((NAME, "k.elf", "--initrd", "gone"), "no initial RAM disk gone"),
        ((NAME, "k.elf", "--rom", "gone"), "no ROM gone"),
        ((NAME, "k.elf", "--disk", "gone"), "no disk gone"),
        ((NAME, "k.elf", "--disk", "gone,rw"), "disk gone,rw: expected FILE or FILE,ro"),
        ((NAME, "k.elf", "--disk", "gone,ro,ahci"), "disk gone,ro,ahci: no disk by AHCI is read-only"),
        ((NAME, "k.elf", "--disk", "gone,nvme,ahci"), "disk gone,nvme,ahci: expected one device"),
        ((NAME, kernels("hello")[NAME], "--interactive"), "--interactive needs a terminal"),
        ((NAME, kernels("hello")[NAME], "--stdin", "gone"), "no file to be typed gone"),
    ],
)
def test_misuse(words: tuple[str | Path, ...], said: str) -> None:
    done = vmi_run(*words)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"vmi: {said}")


def test_disk_that_is_given_twice(tmp_path: Path) -> None:
    """One that two devices would write to is refused; one that nobody writes to is not."""
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(4096))
    done = vmi_run(NAME, kernels("hello")[NAME], "--disk", disk, "--disk", f"{disk},ro")
    assert done.returncode == 2 and "given twice, and can be written to; use a copy" in done.stderr
    done = vmi_run(NAME, kernels("hello")[NAME], "--disk", f"{disk},ro", "--disk", f"{disk},ro")
    assert done.returncode == 0, done.stderr
