/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef FIRST_STATE_H
#define FIRST_STATE_H

#include <stdint.h>
#include <vmi/vmi.h>

/* The state in which a further CPU begins: in `code`, on `stack`, as the kernel has its own CPUs.
 */
struct vmi_ap_state cpu_first_state(uint32_t cpu, void (*code)(void), const void *stack);

#endif
