# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""How a command ends, whatever is done to it: one clear line and a status, never a traceback."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from .problems import reason, shortened

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

    from _typeshed import SupportsWrite

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it: 128 and the signal's number."""


def prepare() -> None:
    """To be called first of all: until `ended` takes over, Ctrl-C just ends the process."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Whoever starts Python may have held the signal back meanwhile.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def ended(name: str, run: Callable[[], int]) -> int:
    """Runs the command and returns its exit status: 1 if its output cannot be written, 130 after Ctrl-C.

    The first Ctrl-C raises KeyboardInterrupt, so that what was begun is tidied up; the second one ends the
    process at once.
    """
    for stream in (sys.stdout, sys.stderr):
        # Names and messages may have characters that the locale cannot show.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    before = signal.getsignal(signal.SIGINT)
    try:
        if before is signal.SIG_DFL:
            signal.signal(signal.SIGINT, _interrupted)
            sys.unraisablehook = _unraisable
        try:
            return run()
        finally:
            _flush(sys.stdout, "standard output")
    except (KeyboardInterrupt, RuntimeError) as error:
        # What comes while a class is being made is wrapped by Python before 3.12 (__set_name__).
        if KeyboardInterrupt not in (type(error), type(error.__cause__)):
            raise
        tell(f"{name}: interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has left (`| head`): nobody to tell.
        return 1
    except OSError as error:
        where = error.filename2 or error.filename or "standard output or a file"
        tell(f"{name}: {where}: {reason(error)}; mend its place, permissions or space")
        return 1
    finally:
        # What could not be written is not tried again when Python ends, which would say so in its own words.
        for stream in (sys.stdout, sys.stderr):
            try:
                _flush(stream, "")
            except OSError:
                _drop(stream)
        if before is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


class Parser(argparse.ArgumentParser):
    """Its help ends as other output does: argparse itself says nothing of a device that is full. Misuse is
    the exception `misuse` with one line, if that is given."""

    def __init__(self, *, misuse: Callable[[str], Exception] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.misuse = misuse

    def error(self, message: str) -> NoReturn:
        if self.misuse:
            raise self.misuse(f"{message}; see {self.prog} --help")
        super().error(message)

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        stream = sys.stdout if file is None else file
        if stream is not None:  # closed by whoever started the command
            stream.write(self.format_help())


def tell(message: str) -> None:
    """Prints a message on standard error, if that takes any; no line of it is longer than a person reads."""
    if sys.stderr is None:
        return  # closed by whoever started the command
    try:
        print("\n".join(map(shortened, message.splitlines())), file=sys.stderr, flush=True)
    except OSError:
        _drop(sys.stderr)


def _interrupted(number: int, frame: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise KeyboardInterrupt


def _unraisable(what: UnraisableHookArgs) -> None:
    """Ctrl-C while Python tidies an object up would be forgotten: it ends the command."""
    if issubclass(what.exc_type, KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    else:
        sys.__unraisablehook__(what)


def _flush(stream: TextIO | None, name: str) -> None:
    if stream is None:
        return  # closed by whoever started the command
    try:
        stream.flush()
    except OSError as error:
        raise OSError(error.errno, error.strerror, name) from None


def _drop(stream: TextIO) -> None:
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):
        return  # a stream without a file
