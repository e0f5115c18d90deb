# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The generator's own templates as Jinja2 has compiled them, kept as Python keeps its modules.

Compiling them takes a third of a run.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket


class CompiledTemplates(jinja2.FileSystemBytecodeCache):
    """In `__pycache__` beside the templates; nothing where that cannot be written, or Python writes none.

    `how` names the options that they are compiled with: others need other files. Templates of other folders
    are compiled each time.
    """

    def __init__(self, templates: Path, how: str) -> None:
        super().__init__(str(templates / "__pycache__"), f"%s-{sys.implementation.cache_tag}.cache")
        self._templates = templates
        self._how = f"{jinja2.__version__} {how}"

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        if filename is None or Path(filename).parent != self._templates:
            return ""
        return hashlib.sha256(f"{self._how} {filename}".encode()).hexdigest()

    def load_bytecode(self, bucket: Bucket) -> None:
        try:
            if bucket.key:
                super().load_bytecode(bucket)
        except Exception:  # a damaged file can raise anything, and is as good as none
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.key and not sys.dont_write_bytecode:
            with contextlib.suppress(OSError):
                Path(self.directory).mkdir(exist_ok=True)
                super().dump_bytecode(bucket)
