/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Disks by NVMe on PCI: the first namespace of a controller, by one pair of queues. Source: NVM
 * Express Base Specification 1.4; sections are its own.
 *
 * A command's memory is told by physical region pages (4.3): all but the first begin on a page, and
 * all but the last end on one. Segments that follow each other otherwise are further commands, so a
 * request is as many commands as it takes, and has ended when the last of them has.
 */
#include "driver.h"
#include "pci/device.h"
#include "platform.h"
#include "runtime.h"

#define PAGE 4096u

#define CLASS 0x010802u /* mass storage, non-volatile memory, NVMe; above the revision (2.1.5) */

/* Registers (3.1). */
enum {
    CAPABILITIES = 0x00,
    CAPABILITIES_HIGH = 0x04,
    VERSION = 0x08,
    INTERRUPT_MASK_SET = 0x0c,
    INTERRUPT_MASK_CLEAR = 0x10,
    CONFIGURATION = 0x14,
    STATUS = 0x1c,
    ADMIN_ENTRIES = 0x24, /* less 1: commands in the lower half, completions in the upper */
    ADMIN_COMMANDS = 0x28,
    ADMIN_COMPLETIONS = 0x30,
    DOORBELLS = 0x1000, /* of each pair of queues the tail of commands, the head of completions */
    REGISTERS_BYTES = 0x2000,
};

#define CAPABILITIES_ENTRIES 0xffffu  /* of a queue, less 1 (3.1.1, MQES) */
#define CAPABILITIES_TIMEOUT 24       /* in units of 500 ms (TO) */
#define HIGH_STRIDE          0xfu     /* a doorbell's bytes as a power of 2, from 4 on (DSTRD) */
#define HIGH_NVM             0x20u    /* it has the NVM command set (CSS) */
#define HIGH_PAGE_LEAST      0xf0000u /* its smallest page as a power of 2, 0 is 4 KiB (MPSMIN) */
#define TIMEOUT_MILLISECONDS 500u
#define STRIDE_MOST          8u /* what REGISTERS_BYTES have room for */

#define VERSION_LISTS 0x00010100u /* from 1.1 on there is a list of namespaces */

/* Entries of 64 and of 16 bytes, pages of 4 KiB, the NVM command set (3.1.5). */
#define CONFIGURATION_ENABLED (4u << 20 | 6u << 16 | 1u)

#define STATUS_READY 0x1u
#define STATUS_FATAL 0x2u

/* Of the interrupt that both completion queues have where there are no messages (3.1.3). */
#define INTERRUPT_OF_LINE 0x1u

/* Commands for the controller (5), and for the namespace (6). */
enum {
    ADMIN_CREATE_SUBMISSION = 0x01,
    ADMIN_CREATE_COMPLETION = 0x05,
    ADMIN_IDENTIFY = 0x06,
    ADMIN_SET_FEATURES = 0x09,
};
enum { FLUSH = 0x00, WRITE = 0x01, READ = 0x02, DATASET_MANAGEMENT = 0x09 };

#define ADMIN_MILLISECONDS 10000u
#define ADMIN_SIZE         2u /* entries of its queues: the least that there can be */

#define FEATURE_QUEUES   0x07u /* 5.21.1.7: how many, less 1 */
#define QUEUE_CONTIGUOUS 0x1u  /* 5.3, 5.4 */
#define QUEUE_INTERRUPTS 0x2u
#define DEALLOCATE       0x4u /* 6.7 */
#define QUEUE            1u   /* the number of the pair of queues for requests */

/* What there is to know (5.15), and where it stands. */
enum { IDENTIFY_NAMESPACE = 0, IDENTIFY_CONTROLLER = 1, IDENTIFY_NAMESPACES = 2 };
enum { CONTROLLER_TRANSFER = 77, CONTROLLER_OPTIONAL = 520, CONTROLLER_CACHE = 525 };
enum { NAMESPACE_BLOCKS = 0, NAMESPACE_FORMAT = 26, NAMESPACE_ATTRIBUTES = 99 };
#define NAMESPACE_FORMATS                                                                          \
    128 /* metadata bytes in the lower half, bytes of a block in bits 16-23                        \
         */
#define FORMAT_NUMBER        0xfu
#define FORMAT_METADATA      0xffffu
#define OPTIONAL_DATASETS    0x4u
#define TRANSFER_ANY         8u /* and above: larger than BYTES_MAX */
#define CACHE_IS_THERE       0x1u
#define ATTRIBUTES_PROTECTED 0x1u

#define BLOCK_LEAST 9u /* as powers of 2 */
#define BLOCK_MOST  16u
#define BYTES_MAX   0x80000u /* of a request */

/* A command (4.2) and how one ends (4.6). */
struct command {
    uint32_t operation, namespace; /* the identifier is in the upper half of the first */
    uint32_t reserved[2];
    uint64_t metadata;
    uint64_t pages[2];
    uint32_t words[6];
};
struct completion {
    uint32_t result, reserved;
    uint32_t queue; /* in the upper half: where the command was */
    uint32_t end;   /* identifier, phase, status */
};
_Static_assert(sizeof(struct command) == 64 && sizeof(struct completion) == 16, "entries");

#define END_IDENTIFIER 0xffffu
#define END_PHASE      0x10000u
#define END_STATUS     17 /* code, and its type above */
#define STATUS_BITS    0x7ffu
#define STATUS_UNKNOWN 0x001u /* generic, invalid opcode (4.6.1.2.1) */

/* What is discarded (6.7). */
struct range {
    uint32_t attributes, blocks;
    uint64_t block;
};

struct queue {
    struct command *commands;
    const volatile struct completion *completions;
    volatile uint32_t *tail_bell, *head_bell;
    uint32_t size, tail, head;
    uint32_t told;  /* the head as the controller knows it */
    uint32_t noted; /* from the head on, what has ended and an interrupt has told of */
    uint32_t phase; /* END_PHASE or 0: of what has ended in this round of the queue */
};

/* What is known of a request: a bit for each of its commands that has not ended. */
struct request {
    uint32_t pending;
    int32_t status;
};

struct nvme {
    struct vmi__msix msix; /* first: pci/device.h */
    volatile char *registers;
    uint32_t milliseconds; /* in which it comes up, or resets itself */
    uint32_t stride;       /* bytes from doorbell to doorbell */
    uint32_t most;         /* entries of a queue */
    uint32_t namespace;
    struct queue admin, queue;
    bool masked; /* the line, until there is nothing more to be taken */
    char *lists;
    struct request *requests;
};
_Static_assert(sizeof(struct nvme) <= VMI__DRIVER_BYTES, "a driver's record has no room for it");

/*
 * The admin queues of a controller that is looked at, and what it says of itself. One that is open
 * has queues in the kernel's memory. Images have it where virtual devices are.
 */
static struct {
    char queues[2 * PAGE];
    char facts[PAGE];
} looked __attribute__((aligned(PAGE), section(".bss..bound_only")));

static struct nvme *nvme_of(struct vmi__device *device)
{
    return (struct nvme *)device->own;
}

/* ---- registers ---- */

static volatile uint32_t *at(const struct nvme *nvme, uint32_t offset)
{
    return (volatile uint32_t *)(nvme->registers + offset);
}

static uint32_t read32(const struct nvme *nvme, uint32_t offset)
{
    return *at(nvme, offset);
}

static void write32(const struct nvme *nvme, uint32_t offset, uint32_t value)
{
    *at(nvme, offset) = value;
}

static void write_address(const struct nvme *nvme, uint32_t offset, const void *linear)
{
    uint64_t address = vmi__physical(linear);

    write32(nvme, offset, (uint32_t)address);
    write32(nvme, offset + 4, (uint32_t)(address >> 32));
}

/* ---- queues ---- */

/* Queues of the pair `number`, at zeroed memory. */
static void make_queue(struct nvme *nvme, struct queue *queue, uint32_t number, void *commands,
                       const void *completions, uint32_t size)
{
    *queue = (struct queue){
        .commands = commands,
        .completions = completions,
        .tail_bell = at(nvme, DOORBELLS + 2 * number * nvme->stride),
        .head_bell = at(nvme, DOORBELLS + (2 * number + 1) * nvme->stride),
        .size = size,
        .phase = END_PHASE,
    };
}

static void give(struct queue *queue, const struct command *command)
{
    queue->commands[queue->tail] = *command;
    queue->tail = queue->tail + 1 < queue->size ? queue->tail + 1 : 0;
}

static void tell_tail(const struct queue *queue)
{
    vmi__compiler_fence();
    *queue->tail_bell = queue->tail;
}

/* Has the command ended that would be the next one? */
static bool is_next(const struct queue *queue)
{
    return (queue->completions[queue->head].end & END_PHASE) == queue->phase;
}

/* Goes on behind the next one. */
static void pass(struct queue *queue)
{
    if (++queue->head == queue->size) {
        queue->head = 0;
        queue->phase ^= END_PHASE;
    }
    queue->noted -= queue->noted ? 1 : 0;
}

static void tell_head(struct queue *queue)
{
    if (queue->told == queue->head)
        return;
    queue->told = queue->head;
    *queue->head_bell = queue->head;
}

/* ---- the controller ---- */

/* Carries out a command for the controller; false if it fails or does not end. */
static bool administer(struct nvme *nvme, const struct command *command)
{
    struct queue *queue = &nvme->admin;
    const volatile uint32_t *end = &queue->completions[queue->head].end;
    uint32_t ended;

    give(queue, command);
    tell_tail(queue);
    if (!vmi__wait_for(end, END_PHASE, queue->phase, ADMIN_MILLISECONDS))
        return false;
    ended = *end;
    pass(queue);
    tell_head(queue);
    /* Its identifier is 0, and so is success. */
    return !(ended & ~END_PHASE);
}

/* Resets it (7.3.2): it reaches no memory from then on. */
static bool disable(const struct nvme *nvme)
{
    write32(nvme, CONFIGURATION, 0);
    return vmi__wait_for(at(nvme, STATUS), STATUS_READY, 0, nvme->milliseconds);
}

/* Resets it and brings it up with admin queues in two pages, which are zeroed (7.6.1). */
VMI__RUN_ONCE static bool enable(struct vmi__device *device, char *pages)
{
    struct nvme *nvme = nvme_of(device);

    if (!disable(nvme))
        return false;
    vmi__pci_enable(device->place, true);
    make_queue(nvme, &nvme->admin, 0, pages, pages + PAGE, ADMIN_SIZE);
    write32(nvme, ADMIN_ENTRIES, (ADMIN_SIZE - 1) << 16 | (ADMIN_SIZE - 1));
    write_address(nvme, ADMIN_COMMANDS, pages);
    write_address(nvme, ADMIN_COMPLETIONS, pages + PAGE);
    write32(nvme, CONFIGURATION, CONFIGURATION_ENABLED);
    return vmi__wait_for(at(nvme, STATUS), STATUS_READY | STATUS_FATAL, STATUS_READY,
                         nvme->milliseconds);
}

static VMI__ADDRESS_TAKEN void stop(struct vmi__device *device)
{
    struct nvme *nvme = nvme_of(device);

    /* Should it not reset itself: it reaches no memory all the same. */
    disable(nvme);
    vmi__pci_enable(device->place, false);
    vmi__msix_enable(&nvme->msix, device->place, false);
}

/* ---- finding ---- */

/* Looks at the registers of a controller that is one; false if it cannot be driven. */
VMI__RUN_ONCE static bool find_parts(struct nvme *nvme, uint32_t place)
{
    uint32_t low, high;

    vmi__pci_enable(place, false);
    nvme->registers = vmi__pci_map(place, 0, 0, REGISTERS_BYTES);
    if (!nvme->registers)
        return false;
    low = read32(nvme, CAPABILITIES);
    high = read32(nvme, CAPABILITIES_HIGH);
    nvme->most = (low & CAPABILITIES_ENTRIES) + 1;
    nvme->milliseconds = ((low >> CAPABILITIES_TIMEOUT) + 1) * TIMEOUT_MILLISECONDS;
    nvme->stride = 4u << (high & HIGH_STRIDE);
    if ((high & HIGH_STRIDE) > STRIDE_MOST || !(high & HIGH_NVM) || high & HIGH_PAGE_LEAST ||
        nvme->most < 2)
        return false;
    /* The admin queue has the first message. */
    vmi__msix_find(&nvme->msix, place);
    nvme->msix.first = QUEUE;
    if (nvme->msix.count <= QUEUE)
        nvme->msix.entries = 0;
    return true;
}

/* What the controller says of itself or of a namespace; 0 if it says nothing. */
VMI__RUN_ONCE static const volatile uint8_t *identify(struct nvme *nvme, uint32_t what,
                                                      uint32_t namespace)
{
    const struct command command = {.operation = ADMIN_IDENTIFY,
                                    .namespace = namespace,
                                    .pages = {vmi__physical(looked.facts)},
                                    .words = {what}};

    return administer(nvme, &command) ? (const volatile uint8_t *)looked.facts : 0;
}

/* The first namespace; 0 if there is none. */
VMI__RUN_ONCE static uint32_t first_namespace(struct nvme *nvme)
{
    const volatile uint8_t *facts;

    if (read32(nvme, VERSION) < VERSION_LISTS)
        return 1;
    facts = identify(nvme, IDENTIFY_NAMESPACES, 0);
    return facts ? *(const volatile uint32_t *)facts : 0;
}

/* Takes what the controller says of itself; false if that cannot be. */
VMI__RUN_ONCE static bool describe_controller(struct vmi__device *device)
{
    struct nvme *nvme = nvme_of(device);
    struct vmi_device_properties *info = &device->info;
    const volatile uint8_t *facts = identify(nvme, IDENTIFY_CONTROLLER, 0);
    uint32_t transfer;

    if (!facts)
        return false;
    transfer = facts[CONTROLLER_TRANSFER]; /* pages as a power of 2, 0: any */
    info->kind = VMI_DEVICE_BLOCK;
    info->flags |= facts[CONTROLLER_CACHE] & CACHE_IS_THERE ? VMI_DEVICE_IS_CACHED : 0;
    if (facts[CONTROLLER_OPTIONAL] & OPTIONAL_DATASETS)
        info->discard_blocks = UINT32_MAX;
    info->segment_bytes = BYTES_MAX;
    if (transfer && transfer < TRANSFER_ANY)
        info->segment_bytes = PAGE << transfer;
    info->queues = 1;
    info->segments = vmi__least(nvme->most - 1, VMI__SEGMENTS_MAX);
    info->requests = vmi__least(nvme->most - 1, VMI__REQUESTS_MAX);
    device->messages = nvme->msix.entries ? 1 : 0;
    return true;
}

/* Takes what it says of the namespace; false if that cannot be, or blocks have metadata. */
VMI__RUN_ONCE static bool describe_namespace(struct vmi__device *device)
{
    struct nvme *nvme = nvme_of(device);
    struct vmi_device_properties *info = &device->info;
    const volatile uint8_t *facts = identify(nvme, IDENTIFY_NAMESPACE, nvme->namespace);
    uint32_t format, size;

    if (!facts)
        return false;
    format = *(const volatile uint32_t *)(facts + NAMESPACE_FORMATS +
                                          4 * (facts[NAMESPACE_FORMAT] & FORMAT_NUMBER));
    size = format >> 16 & 0xff;
    if (format & FORMAT_METADATA || size < BLOCK_LEAST || size > BLOCK_MOST)
        return false;
    info->blocks = *(const volatile uint64_t *)(facts + NAMESPACE_BLOCKS);
    info->block_size = 1u << size;
    info->request_blocks = info->segment_bytes >> size;
    info->flags |= facts[NAMESPACE_ATTRIBUTES] & ATTRIBUTES_PROTECTED ? VMI_DEVICE_IS_READ_ONLY : 0;
    return info->blocks && info->request_blocks;
}

VMI__RUN_ONCE static VMI__ADDRESS_TAKEN void probe(uint32_t place, void *context)
{
    struct vmi__device *device;
    struct nvme *nvme;

    if (vmi__platform_pci_read(place, VMI__PCI_CLASS) >> 8 != CLASS)
        return;
    device = vmi__device_add(context, place);
    if (!device)
        return;
    nvme = nvme_of(device);
    if (!find_parts(nvme, place))
        return;
    memset(&looked, 0, sizeof(looked));
    if (enable(device, looked.queues) && describe_controller(device)) {
        nvme->namespace = first_namespace(nvme);
        if (nvme->namespace && describe_namespace(device))
            vmi__pci_device_keep(device);
    }
    stop(device);
}

static VMI__ADDRESS_TAKEN void find(const struct vmi__driver *driver)
{
    vmi__pci_each(probe, (void *)(uintptr_t)driver);
}

/* ---- opening ---- */

static uintptr_t whole_pages(uintptr_t bytes)
{
    return (bytes + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
}

/* Entries of a queue: one more than there can be commands under way, which tells full from empty.
 */
static uint32_t entries(const struct vmi_device_setup *setup)
{
    return setup->requests * setup->segments + 1;
}

/*
 * Bytes of a slot's list: an entry for each page of the largest request, and one more where each
 * segment begins or ends within a page. None crosses a page, at whose end a list goes on elsewhere
 * (4.3).
 */
static uint32_t list_bytes(const struct vmi__device *device, const struct vmi_device_setup *setup)
{
    return (device->info.segment_bytes / PAGE + setup->segments) * (uint32_t)sizeof(uint64_t);
}

/* Where the parts of a device's memory begin. */
struct layout {
    uintptr_t commands, completions, lists, requests, size;
};

static struct layout lay_out(const struct vmi__device *device, const struct vmi_device_setup *setup)
{
    uint32_t lists = PAGE / list_bytes(device, setup);
    struct layout layout = {.commands = 2 * PAGE}; /* behind the admin queues */

    layout.completions =
        layout.commands + whole_pages(entries(setup) * (uintptr_t)sizeof(struct command));
    layout.lists =
        layout.completions + whole_pages(entries(setup) * (uintptr_t)sizeof(struct completion));
    layout.requests = layout.lists + (uintptr_t)(setup->requests + lists - 1) / lists * PAGE;
    layout.size =
        layout.requests + whole_pages(setup->requests * (uintptr_t)sizeof(struct request));
    return layout;
}

static VMI__ADDRESS_TAKEN uintptr_t memory(struct vmi__device *device,
                                           const struct vmi_device_setup *setup)
{
    return entries(setup) > nvme_of(device)->most ? 0 : lay_out(device, setup).size;
}

/* Has the controller make one of the queues for requests. */
VMI__RUN_ONCE static bool create(struct nvme *nvme, uint32_t operation, const volatile void *linear,
                                 uint32_t how)
{
    const struct command command = {
        .operation = operation,
        .pages = {vmi__physical((const void *)(uintptr_t)linear)},
        .words = {(nvme->queue.size - 1) << 16 | QUEUE, how | QUEUE_CONTIGUOUS}};

    return administer(nvme, &command);
}

VMI__RUN_ONCE static VMI__ADDRESS_TAKEN bool start(struct vmi__device *device, void *pages)
{
    static const struct command queues = {.operation = ADMIN_SET_FEATURES,
                                          .words = {FEATURE_QUEUES}};
    struct layout layout = lay_out(device, &device->setup);
    struct nvme *nvme = nvme_of(device);
    uint32_t message = nvme->msix.entries ? nvme->msix.first : 0;
    char *linear = pages;

    vmi__msix_enable(&nvme->msix, device->place, true);
    if (!enable(device, linear) || !administer(nvme, &queues))
        return false;
    nvme->masked = false;
    nvme->lists = linear + layout.lists;
    nvme->requests = (struct request *)(linear + layout.requests);
    make_queue(nvme, &nvme->queue, QUEUE, linear + layout.commands, linear + layout.completions,
               entries(&device->setup));
    return create(nvme, ADMIN_CREATE_COMPLETION, nvme->queue.completions,
                  message << 16 | QUEUE_INTERRUPTS) &&
           create(nvme, ADMIN_CREATE_SUBMISSION, nvme->queue.commands, QUEUE << 16);
}

/* ---- requests ---- */

/* Does a segment go on where the one before it ends, or on pages as that one does? */
static bool joins(const struct vmi_segment *segment)
{
    uint64_t before = segment[-1].address + segment[-1].length;

    return before == segment->address || !((before | segment->address) & (PAGE - 1));
}

/* A command ends where a block does. */
static VMI__ADDRESS_TAKEN bool fits(const struct vmi__device *device,
                                    const struct vmi_block_request *request)
{
    uint32_t bytes = 0;

    for (uint32_t i = 0; i < request->count; i++) {
        if (i && !joins(&request->segments[i]) && bytes & (device->info.block_size - 1))
            return false;
        bytes += request->segments[i].length;
    }
    return true;
}

/* A slot's list. */
static uint64_t *list_of(struct vmi__device *device, uint32_t slot)
{
    uint32_t bytes = list_bytes(device, &device->setup), lists = PAGE / bytes;

    return (uint64_t *)(nvme_of(device)->lists + (uintptr_t)(slot / lists) * PAGE +
                        slot % lists * bytes);
}

/* Gives the controller a command for the namespace, one part of a slot's request. */
static void give_part(struct vmi__device *device, uint32_t slot, uint32_t part,
                      struct command *command)
{
    struct nvme *nvme = nvme_of(device);

    command->operation |= (slot * device->setup.segments + part) << 16;
    command->namespace = nvme->namespace;
    nvme->requests[slot].pending |= 1u << part;
    give(&nvme->queue, command);
}

/* Gives the commands of a read or write. */
static void put_data(struct vmi__device *device, uint32_t slot,
                     const struct vmi_block_request *wanted)
{
    const struct vmi_segment *segments = wanted->segments;
    uint64_t *list = list_of(device, slot), block = wanted->block;

    for (uint32_t i = 0, part = 0; i < wanted->count; part++) {
        struct command command = {.operation = wanted->operation == VMI_BLOCK_READ ? READ : WRITE,
                                  .pages = {segments[i].address}};
        uint64_t next = segments[i].address; /* of what a page is told of */
        uint32_t bytes = 0, listed = 0;

        do {
            uint64_t end = segments[i].address + segments[i].length;

            if (bytes)
                next = (segments[i].address + PAGE - 1) & ~(uint64_t)(PAGE - 1);
            for (; next < end; next = (next & ~(uint64_t)(PAGE - 1)) + PAGE)
                if (next != command.pages[0] || bytes)
                    list[listed++] = next;
            bytes += segments[i++].length;
        } while (i < wanted->count && joins(&segments[i]));
        if (listed)
            command.pages[1] = listed == 1 ? list[0] : vmi__physical(list);
        command.words[0] = (uint32_t)block;
        command.words[1] = (uint32_t)(block >> 32);
        command.words[2] = bytes / device->info.block_size - 1;
        block += bytes / device->info.block_size;
        list += listed;
        give_part(device, slot, part, &command);
    }
}

static VMI__ADDRESS_TAKEN void put(struct vmi__device *device, uint32_t number, uint32_t slot,
                                   const struct vmi_block_request *wanted)
{
    struct range *range = (struct range *)list_of(device, slot);
    struct command command = {.operation = FLUSH};

    (void)number;
    nvme_of(device)->requests[slot] = (struct request){.status = VMI_OK};
    if (wanted->operation <= VMI_BLOCK_WRITE) {
        put_data(device, slot, wanted);
        return;
    }
    if (wanted->operation == VMI_BLOCK_DISCARD) {
        *range = (struct range){.blocks = wanted->blocks, .block = wanted->block};
        command = (struct command){.operation = DATASET_MANAGEMENT,
                                   .pages = {vmi__physical(range)},
                                   .words = {0, DEALLOCATE}};
    }
    give_part(device, slot, 0, &command);
}

/*
 * What was taken is told once all has been (`ask`). Whoever takes less each time is not asked: the
 * controller hears of it with commands for whose ends there might be no room.
 */
static VMI__ADDRESS_TAKEN void tell(struct vmi__device *device, uint32_t number)
{
    struct queue *queue = &nvme_of(device)->queue;

    (void)number;
    if ((queue->head + queue->size - queue->told) % queue->size > queue->size / 2)
        tell_head(queue);
    tell_tail(queue);
}

static VMI__ADDRESS_TAKEN enum vmi__taken take(struct vmi__device *device, uint32_t number,
                                               struct vmi__ended *ended)
{
    struct nvme *nvme = nvme_of(device);
    struct queue *queue = &nvme->queue;

    while (is_next(queue)) {
        const volatile struct completion *next = &queue->completions[queue->head];
        uint32_t from = next->queue >> 16, end = next->end, status, part;
        struct request *request;

        pass(queue);
        ended->slot = (end & END_IDENTIFIER) / device->setup.segments;
        part = 1u << (end & END_IDENTIFIER) % device->setup.segments;
        if (from != QUEUE || ended->slot >= device->setup.requests)
            return vmi__device_fault(device, VMI_FAULT_IDENTIFIER);
        request = &nvme->requests[ended->slot];
        if (!(request->pending & part))
            return vmi__device_fault(device, VMI_FAULT_IDENTIFIER);
        request->pending &= ~part;
        status = end >> END_STATUS & STATUS_BITS;
        if (status)
            request->status = status == STATUS_UNKNOWN ? VMI_ENOSYS : VMI_EIO;
        if (request->pending)
            continue;
        ended->status = request->status;
        /* It does not say how much it has written: all, or nobody knows. */
        ended->length =
            request->status == VMI_OK ? device->queues[number].slots[ended->slot].room : 0;
        return VMI__TAKEN_ONE;
    }
    return VMI__TAKEN_NONE;
}

static VMI__ADDRESS_TAKEN bool ask(struct vmi__device *device, uint32_t number)
{
    struct nvme *nvme = nvme_of(device);

    (void)number;
    tell_head(&nvme->queue);
    if (nvme->masked)
        write32(nvme, INTERRUPT_MASK_CLEAR, INTERRUPT_OF_LINE);
    nvme->masked = false;
    vmi__platform_fence();
    return is_next(&nvme->queue);
}

/* ---- interrupts ---- */

/* How many have ended, from the head on. */
static uint32_t ended_by_now(struct queue ahead)
{
    uint32_t count = 0;

    for (; count < ahead.size && is_next(&ahead); count++)
        pass(&ahead);
    return count;
}

/*
 * The line is up as long as there is something that the controller has not been told is taken; what
 * is still to be taken is masked until it has been (`ask`). Whoever does that meanwhile would be
 * overtaken by the mask: under the queue's lock.
 */
static VMI__ADDRESS_TAKEN bool acknowledge(struct vmi__device *device)
{
    struct nvme *nvme = nvme_of(device);
    uint32_t flags = vmi__platform_enter(&device->queues[0].lock);
    uint32_t ended = 0;
    bool again = false;

    if (device->state == VMI__DEVICE_OPEN) {
        tell_head(&nvme->queue);
        ended = ended_by_now(nvme->queue);
        again = ended > nvme->queue.noted;
        nvme->queue.noted = ended;
    }
    if (ended) {
        write32(nvme, INTERRUPT_MASK_SET, INTERRUPT_OF_LINE);
        (void)read32(nvme, INTERRUPT_MASK_SET); /* it has got there */
        nvme->masked = true;
    }
    vmi__platform_leave(&device->queues[0].lock, flags);
    return again;
}

const struct vmi__driver vmi__driver_nvme;
const struct vmi__driver vmi__driver_nvme = {
    .name = "nvme",
    .find = find,
    .memory = memory,
    .start = start,
    .stop = stop,
    .fits = fits,
    .put = put,
    .tell = tell,
    .take = take,
    .ask = ask,
    .message = vmi__pci_device_message,
    .mask = vmi__pci_device_mask,
    .acknowledge = acknowledge,
};
