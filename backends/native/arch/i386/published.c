/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * For clients of the published API (runtime/image/published.h), and for inheriting libraries that
 * serve such. The local APIC is reached where the client has it: by the page of the linear address
 * that it passes, or, if it passes no more than a register's offset, by its page tables. A further
 * CPU's state is remembered, and the STARTUP interrupt that the client sends is given the library's
 * trampoline instead of the client's page.
 *
 * Source: Intel SDM vol. 3A, 4.3, 4.4, 9.4.4 and 11.6.
 */
#include "../../native.h"
#include "../../smp.h"
#include "../../startup.h"

#define CPUID_1_EDX_PSE  (1u << 3)
#define CPUID_1_EDX_TSC  (1u << 4)
#define CPUID_1_EDX_MSR  (1u << 5)
#define CPUID_1_EDX_APIC (1u << 9)

#define CR3_PDPT 0xffffffe0u
#define CR4_PSE  0x10u
#define CR4_PAE  0x20u

#define PAGE_SIZE   4096u
#define PAGE_MASK   (PAGE_SIZE - 1)
#define PXE_PRESENT 0x01u
#define PXE_LARGE   0x80u
#define PXE_FRAME   0x000ffffffffff000ull

#define PDE_WAY_UP 0x83 /* present, writable, large */

#define REGISTER    0xfffu
#define ICR_STARTUP 0x600u
#define ICR_KIND    0xc0700u /* shorthand and delivery mode */
#define ICR_PAGE    0xffu

/* Waiting for a CPU, in 100 us. A client sends a second STARTUP if the first is lost. */
#define UP_POLLS      1000
#define UP_POLLS_LAST 10000 /* before the way up is given to another CPU */

/* ---- the client's page tables ---- */

/* Mapped by: nothing, a page, a large page. */
struct mapping {
    uint32_t size;     /* of the page, or of the hole */
    uint64_t physical; /* where the address leads; NOWHERE for a hole */
};

#define NOWHERE (~0ull)

static struct mapping mapping_of(uint32_t address)
{
    bool pae;
    uint32_t cr3, cr4, large, entry_size, index;
    uint64_t entry, table;

    __asm__ volatile("mov %%cr3, %0; mov %%cr4, %1" : "=r"(cr3), "=r"(cr4));
    pae = cr4 & CR4_PAE;
    large = pae ? 1u << 21 : 1u << 22;
    entry_size = pae ? 8 : 4;
    table = cr3 & ~PAGE_MASK;
    if (pae) {
        entry = *(const uint64_t *)vmi__linear((cr3 & CR3_PDPT) + (address >> 30) * 8);
        if (!(entry & PXE_PRESENT))
            return (struct mapping){large, NOWHERE};
        table = entry & PXE_FRAME;
        address &= (1u << 30) - 1;
    }
    index = address / large;
    for (;;) {
        const uint32_t *halves;

        /* Tables of kernels lie in memory that is mapped at the linear base. */
        if (table > UINT32_MAX - vmi__boot.linear_base)
            return (struct mapping){large, NOWHERE};
        halves = vmi__linear((uint32_t)table + index * entry_size);
        entry = halves[0] | (pae ? (uint64_t)halves[1] << 32 : 0);
        if (!(entry & PXE_PRESENT))
            return (struct mapping){large, NOWHERE};
        if (large == PAGE_SIZE || ((entry & PXE_LARGE) && (pae || (cr4 & CR4_PSE))))
            break;
        table = entry & PXE_FRAME;
        address &= large - 1;
        large = PAGE_SIZE;
        index = address / PAGE_SIZE;
    }
    entry &= PXE_FRAME & ~(uint64_t)(large - 1);
    return (struct mapping){large, entry | (address & (large - 1))};
}

/* How much memory is mapped in order at the linear base. */
static uint32_t linear_pages(void)
{
    uint32_t at = vmi__boot.linear_base;

    do {
        struct mapping found = mapping_of(at);

        if (found.physical != at - vmi__boot.linear_base)
            break;
        at = (at | (found.size - 1)) + 1;
    } while (at);
    return (at - vmi__boot.linear_base) >> 12;
}

/* ---- local APIC ---- */

static uint64_t apic_physical;

static bool leads_to_apic(uint32_t page)
{
    return mapping_of(page).physical == apic_physical;
}

static bool find_apic(void)
{
    uint32_t at = vmi__boot.linear_base;

    do {
        struct mapping found = mapping_of(at);

        if (found.physical != NOWHERE && apic_physical - found.physical < found.size) {
            vmi__native_apic =
                (volatile char *)(uintptr_t)(at + (uint32_t)(apic_physical - found.physical));
            return true;
        }
        at = (at | (found.size - 1)) + 1;
    } while (at);
    return false;
}

/* The page last used is looked at again: a client may move its mappings. */
static VMI__ADDRESS_TAKEN bool reach_apic(void)
{
    if (vmi__native_x2apic)
        return true;
    return apic_physical && (leads_to_apic((uint32_t)(uintptr_t)vmi__native_apic) || find_apic());
}

/*
 * The page is one for all CPUs, as a client's mapping is, and another CPU may be using it: so only
 * a page that leads to the APIC is ever noted.
 */
static bool reach_register(uint32_t reg)
{
    uint32_t page = reg & ~REGISTER;

    if (!page || !apic_physical || !leads_to_apic(page))
        return reach_apic();
    vmi__native_apic = (volatile char *)(uintptr_t)page;
    return true;
}

/* ---- further CPUs ---- */

/* What the client wants of a CPU, by its number; the first needs none. Has it come up in it? */
static struct vmi_ap_state states[VMI__CPUS_FEW];
static bool up[VMI__CPUS_FEW];
static struct vmi__lock lock;

/* The CPU for which the way up is prepared, and which has not answered yet; 0 if there is none. */
static uint32_t on_its_way;

/* For the way up, low in memory as the whole copy is: the page of the trampoline, a root, tables.
 */
static char page[PAGE_SIZE] __attribute__((aligned(4096)));
static uint32_t directory[PAGE_SIZE / 4] __attribute__((aligned(4096)));
static uint64_t pdpt[4] __attribute__((aligned(32)));

/*
 * Low memory at 0 and at the linear base, by entries of the kind that the CPU's own tables have;
 * with PAE one directory serves both GiB. The rest of the way is in those tables.
 */
static void prepare_way(bool pae)
{
    uint32_t linear = vmi__boot.linear_base;

    memset(directory, 0, sizeof(directory));
    directory[0] = PDE_WAY_UP;
    directory[pae ? (linear >> 21 & 511) * 2 : linear >> 22] = PDE_WAY_UP;
    memset(pdpt, 0, sizeof(pdpt));
    pdpt[0] = pdpt[linear >> 30] = vmi__physical(directory) | PXE_PRESENT;
    vmi__native_startup_fill(page, vmi__physical(pae ? (const void *)pdpt : directory),
                             pae ? CR4_PAE : CR4_PSE, 0);
}

VMI__ROUTINE int32_t vmi__native_published_ap_state(const struct vmi_ap_state *state,
                                                    uint32_t apic_id)
{
    uint32_t cpu, flags;
    int32_t result = VMI_EINVAL;

    if (!vmi__native_smp_acceptable(state) || apic_id >= VMI__APIC_ID_ALL)
        return VMI_EINVAL;
    flags = vmi__lock(&lock);
    cpu = vmi__cpu_by_apic_id(apic_id);
    if (cpu == vmi__boot.cpu_count && cpu < VMI__CPUS_FEW) {
        vmi__cpu_add(apic_id);
        /* Before it runs: from then on the clock must hold for more than one. */
        vmi__native_cpus_started++;
    }
    if (cpu && cpu < vmi__boot.cpu_count) {
        states[cpu] = *state;
        up[cpu] = false;
        if (on_its_way == cpu)
            on_its_way = 0;
        /* It is reset: nothing of what it had is left, if this is not its first start. */
        vmi__native_alarm_forget(cpu);
        vmi__native_cpu_forget(cpu);
        result = VMI_OK;
    }
    vmi__unlock(&lock, flags);
    return result;
}

/* Prepares the way up for a CPU. The one before it may be on it still, if it was slow. */
static void give_way(uint32_t cpu)
{
    if (on_its_way == cpu)
        return;
    if (on_its_way)
        up[on_its_way] = vmi__native_smp_comes_up(UP_POLLS_LAST);
    prepare_way(states[cpu].cr4 & CR4_PAE);
    vmi__native_smp_leave(&states[cpu]);
    on_its_way = cpu;
}

/*
 * Sends the STARTUP interrupt of a CPU whose state is known; false if it is not. A CPU for which
 * there was no room stays off: its state would be taken for the first one's.
 */
static bool start(uint32_t command)
{
    uint32_t cpu = vmi__cpu_by_apic_id(vmi__native_apic_read_any(VMI_APIC_ICR_HIGH) >> 24), flags;

    if (cpu == vmi__boot.cpu_count)
        return cpu == VMI__CPUS_FEW;
    if (cpu == 0)
        return false;
    flags = vmi__lock(&lock);
    /* One that runs ignores a second STARTUP. */
    if (!up[cpu]) {
        give_way(cpu);
        vmi__native_apic_write_any(VMI_APIC_ICR_LOW,
                                   (command & ~ICR_PAGE) | vmi__physical(page) / PAGE_SIZE);
        up[cpu] = vmi__native_smp_comes_up(UP_POLLS);
        if (up[cpu])
            on_its_way = 0;
    }
    vmi__unlock(&lock, flags);
    return true;
}

/* ---- calls ---- */

void vmi__native_published_ended(void)
{
    if (reach_apic())
        vmi__native_alarm_after_eoi();
}

VMI__ROUTINE void vmi__native_published_apic_write(uint32_t reg, uint32_t value)
{
    if (!reach_register(reg))
        return;
    reg &= REGISTER;
    if (reg == VMI_APIC_ICR_LOW && (value & ICR_KIND) == ICR_STARTUP && start(value))
        return;
    vmi__native_apic_write_any(reg, value);
    if (reg == VMI_APIC_EOI)
        vmi__native_alarm_after_eoi();
}

VMI__ROUTINE uint32_t vmi__native_published_apic_read(uint32_t reg)
{
    return reach_register(reg) ? vmi__native_apic_read_any(reg) : 0;
}

VMI__ROUTINE void vmi__native_published_shutdown(void)
{
    vmi__boot.linear_pages = linear_pages();
    vmi_shutdown();
}

/* ---- start ---- */

bool vmi__native_serve(void)
{
    static const struct vmi__native_published published = {.reach_apic = reach_apic};
    uint32_t features = vmi__cpuid(1, 0).edx;
    uint64_t base;

    if (!(features & CPUID_1_EDX_TSC) || !(features & CPUID_1_EDX_MSR) ||
        !(features & CPUID_1_EDX_PSE))
        return false;
    vmi__native_published = &published;
    if (features & CPUID_1_EDX_APIC) {
        /* The mode is the client's. */
        base = vmi__rdmsr(VMI__MSR_APIC_BASE);
        vmi__native_x2apic = base & VMI__APIC_BASE_X2APIC;
        apic_physical = vmi__native_x2apic ? 0 : base & VMI__APIC_BASE_ADDRESS;
    }
    vmi__cpu_first(vmi__native_apic_id());
    vmi__native_pit_start_counter();
    if (!vmi__native_tsc_find())
        return false;
    vmi__native_alarm_init();
    return true;
}
