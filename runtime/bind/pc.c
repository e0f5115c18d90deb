/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * From the PC entry to a provider: a module that the loader has put beside the kernel, else an
 * option ROM, else a built-in image.
 */
#include "bind/bind.h"
#include "pc.h"

static bool try_modules(void)
{
    for (uint32_t i = 0; i < vmi__boot.module_count; i++) {
        const struct vmi_module *module = &vmi__boot.modules[i];

        if (module->base + module->size <= VMI__LINEAR_BOOT) {
            const uint8_t *bytes = vmi__linear((uintptr_t)module->base);

            if (vmi__rom_is_vmi(bytes, (uint32_t)module->size) &&
                vmi__bind_try(bytes, (uint32_t)module->size, "module", (uintptr_t)module->base))
                return true;
        }
    }
    return false;
}

static bool try_roms(void)
{
    for (uint32_t address = VMI__ROM_AREA_START; address < VMI__ROM_AREA_END;
         address += VMI__ROM_STEP) {
        const uint8_t *bytes = vmi__linear(address);

        if (vmi__rom_is_vmi(bytes, VMI__ROM_AREA_END - address) &&
            vmi__bind_try(bytes, VMI__ROM_AREA_END - address, "rom", address))
            return true;
    }
    return false;
}

/* No image that the kernel carries can be used, not even to say so. */
static void __attribute__((noreturn)) stop(void)
{
    uint32_t told = vmi__pc_say(
        "vmi: cannot run: the kernel carries no whole provider for this machine; halted\r\n");

    if (!vmi__options() && vmi__boot.debug_exit)
        __asm__ volatile("outb %0, %1"
                         :
                         : "a"((uint8_t)VMI_STATUS_REFUSED), "d"((uint16_t)vmi__boot.debug_exit));
    vmi__pc_halt(told);
}

static void start(uint32_t protocol, uint32_t magic, uint32_t info)
{
    vmi__kernel.protocol = protocol;
    vmi__kernel.magic = magic;
    vmi__kernel.info = info;
    vmi__kernel.tables = &vmi__pc_tables;
    vmi__kernel.unbound = true;
    vmi__bind_start();
}

VMI__FROM_ENTRY void vmi__pc_refuse(uint32_t protocol, uint32_t magic, uint32_t info,
                                    const char *reason)
{
    /* What is wrong is told by the provider that is at home: no other's console may be there. */
    if (vmi__bind_named(0)) {
        vmi__kernel.refuse = reason;
        start(protocol, magic, info);
    }
    stop();
}

VMI__FROM_ENTRY void vmi__pc_start(uint32_t protocol, uint32_t magic, uint32_t info)
{
    /* A loader that left nonsense is refused by the provider, which reads it all once more; its
     * modules are nothing to take code from. */
    bool sound;

    vmi__bind_count();
    sound = !vmi__pc_read_loader(protocol, magic, info);
    if (!(sound && try_modules()) && !try_roms() && !vmi__bind_builtin())
        vmi__pc_refuse(protocol, magic, info, "no provider is of the name in option vmi.provider=");
    start(protocol, magic, info);
    vmi__pc_refuse(
        protocol, magic, info,
        "the provider of option vmi.provider= is not for a kernel that a PC loader starts");
}
