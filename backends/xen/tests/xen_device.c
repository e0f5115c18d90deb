/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * MapDevice and UnmapDevice of the Xen library as a Linux process of either architecture: this file
 * plays Xen, which lets the domain have some frames, and the layer of page tables. For what no rig
 * shows: a domain of 32 bits that was given devices, and ranges that are given in part.
 */
#include "xen/domain.h"

/* What a process may not do: it has no record of the CPU, and Xen does not answer CPUID. */
#define vmi__xen_self() (&played_cpu)
#undef XEN_CPUID
#define XEN_CPUID "cpuid"

static struct vmi__xen_cpu played_cpu;

#include "device_map.c" /* runtime/ */

#include "xen/device.c"

#include "string.c" /* runtime/ */

#include "backends/played.h"

/* Frames that the domain may map, and one of its own memory elsewhere in the machine. */
#define GIVEN      0xe0000u
#define GIVEN_END  0xe1000u
#define OWN_MEMORY 0xd0000u

#define BASE ((uint64_t)GIVEN << VMI__PAGE_SHIFT)
#define PART ((uintptr_t)VMI__PAGE_SIZE * VMI__XEN_TABLE_ENTRIES)

#ifdef __x86_64__
#define WINDOW VMI__DEVICE_BASE
#define SIZE   VMI__DEVICE_SIZE
#else
#define WINDOW 0xf3800000u
#define SIZE   (VMI__XEN_DEVICE_TABLES * PART)
#endif

struct vmi_boot_info vmi__boot;
static struct vmi_memory_range memory[] = {
    {.base = 0, .size = 0x4000000, .kind = VMI_MEMORY_USABLE},
};

static uint64_t top[VMI__XEN_TABLE_ENTRIES] __attribute__((aligned(4096)));
static uint64_t reserve[VMI__XEN_DEVICE_TABLES][VMI__XEN_TABLE_ENTRIES]
    __attribute__((aligned(4096)));

static uint32_t kinds[VMI__XEN_DEVICE_TABLES]; /* of the reserve, since AllocatePage */
static uint32_t kept_back, hypercalls, flushes, present_at_flush, locked;

/* ---- the lower parts ---- */

uint32_t vmi__xen_take(struct vmi__xen_lock *taken)
{
    EXPECT(!locked++ && !taken->held);
    return 1;
}

void vmi__xen_give(struct vmi__xen_lock *taken, uint32_t mask)
{
    EXPECT(!--locked && !taken->held && mask == 1);
}

__attribute__((noreturn)) void vmi__fatal(const char *reason)
{
    put(reason);
    call(SYS_EXIT, 1, 0, 0);
    __builtin_unreachable();
}

/* The process's own memory stands for the domain's, by its addresses. */
static uintptr_t frame_of(const void *address)
{
    return (uintptr_t)address >> VMI__PAGE_SHIFT;
}

uintptr_t vmi__xen_pfn(uintptr_t mfn)
{
    bool own = mfn - frame_of(reserve) < VMI__XEN_DEVICE_TABLES || mfn == OWN_MEMORY;

    return own ? mfn : VMI__XEN_NO_FRAME;
}

uint64_t vmi__xen_machine(const void *linear)
{
    return (uintptr_t)linear;
}

VMI__ROUTINE void vmi__xen_allocate_page(uintptr_t pfn, uint32_t flags, uintptr_t origin,
                                         uint32_t first, uint32_t count)
{
    uintptr_t number = pfn - frame_of(reserve);

    EXPECT(number < VMI__XEN_DEVICE_TABLES && !kinds[number] && flags & VMI_PAGE_PAE);
    EXPECT(!origin && !first && !count);
    kinds[number] = flags & VMI__XEN_TABLE;
}

/* In a lazy mode it waits; what is in Xen's table meanwhile is what this would be. */
void vmi__xen_write_entry(uint64_t value, uint64_t *entry)
{
    uintptr_t number = (uintptr_t)((value & VMI__PTE_FRAME) >> VMI__PAGE_SHIFT) - frame_of(reserve);

    EXPECT(number < VMI__XEN_DEVICE_TABLES && kinds[number]);
    *entry = value;
    kept_back++;
}

intptr_t vmi__xen_carry_out(struct vmi__xen_cpu *cpu)
{
    EXPECT(cpu == &played_cpu);
    kept_back = 0;
    return 0;
}

static uint32_t present(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < VMI__XEN_DEVICE_TABLES; i++)
        for (uint32_t j = 0; kinds[i] == VMI_PAGE_PT && j < VMI__XEN_TABLE_ENTRIES; j++)
            count += reserve[i][j] & VMI__PTE_PRESENT;
    return count;
}

void vmi__xen_queue_ext(struct vmi__xen_cpu *cpu, uint32_t name, uint32_t command, uintptr_t first,
                        uint32_t second)
{
    EXPECT(cpu == &played_cpu && name == VMI_ORDINAL_UNMAP_DEVICE && !first && !second);
    EXPECT(command == MMUEXT_TLB_FLUSH_ALL);
    flushes++;
    present_at_flush = present();
}

HYPERCALL __typeof__(vmi__xen_hypercall_mmu_update) vmi__xen_hypercall_mmu_update;

HYPERCALL intptr_t vmi__xen_hypercall_mmu_update(const void *requests, uint32_t count, void *done,
                                                 uint32_t domain)
{
    const struct mmu_update *request = requests;

    hypercalls++;
    EXPECT(domain == DOMID_SELF && !kept_back);
    for (uint32_t i = 0; i < count; i++, request++) {
        uint64_t frame = (request->val & VMI__PTE_FRAME) >> VMI__PAGE_SHIFT;
        uintptr_t table = (uintptr_t)request->ptr, number = table / VMI__PAGE_SIZE;

        number -= frame_of(reserve);
        EXPECT(number < VMI__XEN_DEVICE_TABLES && kinds[number] == VMI_PAGE_PT);
        if (request->val & VMI__PTE_PRESENT && (frame < GIVEN || frame >= GIVEN_END)) {
            *(uint32_t *)done = i;
            return -1;
        }
        *(uint64_t *)(table & ~(uintptr_t)7) = request->val;
    }
    *(uint32_t *)done = count;
    return 0;
}

/* What the tables say of an address, as a processor walks them. */
static uint64_t walk(uintptr_t linear)
{
    const uint64_t *table = top;
    uint32_t kind = VMI__XEN_DEVICES_KIND;
    uint64_t entry = 0;

    for (uint32_t shift = VMI__XEN_DEVICES_SHIFT; shift >= VMI__PAGE_SHIFT; shift -= 9) {
        entry = table[linear >> shift & (VMI__XEN_TABLE_ENTRIES - 1)];
        if (!(entry & VMI__PTE_PRESENT))
            return 0;
        if (shift == VMI__PAGE_SHIFT)
            break;
        table = (const uint64_t *)(uintptr_t)(entry & VMI__PTE_FRAME);
        kind >>= 1;
        EXPECT(kinds[frame_of(table) - frame_of(reserve)] == kind);
    }
    return entry;
}

/* ---- checks ---- */

static void *const untouched = reserve;

static int32_t map_at(uint64_t base, uintptr_t pages, uint32_t cache, void **address)
{
    *address = untouched;
    return vmi__xen_map_device(base, pages << VMI__PAGE_SHIFT, cache, address);
}

static int32_t unmap(const void *address)
{
    return vmi__xen_unmap_device((uintptr_t)address);
}

static void tables_of_the_window(void)
{
    uint32_t used = 0;

    vmi__boot.memory = memory;
    vmi__boot.memory_count = 1;
    vmi__boot.virtual_end = WINDOW + SIZE;
    vmi__xen_devices = (struct vmi__xen_devices){WINDOW, SIZE, top};
    vmi__xen_devices_start(reserve);
    EXPECT(!kept_back && played_cpu.lazy == VMI_LAZY_NONE);
    for (uint32_t i = 0; i < VMI__XEN_DEVICE_TABLES; i++)
        used += kinds[i] != 0;
    if (sizeof(void *) == 4) {
        /* A root that is made later has what stands in the top directory now. */
        EXPECT(used == VMI__XEN_DEVICE_TABLES && vmi__boot.virtual_end == WINDOW);
        for (uintptr_t at = WINDOW; at < WINDOW + SIZE; at += PART)
            EXPECT(top[at / PART % VMI__XEN_TABLE_ENTRIES] & VMI__PTE_PRESENT);
    } else {
        EXPECT(!used && vmi__boot.virtual_end == WINDOW + SIZE);
    }
}

/* Xen's PAT: 0 WB, 1 WT, 3 UC, 4 WC. */
static void entries_of_each_cache_type(void)
{
    static const uint64_t bits[] = {0x18, 0x80, 0x08, 0x00};

    for (uint32_t cache = 0; cache < 4; cache++) {
        const uint64_t flags = VMI__PTE_PRESENT | VMI__PTE_WRITE | VMI__PTE_ACCESSED |
                               VMI__PTE_DIRTY | no_execute() | bits[cache];
        void *address;

        EXPECT(map_at(BASE, 3 * BATCH + 1, cache, &address) == VMI_OK);
        EXPECT((uintptr_t)address >= WINDOW && (uintptr_t)address % VMI__PAGE_SIZE == 0);
        for (uint32_t i = 0; i < 3 * BATCH + 1; i++)
            EXPECT(walk((uintptr_t)address + i * VMI__PAGE_SIZE) ==
                   ((BASE + i * VMI__PAGE_SIZE) | flags));
        EXPECT(!walk((uintptr_t)address + (3 * BATCH + 1) * VMI__PAGE_SIZE));
        EXPECT(vmi__device_mapped(BASE) && !vmi__device_mapped(BASE - 1));
        EXPECT(present() == 3 * BATCH + 1);
        EXPECT(unmap(address) == VMI_OK);
        EXPECT(!vmi__device_mapped(BASE));
    }
}

static void nothing_is_left_of_what_is_refused(void)
{
    const uint64_t end = (uint64_t)GIVEN_END << VMI__PAGE_SHIFT;
    void *address, *other;

    flushes = 0;
    EXPECT(map_at(end, 1, VMI_CACHE_UNCACHED, &address) == VMI_EIO && address == untouched);
    EXPECT(!flushes); /* nothing was there that a processor could have used */
    EXPECT(map_at(BASE - VMI__PAGE_SIZE, 2, VMI_CACHE_UNCACHED, &address) == VMI_EIO);
    /* In the second batch. */
    EXPECT(map_at(end - (BATCH + 3) * VMI__PAGE_SIZE, BATCH + 4, VMI_CACHE_UNCACHED, &address) ==
           VMI_EIO);
    EXPECT(address == untouched && !present());
    EXPECT(flushes == 1 && !present_at_flush);
    /* Neither its addresses nor its cache type are taken. */
    EXPECT(map_at(end - 4 * VMI__PAGE_SIZE, 4, VMI_CACHE_WRITE_BACK, &address) == VMI_OK);
    EXPECT((uintptr_t)address == WINDOW);
    EXPECT(map_at(end - VMI__PAGE_SIZE, 1, VMI_CACHE_UNCACHED, &other) == VMI_EBUSY);
    EXPECT(unmap(address) == VMI_OK);
}

/* By the domain's numbers, and by the machine's. */
static void memory_is_refused(void)
{
    void *address;

    hypercalls = 0;
    EXPECT(map_at(0x3fff000, 1, VMI_CACHE_UNCACHED, &address) == VMI_EINVAL);
    EXPECT(map_at((uint64_t)OWN_MEMORY << VMI__PAGE_SHIFT, 1, VMI_CACHE_UNCACHED, &address) ==
           VMI_EINVAL);
    EXPECT(map_at(((uint64_t)OWN_MEMORY << VMI__PAGE_SHIFT) - 4 * VMI__PAGE_SIZE, 5,
                  VMI_CACHE_UNCACHED, &address) == VMI_EINVAL);
    EXPECT(map_at(BASE, 0, VMI_CACHE_UNCACHED, &address) == VMI_EINVAL);
    EXPECT(map_at(BASE + 1, 1, VMI_CACHE_UNCACHED, &address) == VMI_EINVAL);
    EXPECT(map_at(1ull << 52, 1, VMI_CACHE_UNCACHED, &address) == VMI_EINVAL);
    EXPECT(map_at(BASE, 1, VMI_CACHE_WRITE_BACK + 1, &address) == VMI_EINVAL);
    EXPECT(address == untouched && !hypercalls);
}

static void no_cpu_has_it_afterwards(void)
{
    void *first, *second;

    EXPECT(map_at(BASE, 1, VMI_CACHE_UNCACHED, &first) == VMI_OK);
    EXPECT(map_at(BASE, 2, VMI_CACHE_UNCACHED, &second) == VMI_OK);
    EXPECT((uintptr_t)second >= (uintptr_t)first + 2 * VMI__PAGE_SIZE);
    flushes = 0;
    EXPECT(unmap((char *)second + VMI__PAGE_SIZE) == VMI_EINVAL && !flushes);
    EXPECT(unmap(second) == VMI_OK);
    EXPECT(flushes == 1 && present_at_flush == 1 && !walk((uintptr_t)second) &&
           walk((uintptr_t)first));
    EXPECT(unmap(second) == VMI_EINVAL);
    EXPECT(unmap(first) == VMI_OK && flushes == 2 && !present());
}

/* Until no table is left: large ranges that leave less and less room. */
static void tables_run_out(void)
{
    void *all[64], *address;
    uint32_t count = 0;
    int32_t result;

    while ((result = map_at(BASE, 0x1000, VMI_CACHE_UNCACHED, &all[count])) == VMI_OK)
        count++;
    EXPECT(result == VMI_ENOMEM && all[count] == untouched);
    EXPECT(present() == count * 0x1000);
    /* 16 MiB each, with a page between them. */
    EXPECT(count == (sizeof(void *) == 4 ? 1 : 3));
    EXPECT(map_at(BASE, 1, VMI_CACHE_UNCACHED, &address) == VMI_OK && unmap(address) == VMI_OK);
    while (count)
        EXPECT(unmap(all[--count]) == VMI_OK);
    EXPECT(!present());
}

static const struct played_check checks[] = {
    CHECK(tables_of_the_window),
    CHECK(entries_of_each_cache_type),
    CHECK(nothing_is_left_of_what_is_refused),
    CHECK(memory_is_refused),
    CHECK(no_cpu_has_it_afterwards),
    CHECK(tables_run_out),
};

PLAY(checks)
