/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * C side of the PC entry: from the loader's structures to vmi__start.
 */
#include "pc.h"

/* Refuses with what is known of the command line, so that whoever started the machine can be told.
 */
static void __attribute__((noreturn)) refuse(const char *reason)
{
    vmi__options();
    vmi__fatal(reason);
}

VMI__FROM_ENTRY void vmi__pc_refuse(uint32_t protocol, uint32_t magic, uint32_t info,
                                    const char *reason)
{
    const char *wrong = vmi__pc_read_loader(protocol, magic, info);
    uint16_t cs;

    if (!wrong) {
        __asm__("mov %%cs, %0" : "=rm"(cs));
        vmi__boot.kernel_cs = cs;
        vmi__start_unpaged();
    }
    refuse(reason);
}

VMI__FROM_ENTRY void vmi__pc_start(uint32_t protocol, uint32_t magic, uint32_t info)
{
    const char *reason = vmi__tables_begin();
    uint16_t cs;

    if (!reason)
        reason = vmi__pc_read_loader(protocol, magic, info);
    if (reason)
        refuse(reason);
    __asm__("mov %%cs, %0" : "=rm"(cs));
    vmi__boot.kernel_cs = cs;
    vmi__arch_boot(&vmi__boot);
    vmi__boot.boot_cr3 = vmi__physical(vmi__pc_tables.root);
    reason = vmi__tables_finish();
    if (reason)
        refuse(reason);
    vmi__start();
}
