/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Suspend as a Linux process of either architecture: this file plays Xen, the toolstack and the
 * library's other parts. The domain's frames have invented numbers, and others once it is restored,
 * which a rig shows of x86-64 only: xen-shim keeps those of its guest.
 */
#include "xen/builder.h"

#include "backends/plain_memory.h"
#include "backends/played.h"

/* What a process may not do: no segment leads to a CPU's record. */
static uint32_t here;
#define vmi__xen_this()            here
#define vmi__xen_self()            vmi__xen_cpus[here]
#define vmi__xen_note_kept(count_) ((void)(count_))

#include "xen/mmu.c"
#include "xen/suspend.c"
#include "xen_common/suspend.c"

#include "xen/tests/xen_alone.h"
#include "xen/tests/xen_tables.h"

#define FRAMES 32u

/* Of the machine: the domain's own lie at FIRST and, restored, at SECOND, in the reverse order. */
#define FIRST  0x200u
#define SECOND 0x300u
#define LAST   0x400u
/* Frames that Xen shares with the domain, before and after. */
#define SHARED_MFN  0x800u
#define GRANTS_MFN  0x801u
#define SHARED_MFN2 0x900u
#define GRANTS_MFN2 0x901u
/* And one of Xen's own, in a slot of a root's. */
#define XENS_MFN 0x7ffu

/* What is in which frame of the domain's. */
enum { TABLE = 1, NEW_TABLE, NEW_DIRECTORY, NEW_ROOT, SHARED, GRANTS, INFO, STORE, CONSOLE, PLAIN };

uint64_t memory[FRAMES][VMI__XEN_TABLE_ENTRIES] __attribute__((aligned(4096)));
/* The pages that Xen's frames are put over follow each other. */
__asm__(".globl vmi__xen_shared\n"
        ".set vmi__xen_shared, memory + 5 * 4096");
_Static_assert(SHARED == 5, "vmi__xen_shared");
static xen_pfn_t p2m[FRAMES], m2p[LAST];
static uint16_t states[FRAMES];

static struct vmi__xen_cpu records[2];
struct vmi__xen_cpu *vmi__xen_cpus[VMI__XEN_CPUS_MAX] = {&records[0], &records[1]};
uint32_t vmi__xen_cpu_count;
struct vmi_boot_info vmi__boot;
struct start_info *vmi__xen_info;
#ifndef __x86_64__
struct vcpu_info vmi__xen_infos[VMI__XEN_CPUS_MAX];
struct vmi__xen_kept vmi__xen_kept[VMI__XEN_CPUS_MAX];
#endif

/* ---- Xen and the toolstack ---- */

static struct {
    intptr_t answer; /* to the domain's wish */
    bool mapped;
    uint32_t yields, flushes, masked;
    char said[64]; /* what the library's other parts were asked for, a letter each */
    uint32_t length;
} xen;

static void say(char letter)
{
    if (xen.length < sizeof(xen.said) - 1)
        xen.said[xen.length++] = letter;
}

static bool heard(const char *letters)
{
    uint32_t at = 0;

    while (letters[at] && letters[at] == xen.said[at])
        at++;
    return letters[at] == xen.said[at];
}

static void number_frames(bool second)
{
    for (uint32_t mfn = 0; mfn < LAST; mfn++)
        m2p[mfn] = LAST;
    for (uint32_t pfn = 0; pfn < FRAMES; pfn++) {
        p2m[pfn] = second ? SECOND + FRAMES - 1 - pfn : FIRST + pfn;
        m2p[p2m[pfn]] = pfn;
    }
}

/* A page of the domain's by the machine's address. */
static uint64_t *entry_at(uint64_t machine)
{
    uint64_t pfn = m2p[(machine >> VMI__PAGE_SHIFT) % LAST];

    EXPECT(pfn < FRAMES && states[pfn % FRAMES] == VMI_PAGE_PT);
    return &memory[pfn % FRAMES][machine % VMI__PAGE_SIZE / 8];
}

HYPERCALL intptr_t vmi__xen_hypercall_mmu_update(const void *updated, uint32_t count, void *done,
                                                 uint32_t domain)
{
    const struct mmu_update *update = updated;

    (void)domain;
    for (uint32_t i = 0; i < count; i++)
        *entry_at(update[i].ptr) = update[i].val;
    *(uint32_t *)done = count;
    return 0;
}

HYPERCALL intptr_t vmi__xen_hypercall_mmuext_op(const void *operations, uint32_t count, void *done,
                                                uint32_t domain)
{
    const struct mmuext_op *op = operations;

    (void)done, (void)domain;
    EXPECT(count == 1 && op->cmd == MMUEXT_TLB_FLUSH_ALL);
    xen.flushes++;
    return 0;
}

/* The other CPU's part, where one waits for it. */
static void (*other_cpu)(void);

HYPERCALL intptr_t vmi__xen_hypercall_sched_op(uint32_t command, const void *argument)
{
    (void)argument;
    EXPECT(command == SCHEDOP_yield);
    if (other_cpu)
        other_cpu();
    if (++xen.yields == 100) {
        put("a CPU waits for ever\n");
        call(SYS_EXIT, 1, 0, 0);
    }
    return 0;
}

/* What a toolstack refuses to save: an entry of Xen's tables that names none of the domain's frames
 * (xg_sr_save_x86_pv.c, normalise_pagetable). */
static bool can_be_saved(void)
{
    for (uint32_t i = 0; i < VMI__XEN_TABLE_ENTRIES; i++)
        if (memory[TABLE][i] & VMI__PTE_PRESENT &&
            (memory[TABLE][i] & VMI__PTE_FRAME) >> VMI__PAGE_SHIFT >= LAST)
            return false;
    return true;
}

static void restore(void)
{
    uint64_t *entry = memory[TABLE];
    xen_pfn_t numbers[VMI__XEN_TABLE_ENTRIES];

    for (uint32_t i = 0; i < VMI__XEN_TABLE_ENTRIES; i++)
        numbers[i] = m2p[((entry[i] & VMI__PTE_FRAME) >> VMI__PAGE_SHIFT) % LAST];
    number_frames(true);
    for (uint32_t i = 0; i < VMI__XEN_TABLE_ENTRIES; i++)
        if (entry[i] & VMI__PTE_PRESENT)
            entry[i] = (entry[i] & ~VMI__PTE_FRAME) | (uint64_t)p2m[numbers[i]] << VMI__PAGE_SHIFT;
    vmi__xen_info->store_mfn = p2m[vmi__xen_info->store_mfn];
    vmi__xen_info->console.domU.mfn = p2m[vmi__xen_info->console.domU.mfn];
    vmi__xen_info->store_evtchn = 11;
    vmi__xen_info->console.domU.evtchn = 12;
}

static uint64_t naming(uintptr_t pfn)
{
    return (uint64_t)pfn << VMI__PAGE_SHIFT | VMI__XEN_ENTRY;
}

VMI__ROUTINE intptr_t vmi__xen_sched_op_suspend(uint32_t command, const void *argument,
                                                uintptr_t frame)
{
    const struct sched_shutdown *how = argument;

    say('!');
    EXPECT(command == SCHEDOP_shutdown && how->reason == SHUTDOWN_suspend && frame == p2m[INFO]);
    EXPECT(can_be_saved());
    EXPECT(vmi__xen_info->store_mfn == STORE && vmi__xen_info->console.domU.mfn == CONSOLE);
    for (uint32_t i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
        EXPECT(vmi__xen_shared.vcpu_info[i].evtchn_upcall_mask);
    /* Tables that Xen does not have name frames by the domain's numbers. */
    EXPECT(memory[NEW_TABLE][3] == naming(PLAIN) && memory[NEW_TABLE][4] == naming(SHARED));
    EXPECT(memory[NEW_DIRECTORY][1] == naming(NEW_TABLE) && memory[NEW_TABLE][5] == 0x5000);
    if (!xen.answer)
        restore();
    return xen.answer;
}

/* ---- the library's other parts ---- */

void vmi__xen_start_translation(void)
{
    say('m');
}

void vmi__xen_start_console(const struct start_info *info)
{
    say('c');
    EXPECT(info->console.domU.evtchn == 12);
}

void vmi__xen_start_shared(const struct start_info *info)
{
    (void)info;
    say('s');
    EXPECT(!vmi__xen_adopt(memory[SHARED], SHARED_MFN2));
}

void vmi__xen_start_services(const struct start_info *info)
{
    say('g');
    EXPECT(info->store_evtchn == 11 && !vmi__xen_adopt(memory[GRANTS], GRANTS_MFN2));
}

void vmi__xen_assists_enable(void)
{
    say('a');
}

intptr_t vmi__xen_vcpu_register(uint32_t number)
{
    struct vcpu_info *info = vmi__xen_vcpu(number);

    EXPECT(number == here && !vmi__xen_cpus[number]->registered);
    say((char)('0' + number));
    *info = (struct vcpu_info){.evtchn_upcall_mask = 1}; /* what Xen has, here nothing */
    vmi__xen_cpus[number]->registered = 1;
    return 0;
}

void vmi__xen_vcpu_forget(uint32_t number)
{
    vmi__xen_cpus[number]->registered = 0;
}

void vmi__xen_areas_register(struct vmi__xen_cpu *cpu, uint32_t number)
{
    EXPECT(cpu == vmi__xen_cpus[number] && number == here && cpu->registered);
}

void vmi__xen_clock_continue(void)
{
    EXPECT(records[0].registered);
    say('t');
}

void vmi__xen_ports_forget(struct vmi__xen_cpu *cpu)
{
    EXPECT(cpu->ipi_port);
    cpu->ipi_port = 0;
}

void vmi__xen_ports_forget_others(void)
{
    say('f');
}

intptr_t vmi__xen_ports_prepare(struct vmi__xen_cpu *cpu, uint32_t number)
{
    EXPECT(cpu == vmi__xen_cpus[number] && cpu->started && !cpu->ipi_port);
    cpu->ipi_port = 20 + number;
    say('p');
    return 0;
}

intptr_t vmi__xen_prod(uint32_t number)
{
    EXPECT(number == here && vmi__xen_cpus[number]->ipi_port == 20 + number);
    say('P');
    return 0;
}

uint32_t vmi__xen_common_grants_forget(void)
{
    say('F');
    return 1;
}

void vmi__xen_requests_start(void)
{
    say('r');
}

void vmi__xen_events_leave(void)
{
    say('<');
}

void vmi__xen_events_return(bool restored)
{
    say(restored ? '>' : ')');
}

void vmi__xen_time_leave(struct vmi__xen_cpu *cpu)
{
    EXPECT(cpu == vmi__xen_self());
}

void vmi__xen_time_return(struct vmi__xen_cpu *cpu)
{
    EXPECT(cpu == vmi__xen_self() && cpu->registered);
    say('T');
}

bool vmi__xen_common_suspend_asked;

bool vmi__device_any(void)
{
    return xen.mapped;
}

VMI__ROUTINE uint32_t vmi__xen_mask(void)
{
    uint32_t mask = xen.masked;

    xen.masked = 1;
    return mask;
}

VMI__ROUTINE void vmi__xen_enable_interrupts(void)
{
    xen.masked = 0;
}

uint32_t vmi__xen_take(struct vmi__xen_lock *taken)
{
    (void)taken;
    return vmi__xen_mask();
}

void vmi__xen_give(struct vmi__xen_lock *taken, uint32_t mask)
{
    (void)taken;
    vmi__xen_unmask(mask);
}

void vmi__xen_report(uint32_t name, uintptr_t entry, uint64_t value, intptr_t error)
{
    (void)name, (void)entry, (void)value, (void)error;
    EXPECT(false);
}

__attribute__((noreturn)) void vmi__fatal(const char *reason)
{
    put(reason);
    call(SYS_EXIT, 1, 0, 0);
    __builtin_unreachable();
}

__attribute__((noreturn)) void vmi__xen_crash(uint32_t name, uintptr_t entry, uint64_t value,
                                              intptr_t error)
{
    (void)name, (void)entry, (void)value, (void)error;
    vmi__fatal("the library gives up\n");
}

/* ---- checks ---- */

static void begin(uint32_t cpus)
{
    here = 0;
    other_cpu = 0;
    memset(&xen, 0, sizeof(xen));
    vmi__xen_common_suspend_asked = true;
    xen.masked = 1;
    memset(records, 0, sizeof(records));
    memset(states, 0, sizeof(states));
    memset(memory, 0, sizeof(memory));
    memset(&meeting, 0, sizeof(meeting));
    number_frames(false);
    vmi__boot.linear_base = (uintptr_t)memory;
    vmi__xen_memory = (struct vmi__xen_memory){
        .p2m = p2m,
        .pages = FRAMES,
        .m2p = m2p,
        .m2p_last = LAST - 1,
        .state = states,
        .linear_pages = FRAMES,
    };
    vmi__xen_cpu_count = cpus;
    for (uint32_t i = 0; i < 2; i++) {
        records[i].started = i < cpus;
        records[i].registered = 1;
        records[i].ipi_port = 3 + i;
        vmi__xen_vcpu(i)->arch.cr2 = 0x1000 + i;
    }
    vmi__xen_set_linear_mapping(0, (uintptr_t)memory, FRAMES, 0);
    vmi__xen_info = (struct start_info *)memory[INFO];
    vmi__xen_info->store_mfn = p2m[STORE];
    vmi__xen_info->console.domU.mfn = p2m[CONSOLE];

    states[TABLE] = VMI_PAGE_PT;
    states[NEW_TABLE] = VMI_PAGE_PT | VMI__XEN_UNPINNED;
    states[NEW_DIRECTORY] = VMI_PAGE_PD | VMI__XEN_UNPINNED;
    states[NEW_ROOT] = VMI__XEN_ROOT | VMI__XEN_UNPINNED;
    vmi__xen_adopt_nothing();
    EXPECT(!vmi__xen_adopt(memory[SHARED], SHARED_MFN));
    EXPECT(!vmi__xen_adopt(memory[GRANTS], GRANTS_MFN));
    memory[TABLE][0] = naming(p2m[PLAIN]);
    memory[TABLE][7] = memory[TABLE][500] = naming(SHARED_MFN);
    memory[TABLE][8] = naming(GRANTS_MFN) | VMI__PTE_NO_EXECUTE;
    memory[TABLE][9] = (uint64_t)SHARED_MFN << VMI__PAGE_SHIFT; /* not present */
    memory[NEW_TABLE][3] = naming(p2m[PLAIN]);
    memory[NEW_TABLE][4] = naming(SHARED_MFN);
    memory[NEW_TABLE][5] = 0x5000;
    memory[NEW_DIRECTORY][1] = naming(p2m[NEW_TABLE]);
#ifdef __x86_64__
    memory[NEW_ROOT][VMI__XEN_SLOTS_START] = naming(XENS_MFN);
#endif
    memory[NEW_ROOT][2] = naming(p2m[NEW_DIRECTORY]);
}

/* Every table names what it did, by numbers that hold now. */
static bool tables_are_right(uint64_t shared, uint64_t grants)
{
#ifdef __x86_64__
    if (memory[NEW_ROOT][VMI__XEN_SLOTS_START] != naming(XENS_MFN))
        return false;
#endif
    return memory[TABLE][0] == naming(p2m[PLAIN]) && memory[TABLE][7] == naming(shared) &&
           memory[TABLE][500] == naming(shared) &&
           memory[TABLE][8] == (naming(grants) | VMI__PTE_NO_EXECUTE) &&
           memory[TABLE][9] == (uint64_t)SHARED_MFN << VMI__PAGE_SHIFT &&
           memory[NEW_TABLE][3] == naming(p2m[PLAIN]) && memory[NEW_TABLE][4] == naming(shared) &&
           memory[NEW_TABLE][5] == 0x5000 && memory[NEW_DIRECTORY][1] == naming(p2m[NEW_TABLE]) &&
           memory[NEW_ROOT][2] == naming(p2m[NEW_DIRECTORY]);
}

static void nobody_has_asked(void)
{
    begin(2); /* the other CPU is not waited for */
    vmi__xen_common_suspend_asked = false;
    xen.masked = 0;
    EXPECT(vmi__xen_suspend() == VMI_EAGAIN && heard("") && !xen.masked);
    EXPECT(tables_are_right(SHARED_MFN, GRANTS_MFN));
}

/* A request that cannot be carried out is over. */
static void what_devices_have_is_mapped(void)
{
    begin(1);
    xen.mapped = true;
    EXPECT(vmi__xen_suspend() == VMI_EBUSY && heard(""));
    EXPECT(vmi__xen_suspend() == VMI_EAGAIN && heard(""));
}

static void goes_on_where_it_was(void)
{
    static const intptr_t answers[] = {1, -22};

    for (uint32_t i = 0; i < 2; i++) {
        begin(1);
        xen.answer = answers[i];
        EXPECT(vmi__xen_suspend() == (i ? VMI_EIO : VMI_SUSPEND_CANCELED) && xen.masked);
        EXPECT(heard("<!)") && tables_are_right(SHARED_MFN, GRANTS_MFN) && xen.flushes == 2);
        EXPECT(vmi__xen_info->store_mfn == p2m[STORE] && records[0].registered);
        EXPECT(vmi__xen_info->console.domU.mfn == p2m[CONSOLE] && records[0].ipi_port == 3);
    }
}

static void is_restored_into_other_frames(void)
{
    begin(1);
    EXPECT(vmi__xen_suspend() == VMI_SUSPEND_RESTORED && xen.masked);
    EXPECT(heard("<!mcfsa0tpFg>rTP") && xen.flushes == 2);
    EXPECT(tables_are_right(SHARED_MFN2, GRANTS_MFN2));
    EXPECT(vmi__xen_mfn(SHARED) == SHARED_MFN2 && vmi__xen_pfn(GRANTS_MFN2) == GRANTS);
    EXPECT(vmi__xen_pfn(SHARED_MFN) == VMI__XEN_NO_FRAME && vmi__xen_pfn(p2m[PLAIN]) == PLAIN);
    EXPECT(vmi__xen_vcpu(0)->arch.cr2 == 0x1000 && vmi__xen_vcpu(0)->evtchn_upcall_mask);
}

/* An entry whose frame is none of the domain's is not there any more. */
static void a_foreign_frame_is_left_out(void)
{
    begin(1);
    memory[NEW_TABLE][6] = naming(XENS_MFN);
    EXPECT(vmi__xen_suspend() == VMI_SUSPEND_RESTORED);
    EXPECT(!(memory[NEW_TABLE][6] & VMI__PTE_PRESENT));
}

/* ---- two CPUs: this file is the one that is not looked at ---- */

static void second_comes_and_goes(void)
{
    if (!meeting.round && !meeting.come)
        meeting.come = 1;
    else if (meeting.round == 1 && !meeting.gone) {
        EXPECT(records[1].ipi_port == 21 && !records[1].registered);
        meeting.gone = 1;
    }
}

static void first_waits_for_all(void)
{
    begin(2);
    other_cpu = second_comes_and_goes;
    EXPECT(vmi__xen_suspend() == VMI_SUSPEND_RESTORED);
    EXPECT(xen.yields == 2 && heard("<!mcfsa0tppFg>rTP"));
}

static void first_has_restored(void)
{
    if (meeting.round)
        return;
    EXPECT(meeting.come == 1 && heard(""));
    vmi__xen_vcpu_forget(1);
    records[1].ipi_port = 21;
    meeting.result = VMI_SUSPEND_RESTORED;
    meeting.come = 0;
    meeting.round++;
}

static void first_has_gone_on(void)
{
    if (meeting.round)
        return;
    meeting.result = VMI_SUSPEND_CANCELED;
    meeting.come = 0;
    meeting.round++;
}

static void another_registers_itself(void)
{
    begin(2);
    here = 1;
    other_cpu = first_has_restored;
    EXPECT(vmi__xen_suspend() == VMI_SUSPEND_RESTORED && heard("1TP") && meeting.gone == 1);
    EXPECT(vmi__xen_vcpu(1)->arch.cr2 == 0x1001);
    begin(2);
    here = 1;
    other_cpu = first_has_gone_on;
    EXPECT(vmi__xen_suspend() == VMI_SUSPEND_CANCELED && heard("") && meeting.gone == 1);
}

static const struct played_check checks[] = {
    CHECK(nobody_has_asked),
    CHECK(what_devices_have_is_mapped),
    CHECK(goes_on_where_it_was),
    CHECK(is_restored_into_other_frames),
    CHECK(a_foreign_frame_is_left_out),
    CHECK(first_waits_for_all),
    CHECK(another_registers_itself),
};

PLAY(checks)
