# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi iso`: a kernel, by default the one that binds itself when it starts, on a disc or stick that a PC
boots from.

GRUB loads it by multiboot. The one file is an ISO 9660 disc with an El Torito boot record and, in the disc's
unused first sectors, a disk's boot record for the same GRUB, so that it can be written to a stick as it is.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from .build import bound_kernel, build, loaded_by_multiboot, rom
from .kernel import LINUX, MULTIBOOT, Kernel, look
from .setup import provide
from .util import ARCHITECTURES, BUILD, ROOT, UserError, progress, write_if_changed

TOOLS = {
    "grub-mkimage": "grub-common",
    "/usr/lib/grub/i386-pc/boot_hybrid.img": "grub-pc-bin",
    "xorriso": "xorriso",
}
"""None of these packages touches the machine's own boot (grub-pc and grub2-common would)."""

GRUB = Path("/usr/lib/grub/i386-pc")
MODULES = ("biosdisk", "iso9660", "search", "search_fs_file", "normal", "test", "echo", "serial", "terminal",
           "multiboot", "multiboot2", "linux", "reboot", "halt")  # fmt: skip
KERNEL = "vmi-any.elf"
OWN = "kernel"
"""What somebody's own kernel is called on the disc."""
LABEL = "VMI"
SECONDS = 3
KEYS = "0123456789abdfghijklmnoqrstuvwxyz"
"""Of the menu's entries in their order; c and e are GRUB's own."""

FIND = """\
search --no-floppy --file --set=root /boot/grub/grub.cfg
set prefix=($root)/boot/grub
"""

MENU = f"""\
# A PC without a serial port has the menu on its screen alone.
if serial --unit=0 --speed=115200; then
    terminal_input console serial
    terminal_output console serial
fi
set timeout={SECONDS}
set default=0
"""

ENTRY = """
menuentry '{title} ({key})' --hotkey={key} {{
    echo 'The kernel speaks on the first serial port, at 115200 baud.'
    {command} /boot/{kernel}{options}
{modules}}}
"""


def for_grub(text: str) -> str:
    """A text that may stand on a command line of GRUB's configuration."""
    if not text.isprintable() or set(text) & set("'\"\\$;{}|&<>"):
        raise UserError(f"not for GRUB's command line: {text!r}", 2)
    return text


def loader(kernel: Kernel) -> str:
    """GRUB's command that starts a kernel; an error if there is none."""
    kernel.check("GRUB on a PC", (MULTIBOOT, LINUX))
    return "multiboot" if MULTIBOOT in kernel.ways else "linux"


def own_menu(kernel: Kernel, append: str) -> str:
    """GRUB's configuration for somebody's own kernel."""
    tail = f" {for_grub(append)}" if append else ""
    return MENU + ENTRY.format(
        key=KEYS[0], title=for_grub(kernel.path.name), command=loader(kernel), kernel=OWN, options=tail,
        modules="",
    )  # fmt: skip


def menu(append: str) -> str:
    """GRUB's configuration: what the kernel finds by itself, then each provider by name, built in and as a
    module."""
    for_grub(append)
    entries = [("VMI sample kernel", "", "")]
    for name in loaded_by_multiboot():
        chosen = f" vmi.provider={name}"
        entries += [
            (f"... with provider {name}, built in", chosen, ""),
            (f"... with provider {name}, from a module", chosen, f"    module /boot/{name}.rom\n"),
        ]
    tail = f" {append}" if append else ""
    return MENU + "".join(
        ENTRY.format(
            key=key, title=title, command="multiboot", kernel=KERNEL, options=options + tail, modules=modules
        )
        for key, (title, options, modules) in zip(KEYS, entries, strict=False)
    )


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        message = done.stderr.strip() or done.stdout.strip() or "no message"
        raise UserError(f"{command[0]} failed: {message.splitlines()[-1]}")


def epoch() -> int:
    """The date of all files, in seconds from 1970: SOURCE_DATE_EPOCH, or 0 without it."""
    date = os.environ.get("SOURCE_DATE_EPOCH", "0")
    if not date.isdecimal():
        raise UserError(f"SOURCE_DATE_EPOCH is not a number of seconds: {date}", 2)
    return int(date)


def image(configuration: str, date: int, files: Mapping[str, Path]) -> bytes:
    """The disc, with GRUB configured so and these files in /boot. The same bytes from the same files, GRUB
    and xorriso, which are installed if they are missing."""
    provide(TOOLS)
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD, prefix=".iso-") as folder:
        find, tree, disc = (Path(folder) / name for name in ("find.cfg", "tree", "vmi.iso"))
        grub = tree / "boot/grub"
        grub.mkdir(parents=True)
        for name, path in files.items():
            shutil.copyfile(path, tree / "boot" / name)
        (grub / "grub.cfg").write_text(configuration)
        find.write_text(FIND)
        _run(["grub-mkimage", "-O", "i386-pc-eltorito", "-d", str(GRUB), "-p", "/boot/grub", "-c", str(find),
              "-o", str(grub / "eltorito.img"), *MODULES], {})  # fmt: skip
        for path in (tree, *tree.rglob("*")):
            os.utime(path, (date, date))
        _run(["xorriso", "-no_rc", "-as", "mkisofs", "-quiet", "-r", "-V", LABEL,
              "-b", "boot/grub/eltorito.img", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table",
              "--grub2-boot-info", "--grub2-mbr", str(GRUB / "boot_hybrid.img"),
              # Some firmware boots a stick only if its partition table has a bootable entry.
              "--protective-msdos-label", "--mbr-force-bootable", "-o", str(disc), str(tree)],
             {"SOURCE_DATE_EPOCH": str(date), "TZ": "UTC"})  # fmt: skip
        return disc.read_bytes()


def iso(append: str, output: Path | None, kernel: Path | None = None) -> int:
    """Make the disc and say what to do with it."""
    date = epoch()
    if kernel:
        own = look(kernel)
        configuration, files = own_menu(own, append), {OWN: kernel}
        architecture = own.architecture
    else:
        for_grub(append)
        build()
        configuration, architecture = menu(append), ARCHITECTURES[0]
        files = {KERNEL: bound_kernel("sample")}
        files |= {f"{name}.rom": rom(name) for name in loaded_by_multiboot()}
    path = output or BUILD / (f"{kernel.stem}.iso" if kernel else "vmi.iso")
    data = image(configuration, date, files)
    try:
        write_if_changed(path, data)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    progress(f"wrote {shown}")
    print(f"""\
{shown}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}
  in QEMU:      qemu-system-{architecture} -display none -serial stdio -no-reboot -cdrom {shown}
  on a stick:   sudo dd if={shown} of=/dev/sdX bs=1M conv=fsync
                (sdX: the whole stick, see lsblk; all that is on it is lost)
  on a PC:      boot it in BIOS (legacy, CSM) mode; the kernel speaks on COM1, 115200 baud""")
    return 0
