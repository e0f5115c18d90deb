/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * In front of all that clang compiles for any place: what other objects define is linked with it,
 * so that its address needs no table, which nobody would relocate in an image.
 */
#ifndef VMI_RUNTIME_HIDDEN_H
#define VMI_RUNTIME_HIDDEN_H

#ifndef __ASSEMBLER__
#pragma GCC visibility push(hidden)
#endif

#endif
