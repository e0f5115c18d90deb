/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Bytes that sites are made of, on both architectures. Source: Intel SDM vol. 2A, 2.1.1, and 2D,
 * A.3.
 */
#ifndef VMI_RUNTIME_BIND_OPCODES_H
#define VMI_RUNTIME_BIND_OPCODES_H

#define CALL 0xe8
#define JUMP 0xe9
#define RET  0xc3
#define INT3 0xcc

#define PREFIX_CS 0x2e
#define PREFIX_SS 0x36
#define PREFIX_DS 0x3e

#endif
