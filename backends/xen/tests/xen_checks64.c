/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A kernel that checks what the library for Xen does by itself on x86-64: how memory is mapped,
 * what is there for who saves the domain, what a switch and an interrupt cost. It stays on the boot
 * tables. test_xen64_boot.py builds and boots it.
 */
#include "xen/builder.h"

#include "xen_common/tests/xen_last_cpu.h"

#define PAGE_CHANNELS 1024

static const struct vmi_boot_info *boot_info;
static uint8_t area[256] __attribute__((aligned(16)));
static uint32_t mapped_by;
static uintptr_t next_frame;

static uint32_t hypercalls(void)
{
    uint32_t total = 0;

    for (uint32_t i = 0; i < vmi_hypercalls_count; i++)
        total += *vmi_hypercalls[i].count;
    return total;
}

/* The frame behind a linear address by the tables that are loaded, as the kernel would read them.
 */
static uint64_t walk(uintptr_t address)
{
    uint64_t entry = vmi_get_cr3();

    for (uint32_t shift = 39; shift >= 12; shift -= 9) {
        const uint64_t *table =
            (const uint64_t *)((entry & VMI__PTE_FRAME) + boot_info->linear_base);

        entry = vmi_machine_to_physical(table[address >> shift & 511]);
        if (!(entry & VMI__PTE_PRESENT))
            return 0;
    }
    return entry;
}

static uint32_t memory_is_mapped_at_once(void)
{
    /* Whatever its size: the tables of tables, all others, the image. */
    EXPECT(mapped_by == 3);
    for (uintptr_t pfn = 0; pfn < boot_info->linear_pages; pfn++) {
        uint64_t entry = walk(boot_info->linear_base + (pfn << 12));

        /* Where a page of Xen's lies over the image, the domain's own is none to the kernel. */
        if (vmi__xen_mfn(pfn) != vmi__xen_memory.p2m[pfn])
            continue;
        EXPECT(entry & VMI__PTE_NO_EXECUTE && !(entry & VMI__PTE_USER));
        EXPECT((entry & VMI__PTE_FRAME) >> 12 == pfn);
    }
    return 0;
}

extern const char vmi_image_start[], vmi_text_end[], vmi_rodata_end[], vmi_image_end[];

static uint32_t image_is_protected(void)
{
    for (const char *at = vmi_image_start; at < vmi_image_end; at += 4096) {
        uint64_t entry = walk((uintptr_t)at);

        EXPECT(entry & VMI__PTE_PRESENT);
        EXPECT(!(entry & VMI__PTE_WRITE) == (at < vmi_rodata_end));
        EXPECT(!(entry & VMI__PTE_NO_EXECUTE) == (at < vmi_text_end));
    }
    /* Nothing of what the builder has mapped with it is left. */
    EXPECT(!walk((uintptr_t)vmi_image_start - 4096) && !walk((uintptr_t)vmi_image_end));
    return 0;
}

/* What a toolstack reads when it saves the domain. */
static uint32_t list_of_frames_is_published(void)
{
    const struct arch_shared_info *arch = &vmi__xen_shared.arch;
    const xen_pfn_t *list = (const xen_pfn_t *)arch->p2m_vaddr;

    EXPECT(arch->max_pfn == boot_info->linear_pages && !(arch->p2m_generation & 1));
    EXPECT(arch->p2m_cr3 == vmi_physical_to_machine(boot_info->boot_cr3));
    for (uintptr_t pfn = 0; pfn < arch->max_pfn; pfn++) {
        uintptr_t known;

        /* Each is the domain's own, also where a frame of Xen's lies over it. */
        EXPECT(vmi__xen_m2p_read(&vmi__xen_memory.m2p[list[pfn]], &known) && known == pfn);
    }
    return 0;
}

static intptr_t channel(uint32_t command, void *argument)
{
    return vmi__xen_hypercall_event_channel_op(command, argument);
}

/* An option asks for the two-level ABI; Xen offers both. */
static bool fifo_wanted(void)
{
    return memcmp(boot_info->command_line, "vmi.off=", 8) != 0;
}

static uint32_t abi_is_known(void)
{
    EXPECT(vmi__xen_ports_abi() == (fifo_wanted() ? vmi__xen_fifo : vmi__xen_two_level).name);
    EXPECT(vmi__xen_self()->controlled == fifo_wanted());
    return 0;
}

/*
 * Has Xen forget all of this domain's channels, and the ABI, as of one that was saved and comes
 * back. Those of the console and xenstore are made again, at the same ports.
 */
static uint32_t channels_are_gone(void)
{
    struct evtchn_status status[8];
    struct evtchn_reset reset = {.dom = DOMID_SELF};
    uint32_t count = sizeof(status) / sizeof(status[0]);

    for (uint32_t port = 1; port < count; port++) {
        status[port] = (struct evtchn_status){.dom = DOMID_SELF, .port = port};
        EXPECT(channel(EVTCHNOP_status, &status[port]) >= 0);
    }
    EXPECT(channel(EVTCHNOP_reset, &reset) >= 0);
    for (uint32_t port = 1; port < count && status[port].status == EVTCHNSTAT_interdomain; port++) {
        struct evtchn_bind_interdomain peer = {
            .remote_dom = status[port].u.interdomain.dom,
            .remote_port = status[port].u.interdomain.port,
        };

        EXPECT(channel(EVTCHNOP_bind_interdomain, &peer) >= 0 && peer.local_port == port);
    }
    return 0;
}

/* Once more, as after the domain was saved: nothing is lost, nothing goes back. */
static uint32_t set_up_again(void)
{
    struct vmi__xen_cpu *cpu = vmi__xen_self();
    uintptr_t shared = vmi__xen_mfn(vmi__physical(&vmi__xen_shared) >> 12);
    uint64_t before = vmi_clock_nanoseconds();

    EXPECT(!vmi__xen_adopt(&vmi__xen_shared, shared));
    vmi__xen_grants_start();
    EXPECT(channels_are_gone() == 0);
    vmi__xen_ports_forget(cpu);
    EXPECT(vmi__xen_ports_prepare(cpu, 0) >= 0 && cpu->timer_port && cpu->ipi_port);
    EXPECT(abi_is_known() == 0);
    /* Xen is asked once; of a domain that was not saved it takes no other place: EINVAL, or EBUSY
     * from Xen 4.19 on. */
    EXPECT(vmi__xen_vcpu_register(0) == 0);
    vmi__xen_vcpu_forget(0);
    EXPECT(vmi__xen_vcpu_register(0) < 0);
    cpu->registered = 1;
    vmi__xen_clock_continue();
    EXPECT(vmi_clock_nanoseconds() >= before);
    EXPECT(vmi_clock_nanoseconds() - before < PATIENCE);
    EXPECT(list_of_frames_is_published() == 0);
    return 0;
}

static uint32_t holes_are_holes(void)
{
    uintptr_t last = vmi__xen_memory.m2p_last;

    /* Of machine frames that no machine has, and of such as another has. */
    EXPECT(vmi_machine_to_physical(0x000ffffffffff001) == 0);
    for (uintptr_t mfn = last; mfn > 1; mfn /= 3)
        EXPECT(vmi_machine_to_physical((uint64_t)mfn << 12) >> 12 < boot_info->linear_pages);
    return 0;
}

static uint32_t interrupt_is_one_hypercall(void)
{
    const uint32_t first = 1;
    uint32_t before = hypercalls();

    came = 0;
    vmi_send_ipi(&first, 1, VECTOR);
    vmi_enable_interrupts();
    vmi_disable_interrupts();
    EXPECT(came == 1 && hypercalls() == before + 1);
    return 0;
}

/* A channel to this domain itself, and its other end, bound. The event, or an error. */
static int32_t open_channel(evtchn_port_t *other)
{
    struct evtchn_alloc_unbound offer = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};

    if (channel(EVTCHNOP_alloc_unbound, &offer) < 0)
        return VMI_EIO;
    *other = offer.port;
    return vmi_event_bind(VMI_EVENT_PEER, (uint32_t)DOMID_SELF << 16 | offer.port, VECTOR);
}

static uint32_t event_comes(evtchn_port_t other)
{
    struct evtchn_send send = {.port = other};

    came = 0;
    EXPECT(channel(EVTCHNOP_send, &send) >= 0 && !came);
    vmi_enable_interrupts();
    vmi_disable_interrupts();
    return came == 1;
}

/* Each of FIFO's queues; the two-level ABI has none. */
static uint32_t all_priorities_arrive(void)
{
    for (uint32_t priority = 0; priority <= EVTCHN_FIFO_PRIORITY_MIN; priority++) {
        evtchn_port_t other = 0;
        int32_t event = open_channel(&other);
        struct evtchn_set_priority set = {.port = (evtchn_port_t)event, .priority = priority};
        struct evtchn_close close = {.port = other};
        uint32_t before;

        EXPECT(event > 0);
        EXPECT((channel(EVTCHNOP_set_priority, &set) >= 0) == fifo_wanted());
        EXPECT(vmi_event_unmask((uint32_t)event) == VMI_OK);
        for (uint32_t round = 0; round < 3; round++)
            EXPECT(event_comes(other) == 1);
        /* With nothing pending, a word says that it is let in. */
        EXPECT(vmi_event_mask((uint32_t)event) == VMI_OK);
        before = hypercalls();
        EXPECT(vmi_event_unmask((uint32_t)event) == VMI_OK);
        EXPECT(hypercalls() - before == !fifo_wanted() && event_comes(other) == 1);
        /* What comes while it is masked comes once it is let in. */
        EXPECT(vmi_event_mask((uint32_t)event) == VMI_OK && event_comes(other) == 0);
        EXPECT(vmi_event_unmask((uint32_t)event) == VMI_OK && !came);
        vmi_enable_interrupts();
        vmi_disable_interrupts();
        EXPECT(came == 1);
        EXPECT(vmi_event_unbind((uint32_t)event) == VMI_OK);
        EXPECT(channel(EVTCHNOP_close, &close) >= 0);
    }
    return 0;
}

/* More channels than fit into one page of FIFO's words (pv64.cfg lets a domain have them). */
static uint32_t many_ports_arrive(void)
{
    evtchn_port_t others[PAGE_CHANNELS / 2 + 8];
    uint32_t count = 0;
    int32_t event;

    do {
        event = open_channel(&others[count++]);
        EXPECT(event > 0);
    } while (event <= PAGE_CHANNELS && count < sizeof(others) / sizeof(others[0]));
    EXPECT(event > PAGE_CHANNELS && vmi_event_unmask((uint32_t)event) == VMI_OK);
    EXPECT(event_comes(others[count - 1]) == 1);
    for (uint32_t i = 0; i < count; i++) {
        struct evtchn_status status = {.dom = DOMID_SELF, .port = others[i]};
        struct evtchn_close close = {.port = others[i]};

        EXPECT(channel(EVTCHNOP_status, &status) >= 0);
        EXPECT(vmi_event_unbind(status.u.interdomain.port) == VMI_OK);
        EXPECT(channel(EVTCHNOP_close, &close) >= 0);
    }
    return 0;
}

static uint32_t switch_is_one_hypercall(void)
{
    uint32_t before = hypercalls();

    vmi_set_lazy_mode(VMI_LAZY_CPU);
    vmi_update_kernel_stack((uintptr_t)area + sizeof(area));
    vmi_set_cr3(boot_info->boot_cr3, 0);
    vmi_set_fs_base((uintptr_t)area);
    vmi_set_user_gs_base((uintptr_t)area + 8);
    vmi_set_lazy_mode(VMI_LAZY_NONE);
    EXPECT(hypercalls() == before + 1);
    EXPECT(vmi_get_fs_base() == (uintptr_t)area && vmi_get_user_gs_base() == (uintptr_t)area + 8);
    return 0;
}

/* A tree is Xen's when it is loaded, and the kernel's again when the second of its roots goes. */
static uint32_t pair_of_roots_goes_together(void)
{
    uintptr_t root = next_frame++, user = next_frame++, pointers = next_frame++;
    uint64_t *boot = (uint64_t *)(boot_info->boot_cr3 + boot_info->linear_base);
    uint64_t *tables[] = {(uint64_t *)((root << 12) + boot_info->linear_base),
                          (uint64_t *)((user << 12) + boot_info->linear_base)};
    uint32_t before;

    memset((void *)((root << 12) + boot_info->linear_base), 0, 3 * 4096);
    memcpy(tables[0] + 256, boot + 256, 2048);
    memcpy(tables[1] + 256, boot + 256, 2048);
    vmi_allocate_page(root, VMI_PAGE_PML4 | VMI_PAGE_PAE | VMI_PAGE_CLONE,
                      boot_info->boot_cr3 >> 12, 256, 256);
    vmi_allocate_page(user, VMI_PAGE_PML4 | VMI_PAGE_PAE | VMI_PAGE_CLONE,
                      boot_info->boot_cr3 >> 12, 256, 256);
    vmi_allocate_page(pointers, VMI_PAGE_PDP | VMI_PAGE_PAE | VMI_PAGE_ZEROED, 0, 0, 0);
    for (uint32_t i = 0; i < 2; i++)
        vmi_set_pxe_long((uint64_t)pointers << 12 | 7, tables[i], VMI_PAGE_PML4);
    before = hypercalls();
    vmi_set_cr3(root << 12, user << 12);
    EXPECT(hypercalls() == before + 1);
    EXPECT(!(walk((pointers << 12) + boot_info->linear_base) & VMI__PTE_WRITE));
    vmi_set_cr3(boot_info->boot_cr3, 0);
    vmi_release_page(root, VMI_PAGE_PML4 | VMI_PAGE_PAE);
    EXPECT(!(walk((pointers << 12) + boot_info->linear_base) & VMI__PTE_WRITE));
    vmi_release_page(user, VMI_PAGE_PML4 | VMI_PAGE_PAE);
    EXPECT(walk((pointers << 12) + boot_info->linear_base) & VMI__PTE_WRITE);
    before = hypercalls();
    vmi_release_page(pointers, VMI_PAGE_PDP | VMI_PAGE_PAE);
    EXPECT(hypercalls() == before);
    *(volatile uint64_t *)((pointers << 12) + boot_info->linear_base) = 1;
    return 0;
}

/* The line is looked for by the test. */
static uint32_t refusal_is_reported(void)
{
    uint64_t *entry = (uint64_t *)(boot_info->boot_cr3 + boot_info->linear_base) + 300;

    vmi_set_pxe_long((uint64_t)next_frame << 12 | 0x83, entry, VMI_PAGE_PML4);
    EXPECT(!(*entry & VMI__PTE_PRESENT));
    return 0;
}

/* ---- devices ---- */

/* What the test gives, with the option `devices`: the last page below 4 GiB, and the registers of
 * the machine's HPET. */
#define RESET_PAGE 0xfffff000u
#define HPET       0xfed00000u

/*
 * At the address of a processor's first instruction (Intel SDM vol. 3A, 10.1.4) a PC's firmware has
 * a far jump, and then the date that all of SeaBIOS's have (src/misc.c, BiosDate).
 */
static uint32_t firmware_is_read(void)
{
    static const char date[] = "06/23/99";
    const volatile uint8_t *page, *first;
    void *address, *other;

    EXPECT(vmi_map_device(RESET_PAGE, 4096, VMI_CACHE_UNCACHED, &address) == VMI_OK);
    page = address;
    first = page + 0xff0;
    EXPECT(first[0] == 0xea && first[3] == 0x00 && first[4] == 0xf0);
    for (uint32_t i = 0; i < sizeof(date) - 1; i++)
        EXPECT(first[5 + i] == (uint8_t)date[i]);
    EXPECT(walk((uintptr_t)address) >> 12 << 12 ==
           (RESET_PAGE | (walk((uintptr_t)address) & VMI__PTE_NO_EXECUTE)));
    EXPECT(walk((uintptr_t)address) & VMI__PTE_NO_EXECUTE);
    /* The page before is not given, and a range that has both is refused whole. */
    other = NULL;
    EXPECT(vmi_map_device(RESET_PAGE - 4096, 4096, VMI_CACHE_UNCACHED, &other) == VMI_EIO);
    EXPECT(vmi_map_device(RESET_PAGE - 4096, 8192, VMI_CACHE_UNCACHED, &other) == VMI_EIO &&
           !other);
    EXPECT(vmi_unmap_device((uintptr_t)address) == VMI_OK && !walk((uintptr_t)address));
    EXPECT(vmi_unmap_device((uintptr_t)address) == VMI_EINVAL);
    return 0;
}

/* IA-PC HPET specification 1.0a, 2.3.4 and 2.3.7: a maker, and a counter that goes on. */
static uint32_t registers_are_read(void)
{
    volatile uint32_t *registers;
    uint64_t end = vmi_clock_nanoseconds() + PATIENCE;
    uint32_t count;
    void *address;

    EXPECT(vmi_map_device(HPET, 4096, VMI_CACHE_UNCACHED, &address) == VMI_OK);
    registers = address;
    EXPECT(registers[0] >> 16 == 0x8086 && registers[1]);
    count = registers[0xf0 / 4];
    while (registers[0xf0 / 4] == count)
        EXPECT(vmi_clock_nanoseconds() < end);
    EXPECT(vmi_unmap_device((uintptr_t)address) == VMI_OK);
    return 0;
}

/* A frame of this domain's, and one of the hypervisor's, by the machine's numbers. */
static uint32_t memory_is_no_device(void)
{
    void *address = NULL;

    for (uintptr_t pfn = 0; pfn < boot_info->linear_pages; pfn += 509) {
        uint64_t machine = vmi_physical_to_machine((uint64_t)pfn << 12);

        EXPECT(vmi_map_device(machine, 4096, VMI_CACHE_WRITE_BACK, &address) == VMI_EINVAL);
    }
    EXPECT(vmi_map_device(0xfee00000, 4096, VMI_CACHE_UNCACHED, &address) == VMI_EIO && !address);
    return 0;
}

/* ---- more CPUs than the shared page has words for ---- */

static uint32_t last_cpu_takes_events(void)
{
    struct evtchn_send send = {.port = 0};
    int32_t event = open_channel(&send.port);
    uint32_t before = came_on_last;

    EXPECT(event > 0 && vmi_event_move((uint32_t)event, last - 1) == VMI_EINVAL);
    EXPECT(vmi_event_move((uint32_t)event, last) == VMI_OK);
    EXPECT(vmi_event_unmask((uint32_t)event) == VMI_OK);
    for (uint32_t round = 1; round <= 3; round++)
        EXPECT(channel(EVTCHNOP_send, &send) >= 0 && last_cpu_had(before + round));
    EXPECT(vmi_event_unbind((uint32_t)event) == VMI_OK && came_on_last == before + 3 && !came);
    return 0;
}

static uint32_t last_cpu_forgets_pages(void)
{
    EXPECT(vmi_flush_remote_tlb(last_alone(), last + 1, 0, 0) == VMI_OK);
    EXPECT(vmi_flush_remote_tlb(NULL, VMI_CPUS_ALL_BUT_SELF, 0, 1) == VMI_OK);
    return 0;
}

static void load_tables(void)
{
    const struct vmi_dtr gdtr = {.limit = sizeof(gdt) - 1, .base = (uintptr_t)gdt};
    const struct vmi_dtr idtr = {.limit = sizeof(idt) - 1, .base = (uintptr_t)idt};

    vmi_set_gs_base((uintptr_t)area);
    vmi_set_gdt(&gdtr);
    set_gate(boot_info);
    vmi_set_idt(&idtr);
}

static void find_frames(void)
{
    for (uint32_t i = 0; i < boot_info->memory_count; i++)
        if (boot_info->memory[i].kind == VMI_MEMORY_USABLE &&
            boot_info->memory[i].size >= 16 * 4096)
            next_frame = boot_info->memory[i].base >> 12;
}

void kernel_main(const struct vmi_boot_info *boot)
{
    const char *value;
    uint32_t length;
    bool given;

    boot_info = boot;
    mapped_by = vmi__xen_hypercall_mmu_update_count;
    given = vmi__option("devices", &value, &length);
    plan(boot->cpu_count > XEN_LEGACY_MAX_VCPUS ? 5 : given ? 15 : 12);
    find_frames();
    load_tables();
    if (boot->cpu_count > XEN_LEGACY_MAX_VCPUS) {
        check("cpus.last_starts", last_cpu_starts(boot));
        check("cpus.last_is_interrupted", last_cpu_is_interrupted());
        check("cpus.last_takes_its_alarm", last_cpu_takes_its_alarm());
        check("cpus.last_takes_events", last_cpu_takes_events());
        check("cpus.last_forgets_pages", last_cpu_forgets_pages());
        end();
    }
    check("memory.three_hypercalls", memory_is_mapped_at_once());
    check("memory.image", image_is_protected());
    check("memory.holes", holes_are_holes());
    check("events.abi", abi_is_known());
    check("saved.list_of_frames", list_of_frames_is_published());
    check("saved.set_up_again", set_up_again());
    check("events.one_hypercall", interrupt_is_one_hypercall());
    check("events.priorities", all_priorities_arrive());
    check("events.many", many_ports_arrive());
    check("lazy.one_hypercall", switch_is_one_hypercall());
    check("tables.pair_of_roots", pair_of_roots_goes_together());
    check("tables.refused", refusal_is_reported());
    if (!given)
        end();
    check("devices.firmware", firmware_is_read());
    check("devices.registers", registers_are_read());
    check("devices.memory", memory_is_no_device());
    end();
}
