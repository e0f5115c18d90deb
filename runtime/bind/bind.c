/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "bind/bind.h"

#include "bind/machine.h"
#include "bind/sites.h"
#include "feature.h"
#include "tables.h"
#include "writable.h"

/* Refusals leave room for the report. */
#define NOTES_MAX      4096
#define NOTES_REFUSALS (NOTES_MAX - 512)

/* runtime/arch/ARCH/kernel.ld and the generated slots.S */
extern uint8_t vmi_image_start[], vmi_text_end[], vmi__slots[], vmi__slots_end[];
extern const char vmi_rodata_end[];
extern const struct vmi__site vmi_sites_start[], vmi_sites_end[];

/* area.S */
extern uint64_t vmi__text_tables[VMI__TEXT_TABLES][ENTRIES];
extern struct vmi_call_info vmi__bound_calls[VMI_ORDINALS] __asm__("vmi_calls");
extern struct vmi_hypercall_info
    vmi__bound_hypercalls[VMI__HYPERCALLS_MAX] __asm__("vmi_hypercalls");
extern uint32_t vmi__bound_calls_count __asm__("vmi_calls_count");
extern uint32_t vmi__bound_hypercalls_count __asm__("vmi_hypercalls_count");

_Static_assert(sizeof(struct vmi_call_info) == VMI__CALL_INFO_SIZE &&
                   sizeof(struct vmi_hypercall_info) == VMI__HYPERCALL_INFO_SIZE,
               "area.S reserves as much");

/* The provider in place. Once it is, tables and instructions are those of its text part: where the
 * image was may be no memory of the kernel's. */
static struct vmi__rom provider;
static const char *provider_source;
static uintptr_t provider_address;
static bool bound;

/* ---- what is to be said once there is a console ---- */

static char notes[NOTES_MAX];
static uint32_t notes_length;

static void note(const char *text)
{
    while (*text && notes_length + 1 < NOTES_MAX)
        notes[notes_length++] = *text++;
}

static void note_number(uint32_t number, uint32_t base)
{
    char digits[11], *digit = digits + sizeof(digits) - 1;

    *digit = 0;
    do {
        *--digit = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    note(digit);
}

static void note_source(const char *source, uintptr_t address)
{
    note(source ? source : "builtin");
    if (address) {
        note("@0x");
        note_number((uint32_t)address, 16);
    }
}

static void note_count(const char *name, uint32_t count)
{
    note(name);
    note_number(count, 10);
}

/* ---- what it costs ---- */

uint64_t vmi__bind_ticks;

void vmi__bind_count(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    vmi__bind_ticks = ((uint64_t)high << 32 | low) - vmi__bind_ticks;
}

/* ---- choosing ---- */

static bool at_home(const struct vmi__rom *rom)
{
    uint32_t (*probe)(void) = (uint32_t(*)(void))(vmi__provider_text + rom->probe);

    return probe() != 0;
}

static VMI__ADDRESS_TAKEN void ask_cpuid(uint32_t leaf, uint32_t registers[4])
{
    registers[0] = leaf;
    registers[2] = 0;
    __asm__("cpuid"
            : "+a"(registers[0]), "=b"(registers[1]), "+c"(registers[2]), "=d"(registers[3]));
}

/* Puts an image into place and lets its code be seen by the processor. */
static const char *load(const struct vmi__rom *rom)
{
    /* How area.S leaves them. */
    static struct vmi__rom_place text = {.room = VMI__PROVIDER_TEXT_SIZE};
    static struct vmi__rom_place data = {.room = VMI__PROVIDER_DATA_SIZE};

    text.memory = vmi__provider_text;
    text.address = (uintptr_t)vmi__provider_text;
    data.memory = vmi__provider_data;
    data.address = (uintptr_t)vmi__provider_data;
    return vmi__rom_load(rom, &text, &data);
}

/* Starts to be the one that is bound, as of its text part in place. */
static void take(const char *source, uintptr_t address)
{
    provider.bytes = vmi__provider_text;
    provider_source = source;
    provider_address = address;
}

static struct vmi__code slots(void)
{
    return (struct vmi__code){vmi__slots, (uint32_t)(vmi__slots_end - vmi__slots),
                              (uintptr_t)vmi__slots};
}

bool vmi__bind_try(const uint8_t *bytes, uint32_t available, const char *source, uintptr_t address)
{
    const struct vmi__code interface = slots();
    bool builtin = !source, asked;
    const char *reason = vmi__rom_open(bytes, available, &provider), *wanted;
    uint32_t length;

    asked = vmi__option("vmi.provider", &wanted, &length);
    /* What the kernel has itself is read no further than to see that it is for something else. */
    if (!reason && builtin && !asked && !vmi__rom_has_sign(&provider, ask_cpuid))
        return false;
    if (!reason && builtin && asked)
        reason = vmi__rom_name(&provider);
    if (!reason && builtin && asked && !vmi__is_word(provider.name, wanted, length))
        return false;
    if (!reason)
        reason = vmi__rom_read(bytes, available, &provider);
    if (!reason && !builtin)
        reason = vmi__rom_word_sum(&provider);
    if (!reason && asked && !vmi__is_word(provider.name, wanted, length))
        return false;
    if (!reason)
        reason = vmi__slots_check(&interface, &provider);
    if (!reason && !asked && !builtin && !vmi__rom_has_sign(&provider, ask_cpuid))
        return false;
    if (!reason)
        reason = load(&provider);
    if (!reason && (asked || at_home(&provider))) {
        if (builtin)
            reason = vmi__rom_word_sum(&provider);
        if (!reason) {
            take(source, address);
            return true;
        }
    }
    if (reason && notes_length < NOTES_REFUSALS) {
        note("# bind refused ");
        note_source(source, address);
        note(": ");
        note(reason);
        note("\r\n");
    }
    return false;
}

bool vmi__bind_builtin(void)
{
    for (uint32_t i = 0; i < vmi__builtin_count; i++)
        if (vmi__bind_try(vmi__builtin[i].start,
                          (uint32_t)(vmi__builtin[i].end - vmi__builtin[i].start), 0, 0))
            return true;
    return false;
}

bool vmi__bind_named(const char *name)
{
    for (uint32_t i = 0; i < vmi__builtin_count; i++) {
        const struct vmi__builtin *image = &vmi__builtin[i];
        uint32_t length = 0;

        if (vmi__rom_open(image->start, (uint32_t)(image->end - image->start), &provider) ||
            (!name && !vmi__rom_has_sign(&provider, ask_cpuid)) ||
            vmi__rom_read(image->start, (uint32_t)(image->end - image->start), &provider))
            continue;
        while (name && name[length] && name[length] == provider.name[length])
            length++;
        if ((name && (name[length] || provider.name[length])) || vmi__rom_word_sum(&provider) ||
            load(&provider) || (!name && !at_home(&provider)))
            continue;
        take(0, 0);
        return true;
    }
    return false;
}

/* ---- binding ---- */

/* The boot tables' entry for an address: of a page, splitting a large one; 0 if nothing is there.
 */
static uint64_t *entry_of(uintptr_t root, uintptr_t address, uint32_t *tables_used)
{
    uint64_t *table = vmi__linear(root);

    for (uint32_t shift = ROOT_SHIFT; shift > PAGE_SHIFT; shift -= LEVEL_BITS) {
        uint64_t *entry = &table[address >> shift & (ENTRIES - 1)];
        uint64_t value = vmi_machine_to_physical(*entry);

        if (!(value & PTE_PRESENT))
            return 0;
        if (value & PTE_LARGE) {
            if (*tables_used == VMI__TEXT_TABLES)
                return 0;
            table = vmi__text_tables[(*tables_used)++];
            for (uint32_t i = 0; i < ENTRIES; i++)
                table[i] = (value & ~(uint64_t)PTE_LARGE) + (uint64_t)i * PAGE;
            value = vmi__physical(table) | PTE_PRESENT | PTE_WRITE;
            vmi_allocate_page(vmi__physical(table) >> PAGE_SHIFT, VMI_PAGE_PT | VMI_PAGE_PAE, 0, 0,
                              0);
            vmi__table_set(entry, value, VMI_PAGE_PD);
        }
        table = vmi__linear((uintptr_t)(value & PTE_FRAME));
    }
    return &table[address >> PAGE_SHIFT & (ENTRIES - 1)];
}

/* Code and constants, the provider's among them, are read-only in the boot tables from here on. */
static const char *protect(const struct vmi_boot_info *boot)
{
    uintptr_t end = (uintptr_t)vmi_rodata_end;
    uint32_t used = 0;

    vmi_set_lazy_mode(VMI_LAZY_MMU);
    for (uintptr_t address = (uintptr_t)vmi_image_start; address < end;) {
        uint64_t *entry = entry_of(boot->boot_cr3, address, &used);

        if (!entry)
            return "the boot tables do not map the kernel's text as expected";
        /* The table that was found has the pages behind it as well. */
        do {
            uint64_t value = vmi_machine_to_physical(*entry);

            vmi__table_set(entry++, value & ~(uint64_t)PTE_WRITE, VMI_PAGE_PT);
            address += PAGE;
        } while (address < end && address >> PAGE_SHIFT & (ENTRIES - 1));
    }
    vmi_set_lazy_mode(VMI_LAZY_NONE);
    vmi_flush_tlb(VMI_FLUSH_TLB | VMI_FLUSH_GLOBAL);
    return 0;
}

static const char *take_tables(const struct vmi__code *interface)
{
    uint32_t taken = 0;

    if (vmi__kernel.hypercalls_count > VMI__HYPERCALLS_MAX)
        return "the provider has more hypercalls than there is room for";
    /* A later version's provider describes calls that this kernel does not have as well. */
    for (uint32_t i = 0; i < vmi__kernel.calls_count; i++) {
        if (!vmi__slots_have(interface, vmi__kernel.calls[i].ordinal))
            continue;
        if (taken == VMI_ORDINALS)
            return "the provider describes a call twice";
        vmi__bound_calls[taken++] = vmi__kernel.calls[i];
    }
    memcpy(vmi__bound_hypercalls, vmi__kernel.hypercalls,
           vmi__kernel.hypercalls_count * VMI__HYPERCALL_INFO_SIZE);
    vmi__bound_calls_count = taken;
    vmi__bound_hypercalls_count = vmi__kernel.hypercalls_count;
    return 0;
}

/* Nothing can be called yet: what went wrong is the kernel's own build. */
static void __attribute__((noreturn)) stop(void)
{
    for (;;)
        __asm__ volatile("ud2");
}

static struct vmi__code kernel_code(void)
{
    return (struct vmi__code){vmi_image_start, (uint32_t)(vmi_text_end - vmi_image_start),
                              (uintptr_t)vmi_image_start};
}

static struct vmi__sites kernel_sites(void)
{
    return (struct vmi__sites){vmi_sites_start, (uint32_t)(vmi_sites_end - vmi_sites_start),
                               (uintptr_t)vmi_sites_start};
}

/* Binds all calls. Without paging there is nothing that could make code read-only. */
static void vmi__bind_calls(const struct vmi_boot_info *boot)
{
    const struct vmi__code interface = slots(), code = kernel_code();
    const struct vmi__sites sites = kernel_sites();
    uintptr_t text = (uintptr_t)vmi__provider_text;
    uint32_t eax = 0, ebx, ecx = 0, edx;
    struct vmi__site_counts counts = {0};
    const char *reason;

    vmi__bind_count();
    if (bound)
        stop();
    bound = true;
    vmi__slots_bind(&interface, &provider, text);
    vmi__rom_choose(&provider, vmi__feature, 0);
    reason = vmi__sites_bind(&code, &sites, interface.address, &provider, text, &counts);
    /* A processor carries out what it has just been made to run after a serializing instruction
     * only (Intel SDM vol. 3A, 9.1.3). */
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx) : : "memory");
    if (!reason)
        reason = take_tables(&interface);
    if (!reason && boot->boot_cr3)
        reason = protect(boot);
    if (reason) {
        note("vmi: cannot run: ");
        note(reason);
        note("\r\n");
        vmi_console_write(notes, notes_length);
        vmi_shutdown_reason(VMI_SHUTDOWN_CRASH, VMI_STATUS_REFUSED);
    }
    vmi__bind_count();
    note("# bind provider=");
    note(provider.name);
    note(" source=");
    note_source(provider_source, provider_address);
    note_count(" sites=", sites.count);
    note_count(" instruction=", counts.instruction);
    note_count(" call=", counts.call);
    note_count(" nop=", counts.nop);
    note("\r\n");
    vmi_console_write(notes, notes_length);
}

/*
 * For the provider's Rebind: sites whose calls have other forms now, by what the records say, which
 * are constants of the kernel's. The slots lead to the provider's entry points, which it chooses.
 */
static VMI__ADDRESS_TAKEN VMI__FROM_ENTRY int32_t bind_again(uint32_t without)
{
    const struct vmi__code code = kernel_code();
    const struct vmi__sites sites = kernel_sites();
    uintptr_t text = (uintptr_t)vmi__provider_text;
    uint8_t before[VMI_ORDINALS];
    struct vmi__writing writing;

    memcpy(before, provider.form_at, sizeof(before));
    vmi__rom_choose(&provider, vmi__feature, without);
    if (vmi__sites_bind_again(&code, &sites, &provider, before, text, false)) {
        memcpy(provider.form_at, before, sizeof(before));
        return VMI_EIO;
    }
    if (memcmp(provider.form_at, before, sizeof(before)) != 0) {
        vmi__writing_begins(&writing);
        vmi__sites_bind_again(&code, &sites, &provider, before, text, true);
        vmi__writing_ends(&writing);
    }
    return VMI_OK;
}

/* In place of the kernel's entry points for the provider: bind, then enter the kernel. */
static VMI__ADDRESS_TAKEN void bind(const struct vmi_boot_info *boot)
{
    vmi__bind_calls(boot);
    vmi__construct();
    vmi__kernel_call(boot, kernel_main);
}

static VMI__ADDRESS_TAKEN void bind_unpaged(const struct vmi_boot_info *boot)
{
    vmi__bind_calls(boot);
    vmi__construct();
    vmi__kernel_call(boot, kernel_main_unpaged);
}

void vmi__bind_start(void)
{
    /* vmi__image_start (image/image.h), which may be compiled with other options. */
    VMI__FROM_ENTRY void (*start)(struct vmi__kernel *) =
        (__typeof__(start))(vmi__provider_text + provider.start);

    vmi__kernel.main = bind;
    vmi__kernel.bind_again = bind_again;
    vmi__kernel.main_unpaged = kernel_main_unpaged ? bind_unpaged : 0;
    vmi__bind_count();
    start(&vmi__kernel);
}

void vmi__bind_paravirtual(const char *name, const void *info)
{
    vmi__bind_count();
    if (!vmi__bind_named(name))
        stop();
    vmi__kernel.protocol = VMI_BOOT_PARAVIRTUAL;
    vmi__kernel.unbound = true;
    vmi__kernel.info = (uintptr_t)info;
    vmi__bind_start();
    stop();
}
