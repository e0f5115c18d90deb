/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What assembly reads of each CPU.
 */
#include "../../domain.h"

#define AT(field, offset)                                                                          \
    _Static_assert(offsetof(struct vmi__xen_cpu, arch.field) == (offset), "assembly "              \
                                                                          "reads " #field)

AT(gate[0].address, VMI__XEN_CPU_GATE_ADDRESS);
AT(info, VMI__XEN_CPU_INFO);
AT(kept, VMI__XEN_CPU_KEPT);
AT(nmi, VMI__XEN_CPU_NMI);
AT(syscall, VMI__XEN_CPU_SYSCALL);
AT(stack, VMI__XEN_CPU_STACK);
_Static_assert(sizeof(struct trap_info) == 16, "assembly finds a gate by its vector");
_Static_assert(sizeof(struct vcpu_info) == 64, "a vcpu_info lies in one page");
