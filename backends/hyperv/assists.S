/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The CPUs' VP assist pages, of which the hypervisor wants whole ones. Clients of the ROM have none
 * (runtime/image/image.ld).
 */
#include <vmi/constants.h>

    .section .bss..bound_only, "aw", @nobits
    .balign 4096
    .globl vmi__hyperv_assists
    .type vmi__hyperv_assists, @object
vmi__hyperv_assists:
    .skip 4096 * VMI_BOOT_INFO_MAX_CPUS
    .size vmi__hyperv_assists, . - vmi__hyperv_assists

    .section .note.GNU-stack, "", @progbits
