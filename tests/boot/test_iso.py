# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The disc of `./vmi iso`, booted as a disc and as a disk, by the keys of its menu."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from ci import ktap
from ci.build import kernels, loaded_by_multiboot
from ci.console import text
from ci.iso import KEYS, OWN, iso, menu, own_menu
from ci.kernel import look
from ci.rig import QEMU_END
from ci.setup import FIRMWARE, provide
from ci.util import ARCHITECTURES, UserError, tied

from .screen import PICTURES, VGA_COLUMNS, Monitor, Picture, note, photographed, shows

APPEND = "checks=boot"
"""At their end kernels switch the machine off."""
DEADLINE = 300
I386, X86_64 = ARCHITECTURES
NARROW_PC = ("qemu-system-i386", "-m", "64")
PC = ("qemu-system-x86_64", "-m", "64")
UEFI = ("qemu-system-x86_64", "-m", "256", "-bios", *FIRMWARE)
MEDIA = {"disc": ("-cdrom", "{}"), "disk": ("-drive", "file={},format=raw,snapshot=on")}


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("iso") / "vmi.iso"
    assert iso(APPEND, path) == 0
    return path


def boot(
    disc: Path,
    medium: str,
    key: str,
    serial: bool = True,
    machine: Sequence[str] = NARROW_PC,
    picture: Path | None = None,
) -> tuple[int, str]:
    """Boot from the medium, pressing `key` (none: the menu's own choice) when the menu has come; QEMU's exit
    status and the console. For a `picture` the machine has a screen, which is photographed when the kernel
    has switched the machine off."""
    if not picture:
        return _boot(disc, medium, key, serial, machine)
    with contextlib.closing(Monitor()) as monitor:
        photographed(monitor, picture, DEADLINE)
        screen = ("-vga", "std", "-no-shutdown", *monitor.options)
        return _boot(disc, medium, key, serial, (*machine, *screen))


def _boot(disc: Path, medium: str, key: str, serial: bool, machine: Sequence[str]) -> tuple[int, str]:
    option, value = MEDIA[medium]
    running = subprocess.Popen(
        [*machine, "-machine", "pc,vmport=off", "-smp", "2", "-nodefaults",
         "-no-user-config", "-display", "none", *(("-serial", "stdio") if serial else ()), *QEMU_END,
         option, value.format(disc)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=tied(),
    )  # fmt: skip
    assert running.stdin and running.stdout
    stop = threading.Timer(DEADLINE, running.kill)
    stop.start()
    try:
        console, pressed = b"", not key
        while piece := os.read(running.stdout.fileno(), 4096):
            console += piece
            if not pressed and f"({KEYS[0]})".encode() in console:
                running.stdin.write(key.encode())
                running.stdin.flush()
                pressed = True
        return running.wait(), text(console)
    finally:
        stop.cancel()
        running.kill()
        running.wait()


def bound(console: str) -> dict[str, str]:
    """What a passing kernel says that it bound itself to."""
    report = ktap.parse(console)
    assert report.failures() == [], console
    assert report.result["pass"] > 0
    return report.binding


def architecture(console: str) -> str:
    """Whose kernel it is, by a call that x86-64 alone has."""
    named = {call.name for call in ktap.parse(console).calls}
    assert named, console
    return X86_64 if "SwapGS" in named else I386


# Named so that no rig is taken to be needed (tests/guests.py): the disc is made once, for one worker.
@pytest.mark.parametrize(
    ("cpu", "key", "arch"),
    [("pentium3", KEYS[0], I386), ("qemu64", "", X86_64)],
    ids=["bios_narrow", "bios_wide"],
)
def test_boots_by_itself(disc: Path, cpu: str, key: str, arch: str) -> None:
    """The kernel that fits the processor; what the console has is on the screen, in the VGA's text mode. Who
    presses the first entry's key does not wait for it."""
    picture = PICTURES / f"bios-grub-{arch}.ppm"
    status, console = boot(disc, "disc", key, machine=(*PC, "-cpu", cpu), picture=picture)
    note("bios", cpu, arch, status, console)
    binding = bound(console)
    assert (binding["provider"], binding["source"]) == (loaded_by_multiboot(arch)[0], "builtin")
    assert architecture(console) == arch
    assert status == 0
    assert shows(picture, console, VGA_COLUMNS) == []


def test_provider_built_in_from_a_disk(disc: Path) -> None:
    status, console = boot(disc, "disk", KEYS[1])
    assert bound(console)["source"] == "builtin"
    assert f"vmi.provider={loaded_by_multiboot()[0]} {APPEND}" in menu(APPEND)
    assert status == 0


# Named as above.
@pytest.mark.parametrize(
    ("name", "key"),
    list(zip(loaded_by_multiboot(), KEYS[2::2], strict=False)),
    ids=lambda value: f"disc_{value}",
)
def test_provider_from_a_module(disc: Path, name: str, key: str) -> None:
    status, console = boot(disc, "disk", key)
    binding = bound(console)
    assert binding["provider"] == name
    assert binding["source"].startswith("module@0x")
    assert status == 0


def test_boots_without_a_serial_port(disc: Path) -> None:
    """The screen alone says that all checks passed."""
    picture = PICTURES / "bios-grub-alone.ppm"
    assert boot(disc, "disc", key="", serial=False, picture=picture) == (0, "")
    shown = Picture.of(picture, VGA_COLUMNS).text()
    assert [row for row in shown if row.startswith("# result pass=") and " fail=0 " in row], shown


def test_same_bytes_again(disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again, dated = tmp_path / "again.iso", tmp_path / "dated.iso"
    iso(APPEND, again)
    assert again.read_bytes() == disc.read_bytes()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    iso(APPEND, dated)
    assert dated.read_bytes() != disc.read_bytes()
    assert b"2001090901464000" in dated.read_bytes(), "the volume's date"


def test_what_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="not for GRUB's command line"):
        menu("checks='boot'")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        iso("", tmp_path / "file/vmi.iso")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(UserError, match="SOURCE_DATE_EPOCH is not a number"):
        iso("", tmp_path / "vmi.iso")
    assert not (tmp_path / "vmi.iso").exists()


ENTRIES = 1 + 2 * len(loaded_by_multiboot())
"""Before those of single architectures."""


@pytest.mark.parametrize(
    ("key", "arch"),
    [(KEYS[2], X86_64), (KEYS[ENTRIES], I386)],
    ids=["pc_module", "pc_chosen"],
)
def test_kernel_on_a_processor_with_long_mode(disc: Path, key: str, arch: str) -> None:
    """Is x86-64's by each provider's entry, unless i386's is asked for."""
    status, console = boot(disc, "disc", key, machine=PC)
    assert bound(console)["provider"] == loaded_by_multiboot(arch)[0]
    assert architecture(console) == arch
    assert status == 0


# Named as above.
@pytest.mark.parametrize(
    ("medium", "key", "arch"),
    [("disc", KEYS[0], X86_64), ("disk", KEYS[ENTRIES], I386)],
    ids=["uefi_disc", "uefi_disk"],
)
def test_boots_by_uefi(disc: Path, medium: str, key: str, arch: str) -> None:
    """From both media that UEFI firmware looks for a loader on; both kernels, under firmware for x86-64.
    What the console has is on the screen, in the framebuffer that GRUB has set up. Without GRUB all checks
    are made (test_efi.py)."""
    provide(FIRMWARE)
    picture = PICTURES / f"uefi-grub-{arch}.ppm"
    status, console = boot(disc, medium, key, machine=UEFI, picture=picture)
    note("uefi-grub", "qemu64", arch, status, console)
    report = ktap.parse(console)
    assert (report.failures(), status) == ([], 0)
    assert report.boot["protocol"] == "multiboot2"
    assert architecture(console) == arch
    assert shows(picture, console) == []


def test_kernel_without_a_processor_that_fits() -> None:
    """x86-64's alone says so, and is not started."""
    configuration = own_menu([look(kernels("sample", X86_64)[loaded_by_multiboot(X86_64)[0]])], "")
    wide, narrow = configuration.split("    if cpuid -l; then\n")[1].split("    else\n")
    assert f"multiboot2 /boot/{X86_64}/{OWN}" in wide and "multiboot" not in narrow
    assert "this processor has no long mode" in narrow


def test_two_kernels_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lie on one disc; two for one architecture do not. With --framebuffer what the console has is in the
    one that GRUB has set up by the VGA's BIOS."""
    name = loaded_by_multiboot(X86_64)[0]
    both = [kernels("sample", arch)[name] for arch in (X86_64, I386)]
    disc = tmp_path / "own.iso"
    assert iso(APPEND, disc, both, framebuffer=True) == 0
    shown = capsys.readouterr().out
    assert all(f"qemu-system-{arch} -display none" in shown for arch in ARCHITECTURES)
    picture = PICTURES / "bios-grub-framebuffer.ppm"
    status, console = boot(disc, "disc", KEYS[0], machine=PC, picture=picture)
    assert (status, ktap.parse(console).failures()) == (0, [])
    assert architecture(console) == X86_64
    assert shows(picture, console) == []
    with pytest.raises(UserError, match=f"found two for {I386}") as error:
        iso("", tmp_path / "two.iso", [both[1], both[1]])
    assert error.value.status == 2


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_kernel_of_ones_own(tmp_path: Path, arch: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Alone on its disc, with no menu of ours but for it; it is said which machine boots it."""
    name = loaded_by_multiboot()[0]
    disc = tmp_path / "own.iso"
    capsys.readouterr()
    assert iso(APPEND, disc, [kernels("sample", arch)[name]]) == 0
    assert f"qemu-system-{arch} -display none" in capsys.readouterr().out
    assert b"VMI sample kernel" not in disc.read_bytes()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not a kernel" * 1000, "expected an ELF file or a bzImage of Linux, found a text"),
        (Path("/bin/true").read_bytes(), "or a multiboot header or Linux's boot header, which GRUB"),
        (None, "No such file"),
    ],
)
def test_kernel_that_grub_would_not_start(tmp_path: Path, content: bytes | None, said: str) -> None:
    """Is refused before anything is made."""
    kernel = tmp_path / "kernel"
    if content is not None:
        kernel.write_bytes(content)
    with pytest.raises(UserError, match=said) as error:
        iso("", tmp_path / "own.iso", [kernel])
    assert error.value.status == 2
    assert not (tmp_path / "own.iso").exists()


def test_linux_is_started_by_its_own_command(tmp_path: Path) -> None:
    kernel = tmp_path / "bzImage"
    kernel.write_bytes(bytes(0x202) + b"HdrS" + bytes(100))
    assert f"    linux /boot/{I386}/{OWN} quiet\n" in own_menu([look(kernel)], "quiet")
