/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What CPUs share is touched with its lock held, as a Linux process: the compiler tells of each
 * access of memory (xen_accesses.h), and this file says for each check which lock goes with which
 * memory. It plays Xen and the other sides of the rings. For x86-64, where the compiler does that;
 * the sources are those of both architectures.
 *
 * With the same domain: what Xen is asked for of page tables, and what a kernel reads of them.
 */
#include "xen/builder.h"
#include "xen/traps.h"

#include "backends/played.h"

#include "xen/tests/xen_accesses.h"

/* What a process may not do: Xen does not answer its CPUID. */
#undef XEN_CPUID
#define XEN_CPUID "cpuid"

#include "alarm.c"      /* runtime/ */
#include "cpus.c"       /* runtime/ */
#include "device_map.c" /* runtime/ */
#include "string.c"     /* runtime/ */

#include "xen/base.c"
#include "xen/mmu.c"

/* Names that more than one source has for itself. */
#define lock device_lock
#include "xen/device.c"
#undef lock

#include "xen/ports.c"

#include "xen/store.c"

#define lock store_lock
#define ring store_ring
#include "xen_common/store.c"
#undef lock
#undef ring

#define lock console_lock
#define ring console_ring
#define put  console_put
#include "xen/console.c"
#undef lock
#undef ring
#undef put

#include "xen/time.c"

#define lock  gates_lock
#define table gates_table
#include "xen/descriptors.c"
#undef lock
#undef table

#include "xen/events.c"

#define lock    start_lock
#define context start_context
#define start   start_vcpu
#include "xen/machine.c"
#undef lock
#undef context
#undef start

#include "xen/tests/xen_tables.h"

/* arch/x86/entry/syscalls/syscall_64.tbl; asm/prctl.h. */
#define SYS_ARCH_PRCTL 158
#define ARCH_SET_GS    0x1001

#define CONSOLE_PORT 2
#define STORE_PORT   1
#define VECTOR       0x51

/* The domain's memory, whose frames have other numbers for the machine. */
#define FRAMES    96u
#define FIRST_MFN 0x200u

/* What is in which frame. */
enum {
    BOOT_ROOT = 1,
    ROOT,
    OTHER_ROOT,
    POINTERS,
    OTHER_POINTERS,
    GDT_PAGE,
    IDT_PAGE,
    DEVICES_TOP,
    AREA,
    DEVICE_PAGES = 32
};

static uint8_t memory[FRAMES][VMI__PAGE_SIZE] __attribute__((aligned(4096)));
static xen_pfn_t p2m[FRAMES], m2p[FIRST_MFN + FRAMES];
static uint16_t states[FRAMES];

static struct vmi__xen_cpu records[2];
static uint64_t areas[2][VMI_PERCPU_SIZE / 8];
struct vmi_boot_info vmi__boot;
struct vmi_cpu vmi__cpus[VMI__CPUS_FEW];
struct shared_info vmi__xen_shared;

const struct vmi__xen_sequence vmi__xen_mask_restart[1], vmi__xen_mask_restart_end[1];
const struct vmi__xen_sequence vmi__xen_restart[1], vmi__xen_restart_end[1];
const char vmi__xen_event_callback[1], vmi__xen_failsafe_callback[1];

/* ---- which lock goes with which memory ---- */

struct shared {
    const volatile void *at;
    uintptr_t size;
    const struct vmi__xen_lock *lock;
};

#define SHARED_MAX 4

/* Of the running check. */
struct shared shared[SHARED_MAX];
volatile uint32_t shared_count;

/* Whether the library runs, or the one who tries it; accesses of the former without their lock. */
volatile bool inside;
volatile uint32_t accesses, without_lock;

/* A marked read is one that may find what another CPU is about to change. */
UNWATCHED static void accessed(const volatile void *address, uintptr_t size, bool write,
                               bool atomic, uintptr_t at)
{
    (void)at;
    if (!inside || (atomic && !write))
        return;
    for (uint32_t i = 0; i < shared_count; i++) {
        uintptr_t from = (uintptr_t)shared[i].at, here = (uintptr_t)address;

        if (here - from >= shared[i].size && from - here >= size)
            continue;
        accesses++;
        without_lock += !*(const volatile uint32_t *)&shared[i].lock->held;
    }
}

static void share(const volatile void *at, uintptr_t size, const struct vmi__xen_lock *lock)
{
    EXPECT(shared_count < SHARED_MAX);
    shared[shared_count++] = (struct shared){at, size, lock};
}

/* Has the library do something. */
#define DO(what)                                                                                   \
    do {                                                                                           \
        inside = true;                                                                             \
        what;                                                                                      \
        inside = false;                                                                            \
    } while (0)

/* It touched what is shared, and only with the lock, which it has given back. */
#define TOUCHED_WITH_LOCK()                                                                        \
    do {                                                                                           \
        EXPECT(accesses && !without_lock);                                                         \
        for (uint32_t i_ = 0; i_ < shared_count; i_++)                                             \
            EXPECT(!shared[i_].lock->held);                                                        \
        accesses = without_lock = 0;                                                               \
    } while (0)

/* ---- Xen, and the other sides ---- */

static struct {
    uint32_t yields, reports;
    struct vmi__xen_lock *let_go; /* by the second yield */
    uint64_t roots[2];            /* frames of the kernel's and of the process's, as it was told */
} xen;

/* A page of the domain's by the machine's address. */
static uint64_t *entry_at(uint64_t machine)
{
    uint64_t pfn = (machine >> VMI__PAGE_SHIFT) - FIRST_MFN;

    EXPECT(pfn < FRAMES);
    return (uint64_t *)&memory[pfn % FRAMES][machine & (VMI__PAGE_SIZE - 8)];
}

HYPERCALL intptr_t vmi__xen_hypercall_mmu_update(const void *updated, uint32_t count, void *done,
                                                 uint32_t domain)
{
    const struct mmu_update *update = updated;

    (void)domain;
    for (uint32_t i = 0; i < count; i++)
        *entry_at(update[i].ptr) = update[i].val;
    if (done)
        *(uint32_t *)done = count;
    return 0;
}

HYPERCALL intptr_t vmi__xen_hypercall_mmuext_op(const void *operations, uint32_t count, void *done,
                                                uint32_t domain)
{
    const struct mmuext_op *op = operations;

    (void)done, (void)domain;
    for (uint32_t i = 0; i < count; i++)
        if (op[i].cmd == MMUEXT_NEW_BASEPTR)
            xen.roots[0] = op[i].arg1.mfn;
        else if (op[i].cmd == MMUEXT_NEW_USER_BASEPTR)
            xen.roots[1] = op[i].arg1.mfn;
    return 0;
}

HYPERCALL intptr_t vmi__xen_hypercall_update_descriptor(uint64_t address, uint64_t descriptor)
{
    *entry_at(address) = descriptor;
    return 0;
}

HYPERCALL intptr_t vmi__xen_hypercall_set_trap_table(const void *gates)
{
    (void)gates;
    return 0;
}

HYPERCALL intptr_t vmi__xen_hypercall_set_timer_op(uint64_t timeout)
{
    (void)timeout;
    return 0;
}

HYPERCALL intptr_t vmi__xen_hypercall_console_io(uint32_t command, uint32_t length, void *text)
{
    (void)command, (void)length, (void)text;
    return VMI_ENOSYS;
}

HYPERCALL intptr_t vmi__xen_hypercall_vcpu_op(uint32_t command, uint32_t vcpu, void *argument)
{
    (void)command, (void)vcpu, (void)argument;
    return 0;
}

/* Who waits for a lock yields, again and again. */
HYPERCALL intptr_t vmi__xen_hypercall_sched_op(uint32_t command, const void *argument)
{
    (void)argument;
    EXPECT(command == SCHEDOP_yield);
    if (++xen.yields == 2 && xen.let_go)
        xen.let_go->held = 0;
    if (xen.yields == 100) {
        put("a lock is never given back\n");
        call(SYS_EXIT, 1, 0, 0);
    }
    return 0;
}

/* No CPU has stopped here. */
bool vmi__xen_stopped(uint32_t number)
{
    return number == 1;
}

void vmi__xen_leave_state(const struct vmi_ap_state *state)
{
    (void)state;
    EXPECT(false);
}

bool vmi__xen_state_taken(void)
{
    return false;
}

bool vmi__xen_requests_known = true;

void vmi__xen_requests_came(struct vmi__xen_cpu *cpu)
{
    (void)cpu;
    EXPECT(false); /* xenstore tells of nothing */
}

static evtchn_port_t next_port = CONSOLE_PORT + 1;

/* Xenstore takes requests at once; its answer stands there already. */
static void take_request(void)
{
    struct xenstore_domain_interface *store = (struct xenstore_domain_interface *)memory[AREA + 1];

    store->req_cons = store->req_prod;
}

HYPERCALL intptr_t vmi__xen_hypercall_event_channel_op(uint32_t command, void *argument)
{
    switch (command) {
    case EVTCHNOP_init_control:
        return -XEN_ENOSYS;
    case EVTCHNOP_bind_virq:
        ((struct evtchn_bind_virq *)argument)->port = next_port++;
        break;
    case EVTCHNOP_bind_ipi:
        ((struct evtchn_bind_ipi *)argument)->port = next_port++;
        break;
    case EVTCHNOP_send:
        if (((struct evtchn_send *)argument)->port == STORE_PORT)
            take_request();
        break;
    default:
        break;
    }
    return 0;
}

/* ---- the rest of the library ---- */

static uint32_t masked;

VMI__ROUTINE uint32_t vmi__xen_mask(void)
{
    uint32_t before = masked;

    masked = 1;
    return before;
}

VMI__ROUTINE void vmi__xen_enable_interrupts(void)
{
    masked = 0;
}

bool vmi__xen_state_acceptable(const struct vmi_ap_state *state)
{
    (void)state;
    return true;
}

int32_t vmi__xen_context_of(struct vmi__xen_cpu *cpu, uint32_t number,
                            const struct vmi_ap_state *state, struct vcpu_guest_context *context)
{
    (void)cpu, (void)number, (void)state;
    context->flags = VGCF_IN_KERNEL;
    return VMI_OK;
}

uint32_t vmi__memory_claim(uint32_t size, uint32_t limit)
{
    (void)size, (void)limit;
    return 0;
}

void vmi__fatal(const char *reason)
{
    put(reason);
    call(SYS_EXIT, 1, 0, 0);
    __builtin_unreachable();
}

const struct vmi_call_info vmi_calls[1];
const uint32_t vmi_calls_count = 0;

int32_t vmi_console_write(const void *from, uint32_t length)
{
    (void)from;
    xen.reports++;
    return (int32_t)length;
}

void vmi_shutdown_reason(uint32_t reason, uint32_t status)
{
    (void)reason, (void)status;
    vmi__fatal("the library gives up\n");
}

/* ---- checks ---- */

static void on_cpu(uint32_t number)
{
    uintptr_t area = (uintptr_t)areas[number];
    int64_t result;

    *(uint32_t *)(area + VMI_PERCPU_NUMBER) = number;
    *(uintptr_t *)(area + VMI_PERCPU_PRIVATE) = (uintptr_t)&records[number];
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"((int64_t)SYS_ARCH_PRCTL), "D"((int64_t)ARCH_SET_GS), "S"(area)
                     : "rcx", "r11", "memory");
    EXPECT(result == 0);
}

static void begin(void)
{
    inside = false;
    shared_count = 0;
    accesses = without_lock = 0;
    masked = 0;
    memset(&xen, 0, sizeof(xen));
    memset(records, 0, sizeof(records));
    memset(states, 0, sizeof(states));
    memset(memory, 0, sizeof(memory));
    for (uintptr_t pfn = 0; pfn < FRAMES; pfn++) {
        p2m[pfn] = FIRST_MFN + pfn;
        m2p[FIRST_MFN + pfn] = pfn;
    }
    vmi__boot.linear_base = (uintptr_t)memory;
    vmi__boot.cpu_count = 2;
    vmi__boot.kernel_rpl = 3;
    vmi__xen_memory = (struct vmi__xen_memory){
        .p2m = p2m,
        .pages = FRAMES,
        .m2p = m2p,
        .m2p_last = FIRST_MFN + FRAMES - 1,
        .state = states,
        .linear_pages = FRAMES,
        .boot_cr3 = BOOT_ROOT << VMI__PAGE_SHIFT,
    };
    states[BOOT_ROOT] = VMI_PAGE_PML4 | VMI__XEN_PINNED;
    for (uint32_t i = 0; i < 2; i++) {
        vmi__xen_cpus[i] = &records[i];
        records[i].cr3 = vmi__xen_memory.boot_cr3;
        records[i].gdt_page = (uint64_t *)memory[GDT_PAGE];
    }
    records[0].started = 1;
    vmi__xen_cpu_count = 2;
    on_cpu(0);
    vmi__xen_set_linear_mapping(0, (uintptr_t)memory, FRAMES, 0);
    vmi__xen_console_start(memory[AREA], CONSOLE_PORT);
    vmi__xen_store_start(memory[AREA + 1], STORE_PORT);
}

static void an_access_without_the_lock_is_noticed(void)
{
    static volatile uint32_t word[2];
    static struct vmi__xen_lock its_lock;

    begin();
    share(&word[0], sizeof(word[0]), &its_lock);
    DO(word[1] = 1);
    EXPECT(!accesses);
    DO(word[0] = 1);
    EXPECT(accesses == 1 && without_lock == 1);
    accesses = without_lock = 0;
    DO(vmi__xen_take(&its_lock); word[0] = 2; vmi__xen_give(&its_lock, 0));
    TOUCHED_WITH_LOCK();
}

static void a_lock_keeps_others_out(void)
{
    static struct vmi__xen_lock its_lock;

    begin();
    EXPECT(vmi__xen_take(&its_lock) == 0 && its_lock.held && masked);
    xen.let_go = &its_lock;
    EXPECT(vmi__xen_take(&its_lock) == 1 && its_lock.held && xen.yields == 2);
    vmi__xen_give(&its_lock, 1);
    EXPECT(!its_lock.held && masked);
    vmi__xen_give(&its_lock, 0);
    EXPECT(!masked);
}

static void the_console(void)
{
    struct xencons_interface *page = (struct xencons_interface *)memory[AREA];
    char byte;

    begin();
    share(page, sizeof(*page), &console_lock);
    DO(EXPECT(vmi__xen_console_write("text", 4) == 4));
    TOUCHED_WITH_LOCK();
    page->in_prod = 1;
    DO(EXPECT(vmi__xen_console_read(&byte, 1) == 1));
    TOUCHED_WITH_LOCK();
}

static void xenstore(void)
{
    struct xenstore_domain_interface *page = (struct xenstore_domain_interface *)memory[AREA + 1];
    struct xsd_sockmsg answer = {.type = XS_READ, .req_id = store_ring.request + 1, .len = 4};
    struct vmi__xen_lock *its_lock = (struct vmi__xen_lock *)(uintptr_t)&store_lock;
    char name[16];

    begin();
    memcpy(page->rsp, &answer, sizeof(answer));
    memcpy(page->rsp + sizeof(answer), "name", 4);
    page->rsp_prod = sizeof(answer) + 4;
    share(page, sizeof(*page), its_lock);
    share(&store_ring.request, sizeof(store_ring.request), its_lock);
    DO(EXPECT(vmi__xen_common_store_read("name", name, sizeof(name)) == 4));
    TOUCHED_WITH_LOCK();
    EXPECT(!memcmp(name, "name", 5));
}

static void interrupt_line_0(void)
{
    int32_t event;

    begin();
    memset(&vmi__xen_irq0, 0, sizeof(vmi__xen_irq0));
    share(&vmi__xen_irq0, sizeof(vmi__xen_irq0), &vmi__xen_events_lock);
    DO(vmi__xen_raise_irq0(&records[0]));
    TOUCHED_WITH_LOCK();
    DO(event = vmi__xen_event_bind(VMI_EVENT_IRQ, 0, VECTOR));
    TOUCHED_WITH_LOCK();
    DO(EXPECT(vmi__xen_event_unmask((uint32_t)event) == VMI_OK));
    TOUCHED_WITH_LOCK();
    /* It has been raised before it was bound. */
    EXPECT(records[0].ipi[VECTOR / 32] == 1u << VECTOR % 32);
    DO(vmi__xen_raise_irq0(&records[0]));
    TOUCHED_WITH_LOCK();
    EXPECT(records[0].irr[VECTOR / 32] == 1u << VECTOR % 32);
    DO(EXPECT(vmi__xen_event_mask((uint32_t)event) == VMI_OK));
    TOUCHED_WITH_LOCK();
    records[1].started = 1;
    DO(EXPECT(vmi__xen_event_move((uint32_t)event, 1) == VMI_OK));
    TOUCHED_WITH_LOCK();
    DO(EXPECT(vmi__xen_event_unbind((uint32_t)event) == VMI_OK));
    TOUCHED_WITH_LOCK();
}

/* A port is written whole, and read so without the lock. */
static void ports_of_the_kernel(void)
{
    begin();
    EXPECT(vmi__xen_ports_prepare(&records[0], 0) >= 0);
    share(ports, sizeof(ports), &vmi__xen_events_lock);
    DO(EXPECT(vmi__xen_event_bind(VMI_EVENT_CONSOLE, 0, VECTOR) == EVENT_CONSOLE));
    TOUCHED_WITH_LOCK();
    records[1].started = 1;
    DO(EXPECT(vmi__xen_event_move(EVENT_CONSOLE, 1) == VMI_OK));
    TOUCHED_WITH_LOCK();
    DO(EXPECT(vmi__xen_event_unbind(EVENT_CONSOLE) == VMI_OK));
    TOUCHED_WITH_LOCK();
}

static void alarms_of_a_cpu(void)
{
    begin();
    EXPECT(vmi__xen_ports_prepare(&records[0], 0) >= 0);
    share(records[0].alarm, sizeof(records[0].alarm), &records[0].alarm_lock);
    DO(vmi__xen_set_alarm(VMI_ALARM_WIRED_IRQ0 | VMI_CYCLES_REAL, UINT64_MAX, 0));
    TOUCHED_WITH_LOCK();
    DO(vmi__xen_alarms(&records[0]));
    TOUCHED_WITH_LOCK();
    /* Another CPU sets line 0's, which is the first one's. */
    on_cpu(1);
    DO(vmi__xen_cancel_alarm(VMI_ALARM_WIRED_IRQ0));
    TOUCHED_WITH_LOCK();
    on_cpu(0);
}

static void trap_table(void)
{
    const struct vmi_dtr idt = {.limit = VMI__PAGE_SIZE - 1, .base = (uintptr_t)memory[IDT_PAGE]};

    begin();
    share(gates_table, sizeof(gates_table), &gates_lock);
    DO(vmi__xen_set_idt(&idt));
    TOUCHED_WITH_LOCK();
}

static void context_of_a_cpu_that_starts(void)
{
    const struct vmi_ap_state state = {
        .cr3 = BOOT_ROOT << VMI__PAGE_SHIFT,
        .cs = 3,
        .ss = 3,
        .gdtr_base = (uintptr_t)memory[GDT_PAGE],
        .idtr_base = (uintptr_t)memory[IDT_PAGE],
    };

    begin();
    share(&start_context, sizeof(start_context), &start_lock);
    DO(EXPECT(vmi__xen_set_initial_ap_state(&state, 1) == VMI_OK));
    TOUCHED_WITH_LOCK();
    EXPECT(records[1].started && !xen.reports);
}

/* ---- page tables ---- */

static uint64_t naming(uintptr_t pfn)
{
    return pfn << VMI__PAGE_SHIFT | VMI__PTE_PRESENT | VMI__PTE_WRITE | VMI__PTE_USER;
}

static void allocate(uintptr_t pfn, uint32_t kind)
{
    vmi__xen_allocate_page(pfn, kind | VMI_PAGE_PAE, 0, 0, 0);
}

static uint64_t *entry_of(uintptr_t pfn, uint32_t index)
{
    return (uint64_t *)memory[pfn] + index;
}

static void states_of_tables(void)
{
    begin();
    allocate(ROOT, VMI_PAGE_PML4);
    allocate(OTHER_ROOT, VMI_PAGE_PML4);
    allocate(POINTERS, VMI_PAGE_PDP);
    allocate(OTHER_POINTERS, VMI_PAGE_PDP);
    share(states, sizeof(states), &tables_lock);
    /* A store into a table that Xen does not have; it is given with its root. */
    DO(vmi__xen_write_entry(naming(POINTERS), entry_of(ROOT, 0)));
    TOUCHED_WITH_LOCK();
    EXPECT(*entry_of(ROOT, 0) == naming(FIRST_MFN + POINTERS));
    DO(vmi__xen_load_roots(ROOT << VMI__PAGE_SHIFT, 0));
    TOUCHED_WITH_LOCK();
    EXPECT(states[ROOT] == (VMI_PAGE_PML4 | VMI__XEN_PINNED) && states[POINTERS] == VMI_PAGE_PDP);
    /* One that is named by an entry of a table that Xen has, first and again. */
    DO(vmi__xen_write_entry(naming(OTHER_POINTERS), entry_of(ROOT, 1)));
    TOUCHED_WITH_LOCK();
    EXPECT(states[OTHER_POINTERS] == VMI_PAGE_PDP);
    DO(vmi__xen_write_entry(naming(OTHER_POINTERS), entry_of(ROOT, 2)));
    TOUCHED_WITH_LOCK();
    EXPECT(states[OTHER_POINTERS] == (VMI_PAGE_PDP | VMI__XEN_TWICE));
    DO(EXPECT(vmi__xen_pin(OTHER_ROOT) == 0));
    TOUCHED_WITH_LOCK();
    EXPECT(states[OTHER_ROOT] == (VMI_PAGE_PML4 | VMI__XEN_PINNED));
    vmi__xen_load_roots(BOOT_ROOT << VMI__PAGE_SHIFT, 0);
    DO(vmi__xen_release_page(ROOT, VMI_PAGE_PML4 | VMI_PAGE_PAE));
    TOUCHED_WITH_LOCK();
    EXPECT(!states[ROOT] && states[POINTERS] == (VMI_PAGE_PDP | VMI__XEN_UNPINNED));
    EXPECT(!xen.reports);
}

/* What is kept back is carried out at the end of the mode, and nothing is kept back after that. */
static void a_lazy_mode_ends(void)
{
    begin();
    vmi__xen_set_lazy_mode(VMI_LAZY_MMU);
    vmi__xen_write_entry(0x5000, entry_of(BOOT_ROOT, 3));
    EXPECT(*entry_of(BOOT_ROOT, 3) == 0);
    vmi__xen_set_lazy_mode(VMI_LAZY_NONE);
    EXPECT(*entry_of(BOOT_ROOT, 3) == 0x5000);
    vmi__xen_write_entry(0x6000, entry_of(BOOT_ROOT, 3));
    EXPECT(*entry_of(BOOT_ROOT, 3) == 0x6000 && !xen.reports);
}

static void a_process_has_a_root_of_its_own(void)
{
    begin();
    allocate(ROOT, VMI_PAGE_PML4);
    allocate(OTHER_ROOT, VMI_PAGE_PML4);
    vmi__xen_load_roots(ROOT << VMI__PAGE_SHIFT, OTHER_ROOT << VMI__PAGE_SHIFT);
    EXPECT(xen.roots[0] == FIRST_MFN + ROOT && xen.roots[1] == FIRST_MFN + OTHER_ROOT);
    vmi__xen_load_roots(ROOT << VMI__PAGE_SHIFT, 0);
    EXPECT(xen.roots[0] == FIRST_MFN + ROOT && xen.roots[1] == 0);
}

/* ---- devices ---- */

#define DEVICE 0xe0000000u

static void begin_devices(void)
{
    begin();
    memset(mappings, 0, sizeof(mappings));
    tables_used = 0;
    states[DEVICES_TOP] = VMI__XEN_DEVICES_KIND;
    vmi__xen_devices =
        (struct vmi__xen_devices){VMI__DEVICE_BASE, VMI__DEVICE_SIZE, entry_of(DEVICES_TOP, 0)};
    vmi__xen_devices_start(memory[DEVICE_PAGES]);
}

static void mappings_of_devices(void)
{
    void *address;

    begin_devices();
    share(mappings, sizeof(mappings), &device_lock);
    share(updates, sizeof(updates), &device_lock);
    share(&tables_used, sizeof(tables_used), &device_lock);
    DO(EXPECT(vmi__xen_map_device(DEVICE, VMI__PAGE_SIZE, VMI_CACHE_UNCACHED, &address) == VMI_OK));
    TOUCHED_WITH_LOCK();
    DO(EXPECT(vmi__xen_unmap_device((uintptr_t)address) == VMI_OK));
    TOUCHED_WITH_LOCK();
    EXPECT(!xen.reports);
}

/* The kernel reads its tables, and finds what it was given there; of other machine frames nothing.
 */
static void entries_of_devices_are_shown(void)
{
    const uint64_t flags = VMI__PTE_PRESENT | VMI__PTE_WRITE;
    void *address;

    begin_devices();
    EXPECT(vmi__xen_machine_to_physical(DEVICE | flags) == VMI__PTE_WRITE);
    EXPECT(vmi__xen_map_device(DEVICE, VMI__PAGE_SIZE, VMI_CACHE_UNCACHED, &address) == VMI_OK);
    EXPECT(vmi__xen_machine_to_physical(DEVICE | flags) == (DEVICE | flags));
    EXPECT(vmi__xen_physical_to_machine(DEVICE | flags) == (DEVICE | flags));
    EXPECT(vmi__xen_machine_to_physical((DEVICE + VMI__PAGE_SIZE) | flags) == VMI__PTE_WRITE);
    EXPECT(vmi__xen_unmap_device((uintptr_t)address) == VMI_OK);
    EXPECT(vmi__xen_machine_to_physical(DEVICE | flags) == VMI__PTE_WRITE);
    /* Memory of the domain's has its own number, whatever the machine's. */
    EXPECT(vmi__xen_machine_to_physical(naming(FIRST_MFN + AREA)) == naming(AREA));
    EXPECT(vmi__xen_physical_to_machine(naming(AREA)) == naming(FIRST_MFN + AREA));
}

static const struct played_check checks[] = {
    CHECK(an_access_without_the_lock_is_noticed),
    CHECK(a_lock_keeps_others_out),
    CHECK(the_console),
    CHECK(xenstore),
    CHECK(interrupt_line_0),
    CHECK(ports_of_the_kernel),
    CHECK(alarms_of_a_cpu),
    CHECK(trap_table),
    CHECK(context_of_a_cpu_that_starts),
    CHECK(states_of_tables),
    CHECK(a_lazy_mode_ends),
    CHECK(a_process_has_a_root_of_its_own),
    CHECK(mappings_of_devices),
    CHECK(entries_of_devices_are_shown),
};

PLAY(checks)
