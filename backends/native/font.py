# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Writes the screen's font as C, out of a VGA BIOS: `font.py VGABIOS OUTPUT`.

A VGA BIOS has the PC's 8x16 font in it, the 256 characters of code page 437 one after the other. SeaBIOS's
(Debian package seabios) is of the public domain, as its vgasrc/vgafonts.c says.
"""

import sys
from pathlib import Path

HEIGHT = 16
FIRST = 0x20
"""Of what is drawn; below are control characters."""
KNOWN = bytes.fromhex("00007e81a58181bd9981817e00000000")
"""Character 1, the face, in every such font; the empty character 0 comes before it."""


def find(image: bytes) -> bytes:
    """The font in a VGA BIOS; ValueError if there is none."""
    begin = image.find(bytes(HEIGHT) + KNOWN)
    font = image[begin : begin + 256 * HEIGHT]
    if begin < 0 or len(font) != 256 * HEIGHT:
        raise ValueError("expected a VGA BIOS with an 8x16 font of code page 437, found none")
    return font


def source(font: bytes) -> str:
    """The C file."""
    rows = (
        ", ".join(f"0x{byte:02x}" for byte in font[code * HEIGHT : (code + 1) * HEIGHT])
        for code in range(FIRST, 256)
    )
    points = (f"0x{ord(bytes([code]).decode('cp437')):04x}" for code in range(0x80, 256))
    return f"""\
/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Written by backends/native/font.py; do not edit.
 */
#include "native/font.h"

const uint8_t vmi__native_font[][VMI__FONT_HEIGHT] = {{
{"".join(f"    {{{row}}},{chr(10)}" for row in rows)}}};

const uint16_t vmi__native_font_points[] = {{
{"".join(f"    {point},{chr(10)}" for point in points)}}};
"""


def main() -> int:
    image, output = map(Path, sys.argv[1:])
    try:
        text = source(find(image.read_bytes()))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        print(f"{image}: {reason}; name one with -Dfont=FILE (Debian package seabios)", file=sys.stderr)
        return 1
    output.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
