/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * From the domain builder's start_info (xen/xen.h, "Start-of-day memory layout") to the runtime's
 * vmi__start: takes the builder's tables over, maps the rest of the linear region, meets the
 * console and the other shared pages.
 */
#include "internal.h"
#include "start.h"

#include <xen/callback.h>
#include <xen/io/console.h>
#include <xen/io/xs_wire.h>
#include <xen/memory.h>
#include <xen/version.h>

#define MAGIC_PREFIX "xen-3."
#define MAGIC_SUFFIX "-x86_32p"

#define FIRST_IMAGE_PAGE (0x100000 >> VMI__PAGE_SHIFT) /* runtime/kernel.ld */

#define COMMAND_LINE_MAX 2048
#define STORE_TEXT_MAX   256

#define ENTRY_FLAGS (VMI__PTE_PRESENT | VMI__PTE_WRITE | VMI__PTE_ACCESSED | VMI__PTE_DIRTY)

_Static_assert(sizeof(struct vcpu_info) == 1 << VMI__XEN_VCPU_SHIFT,
               "events.S finds vcpu_info by a shift");
_Static_assert(offsetof(struct vcpu_info, evtchn_upcall_pending) == VMI__XEN_VCPU_PENDING,
               "events.S");
_Static_assert(offsetof(struct vcpu_info, evtchn_upcall_mask) == VMI__XEN_VCPU_MASK, "events.S");
_Static_assert(sizeof(struct shared_info) <= VMI__PAGE_SIZE, "entry.S reserves one page");
_Static_assert(VMI__XEN_CPUS_MAX == XEN_LEGACY_MAX_VCPUS && VMI__XEN_CPUS_MAX <= VMI__CPUS_FEW,
               "CPUs");
_Static_assert(sizeof(struct trap_info) == 8, "i386 layout");
_Static_assert(VMI__XEN_CPU_SELECTOR == 0xffb, "CurrentCPU in backend.yaml");

/*
 * Each of the domain's frames has an entry of 4 bytes in the builder's list, which lies in the
 * linear region.
 */
#define PAGES_MAX (VMI__LINEAR_MAX / 4)

/* Free frames that the builder has mapped: below the image, and behind the builder's own pages. */
static struct {
    uint32_t next, end;
} pool[2];

/* Frames [start, end) that the builder has mapped behind the image and put its own pages in. */
static struct {
    uint32_t start, end;
} builder;

static char command_line[COMMAND_LINE_MAX];
static char loader[STORE_TEXT_MAX];
static struct vmi_module module;
static struct mmu_update updates[2 * 64];

/* ---- the builder's words
 * ----------------------------------------------------------------------------------------- */

static uint32_t to_pfn(uint32_t address)
{
    return (address - VMI__LINEAR_BASE) >> VMI__PAGE_SHIFT;
}

static uint32_t page_up(uint32_t address)
{
    return (address + VMI__PAGE_SIZE - 1) & ~(VMI__PAGE_SIZE - 1);
}

/* Is [address, address + size) in the linear region and behind the image? */
static int behind_image(uint32_t address, uint32_t size)
{
    uint32_t start = (uint32_t)(uintptr_t)vmi__kernel.image_end;

    return address >= start && size <= VMI__LINEAR_MAX &&
           address - VMI__LINEAR_BASE <= VMI__LINEAR_MAX - size;
}

/* Of start_info as much as it takes to find the console. Returns 0 or what is wrong. */
static const char *check_frames(const struct start_info *info)
{
    uint32_t prefix = sizeof(MAGIC_PREFIX) - 1, suffix = sizeof(MAGIC_SUFFIX), length = 0;

    if (((uint32_t)(uintptr_t)info & (VMI__PAGE_SIZE - 1)) ||
        !behind_image((uint32_t)(uintptr_t)info, sizeof(struct start_info)))
        return "Xen's start_info is not where a domain builder puts it";
    while (length < sizeof(info->magic) && info->magic[length])
        length++;
    if (length == sizeof(info->magic) || length < prefix + suffix ||
        memcmp(info->magic, MAGIC_PREFIX, prefix) != 0 ||
        memcmp(info->magic + length + 1 - suffix, MAGIC_SUFFIX, suffix) != 0)
        return "Xen's start_info has another magic than that of an i386 PAE guest";
    if (info->nr_pages < FIRST_IMAGE_PAGE || info->nr_pages > PAGES_MAX)
        return "Xen's start_info names less than 1 MiB of memory or more than 256 GiB";
    if (!behind_image(info->mfn_list, info->nr_pages * sizeof(uint32_t)) || info->mfn_list & 3)
        return "Xen's start_info has no list of frames";
    if (!behind_image(info->pt_base, info->nr_pt_frames << VMI__PAGE_SHIFT) ||
        info->nr_pt_frames < 3 || info->nr_pt_frames > 1024 || info->pt_base & (VMI__PAGE_SIZE - 1))
        return "Xen's start_info has no page tables";
    return 0;
}

static const char *check_module(const struct start_info *info)
{
    if (info->mod_len && !(info->flags & SIF_MOD_START_PFN) &&
        !behind_image(info->mod_start, info->mod_len))
        return "Xen's start_info has a module outside of memory";
    return 0;
}

/* ---- memory
 * -------------------------------------------------------------------------------------------------
 * -----
 */

/* Frames next to each other, zeroed. */
static void *take_pages(uint32_t count)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (pool[i].end - pool[i].next >= count) {
            void *pages = vmi__linear(pool[i].next << VMI__PAGE_SHIFT);

            pool[i].next += count;
            memset(pages, 0, count << VMI__PAGE_SHIFT);
            return pages;
        }
    }
    vmi__fatal("the domain builder has mapped too little memory");
}

/* Takes the builder's list, by which frames of its own pages are found. */
static void start_frames(const struct start_info *info)
{
    vmi__xen_memory.p2m = (uint32_t *)info->mfn_list;
    vmi__xen_memory.pages = info->nr_pages;
    vmi__xen_memory.linear_pages = info->nr_pages < VMI__LINEAR_MAX >> VMI__PAGE_SHIFT
                                       ? info->nr_pages
                                       : VMI__LINEAR_MAX >> VMI__PAGE_SHIFT;
    builder.start = to_pfn((uint32_t)(uintptr_t)vmi__kernel.image_end);
    /* The last thing that the builder puts down is its stack, one page behind the tables. */
    builder.end = to_pfn(info->pt_base) + info->nr_pt_frames + 1;
    if (builder.end > vmi__xen_memory.linear_pages)
        builder.end = vmi__xen_memory.linear_pages;
    vmi__xen_set_linear_mapping(0, VMI__LINEAR_BASE, vmi__xen_memory.linear_pages, 0);
}

/* pfn of one of the builder's own pages by its machine frame, or VMI__XEN_NO_FRAME. */
static uint32_t builder_pfn(uint32_t mfn)
{
    for (uint32_t pfn = builder.start; pfn < builder.end; pfn++)
        if (vmi__xen_mfn(pfn) == mfn)
            return pfn;
    return VMI__XEN_NO_FRAME;
}

/*
 * Finds m2p. Which parts of it are mapped is told by the page tables (read_tables): until then it
 * gives no frame.
 */
static void start_translation(void)
{
    struct xen_machphys_mapping mapping = {0};
    struct xen_platform_parameters platform = {0};
    uint32_t entries;

    if (vmi__xen_hypercall_memory_op(XENMEM_machphys_mapping, &mapping) < 0 ||
        vmi__xen_hypercall_xen_version(XENVER_platform_parameters, &platform) < 0)
        vmi__fatal("Xen does not say where its tables are");
    if (mapping.v_start < VMI__LINEAR_BASE + VMI__LINEAR_MAX ||
        platform.virt_start < VMI__LINEAR_BASE + VMI__LINEAR_MAX ||
        mapping.v_start >= mapping.v_end || mapping.v_start & 3)
        vmi__fatal("Xen's tables are not above the linear region");
    entries = (uint32_t)(mapping.v_end - mapping.v_start) / 4;
    vmi__xen_memory.m2p = (const uint32_t *)mapping.v_start;
    vmi__xen_memory.m2p_last = mapping.max_mfn < entries ? mapping.max_mfn : entries - 1;
    vmi__boot.virtual_end =
        platform.virt_start < mapping.v_start ? platform.virt_start : mapping.v_start;
}

/* The table that a present entry of the builder's tables names. */
static uint64_t *table_of(uint64_t entry)
{
    uint64_t frame = (entry & VMI__PTE_FRAME) >> VMI__PAGE_SHIFT;
    uint32_t pfn = frame >> 32 ? VMI__XEN_NO_FRAME : builder_pfn((uint32_t)frame);

    if (pfn == VMI__XEN_NO_FRAME)
        vmi__fatal("the domain builder's page tables are not behind the image");
    return vmi__linear(pfn << VMI__PAGE_SHIFT);
}

static void mark(const void *table, uint32_t kind)
{
    vmi__xen_memory.state[vmi__physical(table) >> VMI__PAGE_SHIFT] = (uint8_t)kind;
}

/* Notes what kind of table each page of the builder's tables is; returns how many pages of the
 * linear region they map. */
static uint32_t read_tables(uint64_t *root)
{
    uint32_t mapped = 0;

    mark(root, VMI_PAGE_PDP | VMI__XEN_PINNED);
    for (uint32_t i = 0; i < 4; i++) {
        uint64_t *directory;

        if (!(root[i] & VMI__PTE_PRESENT))
            continue;
        directory = table_of(root[i]);
        mark(directory, VMI_PAGE_PD);
        for (uint32_t j = 0; j < VMI__XEN_TABLE_ENTRIES; j++) {
            uint32_t address = i << 30 | j << 21;
            uint64_t *table;

            if (!(directory[j] & VMI__PTE_PRESENT))
                continue;
            if (address >= vmi__boot.virtual_end) {
                vmi__xen_memory.top_present[j / 32] |= 1u << j % 32;
                continue;
            }
            table = table_of(directory[j]);
            mark(table, VMI_PAGE_PT);
            for (uint32_t k = 0; k < VMI__XEN_TABLE_ENTRIES; k++)
                if (table[k] & VMI__PTE_PRESENT && mapped == to_pfn(address | k << VMI__PAGE_SHIFT))
                    mapped++;
        }
    }
    return mapped;
}

/* Maps the rest of the linear region by new tables, each made read-only and then hung in. */
static void extend_tables(uint64_t *directory, uint32_t mapped)
{
    uint32_t count = 0, done = 0;

    if (mapped % VMI__XEN_TABLE_ENTRIES && mapped < vmi__xen_memory.linear_pages)
        vmi__fatal("the domain builder has mapped part of 2 MiB");
    for (uint32_t page = mapped; page < vmi__xen_memory.linear_pages;
         page += VMI__XEN_TABLE_ENTRIES) {
        uint64_t *table = take_pages(1);
        uint32_t address = (uint32_t)(uintptr_t)table;
        uint64_t machine = vmi__xen_machine(table);

        for (uint32_t i = 0; i < VMI__XEN_TABLE_ENTRIES && page + i < vmi__xen_memory.linear_pages;
             i++)
            table[i] = (uint64_t)vmi__xen_mfn(page + i) << VMI__PAGE_SHIFT | ENTRY_FLAGS;
        updates[count].ptr = (directory[address >> 21 & 511] & VMI__PTE_FRAME) +
                             (address >> VMI__PAGE_SHIFT & 511) * 8;
        updates[count++].val = machine | (ENTRY_FLAGS & ~VMI__PTE_WRITE);
        updates[count].ptr = vmi__xen_machine(
            &directory[(VMI__LINEAR_BASE >> 21 & 511) + page / VMI__XEN_TABLE_ENTRIES]);
        updates[count++].val = machine | ENTRY_FLAGS;
        mark(table, VMI_PAGE_PT);
        if (count == sizeof(updates) / sizeof(updates[0]) ||
            page + VMI__XEN_TABLE_ENTRIES >= vmi__xen_memory.linear_pages) {
            if (vmi__xen_hypercall_mmu_update(updates, count, &done, DOMID_SELF) < 0)
                vmi__fatal("Xen refuses page tables for the linear region");
            count = 0;
        }
    }
}

static void start_memory(const struct start_info *info)
{
    uint64_t *root = (uint64_t *)info->pt_base;
    uint32_t mapped, state_pages;

    pool[0].end = FIRST_IMAGE_PAGE;
    state_pages = page_up(vmi__xen_memory.linear_pages) >> VMI__PAGE_SHIFT;
    vmi__xen_memory.state = take_pages(state_pages);
    vmi__xen_memory.boot_cr3 = vmi__physical(root);
    vmi__boot.boot_cr3 = vmi__physical(root);
    mapped = read_tables(root);
    if (mapped < builder.end)
        vmi__fatal("the domain builder has not mapped its own pages");
    pool[1].next = builder.end;
    pool[1].end = mapped < vmi__xen_memory.linear_pages ? mapped : vmi__xen_memory.linear_pages;
    extend_tables(table_of(root[3]), mapped);
}

/* ---- CPUs
 * -------------------------------------------------------------------------------------------------
 * -------
 */

/* Memory and a GDT page for each CPU that there is. */
static void start_cpus(void)
{
    uint32_t pages = page_up(sizeof(struct vmi__xen_cpu)) >> VMI__PAGE_SHIFT, number, pfn;
    uint64_t entry;

    for (number = 0; number < VMI__XEN_CPUS_MAX; number++) {
        struct vmi__xen_cpu *cpu;

        if (number && vmi__xen_hypercall_vcpu_op(VCPUOP_is_up, number, 0) < 0)
            break;
        cpu = take_pages(pages);
        cpu->gdt_page = take_pages(1);
        entry = (uint64_t)vmi__xen_gdt_prepare(cpu, number) << VMI__PAGE_SHIFT |
                (ENTRY_FLAGS & ~VMI__PTE_WRITE);
        pfn = vmi__physical(cpu->gdt_page) >> VMI__PAGE_SHIFT;
        vmi__xen_memory.state[pfn] = VMI__XEN_DESCRIPTORS;
        if (vmi__xen_hypercall_update_va_mapping((uint32_t)(uintptr_t)cpu->gdt_page, entry,
                                                 UVMF_INVLPG) < 0)
            vmi__fatal("Xen refuses a read-only mapping");
        vmi__xen_cpus[number] = cpu;
        if (number)
            vmi__cpu_add(number);
    }
    vmi__xen_cpu_count = number;
}

static void start_this_cpu(void)
{
    struct vcpu_register_runstate_memory_area area;
    struct callback_register failsafe = {
        .type = CALLBACKTYPE_failsafe,
        .flags = CALLBACKF_mask_events,
        .address = {FLAT_KERNEL_CS, (uint32_t)(uintptr_t)vmi__xen_failsafe_callback},
    };
    struct vmi__xen_cpu *cpu = vmi__xen_cpus[0];
    xen_pfn_t frame = vmi__xen_mfn(vmi__physical(cpu->gdt_page) >> VMI__PAGE_SHIFT);
    uint16_t cs;

    if (vmi__xen_hypercall_set_gdt(&frame, VMI__XEN_GDT_ENTRIES) < 0)
        vmi__fatal("Xen refuses a GDT");
    cpu->started = 1;
    cpu->cr3 = vmi__xen_memory.boot_cr3;
    if (vmi__xen_hypercall_set_callbacks(
            FLAT_KERNEL_CS, (uint32_t)(uintptr_t)vmi__xen_event_callback, FLAT_KERNEL_CS,
            (uint32_t)(uintptr_t)vmi__xen_failsafe_callback) < 0 ||
        vmi__xen_hypercall_callback_op(CALLBACKOP_register, &failsafe) < 0)
        vmi__fatal("Xen refuses an entry point for events");
    /* Of these, none is missed if Xen refuses it: see SetInitialAPState. */
    vmi__xen_hypercall_vm_assist(VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag);
    vmi__xen_hypercall_vm_assist(VMASST_CMD_enable, VMASST_TYPE_pae_extended_cr3);
    area.addr.v = &cpu->runstate;
    vmi__xen_hypercall_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area);
    vmi__xen_hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, 0);
    if (vmi__xen_events_prepare(cpu, 0) < 0)
        vmi__fatal("Xen refuses event channels");
    __asm__("mov %%cs, %0" : "=rm"(cs));
    vmi__boot.kernel_cs = cs;
    vmi__boot.kernel_rpl = cs & 3;
}

/* ---- what the kernel is told
 * ------------------------------------------------------------------------------------- */

/* The page that Xen shares under a machine frame number, or 0: a domain may have no console or no
 * store. Needs no m2p if the page is one of the builder's. */
static void *ring_of(uint32_t mfn)
{
    uint32_t pfn = mfn ? builder_pfn(mfn) : VMI__XEN_NO_FRAME;

    if (mfn && pfn == VMI__XEN_NO_FRAME)
        pfn = vmi__xen_pfn(mfn);
    return pfn < vmi__xen_memory.linear_pages ? vmi__linear(pfn << VMI__PAGE_SHIFT) : 0;
}

static void start_console(const struct start_info *info)
{
    void *ring = ring_of(info->console.domU.mfn);

    if (ring)
        vmi__xen_console_start(ring, info->console.domU.evtchn);
}

static void claim(uint64_t base, uint64_t size, uint32_t kind)
{
    const char *reason = vmi__memory_add(base, size, kind);

    if (reason)
        vmi__fatal(reason);
}

static void describe_memory(const struct start_info *info)
{
    uint32_t start = info->mfn_list & ~(VMI__PAGE_SIZE - 1),
             image = vmi__physical(vmi__kernel.image_start),
             builder_end = builder.end << VMI__PAGE_SHIFT;
    const void *rings[] = {ring_of(info->console.domU.mfn), ring_of(info->store_mfn)};

    claim(0, (uint64_t)info->nr_pages << VMI__PAGE_SHIFT, VMI_MEMORY_USABLE);
    claim(image, vmi__physical(vmi__kernel.image_end) - image, VMI_MEMORY_IMAGE);
    start -= VMI__LINEAR_BASE;
    claim(start, builder_end - start, VMI_MEMORY_LIBRARY);
    claim(0, (uint64_t)pool[0].next << VMI__PAGE_SHIFT, VMI_MEMORY_LIBRARY);
    if (pool[1].next > builder.end)
        claim(builder_end, (uint64_t)(pool[1].next - builder.end) << VMI__PAGE_SHIFT,
              VMI_MEMORY_LIBRARY);
    for (uint32_t i = 0; i < 2; i++)
        if (rings[i])
            claim(vmi__physical(rings[i]), VMI__PAGE_SIZE, VMI_MEMORY_LIBRARY);
    if (info->mod_len) {
        module.base = info->flags & SIF_MOD_START_PFN ? (uint64_t)info->mod_start << VMI__PAGE_SHIFT
                                                      : info->mod_start - VMI__LINEAR_BASE;
        module.size = info->mod_len;
        module.command_line = "";
        claim(module.base, module.size, VMI_MEMORY_MODULE);
        vmi__boot.modules = &module;
        vmi__boot.module_count = 1;
    }
}

static uint32_t append(char *to, uint32_t length, uint32_t size, const char *text)
{
    while (*text && length + 1 < size)
        to[length++] = *text++;
    to[length] = 0;
    return length;
}

static uint32_t append_number(char *to, uint32_t length, uint32_t size, uint32_t number)
{
    char digits[11], *digit = digits + sizeof(digits) - 1;

    *digit = 0;
    do {
        *--digit = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    return append(to, length, size, digit);
}

/* "Xen 4.17.7 domain NAME", as far as it can be learnt. */
static void describe_loader(void)
{
    int32_t version = vmi__xen_hypercall_xen_version(XENVER_version, 0);
    xen_extraversion_t extra = "";
    char name[64];
    uint32_t length = append(loader, 0, sizeof(loader), "Xen ");

    length = append_number(loader, length, sizeof(loader), (uint32_t)version >> 16);
    length = append(loader, length, sizeof(loader), ".");
    length = append_number(loader, length, sizeof(loader), version & 0xffff);
    if (vmi__xen_hypercall_xen_version(XENVER_extraversion, extra) >= 0) {
        extra[sizeof(extra) - 1] = 0;
        length = append(loader, length, sizeof(loader), extra);
    }
    if (vmi__xen_store_read("name", name, sizeof(name)) > 0) {
        length = append(loader, length, sizeof(loader), ", domain ");
        append(loader, length, sizeof(loader), name);
    }
}

/*
 * The kernel's command line: the builder's, then an option vmi.NAME=VALUE for each node NAME of the
 * domain's `vmi` directory in xenstore. A value with a blank in it cannot be an option.
 */
static void describe_options(const struct start_info *info)
{
    static char names[STORE_TEXT_MAX], path[STORE_TEXT_MAX], value[STORE_TEXT_MAX];
    uint32_t length = 0;
    int32_t listed;

    while (length < MAX_GUEST_CMDLINE && info->cmd_line[length]) {
        command_line[length] = (char)info->cmd_line[length];
        length++;
    }
    command_line[length] = 0;
    listed = vmi__xen_store_list("vmi", names, sizeof(names) - 1);
    for (int32_t at = 0; at < listed; at++) {
        const char *name = &names[at];

        while (names[at])
            at++;
        append(path, append(path, 0, sizeof(path), "vmi/"), sizeof(path), name);
        if (vmi__xen_store_read(path, value, sizeof(value)) <= 0)
            continue;
        for (const char *c = value; *c; c++)
            if (*c <= ' ')
                value[0] = 0;
        if (!value[0])
            continue;
        length = append(command_line, length, sizeof(command_line), " vmi.");
        length = append(command_line, length, sizeof(command_line), name);
        length = append(command_line, length, sizeof(command_line), "=");
        length = append(command_line, length, sizeof(command_line), value);
    }
    vmi__boot.command_line = command_line;
}

/* ---- entry
 * -------------------------------------------------------------------------------------------------
 * ------
 */

VMI__ROUTINE void vmi__xen_start(const struct start_info *info)
{
    const char *reason;

    vmi__boot.protocol = VMI_BOOT_PARAVIRTUAL;
    vmi__boot.linear_base = VMI__LINEAR_BASE;
    reason = check_frames(info);
    if (reason)
        vmi__fatal(reason);
    start_frames(info);
    vmi__boot.linear_pages = vmi__xen_memory.linear_pages;
    /*
     * From here on a refusal is read by whoever reads the domain's console, unless its ring is none
     * of the builder's pages: then it is found again below, by m2p.
     */
    start_console(info);
    reason = check_module(info);
    if (reason)
        vmi__fatal(reason);
    start_translation();
    start_memory(info);
    start_console(info);

    reason = vmi__xen_adopt(&vmi__xen_shared, (uint32_t)(info->shared_info >> VMI__PAGE_SHIFT));
    if (reason)
        vmi__fatal(reason);
    /* Both are polled: their upcalls would tell nothing. */
    vmi__xen_port_mask(info->console.domU.evtchn);
    vmi__xen_port_mask(info->store_evtchn);
    start_cpus();
    start_this_cpu();
    if (ring_of(info->store_mfn))
        vmi__xen_store_start(ring_of(info->store_mfn), info->store_evtchn);
    vmi__xen_grants_start();
    describe_memory(info);
    describe_options(info);
    describe_loader();
    vmi__start();
}

/* Not to be found by asking: Xen enters a kernel where it says that Xen is to. */
bool vmi__backend_here(void)
{
    return false;
}

void vmi__backend_init(struct vmi_boot_info *boot)
{
    boot->backend = "xen";
    boot->loader = loader;
}
