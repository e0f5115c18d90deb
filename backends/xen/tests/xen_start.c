/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The library from its entry until it loads a GDT, in domains that are invented here: this file
 * plays Xen and its domain builder for a 32-bit process, at the addresses that both have on a
 * machine. test_xen_start.py builds and runs it. A domain's start is a process of its own, so that
 * each begins with the library as it was linked.
 */
#include "xen/domain.h"

#include "backends/played.h"

#include "xen/start.h"

#include <xen/errno.h>
#include <xen/io/console.h>
#include <xen/memory.h>
#include <xen/version.h>

/* Linux, arch/x86/entry/syscalls/syscall_32.tbl; mman.h. */
#define SYS_FORK      2
#define SYS_WAITPID   7
#define SYS_MUNMAP    91
#define SYS_MMAP2     192
#define PROT_RW       3
#define MAP_SHARED    0x01
#define MAP_PRIVATE   0x02
#define MAP_FIXED     0x10
#define MAP_ANONYMOUS 0x20
#define MAP_NORESERVE 0x4000

/* Xen's compat table for domains of 32 bits (xen/arch/x86: MACH2PHYS_COMPAT_VIRT_START and _END).
 */
#define M2P_START 0xf5800000u
#define M2P_END   0xffe00000u
#define M2P_PARTS ((M2P_END - M2P_START) >> 21)
#define M2P_LAST  ((M2P_END - M2P_START) / 4 - 1)

#define FRAMES_PER_PART (1u << 19)
#define GIB             (1u << 18) /* in frames */

#define IMAGE_START (VMI__LINEAR_BASE + 0x100000)
#define IMAGE_END   (VMI__LINEAR_BASE + 0x180000)
/* This process's own: a stack, and what it shares with those that it starts. */
#define STACK_TOP 0xf5700000u
#define SHARED    0xf5500000u

/* Pages of the image that Xen's are put over, and what runtime/arch/i386/kernel.ld defines. */
__asm__("    .globl vmi__xen_shared, vmi__xen_grant_table\n"
        "    .set vmi__xen_shared, 0xc0110000\n"
        "    .set vmi__xen_grant_table, 0xc0111000\n"
        "    .globl vmi_image_start, vmi_image_end\n"
        "    .set vmi_image_start, 0xc0100000\n"
        "    .set vmi_image_end, 0xc0180000\n"
        "    .text\n"
        /* As the hypercall: arguments in registers, result in eax. */
        "played_transfer:\n"
        "    push %edi; push %esi; push %edx; push %ecx; push %ebx; push %eax\n"
        "    mov %esp, %eax\n"
        "    call xen\n"
        "    add $4, %esp\n"
        "    pop %ebx; pop %ecx; pop %edx; pop %esi; pop %edi\n"
        "    ret\n"
        "    .globl played_transfer\n"
        /* On a stack that is out of the way of the table. */
        "    .globl _start\n"
        "_start:\n"
        "    mov $192, %eax\n"
        "    mov $0xf5600000, %ebx\n"
        "    mov $0x100000, %ecx\n"
        "    mov $3, %edx\n"
        "    mov $0x32, %esi\n"
        "    mov $-1, %edi\n"
        "    xor %ebp, %ebp\n"
        "    int $0x80\n"
        "    mov $0xf5700000, %esp\n"
        "    call begin\n");

/* What a domain is like, and what Xen refuses it. */
struct domain {
    uint32_t pages;
    uint32_t (*mfn)(uint32_t pfn);
    uint32_t module; /* its frame, if there is one */
    uint32_t refused, refused_command;
    uint32_t ring_full, nobody_reads;
    uint32_t console_elsewhere; /* its ring's frame is none of the builder's */
};

/* How it ended; written by the child. */
struct end {
    uint32_t line, reached_gdt, shutdown_reason, console_io;
    uint32_t console_length;
    char console[4096];
};

static struct domain domain;
static struct end *end;
static struct start_info *info;
static struct xencons_interface *ring;

void begin(void);
VMI__ROUTINE int32_t xen(uint32_t *registers);

void kernel_main(const struct vmi_boot_info *boot)
{
    (void)boot;
}

/* ---- the process ---- */

static int mmap(uint32_t address, uint32_t size, uint32_t flags)
{
    int result;

    __asm__ volatile("push %%ebp; xor %%ebp, %%ebp; int $0x80; pop %%ebp"
                     : "=a"(result)
                     : "0"(SYS_MMAP2), "b"(address), "c"(size), "d"(PROT_RW), "S"(flags), "D"(-1)
                     : "memory");
    return result;
}

static void map(uint32_t address, uint32_t size)
{
    if (mmap(address, size, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE) !=
        (int)address) {
        put("cannot map memory\n");
        call(SYS_EXIT, 1, 0, 0);
    }
}

__attribute__((noreturn)) static void leave(void)
{
    end->line = failed_line;
    call(SYS_EXIT, 0, 0, 0);
    __builtin_unreachable();
}

/* ---- the domain builder ---- */

static uint8_t part_mapped[M2P_PARTS];
static uint32_t builder_end;

static uint32_t contiguous_from;

static uint32_t contiguous(uint32_t pfn)
{
    return contiguous_from + pfn;
}

/* Neighbours lie in different parts, the table's last frame among them. */
static uint32_t scattered(uint32_t pfn)
{
    return M2P_LAST - (pfn % M2P_PARTS * FRAMES_PER_PART + pfn / M2P_PARTS);
}

static uint64_t entry(uint32_t mfn)
{
    return (uint64_t)mfn << VMI__PAGE_SHIFT | VMI__PTE_PRESENT | VMI__PTE_WRITE |
           VMI__PTE_ACCESSED | VMI__PTE_DIRTY;
}

static uint64_t entry_of(const void *page)
{
    return entry(domain.mfn(((uint32_t)(uintptr_t)page - VMI__LINEAR_BASE) >> VMI__PAGE_SHIFT));
}

/* m2p is there where there are frames; the rest of it would fault. */
static void note_owner(uint32_t mfn, uint32_t pfn)
{
    uint32_t part = mfn / FRAMES_PER_PART;

    if (!part_mapped[part]) {
        part_mapped[part] = 1;
        map(M2P_START + (part << 21), 1u << 21);
    }
    ((uint32_t *)M2P_START)[mfn] = pfn;
}

/* As libxl's builder does: image, list of frames, start_info, store, console, tables, stack. */
static void build(void)
{
    uint32_t *list = (uint32_t *)IMAGE_END, list_pages = (domain.pages * 4 + 4095) >> 12, tables;
    uint64_t *root, *directory, *table;
    uint8_t *next = (uint8_t *)IMAGE_END + (list_pages << 12);
    uint32_t mapped;

    map(VMI__LINEAR_BASE, VMI__LINEAR_MAX);
    for (uint32_t pfn = 0; pfn < domain.pages; pfn++) {
        list[pfn] = domain.mfn(pfn);
        note_owner(list[pfn], pfn);
    }
    info = (struct start_info *)next;
    ring = (struct xencons_interface *)(next + 2 * 4096);
    next += 3 * 4096;
    root = (uint64_t *)next;
    /* Tables for what lies before them, for themselves, and up to the next 4 MiB. */
    mapped = (((uint32_t)(uintptr_t)next - VMI__LINEAR_BASE) >> 12) + 300;
    mapped = (mapped + 1023) & ~1023u;
    if (mapped > domain.pages)
        mapped = domain.pages & ~511u;
    tables = 2 + mapped / 512;
    directory = root + 512;
    root[3] = entry_of(directory) & ~(uint64_t)(VMI__PTE_WRITE | 0x60);
    for (uint32_t i = 0; i < mapped / 512; i++) {
        table = directory + 512 * (i + 1);
        directory[i] = entry_of(table);
        for (uint32_t j = 0; j < 512; j++)
            table[j] = entry(domain.mfn(i * 512 + j));
    }
    for (uint32_t part = 0; part < M2P_PARTS; part++)
        if (part_mapped[part])
            directory[(M2P_START >> 21 & 511) + part] = 0x1234000 | 0x81;
    memcpy(info->magic, "xen-3.0-x86_32p", 16);
    info->nr_pages = domain.pages;
    info->shared_info = 0x77000;
    info->mfn_list = (uint32_t)(uintptr_t)list;
    info->pt_base = (uint32_t)(uintptr_t)root;
    info->nr_pt_frames = tables;
    info->console.domU.mfn = domain.console_elsewhere
                                 ? domain.mfn(domain.console_elsewhere)
                                 : domain.mfn(((uint32_t)(uintptr_t)ring - VMI__LINEAR_BASE) >> 12);
    info->console.domU.evtchn = 2;
    if (domain.console_elsewhere)
        ring = vmi__linear(domain.console_elsewhere << VMI__PAGE_SHIFT);
    if (domain.module) {
        info->mod_start = VMI__LINEAR_BASE + (domain.module << VMI__PAGE_SHIFT);
        info->mod_len = 4096;
    }
    if (domain.ring_full)
        ring->out_prod = sizeof(ring->out);
    builder_end = (uint32_t)(uintptr_t)(root + 512 * (tables + 1));
}

/* ---- Xen ---- */

/* What the console's daemon does as soon as it runs. */
static void read_console(void)
{
    while (!domain.nobody_reads && ring->out_cons != ring->out_prod) {
        char character = ring->out[MASK_XENCONS_IDX(ring->out_cons++, ring->out)];

        if (character && end->console_length < sizeof(end->console) - 1)
            end->console[end->console_length++] = character;
    }
}

/* pfn of one of the domain's frames by its mfn, without any table. */
static uint32_t find(uint64_t machine)
{
    for (uint32_t pfn = 0; pfn < domain.pages; pfn++)
        if (domain.mfn(pfn) == machine >> VMI__PAGE_SHIFT)
            return pfn;
    return VMI__XEN_NO_FRAME;
}

static int32_t update(const struct mmu_update *request)
{
    uint32_t pfn = find(request->ptr), page = find(request->val & VMI__PTE_FRAME);

    EXPECT(pfn != VMI__XEN_NO_FRAME && page != VMI__XEN_NO_FRAME);
    if (pfn >= VMI__LINEAR_MAX >> VMI__PAGE_SHIFT)
        return -XEN_EPERM;
    *(uint64_t *)vmi__linear(pfn << VMI__PAGE_SHIFT | (request->ptr & 0xfff)) = request->val;
    return 0;
}

static void frames_are_found(void)
{
    uint32_t hole = 0, step = domain.pages > 1u << 16 ? 997 : 1;

    for (uint32_t pfn = 0; pfn < domain.pages; pfn += step) {
        uint64_t machine = (uint64_t)domain.mfn(pfn) << VMI__PAGE_SHIFT | 0x67;
        uint64_t physical = (uint64_t)pfn << VMI__PAGE_SHIFT | 0x67;

        if (pfn == 0x110) /* Xen's shared page is there now */
            continue;
        EXPECT(vmi__xen_pfn(domain.mfn(pfn)) == pfn);
        EXPECT(vmi__xen_machine_to_physical(machine) == physical);
        EXPECT(vmi__xen_physical_to_machine(physical) == machine);
    }
    EXPECT(vmi__xen_pfn(0x77) == 0x110);
    /* Frames that the machine does not have, others' frames, and what is no frame at all. */
    while (hole < M2P_PARTS && part_mapped[hole])
        hole++;
    if (hole < M2P_PARTS)
        EXPECT(vmi__xen_pfn(hole * FRAMES_PER_PART + 1) == VMI__XEN_NO_FRAME);
    EXPECT(find((uint64_t)0x55555 << 12) != VMI__XEN_NO_FRAME ||
           vmi__xen_pfn(0x55555) == VMI__XEN_NO_FRAME);
    for (uint32_t mfn = M2P_LAST + 1; mfn < M2P_LAST + 0x200000; mfn += 0x7ffff)
        EXPECT(vmi__xen_pfn(mfn) == VMI__XEN_NO_FRAME);
    EXPECT(vmi__xen_pfn(0x3fffffff) == VMI__XEN_NO_FRAME);
    EXPECT(vmi__xen_pfn(0xffffffff) == VMI__XEN_NO_FRAME);
    EXPECT(vmi__xen_machine_to_physical(1ull << 44 | 1) == 0);
}

/* All of the linear region is mapped, each page by its own frame. */
static void region_is_mapped(void)
{
    const uint64_t *root = (const uint64_t *)info->pt_base, *directory, *table;
    uint32_t pages = domain.pages < 0x10000 ? domain.pages : 0x10000;

    EXPECT(vmi__boot.linear_pages == pages && vmi__boot.virtual_end == M2P_START);
    directory = vmi__linear(find(root[3] & VMI__PTE_FRAME) << VMI__PAGE_SHIFT);
    for (uint32_t pfn = 0; pfn < pages; pfn += 511) {
        table = vmi__linear(find(directory[pfn >> 9] & VMI__PTE_FRAME) << VMI__PAGE_SHIFT);
        EXPECT(table[pfn & 511] >> VMI__PAGE_SHIFT == domain.mfn(pfn));
    }
}

/* Registers: eax, ebx, ecx, edx, esi, edi. */
VMI__ROUTINE int32_t xen(uint32_t *registers)
{
    uint32_t number = registers[0], command = registers[1];
    void *argument = (void *)(uintptr_t)registers[2];

    if (domain.refused && number == domain.refused &&
        (!domain.refused_command || domain.refused_command == command))
        return -XEN_ENOSYS;
    switch (number) {
    case __HYPERVISOR_memory_op:
        EXPECT(command == XENMEM_machphys_mapping);
        *(struct xen_machphys_mapping *)argument =
            (struct xen_machphys_mapping){M2P_START, M2P_END, M2P_LAST};
        return 0;
    case __HYPERVISOR_xen_version:
        EXPECT(command == XENVER_platform_parameters);
        ((struct xen_platform_parameters *)argument)->virt_start = M2P_START;
        return 0;
    case __HYPERVISOR_mmu_update:
        for (uint32_t i = 0; i < registers[2]; i++)
            if (update((const struct mmu_update *)(uintptr_t)registers[1] + i) < 0)
                return -XEN_EPERM;
        return 0;
    case __HYPERVISOR_update_va_mapping:
        return 0;
    case __HYPERVISOR_vcpu_op:
        return -XEN_ENOENT; /* there is one CPU */
    case __HYPERVISOR_set_gdt:
        end->reached_gdt = 1;
        frames_are_found();
        region_is_mapped();
        leave();
    case __HYPERVISOR_console_io:
        end->console_io++;
        return -XEN_EPERM; /* as any Xen that is not built for debugging */
    case __HYPERVISOR_event_channel_op:
        EXPECT(command == EVTCHNOP_send && ((struct evtchn_send *)argument)->port == 2);
        return 0;
    case __HYPERVISOR_sched_op:
        if (command == SCHEDOP_shutdown) {
            end->shutdown_reason = ((struct sched_shutdown *)argument)->reason;
            leave();
        }
        EXPECT(command == SCHEDOP_yield);
        read_console();
        return 0;
    default:
        EXPECT(number == ~0u); /* one that is not expected here */
        return -XEN_ENOSYS;
    }
}

/* ---- checks ---- */

static void (*damage)(void);

/* Starts the domain in a process of its own. */
static void start(void)
{
    uint32_t status = 0;
    int child;

    memset(end, 0, sizeof(*end));
    end->shutdown_reason = ~0u;
    child = call(SYS_FORK, 0, 0, 0);
    if (!child) {
        vmi__boot.linear_base = VMI__LINEAR_BASE;
        build();
        vmi__boot.linear_base = 0;
        if (damage)
            damage();
        vmi__xen_start(info);
    }
    call(SYS_WAITPID, (uint32_t)child, (uint32_t)(uintptr_t)&status, 0);
    EXPECT(status == 0); /* or it has died by itself */
    if (end->line && !failed_line)
        failed_line = end->line;
}

static void found_from(uint32_t mfn)
{
    contiguous_from = mfn;
    domain = (struct domain){.pages = 0x4000, .mfn = contiguous};
    start();
    EXPECT(end->reached_gdt);
}

static void frames_at_the_bottom(void)
{
    found_from(0x100);
}

static void frames_above_2_gib(void)
{
    found_from(2 * GIB);
    found_from(2 * GIB - 0x1000); /* the parts' border within the domain */
}

static void frames_above_64_gib(void)
{
    found_from(64 * GIB - 0x1000);
    found_from(100 * GIB);
}

static void frames_at_the_end_of_the_table(void)
{
    found_from(M2P_LAST + 1 - 0x4000);
}

static void frames_everywhere(void)
{
    domain = (struct domain){.pages = 0x4000, .mfn = scattered};
    start();
    EXPECT(end->reached_gdt);
}

static void domains_of_4_gib_and_more(void)
{
    contiguous_from = 3 * GIB;
    domain = (struct domain){.pages = 1u << 20, .mfn = contiguous};
    start();
    EXPECT(end->reached_gdt);
    domain.pages = (1u << 24) + 0x123; /* 64 GiB */
    start();
    EXPECT(end->reached_gdt);
}

static void says(const char *reason)
{
    static const char before[] = "vmi: cannot run: ", after[] = "\r\n";
    uint32_t length = 0, at = 0;

    while (reason[length])
        length++;
    start();
    EXPECT(!end->reached_gdt);
    EXPECT(end->console_length == sizeof(before) - 1 + length + sizeof(after) - 1);
    for (uint32_t i = 0; before[i]; i++)
        EXPECT(end->console[at++] == before[i]);
    for (uint32_t i = 0; i < length; i++)
        EXPECT(end->console[at++] == reason[i]);
    EXPECT(end->shutdown_reason == SHUTDOWN_crash);
}

static void refusals_are_on_the_console(void)
{
    contiguous_from = 3 * GIB;
    domain = (struct domain){.pages = 0x4000, .mfn = contiguous, .module = 0x20000};
    says("Xen's start_info has a module outside of memory");
    domain.module = 0;
    domain.refused = __HYPERVISOR_memory_op;
    says("Xen does not say where its tables are");
    domain.refused = __HYPERVISOR_mmu_update;
    says("Xen refuses page tables for the linear region");
    domain.refused = __HYPERVISOR_update_va_mapping;
    says("Xen does not let its shared page be mapped");
    domain.refused = __HYPERVISOR_set_gdt;
    says("Xen refuses a GDT");
    /* The other side has not read for a while. */
    domain.ring_full = 1;
    says("Xen refuses a GDT");
}

static void hostile_tables(void)
{
    ((uint64_t *)info->pt_base)[3] = entry(0x123456);
}

static void hostile_magic(void)
{
    info->magic[0] = 'y';
}

static void hostile_indices(void)
{
    ring->out_cons = ring->out_prod + 1;
}

static void hostile_pages(void)
{
    info->nr_pages = (1u << 26) + 1;
}

static void hostile_list(void)
{
    info->nr_pages = 1u << 26; /* a list that would fill the linear region */
}

/* Where nobody can be told, the end is one all the same, and no success. */
static void ends_without_a_reader(void)
{
    contiguous_from = 3 * GIB;
    domain = (struct domain){.pages = 0x4000, .mfn = contiguous};
    damage = hostile_tables;
    says("the domain builder's page tables are not behind the image");
    domain.nobody_reads = 1;
    domain.ring_full = 1;
    start();
    EXPECT(end->shutdown_reason == SHUTDOWN_crash && !end->console_length);
    domain.nobody_reads = domain.ring_full = 0;
    domain.refused = __HYPERVISOR_memory_op;
    damage = hostile_indices;
    start();
    EXPECT(end->shutdown_reason == SHUTDOWN_crash);
    domain.refused = 0;
    damage = hostile_magic;
    start();
    EXPECT(end->shutdown_reason == SHUTDOWN_crash && end->console_io == 3);
    damage = hostile_pages;
    start();
    EXPECT(end->shutdown_reason == SHUTDOWN_crash && end->console_io == 3);
    damage = hostile_list;
    start();
    EXPECT(end->shutdown_reason == SHUTDOWN_crash && end->console_io == 3);
    damage = 0;
}

/* A ring that is none of the builder's pages is found once m2p is. */
static void console_elsewhere(void)
{
    contiguous_from = 3 * GIB;
    domain = (struct domain){.pages = 0x4000, .mfn = contiguous, .console_elsewhere = 0x600};
    domain.refused = __HYPERVISOR_set_gdt;
    says("Xen refuses a GDT");
}

static const struct played_check checks[] = {
    CHECK(frames_at_the_bottom),        CHECK(frames_above_2_gib),
    CHECK(frames_above_64_gib),         CHECK(frames_at_the_end_of_the_table),
    CHECK(frames_everywhere),           CHECK(domains_of_4_gib_and_more),
    CHECK(refusals_are_on_the_console), CHECK(ends_without_a_reader),
    CHECK(console_elsewhere),
};

void begin(void)
{
    call(SYS_MUNMAP, STACK_TOP, 0xffffe000u - STACK_TOP, 0);
    end =
        (struct end *)(uintptr_t)mmap(SHARED, sizeof(*end), MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED);
    play(checks, sizeof(checks) / sizeof(checks[0]));
}
