/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * C side of the PC entry: from the loader's structures to vmi__start.
 */
#include "loader.h"
#include "pc.h"

extern const char vmi_image_start[], vmi_image_end[]; /* runtime/kernel.ld */

uint64_t vmi__rsdp;

/* Reads what the loader left; returns 0 or the reason to refuse. */
static const char *read_loader(uint32_t protocol, uint32_t magic, uint32_t info)
{
    const struct vmi__loader_view view = {
        .base = vmi__linear(0),
        .size = VMI__LINEAR_MAX,
        .image_start = vmi__physical(vmi_image_start),
        .image_end = vmi__physical(vmi_image_end),
    };
    const char *reason;

    if (protocol == VMI_BOOT_MULTIBOOT)
        reason = vmi__multiboot_read(&view, magic, info);
    else
        reason = vmi__pvh_read(&view, info);
    return reason ? reason : vmi__loader_finish(&view);
}

/* Refuses with what is known of the command line, so that whoever started the machine can be told.
 */
static void __attribute__((noreturn)) refuse(const char *reason)
{
    vmi__options();
    vmi__fatal(reason);
}

void vmi__pc_refuse(uint32_t protocol, uint32_t magic, uint32_t info, const char *reason)
{
    const char *wrong = read_loader(protocol, magic, info);
    uint16_t cs;

    if (!wrong) {
        __asm__("mov %%cs, %0" : "=rm"(cs));
        vmi__boot.kernel_cs = cs;
        vmi__start_unpaged();
    }
    refuse(reason);
}

void vmi__pc_start(uint32_t protocol, uint32_t magic, uint32_t info)
{
    const char *reason = read_loader(protocol, magic, info);
    uint16_t cs;

    if (reason)
        refuse(reason);
    __asm__("mov %%cs, %0" : "=rm"(cs));
    vmi__boot.kernel_cs = cs;
    vmi__boot.boot_cr3 = vmi__physical(vmi__boot_pdpt);
    vmi__tables_finish();
    vmi__start();
}
