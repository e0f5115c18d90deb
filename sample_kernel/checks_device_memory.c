/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What devices have in the guest-physical address space: mapped with the cache type that was asked
 * for, unmapped on all CPUs, refused where it is memory. With all CPUs running.
 */
#include <stddef.h>

#include "attempt.h"
#include "checks.h"
#include "frames.h"
#include "lock.h"
#include "paging.h"
#include "smp.h"
#include "tables.h"
#include "threads.h"
#include "x86.h"

/* The local APIC, as after a reset (Intel SDM vol. 3A, 11.4.1). */
#define APIC_BASE 0xfee00000u

/* The first I/O APIC, as chipsets have it (Intel 82093AA data sheet, 3.1). */
#define IO_APIC_BASE 0xfec00000u

/* In x2APIC mode the local APIC's registers are no memory (Intel SDM vol. 3A, 11.12.2). */
#define MSR_APIC_BASE    0x1bu
#define APIC_BASE_X2APIC 0x400u

/* Where a PC has no memory and, here, no device: an access of it would go nowhere. */
#define HOLE      0xe0000000u
#define HOLE_SIZE 0x800000u

#define LARGE_PAGE 0x200000u

#define CACHE_TYPES 4 /* VMI_CACHE_… */

#define NEEDS_HOLE()                                                                               \
    do {                                                                                           \
        NEEDS(MAP_DEVICE);                                                                         \
        if (is_memory(HOLE)) {                                                                     \
            ktap_skip("the addresses that it would map are this guest's own memory");              \
            return;                                                                                \
        }                                                                                          \
        if (!hole_is_given()) {                                                                    \
            ktap_skip("the hypervisor gives this guest no addresses of devices");                  \
            return;                                                                                \
        }                                                                                          \
    } while (0)

#define MSR_PAT         0x277 /* Intel SDM vol. 3A, 11.12.2 */
#define CPUID_1_EDX_PAT 0x10000

/* Entries of a page table, and its large pages', that choose an entry of the PAT (4.9.2). */
#define PTE_PWT       0x008
#define PTE_PCD       0x010
#define PTE_PAT       0x080
#define PTE_LARGE     0x080
#define PTE_LARGE_PAT 0x1000

/* Unmaps, with the help that the library may ask for. */
static int32_t unmap(void *address, uint32_t pages)
{
    int32_t result = vmi_unmap_device((uintptr_t)address);

    if (result != VMI_EAGAIN)
        return result;
    smp_flush_tlb(smp_online(), (uintptr_t)address, pages);
    return vmi_unmap_device((uintptr_t)address);
}

/* Whether an address is one of the guest's own memory, as it may be where it is paravirtualized. */
static bool is_memory(uint64_t base)
{
    for (uint32_t i = 0; i < checks_boot_info->memory_count; i++) {
        const struct vmi_memory_range *range = &checks_boot_info->memory[i];

        if (range->kind == VMI_MEMORY_USABLE && base >= range->base &&
            base - range->base < range->size)
            return true;
    }
    return false;
}

/* Whether the hypervisor lets this guest have the hole; true if MapDevice has another objection. */
static bool hole_is_given(void)
{
    void *address;
    int32_t result = vmi_map_device(HOLE, PAGE_SIZE, VMI_CACHE_UNCACHED, &address);

    if (result == VMI_OK)
        unmap(address, 1);
    return result != VMI_EIO;
}

/* A guest that is not in ring 0 has no local APIC but the hypervisor's. */
static bool owns_apic(void)
{
    return checks_boot_info->kernel_rpl == 0;
}

static bool x2apic_mode(void)
{
    return owns_apic() && vmi_rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC;
}

static void registers(void)
{
    void *first, *second;

    NEEDS(MAP_DEVICE);
    NEEDS(APIC_READ);
    if (!owns_apic()) {
        EXPECT_EQUAL(vmi_map_device(APIC_BASE, PAGE_SIZE, VMI_CACHE_UNCACHED, &first),
                     is_memory(APIC_BASE) ? VMI_EINVAL : VMI_EIO);
        return;
    }
    /* In x2APIC mode what an I/O APIC, or nobody, says is the same by both. */
    bool x2apic = x2apic_mode();
    uint64_t base = x2apic ? IO_APIC_BASE : APIC_BASE;
    EXPECT_EQUAL(vmi_map_device(base, PAGE_SIZE, VMI_CACHE_UNCACHED, &first), VMI_OK);
    EXPECT_EQUAL(vmi_map_device(base, PAGE_SIZE, VMI_CACHE_UNCACHED, &second), VMI_OK);
    EXPECT(first != second);
    uint32_t flags = interrupts_mask(); /* of one CPU */
    uint32_t id = vmi_apic_read(VMI_APIC_ID), at = x2apic ? 0 : VMI_APIC_ID;
    uint32_t by_first = *(volatile uint32_t *)((char *)first + at);
    uint32_t by_second = *(volatile uint32_t *)((char *)second + at);
    interrupts_restore(flags);
    EXPECT(x2apic || by_first == id);
    EXPECT_EQUAL(by_second, by_first);

    uint32_t value;
    struct fault fault;
    EXPECT_EQUAL(unmap(first, 1), VMI_OK);
    EXPECT(!attempt_read((uintptr_t)first, &value, &fault));
    EXPECT_EQUAL(fault.error & FAULT_PRESENT, 0);
    EXPECT(attempt_read((uintptr_t)second, &value, NULL));
    EXPECT_EQUAL(unmap(second, 1), VMI_OK);
    EXPECT_EQUAL(vmi_unmap_device((uintptr_t)second), VMI_EINVAL);
}

/* The PAT's entry for what maps an address, on this CPU; all ones if nothing does. */
static uint32_t cache_type(const void *address)
{
    uint32_t table = kernel_aspace.root, shift = ROOT_SHIFT, index = 0;
    uint64_t value;

    for (;; shift -= LEVEL_BITS) {
        value = pte_read(table_entry(table, index_of((uintptr_t)address, shift)));
        if (!(value & PTE_PRESENT))
            return UINT32_MAX;
        if (shift == PAGE_SHIFT || (shift != ROOT_SHIFT && value & PTE_LARGE))
            break;
        table = pte_frame(value);
    }
    index |= value & PTE_PWT ? 1 : 0;
    index |= value & PTE_PCD ? 2 : 0;
    index |= value & (shift == PAGE_SHIFT ? PTE_PAT : PTE_LARGE_PAT) ? 4 : 0;
    return (uint32_t)(vmi_rdmsr(MSR_PAT) >> 8 * index) & 0xff;
}

/*
 * The memory type that a mapping has, by VMI_CACHE_… (Intel SDM vol. 3A, table 11-10). A hypervisor
 * that owns the page tables may cache nothing of a device.
 */
static bool is_type(uint32_t type, uint32_t cache)
{
    static const uint8_t types[CACHE_TYPES] = {0, 1, 4, 6};

    return type == types[cache] ||
           (!owns_apic() && cache >= VMI_CACHE_WRITE_THROUGH && type == types[VMI_CACHE_UNCACHED]);
}

struct seen {
    const void *address;
    uint32_t type;
};

static void see(void *argument)
{
    struct seen *seen = argument;

    seen->type = cache_type(seen->address);
}

/* Each cache type, of pages and, behind them, of what large pages may be taken for, on all CPUs. */
static void cache_types(void)
{
    uint32_t ignored, features;

    NEEDS_HOLE();
    vmi_cpuid(1, 0, &ignored, &ignored, &ignored, &features);
    if (!(features & CPUID_1_EDX_PAT)) {
        ktap_skip("this processor has no PAT");
        return;
    }
    for (uint32_t cache = 0; cache < CACHE_TYPES; cache++) {
        void *address, *other;

        EXPECT_EQUAL(vmi_map_device(HOLE + PAGE_SIZE, HOLE_SIZE - PAGE_SIZE, cache, &address),
                     VMI_OK);
        for (uint32_t cpu = 0; cpu < smp_cpu_count(); cpu++) {
            struct seen page = {.address = address};
            struct seen large = {.address = (char *)address + HOLE_SIZE - LARGE_PAGE};

            if (!(smp_online() & 1u << cpu))
                continue;
            struct thread *thread = thread_create("see", see, &page, 1u << cpu);
            EXPECT(thread != NULL);
            thread_join(thread);
            EXPECT(is_type(page.type, cache));
            thread = thread_create("see", see, &large, 1u << cpu);
            EXPECT(thread != NULL);
            thread_join(thread);
            EXPECT(is_type(large.type, cache));
        }
        /* Part of it with another type; the same, and what lies beside it. */
        EXPECT_EQUAL(vmi_map_device(HOLE + LARGE_PAGE, PAGE_SIZE, cache ^ 1, &other), VMI_EBUSY);
        EXPECT_EQUAL(vmi_map_device(HOLE + LARGE_PAGE, PAGE_SIZE, cache, &other), VMI_OK);
        EXPECT_EQUAL(unmap(other, 1), VMI_OK);
        EXPECT_EQUAL(vmi_map_device(HOLE, PAGE_SIZE, cache ^ 1, &other), VMI_OK);
        EXPECT_EQUAL(unmap(other, 1), VMI_OK);
        EXPECT(is_type(cache_type(address), cache));
        EXPECT_EQUAL(unmap(address, 0), VMI_OK);
        EXPECT_EQUAL(cache_type(address), UINT32_MAX);
    }
}

struct reading {
    uintptr_t address;
    bool before, after;
    volatile bool ready, unmapped;
};

/* Stays on its CPU, and in its address space, in between. */
static void read_twice(void *argument)
{
    struct reading *reading = argument;
    uint32_t value;

    reading->before = attempt_read(reading->address, &value, NULL);
    reading->ready = true;
    while (!reading->unmapped)
        relax();
    reading->after = attempt_read(reading->address, &value, NULL);
}

/* What another CPU could read it cannot when UnmapDevice is through. */
static void unmapped_everywhere(void)
{
    NEEDS_HOLE();
    for (uint32_t cpu = 1; cpu < smp_cpu_count(); cpu++) {
        struct reading reading = {0};
        void *address;

        if (!(smp_online() & 1u << cpu))
            continue;
        EXPECT_EQUAL(vmi_map_device(HOLE, PAGE_SIZE, VMI_CACHE_UNCACHED, &address), VMI_OK);
        reading.address = (uintptr_t)address;
        struct thread *thread = thread_create("read", read_twice, &reading, 1u << cpu);
        EXPECT(thread != NULL);
        while (!reading.ready)
            thread_yield();
        int32_t result = unmap(address, 1);
        reading.unmapped = true;
        thread_join(thread);
        EXPECT_EQUAL(result, VMI_OK);
        EXPECT(reading.before);
        EXPECT(!reading.after);
    }
}

static FROM_ASSEMBLY void execute(void *argument)
{
    ((void (*)(void))argument)();
}

static void not_executable(void)
{
    struct fault fault;
    void *address;

    NEEDS_HOLE();
    if (pte_no_execute == 0) {
        ktap_skip("this processor has no NX");
        return;
    }
    EXPECT_EQUAL(vmi_map_device(HOLE, PAGE_SIZE, VMI_CACHE_UNCACHED, &address), VMI_OK);
    bool executed = attempt(execute, address, &fault);
    EXPECT_EQUAL(unmap(address, 1), VMI_OK);
    EXPECT(!executed);
    EXPECT_EQUAL(fault.error & (FAULT_PRESENT | FAULT_FETCH), FAULT_PRESENT | FAULT_FETCH);
}

/* What the arguments must be. */
static void refused(void)
{
    void *const untouched = (void *)&checks_boot_info;
    const struct {
        uint64_t base;
        uintptr_t size;
        uint32_t cache;
        int32_t result;
    } cases[] = {
        {HOLE, 0, VMI_CACHE_UNCACHED, VMI_EINVAL},
        {HOLE + 1, PAGE_SIZE, VMI_CACHE_UNCACHED, VMI_EINVAL},
        {HOLE, PAGE_SIZE - 1, VMI_CACHE_UNCACHED, VMI_EINVAL},
        {HOLE, PAGE_SIZE, VMI_CACHE_WRITE_BACK + 1, VMI_EINVAL},
        {HOLE, PAGE_SIZE, UINT32_MAX, VMI_EINVAL},
        {0ull - PAGE_SIZE, 2 * PAGE_SIZE, VMI_CACHE_UNCACHED, VMI_EINVAL},
        {0ull - PAGE_SIZE, PAGE_SIZE, VMI_CACHE_UNCACHED, VMI_EINVAL},
        {1ull << 52, PAGE_SIZE, VMI_CACHE_UNCACHED, VMI_EINVAL},
        {1ull << 63, PAGE_SIZE, VMI_CACHE_UNCACHED, VMI_EINVAL},
        /* Memory: code, page tables, and a range that begins below it and ends in it. */
        {(uint64_t)frame_of((const void *)(uintptr_t)execute) << PAGE_SHIFT, PAGE_SIZE,
         VMI_CACHE_WRITE_BACK, VMI_EINVAL},
        {(uint64_t)kernel_aspace.root << PAGE_SHIFT, PAGE_SIZE, VMI_CACHE_WRITE_BACK, VMI_EINVAL},
        {(uint64_t)(checks_boot_info->boot_cr3 & ~(uintptr_t)(PAGE_SIZE - 1)), PAGE_SIZE,
         VMI_CACHE_UNCACHED, VMI_EINVAL},
        {0, 0x200000, VMI_CACHE_UNCACHED, VMI_EINVAL},
        /* The library's own registers, which it does not have there in x2APIC mode. */
        {APIC_BASE, PAGE_SIZE, VMI_CACHE_WRITE_BACK, VMI_EBUSY},
        /* More than the window, at addresses that every processor has; or memory, in large guests.
         */
        {HOLE, sizeof(uintptr_t) == 4 ? 0x08000000 : 0, VMI_CACHE_UNCACHED,
         sizeof(uintptr_t) == 4 && !is_memory(HOLE) ? VMI_ENOMEM : VMI_EINVAL},
    };

    NEEDS(MAP_DEVICE);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        void *address = untouched;
        int32_t result;

        if (cases[i].base == APIC_BASE && (!owns_apic() || x2apic_mode()))
            continue;
        result = vmi_map_device(cases[i].base, cases[i].size, cases[i].cache, &address);
        if (result != cases[i].result || address != untouched) {
            ktap_fail("case %u: %d, not %d", i, result, cases[i].result);
            return;
        }
    }
    EXPECT_EQUAL(vmi_unmap_device(0), VMI_EINVAL);
    EXPECT_EQUAL(vmi_unmap_device((uintptr_t)untouched), VMI_EINVAL);
    EXPECT_EQUAL(vmi_unmap_device(checks_boot_info->virtual_end), VMI_EINVAL);
}

/* Mappings of other sizes, made and unmade out of order, keep a page's distance. */
static void places(void)
{
    static const uint8_t sizes[] = {1, 1, 2, 1, 1, 3}; /* pages */
    enum { COUNT = sizeof(sizes) };
    void *at[COUNT];

    NEEDS_HOLE();
    for (uint32_t i = 0; i < COUNT; i++) {
        /* The first one leaves room for a page. */
        if (i == 2)
            EXPECT_EQUAL(unmap(at[0], 1), VMI_OK);
        EXPECT_EQUAL(vmi_map_device(HOLE + i * LARGE_PAGE, (uintptr_t)sizes[i] * PAGE_SIZE,
                                    VMI_CACHE_UNCACHED, &at[i]),
                     VMI_OK);
    }
    for (uint32_t i = 1; i < COUNT; i++)
        for (uint32_t j = 1; j < COUNT; j++)
            EXPECT(i == j || at[i] > at[j] ||
                   (uintptr_t)at[i] + (sizes[i] + 1u) * PAGE_SIZE <= (uintptr_t)at[j]);
    for (uint32_t i = 1; i < COUNT; i++)
        EXPECT_EQUAL(unmap(at[i], sizes[i]), VMI_OK);
}

/* Until the library has no room left, then all back: nothing is lost, whatever the order. */
static void many(void)
{
    static void *all[256];
    uint32_t count = 0, pages = 0;
    int32_t result = VMI_OK;
    void *address;

    NEEDS_HOLE();
    for (uint32_t round = 0; round < 2; round++) {
        uint32_t mapped = 0;

        while (mapped < sizeof(all) / sizeof(all[0]) && result == VMI_OK) {
            result = vmi_map_device(HOLE + (uint64_t)mapped * PAGE_SIZE, PAGE_SIZE,
                                    VMI_CACHE_UNCACHED, &all[mapped]);
            mapped += result == VMI_OK;
        }
        EXPECT_EQUAL(result, VMI_ENOMEM);
        EXPECT(mapped >= 100);
        EXPECT(round == 0 || mapped == count);
        count = mapped;
        /* Every other one first; the holes are large enough for a page each. */
        for (uint32_t i = 1; i < count; i += 2)
            pages += unmap(all[i], 1) == VMI_OK;
        result = vmi_map_device(HOLE, 2 * PAGE_SIZE, VMI_CACHE_UNCACHED, &address);
        EXPECT_EQUAL(result, VMI_OK);
        EXPECT_EQUAL(unmap(address, 2), VMI_OK);
        for (uint32_t i = 0; i < count; i += 2)
            pages += unmap(all[i], 1) == VMI_OK;
        EXPECT_EQUAL(pages, count * (round + 1));
    }
}

const struct check checks_device_memory[] = {
    {"device_memory.registers", registers},
    {"device_memory.cache_types", cache_types},
    {"device_memory.unmapped_everywhere", unmapped_everywhere},
    {"device_memory.not_executable", not_executable},
    {"device_memory.refused", refused},
    {"device_memory.places", places},
    {"device_memory.many", many},
    {NULL, NULL},
};
