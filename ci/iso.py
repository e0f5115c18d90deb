# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi iso`: kernels, by default those that bind themselves when they start, on a disc or stick that a PC
boots from.

Of a kernel for each architecture GRUB starts the one that fits the processor: x86-64's where CPUID tells
of long mode (`cpuid -l`), else i386's. The one file is an ISO 9660 disc with two El Torito boot records, one
for a BIOS and one for UEFI firmware, which is a FAT file system with GRUB as \\EFI\\BOOT\\BOOTX64.EFI. In the
disc's unused first sectors are a disk's boot record for the BIOS's GRUB and a partition table with the FAT
file system in it, so that it can be written to a stick as it is.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from .build import bound_kernel, build_all, loaded_by_multiboot, rom
from .kernel import LINUX, MULTIBOOT, MULTIBOOT2, Kernel, look
from .setup import FIRMWARE, provide
from .util import ARCHITECTURES, BUILD, ROOT, UserError, progress, write_if_changed

TOOLS = {
    "grub-mkimage": "grub-common",
    "/usr/lib/grub/i386-pc/boot_hybrid.img": "grub-pc-bin",
    "/usr/lib/grub/x86_64-efi/multiboot2.mod": "grub-efi-amd64-bin",
    "mformat": "mtools",
    "xorriso": "xorriso",
}
"""None of these packages touches the machine's own boot (grub-pc and grub2-common would)."""

GRUB = Path("/usr/lib/grub")
MODULES = ("iso9660", "search", "search_fs_file", "normal", "test", "echo", "terminal", "cpuid", "multiboot",
           "multiboot2", "linux", "reboot", "halt")  # fmt: skip
BIOS_MODULES, EFI_MODULES = ("biosdisk", "serial"), ("efi_gop",)
KERNEL = "vmi-any.elf"
OWN = "kernel"
"""What somebody's own kernel is called on the disc. Each kernel lies in a folder of its architecture."""
LABEL = "VMI"
FAT_EPOCH = 315532800
"""1980, in seconds from 1970."""
SECONDS = 3
REPORT = "vmi.report report=machine checks=boot end=key"
"""What has the sample kernel tell of a machine, and keep the screen on."""
KEYS = "0123456789abdfghijklmnoqrstuvwxyz"
"""Of the menu's entries in their order; c and e are GRUB's own."""

FIND = """\
search --no-floppy --file --set=root /boot/grub/grub.cfg
set prefix=($root)/boot/grub
"""

MENU = f"""\
# UEFI's console has the serial port in it if the firmware is set up so. A PC without a serial port has the
# menu on its screen alone.
if [ "$grub_platform" = pc ]; then
    if serial --unit=0 --speed=115200; then
        terminal_input console serial
        terminal_output console serial
    fi
fi
set timeout={SECONDS}
set default=0
"""

ENTRY = """
menuentry '{title} ({key})' --hotkey={key} {{
    echo 'The kernel speaks on the screen and on the first serial port, at 115200 baud.'
{start}{screen}}}
"""

TEXT_MODE = """\
    if [ "$grub_platform" = pc ]; then
        set gfxpayload=text
    fi
"""
"""Under a BIOS the kernel is started in the VGA's text mode, which each has. For after the command that
reads the kernel: `multiboot2` sets the variable to what the header asks for."""

COMMANDS = {MULTIBOOT2: "multiboot2", MULTIBOOT: "multiboot", LINUX: "linux"}
"""GRUB's, by what it finds in a kernel; the first that fits. Multiboot2 alone tells of UEFI's ACPI tables."""

MODULE_COMMANDS = {"multiboot2": "module2", "multiboot": "module", "linux": "initrd"}

START = """\
    {command} /boot/{kernel}{options}
"""

FITTING = """\
    if cpuid -l; then
{wide}    else
{narrow}    fi
"""

NO_LONG_MODE = """\
    echo 'This kernel is for x86-64, and this processor has no long mode.'
"""


def for_grub(text: str) -> str:
    """A text that may stand on a command line of GRUB's configuration."""
    if not text.isprintable() or set(text) & set("'\"\\$;{}|&<>"):
        raise UserError(f"not for GRUB's command line: {text!r}", 2)
    return text


def loader(kernel: Kernel) -> str:
    """GRUB's command that starts a kernel; an error if there is none."""
    kernel.check("GRUB on a PC", COMMANDS)
    return next(command for way, command in COMMANDS.items() if way in kernel.ways)


def _fitting(starts: Mapping[str, str]) -> str:
    """Commands that start the kernel that fits the processor, of those that start each architecture's."""
    narrow, wide = (starts.get(arch, "") for arch in ARCHITECTURES)
    if not wide:
        return narrow

    def indented(text: str) -> str:
        return "".join(f"    {line}" for line in text.splitlines(keepends=True))

    return FITTING.format(wide=indented(wide), narrow=indented(narrow or NO_LONG_MODE))


def _own_modules(command: str, words: Sequence[str]) -> str:
    """GRUB's commands for the modules of somebody's own kernel, each with its arguments."""
    if command == "linux" and (len(words) > 1 or any(words)):
        raise UserError("Linux takes one initial RAM disk and no modules by GRUB", 2)
    return "".join(
        f"    {MODULE_COMMANDS[command]} /boot/module{number} {for_grub(each)}".rstrip() + "\n"
        for number, each in enumerate(words)
    )


def _entry(key: str, title: str, start: str, framebuffer: bool) -> str:
    return ENTRY.format(key=key, title=title, start=start, screen="" if framebuffer else TEXT_MODE)


def own_menu(
    kernels: Sequence[Kernel],
    append: str,
    modules: Sequence[str] = (),
    ask: bool = True,
    framebuffer: bool = False,
) -> str:
    """GRUB's configuration for somebody's own kernels, one for each architecture at most, and for modules
    with these arguments; without `ask` there is no menu, and the screen is what the kernel's header asks for,
    as it is with `framebuffer`."""
    tail = f" {for_grub(append)}" if append else ""
    title = " or ".join(dict.fromkeys(for_grub(kernel.path.name) for kernel in kernels))
    starts = {
        each.architecture: START.format(
            command=loader(each), kernel=f"{each.architecture}/{OWN}", options=tail
        )
        + _own_modules(loader(each), modules)
        for each in kernels
    }
    if not ask:
        return f"{_fitting(starts)}boot\n"
    return MENU + _entry(KEYS[0], title, _fitting(starts), framebuffer)


def menu(append: str, framebuffer: bool = False) -> str:
    """GRUB's configuration: what the kernel that fits the processor finds by itself, then each provider by
    name, built in and as a module, then each architecture's kernel by name, then a report of the machine."""
    for_grub(append)
    providers = {arch: loaded_by_multiboot(arch) for arch in ARCHITECTURES}

    def entry(title: str, options: str, module: str, among: Sequence[str]) -> tuple[str, str]:
        starts = {}
        for arch in among:
            starts[arch] = START.format(
                command="multiboot2", kernel=f"{arch}/{KERNEL}", options=options + tail
            ) + (f"    module2 /boot/{arch}/{module}\n" if module else "")
        return title, _fitting(starts)

    tail = f" {append}" if append else ""
    entries = [entry("VMI sample kernel", "", "", ARCHITECTURES)]
    for name in dict.fromkeys(name for names in providers.values() for name in names):
        among = [arch for arch in ARCHITECTURES if name in providers[arch]]
        chosen = f" vmi.provider={name}"
        entries += [
            entry(f"... with provider {name}, built in", chosen, "", among),
            entry(f"... with provider {name}, from a module", chosen, f"{name}.rom", among),
        ]
    entries += [entry(f"... for {arch}", "", "", [arch]) for arch in ARCHITECTURES]
    entries.append(entry("A report of this machine", f" {REPORT}", "", ARCHITECTURES))
    return MENU + "".join(
        _entry(key, title, start, framebuffer) for key, (title, start) in zip(KEYS, entries, strict=False)
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


def _grub(platform: str, find: Path, output: Path, modules: Sequence[str]) -> None:
    """GRUB for a platform of its own naming, with these modules and MODULES in it."""
    _run(["grub-mkimage", "-O", platform, "-d", str(GRUB / platform.removesuffix("-eltorito")),
          "-p", "/boot/grub", "-c", str(find), "-o", str(output), *modules, *MODULES], {})  # fmt: skip


def _efi_system(program: Path, output: Path, date: int) -> None:
    """A FAT file system from which UEFI firmware starts a program by itself (UEFI 2.10, 3.5.1.1)."""
    # FAT knows no time before 1980. The serial number would be the time's as well.
    environment = {"SOURCE_DATE_EPOCH": str(max(date, FAT_EPOCH)), "TZ": "UTC", "MTOOLSRC": os.devnull}
    drive = ["-i", str(output)]
    _run(["mformat", *drive, "-C", "-f", "2880", "-N", "0", "::"], environment)
    _run(["mmd", *drive, "::/EFI", "::/EFI/BOOT"], environment)
    _run(["mcopy", *drive, str(program), "::/EFI/BOOT/BOOTX64.EFI"], environment)


def image(configuration: str, date: int, files: Mapping[str, Path]) -> bytes:
    """The disc, with GRUB configured so and these files in /boot. The same bytes from the same files, GRUB,
    mtools and xorriso, which are installed if they are missing."""
    provide(TOOLS)
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD, prefix=".iso-") as folder:
        find, efi, tree, disc = (Path(folder) / name for name in ("find.cfg", "grub.efi", "tree", "vmi.iso"))
        grub = tree / "boot/grub"
        grub.mkdir(parents=True)
        for name, path in files.items():
            place = tree / "boot" / name
            place.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, place)
        (grub / "grub.cfg").write_text(configuration)
        find.write_text(FIND)
        _grub("i386-pc-eltorito", find, grub / "eltorito.img", BIOS_MODULES)
        _grub("x86_64-efi", find, efi, EFI_MODULES)
        _efi_system(efi, grub / "efi.img", date)
        for path in (tree, *tree.rglob("*")):
            os.utime(path, (date, date))
        _run(["xorriso", "-no_rc", "-as", "mkisofs", "-quiet", "-r", "-V", LABEL,
              "-b", "boot/grub/eltorito.img", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table",
              "--grub2-boot-info", "--grub2-mbr", str(GRUB / "i386-pc/boot_hybrid.img"),
              "--efi-boot", "boot/grub/efi.img", "-efi-boot-part", "--efi-boot-image",
              # Some firmware boots a stick only if its partition table has a bootable entry.
              "--protective-msdos-label", "--mbr-force-bootable", "-o", str(disc), str(tree)],
             {"SOURCE_DATE_EPOCH": str(date), "TZ": "UTC"})  # fmt: skip
        return disc.read_bytes()


def _own(paths: Sequence[Path]) -> list[Kernel]:
    """Somebody's own kernels; an error if two are for one architecture."""
    found: dict[str, Kernel] = {}
    for kernel in map(look, paths):
        other = found.setdefault(kernel.architecture, kernel)
        if other is not kernel:
            raise UserError(
                f"expected one kernel for each architecture, found two for {kernel.architecture}: "
                f"{other.path} and {kernel.path}; make a disc for each", 2,
            )  # fmt: skip
    return [found[arch] for arch in ARCHITECTURES if arch in found]


def own_disc(
    kernels: Sequence[Kernel],
    append: str,
    date: int,
    modules: Sequence[tuple[Path, str]] = (),
    ask: bool = True,
    framebuffer: bool = False,
) -> bytes:
    """The disc with somebody's own kernels."""
    files = {f"{each.architecture}/{OWN}": each.path for each in kernels}
    files |= {f"module{number}": path for number, (path, _) in enumerate(modules)}
    return image(own_menu(kernels, append, [words for _, words in modules], ask, framebuffer), date, files)


def iso(append: str, output: Path | None, kernels: Sequence[Path] = (), framebuffer: bool = False) -> int:
    """Make the disc and say what to do with it."""
    date = epoch()
    if kernels:
        own = _own(kernels)
        data = own_disc(own, append, date, framebuffer=framebuffer)
        there = [each.architecture for each in own]
    else:
        for_grub(append)
        build_all()
        files, there = {}, list(ARCHITECTURES)
        for arch in ARCHITECTURES:
            files[f"{arch}/{KERNEL}"] = bound_kernel("sample", arch)
            files |= {f"{arch}/{name}.rom": rom(name, arch) for name in loaded_by_multiboot(arch)}
        data = image(menu(append, framebuffer), date, files)
    path = output or BUILD / (f"{kernels[0].stem}.iso" if kernels else "vmi.iso")
    try:
        write_if_changed(path, data)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    progress(f"wrote {shown}")
    print(f"{shown}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}")
    firmware, package = next(iter(FIRMWARE.items()))
    for arch in there:
        print(f"  in QEMU:      qemu-system-{arch} -display none -serial stdio -no-reboot -cdrom {shown}")
    print(f"""\
  with UEFI:    add -m 256 -bios {firmware} (Debian package {package}) to qemu-system-x86_64
  on a stick:   sudo dd if={shown} of=/dev/sdX bs=1M conv=fsync
                (sdX: the whole stick, see lsblk; all that is on it is lost)
  on a PC:      boot it by BIOS or by UEFI without Secure Boot; the kernel speaks on the screen, and on
                COM1 at 115200 baud""")
    return 0
