# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Reads files that people name: regular ones of bounded size, so that nothing waits for a pipe."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from .problems import Place

LIMIT = 64 << 20
"""Bytes of the largest file that is read; the specification has some 100 KiB."""


def read(path: Path) -> bytes:
    """The whole file. OSError for a folder, pipe, socket or device, and for a file above LIMIT."""
    # Opening a pipe that nobody writes to would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "Is a pipe, socket or device", str(path))
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(LIMIT + 1)
    finally:
        os.close(descriptor)
    if len(data) > LIMIT:
        raise OSError(errno.EFBIG, f"Has more than {LIMIT >> 20} MiB", str(path))
    return data


def not_utf8(name: str, error: UnicodeDecodeError) -> tuple[Place, str]:
    """Where a file stops being UTF-8, and what stands there."""
    data = bytes(error.object)
    line = data.count(b"\n", 0, error.start) + 1
    column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
    return Place(name, line, column), f"byte 0x{data[error.start]:02x} is not UTF-8"


def text(path: Path) -> str:
    """The whole file as UTF-8. OSError as `read`; its reason says where a byte is not UTF-8."""
    try:
        return read(path).decode("utf-8")
    except UnicodeDecodeError as error:
        place, found = not_utf8(str(path), error)
        reason = f"{found}, line {place.line}"
        raise OSError(errno.EILSEQ, reason, str(path)) from None
