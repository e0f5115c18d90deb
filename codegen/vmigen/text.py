# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Text as generated files need it: comments and declarations within the line length, strings, cells, JSON."""

from __future__ import annotations

import json
import textwrap
from functools import cache
from typing import Any

COLUMNS = 100


def in_comment(text: str) -> str:
    """Text that cannot end or nest a comment in C."""
    return " ".join(text.split()).replace("*/", "* /").replace("/*", "/ *")


@cache
def comment(text: str, indent: str = "") -> str:
    """Text as lines of a block comment; paragraphs are kept. Each library's stubs have the same ones."""
    lines: list[str] = []
    for paragraph in text.strip().split("\n\n"):
        if lines:
            lines.append(" *")
        lines += textwrap.wrap(
            in_comment(paragraph),
            COLUMNS,
            initial_indent=" * ",
            subsequent_indent=" * " + indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def trailing(code: str, text: str, column: int = 40) -> str:
    """Code with a comment behind it; before it where both do not fit on a line."""
    text = in_comment(text)
    line = f"{code:<{column}} /**< {text} */"
    if len(line) <= COLUMNS:
        return line
    indent = " " * (len(code) - len(code.lstrip()))
    short = f"{indent}/** {text} */"
    if len(short) <= COLUMNS:
        return f"{short}\n{code}"
    wrapped = textwrap.wrap(
        text,
        COLUMNS,
        initial_indent=f"{indent} * ",
        subsequent_indent=f"{indent} * ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join([f"{indent}/**", *wrapped, f"{indent} */", code])


def hang(head: str, rest: str) -> str:
    """A declaration that is broken at commas and continued below its opening bracket."""
    parts = [part + "," for part in rest.split(", ")]
    parts[-1] = parts[-1][:-1]
    indent = " " * len(head)
    if any(len(indent + part) > COLUMNS for part in parts):
        head, indent = f"{head}\n        ", " " * 8
    lines = [head + parts[0]]
    for part in parts[1:]:
        if len(lines[-1].rpartition("\n")[2]) + len(part) + 1 > COLUMNS:
            lines.append(indent + part)
        else:
            lines[-1] += " " + part
    return "\n".join(lines)


def entry(head: str, tail: str) -> str:
    """An entry of a table, on two lines where it is too long for one."""
    line = f"    {head} {tail}"
    return line if len(line) <= COLUMNS else f"    {head}\n     {tail}"


def c_string(text: str) -> str:
    """A string literal in C; what is not ASCII goes in as octal bytes."""
    out = []
    for byte in text.encode("utf-8"):
        char = chr(byte)
        if char in '\\"?':
            out.append("\\" + char)
        else:
            out.append(char if 0x20 <= byte < 0x7F else f"\\{byte:03o}")
    return '"' + "".join(out) + '"'


def cell(text: str) -> str:
    """Text in a table of Markdown."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


_encode = json.JSONEncoder(ensure_ascii=False, default=vars).encode


def json_lines(value: Any, depth: int = 4) -> str:
    """JSON with a line per entry down to a depth; below, an entry's whole content stands on its line.

    (Python's encoder in C knows no indentation, and the one in Python takes longer than all templates.)
    """
    inside = (
        list(value.values()) if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else []
    )
    if not depth or not any(
        isinstance(item, (dict, list, tuple)) or hasattr(item, "__dict__") for item in inside
    ):
        return _encode(value)
    if isinstance(value, dict):
        entries = [f"{json.dumps(key)}: {json_lines(item, depth - 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(entries) + "\n}"
    return "[\n" + ",\n".join(json_lines(item, depth - 1) for item in inside) + "\n]"


def backslashed(line: str, width: int = 99) -> str:
    """A line of a macro's definition that another follows."""
    return f"{line:{width}}\\"
