/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The calls of tests/process_model/calls.h in a PV domain.
 */
#include "calls.h"

#define __XEN_INTERFACE_VERSION__ 0x00040d00
#include <xen/xen.h>

#include <xen/event_channel.h>
#include <xen/io/console.h>
#include <xen/sched.h>

#define PAGE        4096u
#define ENTRIES     512u
#define PRESENT     1ull
#define WRITE       2ull
#define FRAME       0x000ffffffffff000ull
#define DIRECT_SLOT 272u
#define TABLES      128u      /* page tables of the direct map: 256 MiB */
#define BLOCK       0x400000u /* the builder maps whole blocks of this size */
#define VECTORS     32u

typedef uint64_t table[ENTRIES] __attribute__((aligned(PAGE)));

extern const char xen_traps[];
void xen_event(void), xen_failsafe(void), xen_syscall(void);
void xen_main(const start_info_t *info);

void (*xen_gates[VECTORS])(void);
void (*xen_syscall_target)(void);

static table pages[TABLES], directory, pointers;
static const uint64_t *frames; /* machine frames by guest-physical ones */
static const start_info_t *start_info;
static struct xencons_interface *console;
static struct percpu boot_area, *area = &boot_area;
static struct trap_info traps[VECTORS + 1];

static int64_t hypercall(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    register uint64_t fourth __asm__("r10") = d;
    int64_t result;

    __asm__ volatile("syscall"
                     : "=a"(result), "+D"(a), "+S"(b), "+d"(c), "+r"(fourth)
                     : "a"(number)
                     : "rcx", "r11", "r8", "r9", "memory");
    return result;
}

void vmi_console_write(const char *text, uint64_t length)
{
    struct evtchn_send send = {.port = start_info->console.domU.evtchn};

    while (length--) {
        while (console->out_prod - *(volatile XENCONS_RING_IDX *)&console->out_cons >=
               sizeof(console->out))
            hypercall(__HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, 0);
        console->out[MASK_XENCONS_IDX(console->out_prod, console->out)] = *text++;
        __asm__ volatile("" : : : "memory");
        console->out_prod++;
    }
    hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_send, (uint64_t)&send, 0, 0);
}

void vmi_shutdown(bool passed)
{
    struct sched_shutdown shutdown = {.reason = passed ? SHUTDOWN_poweroff : SHUTDOWN_crash};

    for (;;)
        hypercall(__HYPERVISOR_sched_op, SCHEDOP_shutdown, (uint64_t)&shutdown, 0, 0);
}

/* What was refused is no process model: the console says what it was. */
static void must(const char *what, int64_t result)
{
    uint64_t length = 0;

    if (result >= 0)
        return;
    while (what[length])
        length++;
    vmi_console_write("Xen refuses ", 12);
    vmi_console_write(what, length);
    vmi_console_write("\r\n", 2);
    vmi_shutdown(false);
}

static uint64_t machine(const void *address)
{
    uint64_t linear = (uint64_t)address;
    uint64_t base = linear >= IMAGE_BASE ? IMAGE_BASE : LINEAR_BASE;

    return frames[(linear - base) >> 12] << 12 | (linear & (PAGE - 1));
}

static void protect(const void *page, uint64_t bits)
{
    must("a page's protection", hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)page,
                                          machine(page) | bits, UVMF_INVLPG, 0));
}

static int64_t extended(uint32_t command, uint64_t frame)
{
    struct mmuext_op op = {.cmd = command, .arg1.mfn = frame};

    return hypercall(__HYPERVISOR_mmuext_op, (uint64_t)&op, 1, 0, DOMID_SELF);
}

void vmi_allocate_page(uint64_t frame, enum table kind)
{
    protect((const void *)(LINEAR_BASE + (frame << 12)), PRESENT);
    if (kind == TABLE_PML4)
        must("a root", extended(MMUEXT_PIN_L4_TABLE, frames[frame]));
}

void vmi_release_page(uint64_t frame, enum table kind)
{
    if (kind == TABLE_PML4)
        must("to let a root go", extended(MMUEXT_UNPIN_TABLE, frames[frame]));
    protect((const void *)(LINEAR_BASE + (frame << 12)), PRESENT | WRITE);
}

void vmi_set_pxe(uint64_t value, uint64_t *entry)
{
    mmu_update_t update = {.ptr = machine(entry) | MMU_NORMAL_PT_UPDATE, .val = value};

    if (value & PRESENT)
        update.val = (value & ~FRAME) | frames[(value & FRAME) >> 12] << 12;
    must("an entry", hypercall(__HYPERVISOR_mmu_update, (uint64_t)&update, 1, 0, DOMID_SELF));
}

void vmi_set_cr3(uint64_t root, uint64_t user)
{
    struct mmuext_op ops[2] = {
        {.cmd = MMUEXT_NEW_BASEPTR, .arg1.mfn = frames[root >> 12]},
        {.cmd = MMUEXT_NEW_USER_BASEPTR, .arg1.mfn = user ? frames[user >> 12] : 0},
    };

    must("the roots", hypercall(__HYPERVISOR_mmuext_op, (uint64_t)ops, 2, 0, DOMID_SELF));
}

void vmi_set_gate(uint32_t vector, void (*entry)(void), uint32_t dpl)
{
    uint32_t i = 0;

    xen_gates[vector] = entry;
    while (traps[i].address && traps[i].vector != vector)
        i++;
    traps[i] = (struct trap_info){
        .vector = (uint8_t)vector,
        .flags = (uint8_t)(dpl | 4), /* events masked */
        .cs = FLAT_KERNEL_CS,
        .address = (uint64_t)xen_traps + 16 * vector,
    };
    must("gates", hypercall(__HYPERVISOR_set_trap_table, (uint64_t)traps, 0, 0, 0));
}

void vmi_set_syscall_entry(void (*entry)(void))
{
    xen_syscall_target = entry;
    must("callbacks", hypercall(__HYPERVISOR_set_callbacks, (uint64_t)xen_event,
                                (uint64_t)xen_failsafe, (uint64_t)xen_syscall, 0));
}

void vmi_update_kernel_stack(uint64_t rsp)
{
    area->kernel_stack = rsp;
    must("a stack", hypercall(__HYPERVISOR_stack_switch, FLAT_KERNEL_SS, rsp, 0, 0));
}

static void set_base(uint32_t which, uint64_t base)
{
    must("a segment's base", hypercall(__HYPERVISOR_set_segment_base, which, base, 0, 0));
}

void vmi_set_gs_base(struct percpu *to)
{
    *to = *area;
    area = to;
    set_base(SEGBASE_GS_KERNEL, (uint64_t)to);
}

void vmi_set_user_gs_base(uint64_t base)
{
    set_base(SEGBASE_GS_USER, base);
}

void vmi_set_fs_base(uint64_t base)
{
    set_base(SEGBASE_FS, base);
}

/* The direct map, in pages: those that hold page tables are mapped read-only. */
static void map_memory(void)
{
    uint64_t first = (start_info->pt_base - IMAGE_BASE) >> 12;
    uint64_t last = first + start_info->nr_pt_frames;
    uint64_t own = ((uint64_t)pages - IMAGE_BASE) >> 12, count = start_info->nr_pages;
    uint64_t directory_frame = ((uint64_t)directory - IMAGE_BASE) >> 12;
    uint64_t pointers_frame = ((uint64_t)pointers - IMAGE_BASE) >> 12;

    if (count > TABLES * ENTRIES)
        count = TABLES * ENTRIES;
    for (uint64_t frame = 0; frame < count; frame++) {
        bool is_table = (frame >= first && frame < last) ||
                        (frame >= own && frame < own + TABLES) || frame == directory_frame ||
                        frame == pointers_frame;

        pages[frame / ENTRIES][frame % ENTRIES] =
            frames[frame] << 12 | PRESENT | (is_table ? 0 : WRITE);
    }
    for (uint32_t i = 0; i < TABLES; i++) {
        directory[i] = machine(pages[i]) | PRESENT | WRITE;
        protect(pages[i], PRESENT);
    }
    pointers[0] = machine(directory) | PRESENT | WRITE;
    protect(directory, PRESENT);
    protect(pointers, PRESENT);

    mmu_update_t update = {
        .ptr = machine((const uint64_t *)start_info->pt_base + DIRECT_SLOT),
        .val = machine(pointers) | PRESENT | WRITE,
    };
    must("the direct map", hypercall(__HYPERVISOR_mmu_update, (uint64_t)&update, 1, 0, DOMID_SELF));
}

/* The console's other side sends events, which nobody here waits for. */
static void mask_events(void)
{
    static table page;
    shared_info_t *shared = (shared_info_t *)page;

    must("the shared page", hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)page,
                                      start_info->shared_info | PRESENT | WRITE, UVMF_INVLPG, 0));
    for (uint32_t i = 0; i < sizeof(shared->evtchn_mask) / sizeof(shared->evtchn_mask[0]); i++)
        shared->evtchn_mask[i] = ~0ul;
}

void xen_main(const start_info_t *info)
{
    static struct boot boot = {.user_cs = FLAT_USER_CS,
                               .user_ss = FLAT_USER_SS,
                               .kernel_cs = FLAT_KERNEL_CS,
                               .kernel_ss = FLAT_KERNEL_SS,
                               .user_root = true};
    const uint64_t *machine_to_physical = (const uint64_t *)MACH2PHYS_VIRT_START;

    start_info = info;
    frames = (const uint64_t *)info->mfn_list;
    console = (void *)(IMAGE_BASE + (machine_to_physical[info->console.domU.mfn] << 12));
    map_memory();
    mask_events();
    boot.root = info->pt_base - IMAGE_BASE;
    /* Behind what the builder has mapped at the image's base. */
    boot.first_frame =
        ((info->pt_base - IMAGE_BASE + info->nr_pt_frames * PAGE) / BLOCK + 2) * BLOCK / PAGE;
    boot.end_frame = info->nr_pages;
    kernel_main(&boot);
}
