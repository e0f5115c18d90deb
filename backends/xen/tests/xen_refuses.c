/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A Xen that does not answer one hypercall of the library's start, by the linker's --wrap.
 * test_xen_boot.py builds a kernel for each: of the first that can be missing, and of a late one.
 */
#include <stdint.h>

#include <vmi/vmi.h>

#include <xen/errno.h>

int32_t __wrap_vmi__xen_hypercall_memory_op(uint32_t command, void *argument);
int32_t __wrap_vmi__xen_hypercall_set_callbacks(uint32_t event_selector, uint32_t event_address,
                                                uint32_t failsafe_selector,
                                                uint32_t failsafe_address);

void kernel_main(const struct vmi_boot_info *boot)
{
    (void)boot;
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
}

int32_t __wrap_vmi__xen_hypercall_memory_op(uint32_t command, void *argument)
{
    (void)command;
    (void)argument;
    return -XEN_ENOSYS;
}

int32_t __wrap_vmi__xen_hypercall_set_callbacks(uint32_t event_selector, uint32_t event_address,
                                                uint32_t failsafe_selector,
                                                uint32_t failsafe_address)
{
    (void)event_selector;
    (void)event_address;
    (void)failsafe_selector;
    (void)failsafe_address;
    return -XEN_ENOSYS;
}
