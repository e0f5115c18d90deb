/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The screen's font: the PC's own, of 8x16 dots, with the characters of code page 437. font.c is
 * written by font.py when the library is built.
 */
#ifndef VMI_NATIVE_FONT_H
#define VMI_NATIVE_FONT_H

#include <stdint.h>

#define VMI__FONT_WIDTH  8
#define VMI__FONT_HEIGHT 16
#define VMI__FONT_FIRST  0x20 /* character of the first row */
#define VMI__FONT_UPPER  0x80 /* up to here characters are ASCII's */

/* Lines of a character from the top; the highest bit is the leftmost dot. */
extern const uint8_t vmi__native_font[256 - VMI__FONT_FIRST][VMI__FONT_HEIGHT];

/* The code points of Unicode that the characters from VMI__FONT_UPPER on are. */
extern const uint16_t vmi__native_font_points[256 - VMI__FONT_UPPER];

#endif
