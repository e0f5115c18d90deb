/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Attach: the library under a kernel that came up by itself. Its facts take the place of a loader's
 * structures, its tables that of the boot tables; what follows is what the SDK's entry does.
 */
#include "loader.h"
#include "pc.h"
#include "tables.h"

#define CR4_LA57  0x1000u
#define CR3_FRAME PTE_FRAME

/* A linear address of the kernel's half, on a page. */
static bool is_place(uintptr_t linear)
{
    return linear >> 47 == 0x1ffff && !(linear & PAGE_MASK);
}

static uintptr_t cr3(void)
{
    uintptr_t value;

    __asm__ volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}

static const char *check(const struct vmi_attach_info *facts)
{
    uintptr_t cr4;

    if (facts->magic != VMI_ATTACH_MAGIC)
        return "Attach: facts.magic is not VMI_ATTACH_MAGIC";
    if (facts->version != VMI_ATTACH_VERSION || facts->size != sizeof(*facts))
        return "Attach: facts.version or size is that of another version of the library; compile "
               "the kernel with the library's own vmi/vmi.h";
    if (!is_place(facts->linear_base) || !is_place(facts->image))
        return "Attach: facts.linear_base or image is not on a page of the upper half";
    if (!facts->image_size || facts->image + (facts->image_size - 1) < facts->image ||
        facts->image_base & PAGE_MASK || facts->image_base >> vmi__physical_bits())
        return "Attach: facts.image_size or image_base cannot be right";
    if (!facts->memory || !facts->memory_count ||
        facts->memory_count > VMI__LIST_MAX / sizeof(*facts->memory))
        return "Attach: facts.memory has no range";
    __asm__("mov %%cr4, %0" : "=r"(cr4));
    if (cr4 & CR4_LA57)
        return "Attach: page tables have 5 levels; have the loader make 4";
    return 0;
}

/* What the tables in use have for an address; 0 if that is nothing. */
static uint64_t translate(uintptr_t linear)
{
    uint64_t *table = vmi__linear(cr3() & CR3_FRAME);

    for (uint32_t shift = ROOT_SHIFT;; shift -= LEVEL_BITS) {
        uint64_t entry = table[INDEX(linear, shift)], below = ((uint64_t)1 << shift) - 1;

        if (!(entry & PTE_PRESENT))
            return 0;
        if (shift == PAGE_SHIFT || (shift < ROOT_SHIFT && entry & PTE_LARGE))
            return (entry & PTE_FRAME & ~below) | (linear & below);
        table = vmi__table_at(entry);
    }
}

/* A string of the kernel's, copied; "" for none. False if it is too long. */
static bool take_string(const struct vmi__loader_view *view, const char *text, const char **copy)
{
    return vmi__loader_string(view, text ? vmi__physical(text) : 0, copy);
}

static VMI__ADDRESS_TAKEN const char *next_range(const struct vmi__loader_view *view,
                                                 const struct vmi__loader_map *map,
                                                 uint32_t *offset, struct vmi__loader_range *range)
{
    const struct vmi_memory_range *found =
        (const struct vmi_memory_range *)(uintptr_t)(map->address + *offset);

    (void)view;
    *offset += sizeof(*found);
    range->base = found->base;
    range->size = found->size;
    range->kind = found->kind;
    return 0;
}

static const char *take_modules(const struct vmi__loader_view *strings,
                                const struct vmi__loader_view *view,
                                const struct vmi_attach_info *facts)
{
    const char *reason = 0, *line;

    for (uint32_t i = 0; i < facts->module_count && !reason; i++) {
        const struct vmi_module *module = &facts->modules[i];

        if (!take_string(strings, module->command_line, &line))
            return "Attach: the command line of a boot module is not terminated or too long";
        reason = vmi__loader_take_module(view, module->base, module->size, line);
    }
    return reason;
}

/* One that cannot be right is not passed on. */
static void take_framebuffer(const struct vmi_framebuffer *found)
{
    const uint8_t colors[VMI__COLORS] = {found->red_shift,  found->red_bits,   found->green_shift,
                                         found->green_bits, found->blue_shift, found->blue_bits};

    vmi__loader_framebuffer(found, colors);
}

static const char *take(const struct vmi_attach_info *facts)
{
    struct vmi__loader_view view = {
        .base = vmi__linear(0),
        .size = VMI__LINEAR_BOOT,
        .image_start = facts->image_base,
        .image_end = facts->image_base + facts->image_size,
        .bits = vmi__physical_bits() & 63,
        .borrow = vmi__window_borrow,
    };
    struct vmi__loader_view strings = view;
    struct vmi__loader_map map = {
        .address = (uintptr_t)facts->memory,
        .length = facts->memory_count * (uint32_t)sizeof(*facts->memory),
        .own = true,
        .next = next_range,
    };
    const char *reason;

    /* Strings may lie in the image. */
    strings.image_start = strings.image_end = 0;
    if (!take_string(&strings, facts->command_line, &vmi__boot.command_line) ||
        !take_string(&strings, facts->loader, &vmi__boot.loader))
        return "Attach: facts.command_line or loader is not terminated or too long";
    vmi__boot.protocol = VMI_BOOT_ATTACHED;
    vmi__boot.acpi_root = facts->acpi_root;
    vmi__boot.efi_system_table = facts->efi_system_table;
    vmi__boot.efi_bits = facts->efi_bits;
    if (facts->framebuffer)
        take_framebuffer(facts->framebuffer);
    reason = take_modules(&strings, &view, facts);
    if (!reason)
        reason = vmi__loader_memory(&view, &map);
    return reason ? reason : vmi__loader_finish(&view);
}

static const char *attach(const struct vmi_attach_info *facts)
{
    const char *reason = check(facts);
    uint16_t cs;

    if (reason)
        return reason;
    vmi__boot.linear_base = facts->linear_base;
    vmi__image_place.linear = facts->image;
    vmi__image_place.size = facts->image_size;
    vmi__image_place.physical = facts->image_base;
    if (translate((uintptr_t)&vmi__boot) != vmi__physical(&vmi__boot))
        return "Attach: the library is not in the image at facts.image, or that is not mapped to "
               "facts.image_base";
    reason = vmi__window_install(vmi__linear(cr3() & CR3_FRAME));
    if (!reason)
        reason = take(facts);
    __asm__("mov %%cs, %0" : "=rm"(cs));
    vmi__boot.kernel_cs = cs;
    vmi__arch_boot(&vmi__boot);
    vmi__boot.boot_cr3 = cr3() & CR3_FRAME;
    return reason;
}

VMI__ROUTINE int32_t vmi__pc_attach(const struct vmi_attach_info *facts,
                                    const struct vmi_boot_info **boot)
{
    const char *reason;

    if (vmi__boot.memory_count)
        return VMI_EBUSY;
    reason = attach(facts);
    if (reason) {
        /* The command line, in the kernel's own memory still, says whom to tell. */
        if (facts->magic == VMI_ATTACH_MAGIC && facts->version == VMI_ATTACH_VERSION &&
            facts->command_line)
            vmi__boot.command_line = facts->command_line;
        vmi__options();
        vmi__fatal(reason);
    }
    vmi__prepare();
    *boot = &vmi__boot;
    return VMI_OK;
}
