/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Where this kernel puts things. CLIENT_PAE is 0 or 1, by the build.
 */
#ifndef INTEROP_LAYOUT_H
#define INTEROP_LAYOUT_H

#define LINEAR_BASE 0xc0000000 /* of all memory, in order; client.ld too */
#define LINEAR_SIZE 0x08000000

/* The local APIC, in a table of its own; not at its physical address, which would hide mistakes. */
#define APIC_LINEAR 0xff7fe000

#define USER_BASE 0x00400000 /* pages of ring 3 */

#define KERNEL_CS 0x08
#define KERNEL_DS 0x10
#define USER_CS   0x18 /* these two in the order that SYSEXIT asks for */
#define USER_DS   0x20
#define TSS_BSP   0x28
#define TSS_AP    0x30 /* of further CPUs that share the first one's table */
#define LDT       0x38
#define SPARE     0x40 /* for checks */
#define GDT_SLOTS 9

#define VECTOR_IRQ0     0x20 /* eight lines of each 8259 */
#define VECTOR_LVTT     0xef
#define VECTOR_WAKE     0xed /* from one CPU to another */
#define VECTOR_LVTT2    0xee /* another one for the same timer */
#define VECTOR_SYSCALL  0x80
#define VECTOR_SPARE    0x81
#define VECTOR_SPURIOUS 0xff

#endif
