/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the runtime offers to libraries (backends) and to the runtime's own parts. Kernels never see
 * this header.
 *
 * Two layers: the common part serves every library; the PC part (pc_*.c, arch/ARCH/entry.S) serves
 * those that are entered with paging off, by multiboot or PVH. What an architecture is stands in
 * arch/ARCH.
 */
#ifndef VMI_RUNTIME_H
#define VMI_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmi/vmi.h>

#include "arch.h"
#include "endbr.h"
#include "layout.h"

/* Of functions that run once, when the kernel starts, or seldom: small rather than fast, for images
 * have little room. For gcc cold ones are. */
#ifdef __clang__
#define VMI__RUN_ONCE __attribute__((__cold__, __minsize__))
#else
#define VMI__RUN_ONCE __attribute__((__cold__))
#endif

/* ---- start ---- */

/* What the kernel is told. Filled by the entry path, then by vmi__backend_init. */
extern struct vmi_boot_info vmi__boot;

/*
 * The last step of every entry path, on the boot stack with the boot tables loaded: vmi__boot holds
 * what the entry path knows, memory ranges are added. Reads the library's options, calls
 * vmi__backend_init, publishes the memory map and enters the kernel.
 */
void vmi__start(void) __attribute__((noreturn));

/* The same without the kernel, which goes on by itself: for one that has an entry of its own. */
void vmi__prepare(void);

/*
 * Prepares the library: the console first, so that a refusal can be read. Fills what only the
 * library knows: name, CPUs, kernel_rpl and kernel_cs if they are not 0 and the boot code segment.
 * Defined by each backend.
 */
void vmi__backend_init(struct vmi_boot_info *boot);

/*
 * Whether what the library is for is there. Asked only where a kernel chooses its library at boot,
 * of each in turn and before anything else of it runs: in ring 0 of a PC with the boot tables
 * loaded or, where there can be none, with paging off (docs/architecture.md, "Without paging"); or
 * wherever else the library's own entry leads. Changes nothing. Defined by each backend.
 */
bool vmi__backend_here(void);

/*
 * Looks at the processor again, which may be another one after a restore or a migration: how the
 * hypervisor is entered, and whether what is in use is still there. `without` are features
 * (VMI_FEATURE_…) whose forms are about to be left. VMI_OK, or what Rebind is to return. Defined by
 * each backend.
 */
int32_t vmi__backend_rebind(uint32_t without);

/*
 * The call Rebind (rebind.c), and how often it has changed to what the processor is now: what a
 * library remembers of features, and is no form of a call, it looks for again then.
 */
VMI__ROUTINE int32_t vmi__rebind(uint32_t without);
extern volatile uint32_t vmi__rebinds;

/*
 * Runs the kernel's constructors (C++'s of global objects, and functions with the attribute) in the
 * linker's order. Once, before kernel_main or kernel_main_unpaged, and in the state that these are
 * entered with. Nothing in provider images, whose binder does it.
 */
void vmi__construct(void);

/*
 * Calls the kernel's entry function, or what stands in for it. Kernels are compiled with options of
 * their own: the argument is on the stack and in eax, so that cdecl and regparm both find it
 * (kernel_call.S).
 */
void vmi__kernel_call(const struct vmi_boot_info *boot,
                      void (*function)(const struct vmi_boot_info *)) VMI__ROUTINE;

/*
 * The same without paging, for processors without PAE: enters the kernel if both the library and
 * the kernel can do without, else returns. Library and kernel that can define the functions below;
 * the state is that of docs/architecture.md, "Without paging".
 */
void vmi__start_unpaged(void);
VMI__ADDRESS_TAKEN void vmi__backend_init_unpaged(struct vmi_boot_info *boot) __attribute__((weak));
extern __typeof__(kernel_main_unpaged) kernel_main_unpaged __attribute__((weak));

/*
 * What the library knows of the kernel, and, where they have met at boot only, what it tells about
 * itself. Linked with a kernel, it is a constant of the linker's; in a provider image, the
 * binder's.
 */
struct vmi__kernel {
    /* The whole kernel in memory, and where code and constants end in it. */
    const char *image_start, *text_end, *rodata_end, *image_end;
    bool unbound; /* code is still to be written */
    void (*main)(const struct vmi_boot_info *boot);
    void (*main_unpaged)(const struct vmi_boot_info *boot); /* or 0 */

    /* How the kernel was entered; only for provider images. */
    uint32_t protocol; /* VMI_BOOT_… */
    uint32_t magic;
    uintptr_t info;     /* as for vmi__pc_start, or info alone: the hypervisor's structure */
    const char *refuse; /* for vmi__pc_refuse, or 0 */
    struct vmi__pc_tables *tables; /* of the PC entry */

    /* Binds the kernel's call sites again, for Rebind; 0 where they were not bound when it started.
     */
    int32_t (*bind_again)(uint32_t without) VMI__FROM_ENTRY;

    /* The library's tables; filled by provider images. */
    const struct vmi_call_info *calls;
    const struct vmi_hypercall_info *hypercalls;
    uint32_t calls_count, hypercalls_count;
};

extern struct vmi__kernel vmi__kernel;

/*
 * Says on the library's console why it cannot run here and ends the machine with
 * VMI_STATUS_REFUSED. May be called before vmi__backend_init: a library's console and shutdown
 * work, or at least return, without it.
 */
void vmi__fatal(const char *reason) __attribute__((noreturn));

/*
 * What becomes of a request from outside (VMI_REQUEST_…, as TakeRequest returns it) that no kernel
 * takes: it ends, with a line on the console and VMI_STATUS_PASS. A key is dropped.
 */
void vmi__request_default(uint32_t request);

/* Writes a string to the library's console, whole. */
void vmi__print(const char *text);

/*
 * Reads a byte of each page of a caller's memory. Before a console's lock is taken: an address that
 * is wrong faults here, and the handler of the fault finds the console free.
 */
static inline void vmi__touch(const void *from, uint32_t length)
{
    const volatile uint8_t *bytes = from;

    for (uint32_t at = 0; at < length; at += 4096)
        (void)bytes[at];
    if (length)
        (void)bytes[length - 1];
}

/* ---- memory map ---- */

/*
 * Ranges are added in any order and may overlap; where they do, the kind that allows least wins,
 * and what the runtime and the libraries claim (IMAGE, BOOT, MODULE, LIBRARY) wins over whatever
 * the loader said. All these return 0 for success, or the reason for which the kernel must not be
 * started.
 */
const char *vmi__memory_add(uint64_t base, uint64_t size, uint32_t kind);

/*
 * For a loader's map of `count` ranges: how many bytes its tables take, 0 if they fit into the
 * runtime's own; and moving the tables to such a place, before anything is published. The place is
 * in the linear region, begins on a page and is claimed by the caller.
 */
uint64_t vmi__memory_room(uint32_t count);
void vmi__memory_move(void *place, uint32_t count);

/*
 * Recomputes vmi__boot.memory from all ranges added so far. USABLE ranges are cut to whole pages;
 * neighbours of one kind become one, which loses nothing.
 */
VMI__RUN_ONCE const char *vmi__memory_publish(void);

/* Is every byte of the range of that kind, as of the last vmi__memory_publish? */
bool vmi__memory_is(uint64_t base, uint64_t size, uint32_t kind);

/*
 * Claims `size` bytes (whole pages) of usable memory that end at or below `limit`, as LIBRARY: the
 * highest such place. Returns its guest-physical address, or 0 if there is none.
 */
uint32_t vmi__memory_claim(uint32_t size, uint32_t limit);

/*
 * A table of `count` rows of `size` bytes, zeroed, in memory that is claimed for good and begins on
 * a page. 0 if there is no such memory, or nothing is asked for. Until the memory map is published
 * for the kernel.
 */
void *vmi__memory_table(uint32_t count, uint32_t size);

/* ---- CPUs ---- */

/*
 * Tables with a row for each CPU have this many in the image; those of further CPUs lie in memory
 * that is claimed when their number is known, so that an image need not have room for the largest
 * machine. A client of the published API has no more than these.
 */
#define VMI__CPUS_FEW 32

/*
 * The rows of such a table for CPUs from VMI__CPUS_FEW on, zeroed; 0 if there are no such CPUs. If
 * there is no memory for them, there are none from then on: vmi__boot.cpu_count is lowered. Called
 * once for each table, when all CPUs are listed and before a further one is started.
 */
void *vmi__cpu_rows(uint32_t size);

/* The row of a CPU in a table whose first rows are `few` and the others `more`. */
#define VMI__CPU_ROW(few, more, cpu)                                                               \
    ((cpu) < VMI__CPUS_FEW ? &(few)[cpu] : &(more)[(cpu)-VMI__CPUS_FEW])

/* Where vmi__boot.cpus leads at first. */
extern struct vmi_cpu vmi__cpus[VMI__CPUS_FEW];

/* Says how many CPUs will be listed in all, at most; before any but the first is. */
void vmi__cpus_expect(uint32_t count);

/* Names the first CPU's APIC identifier; lists another CPU once, while there is room. */
void vmi__cpu_first(uint32_t apic_id);
void vmi__cpu_add(uint32_t apic_id);

/* Notes to what node of memory a CPU is near, if it is listed. */
void vmi__cpu_is_near(uint32_t apic_id, uint32_t node);

/* Number of the CPU with an APIC identifier; vmi__boot.cpu_count if none has it. */
uint32_t vmi__cpu_by_apic_id(uint32_t apic_id);

/*
 * Sets of CPUs as calls have them (VMI_CPUS_…). Are there that few bits, and does every CPU of the
 * set exist? And the first CPU of a set from a number on, vmi__boot.cpu_count if there is none;
 * `self` is the calling CPU and matters to ALL_BUT_SELF alone. A set that another CPU is changing
 * meanwhile still leads to CPUs that exist.
 */
bool vmi__cpu_set_exists(const uint32_t *set, uint32_t bits);
uint32_t vmi__cpu_set_next(const uint32_t *set, uint32_t bits, uint32_t self, uint32_t from);

/* ---- options ---- */

/*
 * Looks for `name=value` or `name` among the blank-separated words of the command line. Returns
 * false if it is not there; else *value is the text behind `=` (not terminated; empty for a bare
 * word) and *length its length. The last one counts.
 */
bool vmi__option(const char *name, const char **value, uint32_t *length);

/* The same for the first one from *from on, in the command line; *from is behind it then. */
bool vmi__option_next(const char **from, const char *name, const char **value, uint32_t *length);

/* Is a text of that length, for example an option's value, this word? */
static inline bool vmi__is_word(const char *word, const char *text, uint32_t length)
{
    while (length && *word && *word == *text) {
        word++;
        text++;
        length--;
    }
    return !length && !*word;
}

/* Reads an unsigned number, decimal or with 0x in front, that fills the text. */
bool vmi__parse_u32(const char *text, uint32_t length, uint32_t *number);

/*
 * Takes the options that all libraries know (vmi.debug_exit) into vmi__boot; returns 0 or the
 * reason to refuse.
 */
const char *vmi__options(void);

/* ---- PC libraries ---- */

extern struct vmi__pc_tables vmi__pc_tables;

/*
 * The device window: the pages from virtual_end up, kept by every address space of the kernel
 * (docs/architecture.md). Maps one page uncached at its fixed slot and returns its linear address.
 * Slots below VMI__WINDOW_SCRATCH are for good; the others are handed out by vmi__window_borrow.
 */
volatile void *vmi__window_map(uint32_t slot, uint64_t address);

/* Is there anything of a range of guest-physical addresses among those for good? */
bool vmi__window_has(uint64_t first, uint64_t last);

/* Width of physical addresses: an entry with a bit above would fault (Intel SDM vol. 3A, 4.1.4). */
uint32_t vmi__physical_bits(void);

/*
 * Makes `size` bytes at a guest-physical address readable, by the linear region where it reaches
 * that far, else by the scratch slots, until the next borrow. Only until the kernel is entered, on
 * the first CPU. Returns 0 if paging is still off, if it does not fit, or if the processor has no
 * such address.
 */
VMI__ADDRESS_TAKEN const void *vmi__window_borrow(uint64_t address, uint32_t size);

/*
 * The linear addresses from VMI__DEVICE_BASE on, kept by every address space of the kernel as well:
 * MapDevice's. What is mapped is whole pages and no memory; attributes are VMI__CACHE_…. Nothing of
 * the addresses is mapped already, or all of them. Unmapping drops translations on this CPU. The
 * caller lets nobody else in meanwhile. False if no page table is left: then nothing has been
 * mapped.
 */
bool vmi__devices_map(uintptr_t linear, uint64_t physical, uintptr_t pages, uint64_t attributes);
void vmi__devices_unmap(uintptr_t linear, uintptr_t pages);

/* Whether there is such a window: not without page tables, nor for clients of the published API. */
bool vmi__devices_present(void);

/*
 * The largest page that serves a range of so many: with that alignment in common, linear and
 * guest-physical address need the fewest tables.
 */
uint32_t vmi__devices_shift(uintptr_t pages);

/* Bits of a page's entry that choose one of the PAT's (Intel SDM vol. 3A, 11.12.3). */
#define VMI__CACHE_PWT 0x08u
#define VMI__CACHE_PCD 0x10u
#define VMI__CACHE_PAT 0x80u

/* Linear address of a guest-physical address inside the linear region. */
static inline void *vmi__linear(uintptr_t physical)
{
    return (void *)(physical + vmi__boot.linear_base);
}

/* Guest-physical address of something in the image or the linear region. */
static inline uintptr_t vmi__physical(const void *linear)
{
    return vmi__physical_of((uintptr_t)linear, vmi__boot.linear_base);
}

/* ---- arithmetic without libgcc ---- */

/* value * multiplier >> shift with all 96 bits of the product; shift is at most 32. */
static inline uint64_t vmi__scale(uint64_t value, uint32_t multiplier, uint32_t shift)
{
    uint64_t low = (uint64_t)(uint32_t)value * multiplier;
    uint64_t high = (uint64_t)(uint32_t)(value >> 32) * multiplier;

    return (low >> shift) + (high << (32 - shift));
}

/* A sum, UINT64_MAX if it has no room: "never" and later stays never. */
static inline uint64_t vmi__add_saturating(uint64_t left, uint64_t right)
{
    return left + right < left ? UINT64_MAX : left + right;
}

/* As vmi__scale, but UINT64_MAX if the result has no room. */
static inline uint64_t vmi__scale_saturating(uint64_t value, uint32_t multiplier, uint32_t shift)
{
    uint64_t low = (uint64_t)(uint32_t)value * multiplier;
    uint64_t high = (uint64_t)(uint32_t)(value >> 32) * multiplier;

    if (shift < 32 && high >> (32 + shift))
        return UINT64_MAX;
    return vmi__add_saturating(low >> shift, high << (32 - shift));
}

/* ---- alarms ---- */

/*
 * How often a periodic alarm goes off at most, in a second: whatever its period is, so much time is
 * left to the kernel between one and the next. KVM bounds its timers so, too (Linux,
 * arch/x86/kvm/lapic.c, min_timer_period_us).
 */
#define VMI__ALARMS_PER_SECOND 5000

/*
 * When a periodic alarm that was due at `expiry` is due after `now`, which is not before that. What
 * went by unseen is left out. UINT64_MAX is never. The period is not 0.
 */
uint64_t vmi__alarm_next(uint64_t expiry, uint64_t period, uint64_t now);

/* ---- memory ---- */

void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *left, const void *right, size_t size);

#endif
