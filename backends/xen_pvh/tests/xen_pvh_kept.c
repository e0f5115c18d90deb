/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The words of each CPU in which Xen says that an event is pending, as a Linux process: this file
 * plays Xen (xen/common/domain.c, map_vcpu_info and VCPUOP_initialise of Xen 4.17) and the memory
 * from which the library has those that are not on the shared page.
 */
#include "xen_pvh/pvh.h"

#include <native/routines.h>

#include <xen/hvm/hvm_info_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/vcpu.h>

/* What a process may not do; its addresses are physical ones. */
#define vmi__physical(pointer)             ((uint64_t)(uintptr_t)(pointer))
#define vmi__lock(lock)                    ((void)(lock), 0u)
#define vmi__unlock(lock, flags)           ((void)(lock), (void)(flags))
#define vmi__native_apic_write(reg, value) ((void)(reg), (void)(value))

#include "xen_pvh/cpu_kept.c"
#include "xen_pvh/event.c"

#include "backends/plain_memory.h"
#include "backends/played.h"

#define VECTOR 0x51
#define PORT   2
#define MOST   200u

#define ENOENT 2
#define ENXIO  6
#define EINVAL 22

static struct vmi_cpu cpus[MOST];
struct vmi_boot_info vmi__boot = {.cpus = cpus};
struct shared_info vmi__xen_pvh_shared;
bool vmi__native_ended_vectors[256];

static struct {
    uint32_t vcpus; /* of the domain */
    uint32_t taken; /* places */
    struct vcpu_info *at[HVM_MAX_VCPUS];
    bool given[HVM_MAX_VCPUS]; /* by the library */
    uint32_t raised_at;        /* the CPU to which the channel leads */
} xen;

static uint32_t calling; /* the CPU that runs */
static bool no_memory;
static struct vcpu_info memory[MOST] __attribute__((aligned(4096)));

static void all_pending(struct vcpu_info *info)
{
    info->evtchn_pending_sel = (xen_ulong_t)-1;
    info->evtchn_upcall_pending = 1;
}

HYPERCALL intptr_t vmi__xen_pvh_hypercall_vcpu_op(uint32_t command, uint32_t vcpu, void *argument)
{
    const struct vcpu_register_vcpu_info *place = argument;

    EXPECT(command == VCPUOP_register_vcpu_info);
    if (vcpu >= xen.vcpus)
        return -ENOENT;
    if (place->offset > 4096 - sizeof(struct vcpu_info) ||
        place->offset % _Alignof(struct vcpu_info))
        return -ENXIO;
    if (xen.given[vcpu])
        return -EINVAL;
    xen.given[vcpu] = true;
    xen.taken++;
    xen.at[vcpu] = (struct vcpu_info *)(uintptr_t)(place->mfn << 12 | place->offset);
    all_pending(xen.at[vcpu]);
    return 0;
}

HYPERCALL intptr_t vmi__xen_pvh_hypercall_hvm_op(uint32_t command, void *argument)
{
    EXPECT(command == HVMOP_set_evtchn_upcall_vector);
    EXPECT(((struct xen_hvm_evtchn_upcall_vector *)argument)->vector == VECTOR);
    return ((struct xen_hvm_evtchn_upcall_vector *)argument)->vcpu < xen.vcpus ? 0 : -ENOENT;
}

HYPERCALL intptr_t vmi__xen_pvh_hypercall_event_channel_op(uint32_t command, void *argument)
{
    if (command == EVTCHNOP_bind_vcpu)
        xen.raised_at = ((struct evtchn_bind_vcpu *)argument)->vcpu;
    return 0;
}

/* ---- the rest of the library ---- */

void *vmi__cpu_rows(uint32_t size)
{
    EXPECT(size == sizeof(memory[0]));
    if (vmi__boot.cpu_count <= VMI__CPUS_FEW)
        return NULL;
    if (no_memory)
        vmi__boot.cpu_count = VMI__CPUS_FEW;
    return no_memory ? NULL : memory;
}

void *vmi__xen_pvh_argument(const void *pointer)
{
    return (void *)(uintptr_t)pointer;
}

evtchn_port_t vmi__xen_pvh_console_port(void)
{
    return PORT;
}

evtchn_port_t vmi__xen_pvh_requests_port(void)
{
    return 0;
}

void vmi__xen_pvh_requests_take(bool takes)
{
    (void)takes;
}

void vmi__xen_pvh_requests_came(void)
{
}

bool vmi__xen_pvh_requests_news(void)
{
    return false;
}

bool vmi__xen_common_store_let_in(bool in)
{
    return in;
}

bool vmi__xen_pvh_console_news(void)
{
    return false;
}

bool vmi__native_apic_command(uint32_t apic_id, uint32_t command)
{
    (void)apic_id, (void)command;
    EXPECT(false);
    return false;
}

uint32_t vmi__native_cpu(void)
{
    return calling;
}

bool vmi__native_cpu_runs(uint32_t cpu)
{
    (void)cpu;
    return true;
}

void vmi__native_vector_ended(uint32_t vector)
{
    (void)vector;
}

/* ---- checks ---- */

/* The library starts where ACPI lists so many CPUs, of which Xen takes places for so many. */
static void start(uint32_t listed, uint32_t vcpus)
{
    memset(&xen, 0, sizeof(xen));
    memset(memory, 0, sizeof(memory));
    memset(&vmi__xen_pvh_shared, 0, sizeof(vmi__xen_pvh_shared));
    memset(rows, 0, sizeof(rows));
    memset(bound, 0, sizeof(bound));
    ends = 0;
    calling = 0;
    xen.vcpus = vcpus;
    for (uint32_t cpu = 0; cpu < XEN_LEGACY_MAX_VCPUS; cpu++)
        xen.at[cpu] = &vmi__xen_pvh_shared.vcpu_info[cpu];
    vmi__boot.cpu_count = listed;
    vmi__xen_pvh_cpus_start();
}

static void few_cpus_need_nothing(void)
{
    start(1, 1);
    EXPECT(!xen.taken && vmi__boot.cpu_count == 1);
    start(XEN_LEGACY_MAX_VCPUS, XEN_LEGACY_MAX_VCPUS);
    EXPECT(!xen.taken && vmi__boot.cpu_count == XEN_LEGACY_MAX_VCPUS);
}

static void further_cpus_have_their_own(void)
{
    static const uint32_t counts[] = {33, 40, HVM_MAX_VCPUS};

    for (uint32_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        start(counts[i], counts[i]);
        EXPECT(vmi__boot.cpu_count == counts[i]);
        EXPECT(xen.taken == counts[i] - XEN_LEGACY_MAX_VCPUS);
        for (uint32_t cpu = 0; cpu < counts[i]; cpu++) {
            EXPECT(xen.at[cpu] && xen.at[cpu] == vmi__xen_pvh_vcpu(cpu));
            EXPECT(!cpu || xen.at[cpu] != xen.at[cpu - 1]);
            EXPECT(!xen.at[cpu]->evtchn_upcall_pending && !xen.at[cpu]->evtchn_pending_sel);
        }
    }
}

/* The kernel is not told of CPUs that could take no events. */
static void a_place_is_refused(void)
{
    start(MOST, HVM_MAX_VCPUS);
    EXPECT(vmi__boot.cpu_count == HVM_MAX_VCPUS);
    start(40, 36);
    EXPECT(vmi__boot.cpu_count == 36);
    start(40, XEN_LEGACY_MAX_VCPUS);
    EXPECT(vmi__boot.cpu_count == XEN_LEGACY_MAX_VCPUS);
    no_memory = true;
    start(40, 40);
    no_memory = false;
    EXPECT(vmi__boot.cpu_count == XEN_LEGACY_MAX_VCPUS && !xen.taken);
}

/* The end of the interrupt takes away what is pending where it came, and nowhere else. */
static void an_event_ends_where_it_came(void)
{
    static const uint32_t where[] = {0, 31, 32, 39};
    int32_t event = 0;

    for (uint32_t i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
        start(40, 40);
        EXPECT((event = vmi__xen_pvh_event_bind(VMI_EVENT_CONSOLE, 0, VECTOR)) > 0);
        EXPECT(!xen.raised_at);
        EXPECT(vmi__xen_pvh_event_move((uint32_t)event, where[i]) == VMI_OK &&
               xen.raised_at == where[i]);
        for (uint32_t cpu = 0; cpu < 40; cpu++)
            all_pending(xen.at[cpu]);
        calling = where[i];
        vmi__xen_pvh_end_of_interrupt(VECTOR);
        for (uint32_t cpu = 0; cpu < 40; cpu++)
            EXPECT(xen.at[cpu]->evtchn_upcall_pending == (cpu != where[i]) &&
                   !xen.at[cpu]->evtchn_pending_sel == (cpu == where[i]));
    }
    EXPECT(vmi__xen_pvh_event_move((uint32_t)event, 40) == VMI_EINVAL);
}

/* In a domain that was restored Xen knows no place of a CPU's, and has all marked as pending. */
static void a_restored_cpu_has_its_place_again(void)
{
    start(40, 40);
    memset(xen.given, 0, sizeof(xen.given));
    xen.taken = 0;
    EXPECT(vmi__xen_pvh_cpu_register(0) && vmi__xen_pvh_cpu_register(31) && !xen.taken);
    EXPECT(vmi__xen_pvh_cpu_register(32) && vmi__xen_pvh_cpu_register(39) && xen.taken == 2);
    EXPECT(xen.at[39] == vmi__xen_pvh_vcpu(39) && !xen.at[39]->evtchn_upcall_pending);
    EXPECT(!vmi__xen_pvh_cpu_register(39));
}

static const struct played_check checks[] = {
    CHECK(few_cpus_need_nothing),
    CHECK(further_cpus_have_their_own),
    CHECK(a_place_is_refused),
    CHECK(an_event_ends_where_it_came),
    CHECK(a_restored_cpu_has_its_place_again),
};

PLAY(checks)
