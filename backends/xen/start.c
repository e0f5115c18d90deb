/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * From the domain builder's start_info (xen/xen.h, "Start-of-day memory layout") to the runtime's
 * vmi__start: takes the builder's tables over, maps the rest of the linear region, meets the
 * console and the other shared pages.
 */
#include "start.h"

#include "builder.h"
#include "entries.h"

#include <xen/io/console.h>
#include <xen/io/xs_wire.h>
#include <xen/version.h>

#define MAGIC_PREFIX "xen-3."
#define MAGIC_SUFFIX VMI__XEN_MAGIC

#define FIRST_IMAGE_PAGE (0x100000 >> VMI__PAGE_SHIFT) /* runtime/arch/i386/kernel.ld */

#define COMMAND_LINE_MAX 2048
#define STORE_TEXT_MAX   256

_Static_assert(offsetof(struct vcpu_info, evtchn_upcall_pending) == VMI__XEN_VCPU_PENDING,
               "events.S");
_Static_assert(offsetof(struct vcpu_info, evtchn_upcall_mask) == VMI__XEN_VCPU_MASK, "events.S");
_Static_assert(sizeof(struct shared_info) <= VMI__PAGE_SIZE, "pages.S reserves one page");
_Static_assert(VMI__XEN_CPUS_MAX < 256, "CPUs");

static char command_line[COMMAND_LINE_MAX];
static uint32_t command_line_length;
static char loader[STORE_TEXT_MAX];
static struct vmi_module module;

struct start_info *vmi__xen_info;

/* ---- the builder's words
 * ----------------------------------------------------------------------------------------- */

/* Of start_info as much as it takes to find the console. Returns 0 or what is wrong. */
static const char *check_frames(const struct start_info *info)
{
    uint32_t prefix = sizeof(MAGIC_PREFIX) - 1, suffix = sizeof(MAGIC_SUFFIX), length = 0;

    if (((uintptr_t)info & (VMI__PAGE_SIZE - 1)) ||
        !vmi__xen_behind_image((uintptr_t)info, sizeof(struct start_info)))
        return "Xen's start_info is not where a domain builder puts it";
    while (length < sizeof(info->magic) && info->magic[length])
        length++;
    if (length == sizeof(info->magic) || length < prefix + suffix ||
        memcmp(info->magic, MAGIC_PREFIX, prefix) != 0 ||
        memcmp(info->magic + length + 1 - suffix, MAGIC_SUFFIX, suffix) != 0)
        return VMI__XEN_OTHER_MAGIC;
    if (info->nr_pages < FIRST_IMAGE_PAGE || info->nr_pages > VMI__XEN_PAGES_MAX)
        return VMI__XEN_OTHER_SIZE;
    if (!vmi__xen_behind_image(info->pt_base, info->nr_pt_frames << VMI__PAGE_SHIFT) ||
        info->nr_pt_frames < 3 || info->nr_pt_frames > 1024 || info->pt_base & (VMI__PAGE_SIZE - 1))
        return "Xen's start_info has no page tables";
    return vmi__xen_take_list(info);
}

static const char *check_module(const struct start_info *info)
{
    if (info->mod_len && !(info->flags & SIF_MOD_START_PFN) &&
        !vmi__xen_behind_image(info->mod_start, info->mod_len))
        return "Xen's start_info has a module outside of memory";
    return 0;
}

/* ---- memory
 * -------------------------------------------------------------------------------------------------
 * -----
 */

/* Where the builder's own pages are. */
static void start_frames(const struct start_info *info)
{
    vmi__xen_memory.linear_pages = info->nr_pages < VMI__LINEAR_MAX >> VMI__PAGE_SHIFT
                                       ? info->nr_pages
                                       : VMI__LINEAR_MAX >> VMI__PAGE_SHIFT;
    vmi__xen_builder.start = vmi__xen_builders((uintptr_t)vmi__kernel.image_end);
    /* The last thing that the builder puts down is its stack, one page behind the tables. */
    vmi__xen_builder.end = vmi__xen_builders(info->pt_base) + info->nr_pt_frames + 1;
    if (vmi__xen_builder.end > vmi__xen_memory.linear_pages)
        vmi__xen_builder.end = vmi__xen_memory.linear_pages;
    vmi__xen_set_linear_mapping(0, VMI__LINEAR_BASE, (uint32_t)vmi__xen_memory.linear_pages, 0);
}

/* ---- CPUs
 * -------------------------------------------------------------------------------------------------
 * -------
 */

/* Memory and a GDT page for each CPU that there is, as far as frames can be reached. */
static void start_cpus(void)
{
    uintptr_t pages = vmi__xen_pages_of(sizeof(struct vmi__xen_cpu));
    uint32_t number;
    uint64_t entry;

    for (number = 0; number < VMI__XEN_CPUS_MAX; number++) {
        struct vmi__xen_cpu *cpu;

        if (number && vmi__xen_hypercall_vcpu_op(VCPUOP_is_up, number, 0) < 0)
            break;
        if (number && !vmi__xen_pages_left(pages + 1))
            break;
        cpu = vmi__xen_take_pages(pages);
        cpu->gdt_page = vmi__xen_take_pages(1);
        entry = (uint64_t)vmi__xen_gdt_prepare(cpu, number) << VMI__PAGE_SHIFT |
                (VMI__XEN_ENTRY & ~VMI__PTE_WRITE) | vmi__xen_memory.no_execute;
        vmi__xen_mark(cpu->gdt_page, VMI__XEN_DESCRIPTORS);
        if (vmi__xen_hypercall_update_va_mapping((uintptr_t)cpu->gdt_page, entry, UVMF_INVLPG) < 0)
            vmi__fatal("Xen refuses a read-only mapping");
        vmi__xen_vectors_begin(cpu);
        vmi__xen_cpus[number] = cpu;
    }
    vmi__xen_cpu_count = number;
}

/* Lists them for the kernel, when memory is described: of more than a few the list takes some. */
static void list_cpus(void)
{
    const char *reason = vmi__memory_publish();

    if (reason)
        vmi__fatal(reason);
    vmi__cpus_expect(vmi__xen_cpu_count);
    vmi__cpu_first(0);
    for (uint32_t number = 1; number < vmi__xen_cpu_count; number++)
        vmi__cpu_add(number);
    vmi__xen_cpu_count = vmi__boot.cpu_count;
}

void vmi__xen_assists_enable(void)
{
    vmi__xen_hypercall_vm_assist(VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag);
    vmi__xen_hypercall_vm_assist(VMASST_CMD_enable, VMASST_TYPE_pae_extended_cr3);
}

static void start_this_cpu(void)
{
    struct vmi__xen_cpu *cpu = vmi__xen_cpus[0];
    xen_pfn_t frame = vmi__xen_mfn(vmi__physical(cpu->gdt_page) >> VMI__PAGE_SHIFT);
    uint16_t cs;

    if (vmi__xen_hypercall_set_gdt(&frame, VMI__XEN_GDT_ENTRIES) < 0)
        vmi__fatal("Xen refuses a GDT");
    cpu->cr3 = vmi__xen_memory.boot_cr3;
    vmi__xen_start_cpu(cpu);
    if (vmi__xen_vcpu_register(0) < 0)
        vmi__fatal("Xen refuses a place for its words of a CPU");
    cpu->started = 1;
    if (vmi__xen_callbacks_register() < 0)
        vmi__fatal("Xen refuses an entry point for events");
    vmi__xen_assists_enable();
    vmi__xen_areas_register(cpu, 0);
    if (vmi__xen_ports_prepare(cpu, 0) < 0)
        vmi__fatal("Xen refuses event channels");
    __asm__("mov %%cs, %0" : "=rm"(cs));
    vmi__boot.kernel_cs = cs;
    vmi__boot.kernel_rpl = cs & 3;
}

/* A domain that has no room for their tables can map no devices. */
static void start_devices(void)
{
    if (vmi__xen_pages_left(VMI__XEN_DEVICE_TABLES))
        vmi__xen_devices_start(vmi__xen_take_pages(VMI__XEN_DEVICE_TABLES));
}

/* ---- what the kernel is told
 * ------------------------------------------------------------------------------------- */

/* The page that Xen shares under a machine frame number, or 0: a domain may have no console or no
 * store. Needs no m2p if the page is one of the builder's. */
static void *ring_of(uintptr_t mfn)
{
    uintptr_t pfn = mfn ? vmi__xen_builder_pfn(mfn) : VMI__XEN_NO_FRAME;

    if (mfn && pfn == VMI__XEN_NO_FRAME)
        pfn = vmi__xen_pfn(mfn);
    return pfn < vmi__xen_memory.linear_pages ? vmi__linear(pfn << VMI__PAGE_SHIFT) : 0;
}

/* The control domain writes to the hypervisor's console. */
static void *console_ring(const struct start_info *info)
{
    return info->flags & SIF_INITDOMAIN ? 0 : ring_of(info->console.domU.mfn);
}

void vmi__xen_start_console(const struct start_info *info)
{
    void *ring = console_ring(info);

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
    uintptr_t image = vmi__physical(vmi__kernel.image_start),
              start = vmi__physical(info) >> VMI__PAGE_SHIFT;
    const void *rings[] = {console_ring(info), ring_of(info->store_mfn)};

    /* The builder puts its pages next to each other, the list of frames first if it is there. */
    if (vmi__xen_behind_image(info->mfn_list, 0))
        start = vmi__xen_builders(info->mfn_list);
    claim(0, (uint64_t)info->nr_pages << VMI__PAGE_SHIFT, VMI_MEMORY_USABLE);
    claim(image, vmi__physical(vmi__kernel.image_end) - image, VMI_MEMORY_IMAGE);
    claim((uint64_t)start << VMI__PAGE_SHIFT,
          (uint64_t)(vmi__xen_builder.end - start) << VMI__PAGE_SHIFT, VMI_MEMORY_LIBRARY);
    for (uint32_t i = 0; i < VMI__XEN_POOLS; i++) {
        const struct vmi__xen_pool *pool = &vmi__xen_pools[i];

        if (pool->next > pool->start)
            claim((uint64_t)pool->start << VMI__PAGE_SHIFT,
                  (uint64_t)(pool->next - pool->start) << VMI__PAGE_SHIFT, VMI_MEMORY_LIBRARY);
    }
    for (uint32_t i = 0; i < 2; i++)
        if (rings[i])
            claim(vmi__physical(rings[i]), VMI__PAGE_SIZE, VMI_MEMORY_LIBRARY);
    if (info->mod_len) {
        module.base = info->flags & SIF_MOD_START_PFN ? (uint64_t)info->mod_start << VMI__PAGE_SHIFT
                                                      : info->mod_start - VMI__IMAGE_BASE;
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
    uint32_t version = (uint32_t)vmi__xen_hypercall_xen_version(XENVER_version, 0);
    xen_extraversion_t extra = "";
    char name[64];
    uint32_t length = append(loader, 0, sizeof(loader), "Xen ");

    length = append_number(loader, length, sizeof(loader), version >> 16);
    length = append(loader, length, sizeof(loader), ".");
    length = append_number(loader, length, sizeof(loader), version & 0xffff);
    if (vmi__xen_hypercall_xen_version(XENVER_extraversion, extra) >= 0) {
        extra[sizeof(extra) - 1] = 0;
        length = append(loader, length, sizeof(loader), extra);
    }
    if (vmi__xen_common_store_read("name", name, sizeof(name)) > 0) {
        length = append(loader, length, sizeof(loader), ", domain ");
        append(loader, length, sizeof(loader), name);
    }
}

/* The kernel's command line, as far as it is the builder's. */
static void take_command_line(const struct start_info *info)
{
    while (command_line_length < MAX_GUEST_CMDLINE && info->cmd_line[command_line_length]) {
        command_line[command_line_length] = (char)info->cmd_line[command_line_length];
        command_line_length++;
    }
    command_line[command_line_length] = 0;
    vmi__boot.command_line = command_line;
}

/*
 * Looks for the option vmi.off= there: fifo_events is all that can be left. Returns 0 or the reason
 * to refuse.
 */
static const char *check_off(void)
{
    const char *value;
    uint32_t length;

    if (!vmi__option("vmi.off", &value, &length))
        return 0;
    if (!vmi__is_word("fifo_events", value, length) && !vmi__is_word("all", value, length))
        return "option vmi.off= wants fifo_events or all";
    vmi__xen_ports_keep_two_level();
    return 0;
}

/*
 * Appends to it an option vmi.NAME=VALUE for each node NAME of the domain's `vmi` directory in
 * xenstore. A value with a blank in it cannot be an option.
 */
static void describe_options(void)
{
    static char names[STORE_TEXT_MAX], path[STORE_TEXT_MAX], value[STORE_TEXT_MAX];
    uint32_t length = command_line_length;
    int32_t listed;

    listed = vmi__xen_common_store_list("vmi", names, sizeof(names) - 1);
    for (int32_t at = 0; at < listed; at++) {
        const char *name = &names[at];

        while (names[at])
            at++;
        append(path, append(path, 0, sizeof(path), "vmi/"), sizeof(path), name);
        if (vmi__xen_common_store_read(path, value, sizeof(value)) <= 0)
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
}

/* ---- entry
 * -------------------------------------------------------------------------------------------------
 * ------
 */

/* The page that Xen shares, and in it where the list of frames is, for who saves the domain. */
void vmi__xen_start_shared(const struct start_info *info)
{
    const char *reason =
        vmi__xen_adopt(&vmi__xen_shared, (uintptr_t)(info->shared_info >> VMI__PAGE_SHIFT));

    if (reason)
        vmi__fatal(reason);
    vmi__xen_shared.arch.max_pfn = vmi__xen_memory.pages;
    vmi__xen_shared.arch.p2m_vaddr = (uintptr_t)vmi__xen_memory.p2m;
    vmi__xen_shared.arch.p2m_cr3 =
        xen_pfn_to_cr3(vmi__xen_mfn(vmi__xen_memory.boot_cr3 >> VMI__PAGE_SHIFT));
    /* Both are polled: their upcalls would tell nothing, until requests are looked for. */
    vmi__xen_port_mask(info->console.domU.evtchn);
    vmi__xen_port_mask(info->store_evtchn);
}

/* What takes a CPU that can be asked for its number: locks, waits. */
void vmi__xen_start_services(const struct start_info *info)
{
    void *store = ring_of(info->store_mfn);

    if (store)
        vmi__xen_store_start(store, info->store_evtchn);
    vmi__xen_grants_start();
}

VMI__ROUTINE void vmi__xen_start(const struct start_info *info)
{
    const char *reason;

    vmi__boot.protocol = VMI_BOOT_PARAVIRTUAL;
    /* What there is until all memory is mapped: what the builder has mapped with the image. */
    vmi__boot.linear_base = VMI__IMAGE_BASE;
    reason = check_frames(info);
    if (reason)
        vmi__fatal(reason);
    start_frames(info);
    vmi__boot.linear_pages = vmi__xen_memory.linear_pages;
    /*
     * From here on a refusal is read by whoever reads the domain's console, unless its ring is none
     * of the builder's pages: then it is found again below, by m2p.
     */
    vmi__xen_start_console(info);
    reason = check_module(info);
    if (reason)
        vmi__fatal(reason);
    take_command_line(info);
    reason = check_off();
    if (reason)
        vmi__fatal(reason);
    vmi__xen_start_translation();
    vmi__xen_start_tables(info);
    info = vmi__xen_info = vmi__linear(vmi__physical(info));
    vmi__xen_start_console(info);
    vmi__xen_start_shared(info);
    start_cpus();
    start_this_cpu();
    start_devices();
    vmi__xen_start_services(info);
    describe_memory(info);
    list_cpus();
    describe_options();
    describe_loader();
    vmi__xen_requests_start();
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
    vmi__print("# xen events=");
    vmi__print(vmi__xen_ports_abi());
    vmi__print("\r\n");
}

/* Neither the way into Xen nor a form of a call depends on the processor. */
int32_t vmi__backend_rebind(uint32_t without)
{
    (void)without;
    return VMI_OK;
}
