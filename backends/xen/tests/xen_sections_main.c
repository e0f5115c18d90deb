/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The sample kernel's main in a test build (test_xen_sections.py). Those of its checks that bear it
 * run again when another CPU is there, so that every section of the library is come by then. With
 * the option contend=1 three CPUs make the calls that share a lock at the same time instead: each
 * in turn is the first, and sleeps before it writes, when the others come.
 */
#include "xen_sections_main.h"

#include <stddef.h>
#include <vmi/vmi.h>

#include "checks.h"
#include "cpu_start.h"
#include "current.h"
#include "descriptors.h"
#include "first_state.h"
#include "frames.h"
#include "ktap.h"
#include "lock.h"
#include "options.h"
#include "paging.h"
#include "patience.h"
#include "print.h"
#include "smp.h"
#include "start.h"
#include "threads.h"
#include "traps.h"
#include "x86.h"

#define CPUS    3          /* that work */
#define IDLE    3          /* one more, which is not started */
#define REPEATS 4          /* places in a section that are slept at */
#define LATER   40         /* milliseconds until the others come */
#define NOWHERE 1ull << 62 /* an address that no processor takes */
#define INPUT   64

/* Calls that no check makes then: of a start, and of hardware that this library has not. */
static void again(void)
{
    struct vmi_dtr gdt = descriptors_gdt(), idt = descriptors_idt();

    vmi_set_gdt(&gdt);
    vmi_set_idt(&idt);
    vmi_set_gs_base(vmi_get_gs_base());
    vmi_apic_read(VMI_APIC_ID);
}

/* ---- contention ---- */

struct contest {
    void (*before)(void);
    /* What CPUs do at the same time, in other places each time; `who` counts the operations. */
    void (*act[CPUS])(uint32_t who);
    void (*after)(void);
};

static const struct contest *contest;
static uint32_t arrived, left, wrong, round_number;
static struct aspace root, second;
static uint32_t pointers;

static void expect(bool so, const char *what)
{
    if (!so) {
        __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
        print("# lost: %s, round %u\n", what, round_number);
    }
}

static void act(void *argument)
{
    uint32_t who = ((uint32_t)(uintptr_t)argument + round_number) % CPUS;

    __atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&arrived, __ATOMIC_SEQ_CST) < CPUS)
        relax();
    if (who != round_number / CPUS % CPUS)
        spin_milliseconds(LATER);
    contest->act[who](who);
    __atomic_add_fetch(&left, 1, __ATOMIC_SEQ_CST);
    /* A table that another CPU has loaded is not given back: all leave together. */
    while (__atomic_load_n(&left, __ATOMIC_SEQ_CST) < CPUS)
        relax();
    aspace_load(&kernel_aspace);
}

static void contend(const struct contest *of)
{
    contest = of;
    for (round_number = 0; round_number < CPUS * REPEATS; round_number++) {
        struct thread *threads[CPUS];

        if (of->before)
            of->before();
        arrived = left = 0;
        sections_contend(true);
        for (uint32_t cpu = 0; cpu < CPUS; cpu++)
            threads[cpu] = thread_create("contend", act, (void *)(uintptr_t)cpu, 1u << cpu);
        for (uint32_t cpu = 0; cpu < CPUS; cpu++)
            thread_join(threads[cpu]);
        sections_contend(false);
        if (of->after)
            of->after();
    }
}

static uint64_t *slot(const struct aspace *aspace, uint32_t index)
{
    return table_entry(aspace->root, index);
}

static void set_slot(const struct aspace *aspace, uint32_t index, uint64_t value)
{
    vmi_set_pxe_long(value, slot(aspace, index), VMI_PAGE_PML4);
}

/* ---- page tables: a root is loaded, started with, written, all for the first time ---- */

#define SLOT   8 /* in the lower half, of which the kernel's tables use entry 0 */
#define ABSENT 0x5000

static struct vmi_ap_state nowhere(void)
{
    static uintptr_t stack[2];
    struct vmi_ap_state state = cpu_first_state(IDLE, again, stack);

    state.rip = NOWHERE;
    return state;
}

static void new_root(struct aspace *aspace)
{
    expect(aspace_create(aspace), "an address space");
}

static void before_load(void)
{
    new_root(&root);
}

static void load(uint32_t who)
{
    (void)who;
    vmi_set_cr3((uintptr_t)root.root << PAGE_SHIFT, 0);
}

static void pin(uint32_t who)
{
    struct vmi_ap_state state = nowhere();

    (void)who;
    state.cr3 = (uintptr_t)root.root << PAGE_SHIFT;
    expect(vmi_set_initial_ap_state(&state, IDLE) != VMI_OK, "a start that cannot be");
}

static void store(uint32_t who)
{
    set_slot(&root, SLOT, (uint64_t)ABSENT + who * 0x1000);
}

static void after_load(void)
{
    expect(*(volatile uint64_t *)slot(&root, SLOT) == ABSENT + 2 * 0x1000, "an entry");
    set_slot(&root, SLOT, 0);
    aspace_destroy(&root);
}

static const struct contest loads = {before_load, {load, pin, store}, after_load};

/* ---- a table is named by entries of a tree that Xen has ---- */

static void before_naming(void)
{
    new_root(&root);
    load(0);
    aspace_load(&kernel_aspace);
    pointers = new_table(VMI_PAGE_PDP);
}

static void name(uint32_t who)
{
    set_slot(&root, SLOT + who, pte_value(pointers, TABLE_FLAGS));
}

static void after_naming(void)
{
    for (uint32_t i = 0; i < CPUS; i++) {
        expect(pte_frame(pte_read(slot(&root, SLOT + i))) == pointers, "a name");
        set_slot(&root, SLOT + i, 0);
    }
    aspace_destroy(&root);
    release_table(pointers, VMI_PAGE_PDP);
}

static const struct contest names = {before_naming, {name, name, name}, after_naming};

/* ---- two roots that name one table are released ---- */

static void before_release(void)
{
    new_root(&root);
    new_root(&second);
    pointers = new_table(VMI_PAGE_PDP);
    set_slot(&root, SLOT, pte_value(pointers, TABLE_FLAGS));
    set_slot(&second, SLOT, pte_value(pointers, TABLE_FLAGS));
    load(0);
    vmi_set_cr3((uintptr_t)second.root << PAGE_SHIFT, 0);
    aspace_load(&kernel_aspace);
}

static void release(uint32_t who)
{
    if (who < 2)
        vmi_release_page(who ? second.root : root.root, VMI_PAGE_PML4 | VMI_PAGE_PAE);
}

/* Both are plain memory then, and so is what both named. */
static void after_release(void)
{
    struct aspace *const roots[] = {&root, &second};

    release_table(pointers, VMI_PAGE_PDP);
    for (uint32_t i = 0; i < 2; i++) {
        vmi_allocate_page(roots[i]->root, VMI_PAGE_PML4 | VMI_PAGE_PAE, 0, 0, 0);
        aspace_destroy(roots[i]);
    }
}

static const struct contest releases = {before_release, {release, release, release}, after_release};

/* ---- a CPU is started by three ---- */

static void after_start(void)
{
    aspace_destroy(&root);
}

static const struct contest starts = {before_load, {pin, pin, pin}, after_start};

/* ---- the console ---- */

static void write(uint32_t who)
{
    char line[32];

    for (uint32_t i = 0; i < 4; i++) {
        uint32_t length = (uint32_t)format(line, sizeof(line), "# written %u %u %u end\r\n",
                                           round_number, who, i);
        vmi_console_write(line, length);
    }
}

static uint8_t input[INPUT];
static uint32_t input_count;

static void read(uint32_t who)
{
    char byte;

    (void)who;
    for (uint32_t i = 0; i < INPUT / CPUS / REPEATS / CPUS + 1; i++) {
        if (vmi_console_read(&byte, 1) != 1)
            continue;
        uint32_t at = __atomic_fetch_add(&input_count, 1, __ATOMIC_RELAXED);
        if (at < INPUT)
            input[at] = (uint8_t)byte;
    }
}

static const struct contest writes = {NULL, {write, write, write}, NULL};
static const struct contest reads = {NULL, {read, read, read}, NULL};

/* ---- xenstore ---- */

static char domain_name[64];

static void ask(uint32_t who)
{
    char found[sizeof(domain_name)] = "";
    uint32_t i = 0;

    (void)who;
    sections_store_read("name", found, sizeof(found));
    while (found[i] && found[i] == domain_name[i])
        i++;
    expect(!found[i] && !domain_name[i], "an answer");
}

static const struct contest questions = {NULL, {ask, ask, ask}, NULL};

/* ---- requests from outside ---- */

#define VECTOR_OF_REQUEST 0x92
#define KEY               'k'
#define TOLD              4     /* rounds in which the rig asks for something */
#define TOLD_MILLISECONDS 60000 /* in which it does: xl has to be started */

static uint32_t taken, request_event;
static volatile uint32_t came;

static void note_request(struct trap_frame *frame)
{
    came = 1;
    vmi_end_of_interrupt(frame->vector);
}

static void bind_requests(void)
{
    int32_t event = vmi_event_bind(VMI_EVENT_REQUEST, 0, VECTOR_OF_REQUEST);

    expect(event >= 0, "requests");
    request_event = (uint32_t)event;
    trap_handler_set(VECTOR_OF_REQUEST, note_request);
}

static void before_taking(void)
{
    const char key[] = {KEY, 0};

    taken = 0;
    expect(sections_store_write("control/sysrq", key) == VMI_OK, "a node");
}

static void take(uint32_t who)
{
    uint32_t request = vmi_take_request();

    (void)who;
    expect(!request || request == (VMI_REQUEST_KEY | KEY << 8), "a request");
    if (request)
        __atomic_add_fetch(&taken, 1, __ATOMIC_RELAXED);
}

static void after_taking(void)
{
    expect(taken == 1, "a request is one CPU's");
}

static const struct contest takes = {before_taking, {take, take, take}, after_taking};

/*
 * The toolstack writes while nobody waits for an answer, so that the first CPU is told by the
 * store's event. The others ask when it sleeps there.
 */
static void before_telling(void)
{
    taken = 1;
    if (round_number >= TOLD)
        return;
    /* What the contest before has left is told now. */
    vmi_event_unmask(request_event);
    spin_milliseconds(1);
    taken = came = 0;
    print("# request key %c\n", KEY);
}

static void look(uint32_t who)
{
    struct patience patience;

    patience_begin(&patience, TOLD_MILLISECONDS);
    while (!taken && !came && !(cpu_current() != 0 && sections_asleep()) &&
           patience_left(&patience))
        relax();
    if (!__atomic_load_n(&taken, __ATOMIC_RELAXED))
        take(who);
}

static void after_telling(void)
{
    vmi_event_mask(request_event);
    after_taking();
}

static const struct contest tells = {before_telling, {look, look, look}, after_telling};

/* The rig asks for something while nobody asks xenstore. */
static void be_told(void)
{
    struct patience patience;

    bind_requests();
    vmi_event_unmask(request_event);
    print("# request key %c\n", KEY);
    patience_begin(&patience, TOLD_MILLISECONDS);
    while (!came && patience_left(&patience))
        relax();
    take(0);
    after_taking();
}

/* ---- events ---- */

#define VECTOR_OF_LINE 0x91

static uint32_t line, bound;

static void bind(uint32_t who)
{
    int32_t event = vmi_event_bind(VMI_EVENT_IRQ, 0, VECTOR_OF_LINE);

    (void)who;
    expect(event >= 0 || event == VMI_EBUSY, "a line");
    if (event < 0)
        return;
    line = (uint32_t)event;
    __atomic_add_fetch(&bound, 1, __ATOMIC_RELAXED);
}

static void unbind(void)
{
    expect(bound == 1, "a line is one CPU's");
    expect(vmi_event_unbind(line) == VMI_OK, "its end");
    bound = 0;
}

static void bind_anew(uint32_t who)
{
    bound = 0;
    expect(vmi_event_unbind(line) == VMI_OK, "the end of a line");
    bind(who);
}

/* Until it is bound again they are refused. */
static void let_in(uint32_t who)
{
    (void)who;
    vmi_event_unmask(line);
}

static void move(uint32_t who)
{
    vmi_event_move(line, who);
}

static void keep_back(uint32_t who)
{
    (void)who;
    vmi_event_mask(line);
}

static const struct contest binds = {NULL, {bind, bind, bind}, unbind};

static void before_changes(void)
{
    bind(0);
}

static const struct contest changes = {before_changes, {bind_anew, let_in, keep_back}, unbind};
static const struct contest moves = {before_changes, {bind_anew, move, move}, unbind};

/* ---- alarms ---- */

#define ALARM (VMI_ALARM_WIRED_IRQ0 | VMI_CYCLES_REAL)

static void set_periodic(uint32_t who)
{
    (void)who;
    vmi_set_alarm(ALARM | VMI_ALARM_PERIODIC, vmi_get_cycle_counter(VMI_CYCLES_REAL), 1000000);
    spin_milliseconds(LATER);
}

static void set_one(uint32_t who)
{
    (void)who;
    vmi_set_alarm(ALARM, vmi_get_cycle_counter(VMI_CYCLES_REAL) + 1000, 0);
    spin_milliseconds(LATER);
}

static void cancel(uint32_t who)
{
    (void)who;
    vmi_cancel_alarm(ALARM);
}

static void after_alarms(void)
{
    vmi_cancel_alarm(ALARM);
}

static const struct contest alarms = {NULL, {set_periodic, set_one, cancel}, after_alarms};

/* ---- gates ---- */

static void set_idt(uint32_t who)
{
    struct vmi_dtr idt = descriptors_idt();

    (void)who;
    vmi_set_idt(&idt);
}

static const struct contest gates = {NULL, {set_idt, set_idt, set_idt}, NULL};

/* ---- what devices have: the rig lets this domain map the hole (rig.py) ---- */

#define HOLE 0xe0000000u

static void *devices[CPUS];

static void map_device(uint32_t who)
{
    expect(vmi_map_device(HOLE + who * PAGE_SIZE, PAGE_SIZE, VMI_CACHE_UNCACHED, &devices[who]) ==
               VMI_OK,
           "a device");
}

static void unmap_device(uint32_t who)
{
    expect(vmi_unmap_device((uintptr_t)devices[who]) == VMI_OK, "a device's end");
}

static void map_devices(void)
{
    for (uint32_t i = 0; i < CPUS; i++)
        map_device(i);
}

static void unmap_devices(void)
{
    for (uint32_t i = 0; i < CPUS; i++) {
        uint64_t *entry = aspace_entry(&kernel_aspace, (uintptr_t)devices[i], false);

        expect(pte_frame(pte_read(entry)) == (HOLE >> PAGE_SHIFT) + i, "a device's page");
        unmap_device(i);
    }
}

static void no_devices(void)
{
    for (uint32_t i = 0; i < CPUS; i++)
        expect(
            !(pte_read(aspace_entry(&kernel_aspace, (uintptr_t)devices[i], false)) & PTE_PRESENT),
            "an empty page");
}

static const struct contest maps = {NULL, {map_device, map_device, map_device}, unmap_devices};
static const struct contest unmaps = {
    map_devices, {unmap_device, unmap_device, unmap_device}, no_devices};

static bool contend_for_all(void)
{
    for (uint32_t cpu = 1; cpu < CPUS; cpu++)
        expect(cpu_start(cpu) == VMI_OK, "a CPU");
    bind_requests();
    sections_store_read("name", domain_name, sizeof(domain_name));
    print("# input ready\n");
    spin_milliseconds(1000);
    /* Before what is refused, and reported on the console. */
    contend(&writes);
    contend(&reads);
    /* Before another contest has slept at the places of its section. */
    contend(&starts);
    contend(&loads);
    contend(&names);
    contend(&releases);
    contend(&questions);
    contend(&takes);
    contend(&tells);
    contend(&binds);
    contend(&changes);
    contend(&moves);
    contend(&alarms);
    contend(&gates);
    contend(&maps);
    contend(&unmaps);
    print("# read %u:", input_count);
    for (uint32_t i = 0; i < input_count && i < INPUT; i++)
        print(" %02x", input[i]);
    print("\n");
    return wrong == 0;
}

static bool check_all(void)
{
    const struct check *const lists[] = {
        checks_boot,         checks_cpus,    checks_device_memory, checks_events,
        checks_entries_cpus, CHECKS_ARCH,    checks_descriptors,   checks_processor,
        checks_supervisor,   checks_traps,   checks_clocks,        checks_interrupts,
        checks_time,         checks_paging,  checks_threads,       checks_processes,
        checks_no_execute,   checks_devices,
    };
    struct ktap_result result = ktap_run(lists, sizeof(lists) / sizeof(lists[0]), "", NULL);

    again();
    be_told();
    print("# result pass=%u fail=%u skip=%u\n", result.passed, result.failed, result.skipped);
    return result.failed == 0 && wrong == 0;
}

static void first_thread(void)
{
    char word[4];
    bool contention = option_value(checks_boot_info->command_line, "contend", word, sizeof(word));

    start(checks_boot_info);
    bool passed = contention ? contend_for_all() : check_all();
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, passed ? VMI_STATUS_PASS : VMI_STATUS_FAIL);
}

void kernel_main(const struct vmi_boot_info *boot)
{
    checks_boot_info = boot;
    threads_start(first_thread);
}
