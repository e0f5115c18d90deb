/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Between the parts of the native library, and for libraries that inherit from it. Each part stands
 * alone in a file of its name and can be used, or left unused, by an inheriting library, whose
 * calls then have routines of their own. Prototypes of the routines that calls are bound to are in
 * the generated routines.h of each library, which declares the routines that it uses; this header
 * is for everything else.
 */
#ifndef VMI_NATIVE_H
#define VMI_NATIVE_H

#include "runtime.h"

#include "apic_registers.h"
#include "cpu.h"

/* ---- init.c ---- */

/*
 * Prepares everything below, console first. An inheriting library has its own vmi__backend_init
 * (instead of backend_init.c) and calls this from it; before that it may set vmi__native_tsc_hz if
 * it knows better than to measure. Afterwards boot->apic_id and cpu_count are right, and the
 * trampoline's page is taken out of the memory map.
 */
void vmi__native_init(struct vmi_boot_info *boot);

/* ---- console.c ---- */

/* Finds and sets up the console that option vmi.console= asks for, or refuses to run. */
void vmi__native_console_init(void);

/* Adds the machine's screen and keyboard to it, if there are any; once the PAT is set. */
VMI__RUN_ONCE void vmi__native_console_screen_init(void);

bool vmi__native_console_present(void);

/* Its interrupt line; VMI__ISA_LINES or more if it has none of ISA's. */
uint32_t vmi__native_console_line(void);

/* Lets the console raise its line when input is there. */
void vmi__native_console_interrupts(void);

/* Waits until what was written has left the machine, for the end of the machine takes it along. */
void vmi__native_console_drain(void);

/* ---- console16550.c ---- */

#define VMI__LINE_UART 4 /* of the first serial port */

/* Finds and sets up the UART, once. */
void vmi__native_uart_init(void);

/* The parts of the calls and of console.c that are the UART's. */
bool vmi__native_uart_present(void);
void vmi__native_uart_interrupts(void);
void vmi__native_uart_drain(void);
int32_t vmi__native_uart_write(const void *from, uint32_t length);
int32_t vmi__native_uart_read(void *to, uint32_t length);

/* ---- platform.c ---- */

/* Looks whether there is PCI: before anything is asked of it. */
void vmi__native_pci_init(void);

/* ---- console_virtio.c, or no_virtio.c in its place ---- */

/* A virtio console is in use. */
bool vmi__native_virtio(void);

/* Looks for one, and uses it if it is there and sound. */
void vmi__native_virtio_init(void);

/*
 * The parts of the calls and of console.c that are the virtio console's. Writing less than asked
 * means that it has failed.
 */
uint32_t vmi__native_virtio_line(void);
void vmi__native_virtio_interrupts(void);
void vmi__native_virtio_drain(void);
uint32_t vmi__native_virtio_write(const char *from, uint32_t length);
uint32_t vmi__native_virtio_read(char *to, uint32_t length);

/*
 * Lowers its line, which is level-triggered: part of the end of its interrupt, where a handler that
 * reads later, or not at all, would be entered for ever.
 */
void vmi__native_virtio_acknowledge(void);

/* ---- report.c, or no_report.c in its place ---- */

/* With the option vmi.report: says which timers and interrupt controllers were chosen, and why. */
void vmi__native_report(void);

/* ---- measure.c ---- */

/* One look at a free-running counter, and the TSC around the moment at which it was `count`. */
struct vmi__native_reading {
    uint64_t before, after;
    uint32_t count;
};

/* Takes a reading; a counter that counts down gives its complement. */
typedef void vmi__native_counter(struct vmi__native_reading *reading);

/* The true frequency is none below `least` and none above `most`; both 0: the counter stands still.
 */
struct vmi__native_bounds {
    uint64_t least, most;
};

/*
 * Measures the TSC's frequency against a counter of `hz`; `mask` is the counter's width, all ones.
 * Takes 7.5 ms, and longer, to 30 ms, where readings are slow or this CPU is stopped between them.
 * The bounds hold however long it is stopped, if at least once in 2.5 ms it is not stopped for a
 * whole round of the counter.
 */
struct vmi__native_bounds vmi__native_measure(vmi__native_counter *read, uint32_t mask,
                                              uint32_t hz);

/* How a counter and the TSC moved over the same interval. */
struct vmi__native_interval {
    uint32_t ticks;           /* of the counter; 0 if it stands still */
    uint64_t cycles_at_least; /* of the TSC, whatever came between the readings */
    uint64_t cycles_at_most;
};

/* The best of several readings: the one that the least time passed around. */
struct vmi__native_reading vmi__native_take(vmi__native_counter *read);

/*
 * Watches a counter until a tick and `cycles` cycles of the TSC have passed since a reading, in
 * less than a round of the counter. The interval is up to a tick longer or shorter than `ticks`.
 * Gives up when the counter stands still.
 */
struct vmi__native_interval vmi__native_watch(vmi__native_counter *read, uint32_t mask,
                                              const struct vmi__native_reading *first,
                                              uint64_t cycles);

/* ---- told.c ---- */

/* A frequency of the TSC that is believed, in Hz; what is told and is not among them is measured.
 */
#define VMI__TSC_HZ_MIN 16000000u
#define VMI__TSC_HZ_MAX (1ull << 36)

/* What CPUID tells of frequencies in Hz, 0 where it does not. */
struct vmi__native_told {
    uint64_t tsc_hz;
    uint32_t apic_timer_hz; /* undivided */
    bool trusted; /* not a processor's word below a hypervisor, which may have scaled its TSC */
};

struct vmi__native_told vmi__native_told(void);

/* ---- tsc.c ---- */

/* Frequency of the TSC; 0 until vmi__native_tsc_init unless an inheriting library sets it. */
extern uint64_t vmi__native_tsc_hz;

/* What told the frequency, or what it was measured against, where no inheriting library sets it. */
enum vmi__native_tsc_source {
    VMI__TSC_BY_CPUID,
    VMI__TSC_BY_PIT,
    VMI__TSC_BY_ACPI_TIMER,
};

extern enum vmi__native_tsc_source vmi__native_tsc_source;

/*
 * Frequency of the local APIC's timer, undivided, as an inheriting library or CPUID tells it; 0 if
 * neither does. It is believed if the timer keeps to it.
 */
extern uint32_t vmi__native_apic_timer_hz;

/* No more than the true frequency, for what must not be early: the lower bound of the measuring. */
extern uint64_t vmi__native_tsc_hz_least;

/* Finds the frequency, or refuses to run. Needs ACPI where there is no PIT. */
void vmi__native_tsc_init(void);

/* The same; false where the other refuses. */
bool vmi__native_tsc_find(void);

/* Waits that long. */
void vmi__native_delay(uint32_t microseconds);

/* ---- pit.c ---- */

#define VMI__PIT_HZ 1193182u

/* Silences channel 0, and lets channel 2 run freely for measuring. */
void vmi__native_pit_init(void);

/* The latter alone. */
void vmi__native_pit_start_counter(void);

/* Reads the ticks of channel 2 so far, 16 bits. */
VMI__ADDRESS_TAKEN void vmi__native_pit_counter(struct vmi__native_reading *reading);

/*
 * Raises line 0 once after `ticks` ticks (1 to 65535); 0 silences it, but for one pulse that an
 * emulated PIT may still have.
 */
void vmi__native_pit_oneshot(uint32_t ticks);

/* Raises it each `ticks` ticks (2 to 65536) until it is silenced. */
void vmi__native_pit_periodic(uint32_t ticks);

/* ---- pat.c ---- */

/*
 * Value of the PAT on every CPU, 0 where the processor has none: the cache types that an entry of a
 * page table can choose by PAT, PCD and PWT. device.c and trampoline.S know this.
 */
extern uint64_t vmi__native_pat;

/* Sets the first CPU's. */
void vmi__native_pat_init(void);

/* ---- device.c ---- */

/* Is told what the kernel maps by MapDevice, from first to last; 0 without a screen. */
extern void (*vmi__native_device_mapped)(uint64_t first, uint64_t last);

/* Keeps a mapping, by where it begins, as the library's own: no kernel can unmap it. */
void vmi__native_device_keep(const volatile void *address);

/* ---- apic.c ---- */

#define VMI__APIC_SLOT          0 /* in the device window: APICRead and APICWrite know this */
#define VMI__APIC_SPURIOUS      0xff
#define VMI__APIC_ISR           0x100 /* and for each 32 vectors 16 bytes more */
#define VMI__APIC_IRR           0x200
#define VMI__APIC_LVT_LINT0     0x350
#define VMI__APIC_LVT_LINT1     0x360
#define VMI__APIC_LVT_ERROR     0x370
#define VMI__APIC_TIMER_INITIAL 0x380
#define VMI__APIC_TIMER_CURRENT 0x390
#define VMI__APIC_TIMER_DIVIDE  0x3e0
#define VMI__APIC_LVT_MASKED    0x10000u
#define VMI__APIC_LVTT_BITS     0x700ffu /* that can be written: vector, mask, mode */

/* Where the local APIC's registers are: in the window, or where a client of the ROM has them. */
extern volatile char *vmi__native_apic;

/* The local APICs are in x2APIC mode: registers are MSRs, and the address above leads nowhere. */
extern bool vmi__native_x2apic;

/*
 * For the library's own accesses. Either mode must have the register, and the value must be one
 * that x2APIC mode takes (no reserved bits, 0 for EOI). The interrupt command, which differs, goes
 * by vmi__native_apic_command.
 */
static inline uint32_t vmi__native_apic_read(uint32_t reg)
{
    if (vmi__native_x2apic)
        return (uint32_t)vmi__rdmsr(VMI__MSR_X2APIC + (reg >> 4));
    return *(volatile uint32_t *)(vmi__native_apic + reg);
}

static inline void vmi__native_apic_write(uint32_t reg, uint32_t value)
{
    if (vmi__native_x2apic)
        vmi__wrmsr(VMI__MSR_X2APIC + (reg >> 4), value);
    else
        *(volatile uint32_t *)(vmi__native_apic + reg) = value;
}

/*
 * Enables the local APIC of the first CPU, and maps it unless it is in x2APIC mode. That is where
 * firmware has left that on, and where the processor offers it under a hypervisor. On hardware the
 * architecture does not support the mode without remapping of interrupts (Linux,
 * arch/x86/kernel/apic/apic.c, try_to_enable_x2apic), and the library remaps none: so there it is
 * not turned on.
 */
void vmi__native_apic_init(void);

/*
 * Part of vmi__backend_rebind: EBUSY if x2APIC mode, in which the APICs are, is to be left out;
 * ENODEV if the processor does not offer it any more.
 */
int32_t vmi__native_rebind(uint32_t without);

/* APIC identifier and number (index into boot_info.cpus) of this CPU. */
uint32_t vmi__native_apic_id(void);
uint32_t vmi__native_cpu_by_apic(void);

/* Interrupt commands (Intel SDM vol. 3A, 11.6.1): a vector is or'ed with the first. */
#define VMI__ICR_FIXED        0x04000u /* asserted, as all of these */
#define VMI__ICR_NMI          0x04400u
#define VMI__ICR_INIT         0x04500u
#define VMI__ICR_STARTUP      0x04600u /* the number of a page below 1 MiB is or'ed in */
#define VMI__ICR_ALL          0x80000u /* shorthands; not of NMI, INIT and STARTUP */
#define VMI__ICR_ALL_BUT_SELF 0xc0000u

/* CPUs that run, the first included; whether one does, and that it does from now on, or does not.
 */
extern uint32_t vmi__native_cpus_started;
bool vmi__native_cpu_runs(uint32_t cpu);
void vmi__native_cpu_set_runs(uint32_t cpu, bool now);
/* Where it is noted, for a CPU that notes its own end. */
volatile bool *vmi__native_cpu_noted(uint32_t cpu);

/* All CPUs are listed: makes room for that. */
void vmi__native_cpus_listed(void);

/*
 * Sends one command to one APIC: waits, for a bounded time, until the one before has left. False if
 * it has not.
 */
bool vmi__native_apic_command(uint32_t apic_id, uint32_t command);

/*
 * The identifier that names all local APICs: of no CPU, and starting it starts this one anew. In
 * x2APIC mode it has all bits; devices and I/O APICs have eight of them in either mode.
 */
#define VMI__APIC_ID_ALL   0xffu
#define VMI__X2APIC_ID_ALL 0xffffffffu

/* The one of the mode in use: identifiers below it can be commanded. */
static inline uint32_t vmi__native_apic_id_all(void)
{
    return vmi__native_x2apic ? VMI__X2APIC_ID_ALL : VMI__APIC_ID_ALL;
}

/* ---- pending.c ---- */

/*
 * Ends what is in service in this CPU's local APIC and takes what is requested. Interrupts are
 * masked, and the 8259s and I/O APICs mask all that is theirs.
 */
void vmi__native_pending_forget(void);

/* arch/ARCH/pending.S: takes one interrupt, by gates that lead to the second; 0 if none came. */
VMI__ROUTINE uint32_t vmi__native_pending_take(void);
extern const char vmi__native_pending_taken[];

/* ---- apic_calls.c ---- */

/*
 * What APICRead and APICWrite do where the processor offers x2APIC: registers as the page has them
 * (VMI_APIC_ID in bits 24-31, an interrupt command in two halves), in either mode. An identifier
 * that does not fit reads as 255. Where x2APIC mode has no such register, or it cannot be written,
 * a read gives 0 and a write does nothing; bits that are reserved there are left out.
 */
VMI__ROUTINE uint32_t vmi__native_apic_read_any(uint32_t reg);
VMI__ROUTINE void vmi__native_apic_write_any(uint32_t reg, uint32_t value);

/* All CPUs are listed: makes room for the half of a command that each may have written. */
void vmi__native_apic_calls_init(void);

/* ---- ipi.c ---- */

/*
 * Sends a command to each CPU of a set that runs, by as few writes as can be. EINVAL if one does
 * not exist, EIO if a command does not leave.
 */
int32_t vmi__native_interrupt(const uint32_t *set, uint32_t bits, uint32_t command);

/* ---- arch/ARCH/cpu_number.c ------------------------------------------------------------------ */

/*
 * Number of this CPU. On x86-64 a word of its per-CPU area, once vmi__native_init has begun; on
 * i386 by its APIC, and an inheriting library may have a cpu_number.c of its own.
 */
uint32_t vmi__native_cpu(void);

/*
 * For an inheriting library to define: this CPU's number has become known, and what the library
 * keeps for it can be set up. Interrupts are masked. Called at least once on each further CPU: on
 * i386 when it loads its task register (cpu_by_tss.c), on x86-64 before its first instruction of
 * the kernel's, on the stack and tables of its initial state. Not called on the first CPU while it
 * is alone.
 */
void vmi__native_cpu_identified(uint32_t cpu);

/* ---- arch/i386/cpu_by_tss.c ------------------------------------------------------------------ */

/*
 * For inheriting libraries under hypervisors, where reading the APIC leaves the guest, and for
 * clients of the ROM: the number of this CPU, by where its TSS descriptor lies. Such a library
 * binds SetGDT and SetTR to the routines below, has a cpu_number.c that returns this, and defines
 * vmi__native_cpu_identified and vmi__native_cpu_forgotten.
 */
uint32_t vmi__native_cpu_by_tss(void);

VMI__ROUTINE void vmi__native_set_tr_noted(uint32_t selector);
VMI__ROUTINE void vmi__native_set_gdt_noted(const struct vmi_dtr *dtr);

/* Makes room for all CPUs that are listed. */
void vmi__native_cpu_by_tss_init(void);

/* Forgets a CPU that is reset and will be identified anew. */
void vmi__native_cpu_forget(uint32_t cpu);

/* The same, for what the library keeps of that CPU. Another one may be the calling one. */
void vmi__native_cpu_forgotten(uint32_t cpu);

/* ---- acpi.c ---- */

/* Generic address structure (ACPI 6.5, 5.2.3.2); space 0 is memory, 1 is ports. */
struct vmi__native_register {
    uint8_t space, width, offset, access;
    uint64_t address;
} __attribute__((packed));

struct vmi__native_ioapic_info {
    uint32_t address, first_line;
};

struct vmi__native_override {
    uint32_t line;  /* global system interrupt */
    uint16_t flags; /* polarity in bits 0-1, trigger in bits 2-3 */
};

#define VMI__IOAPICS_MAX 4
#define VMI__ISA_LINES   16

/* What the library wants from ACPI; all zero where a table or field is missing. */
struct vmi__native_acpi {
    uint32_t pm_timer;             /* port */
    bool pm_timer_32;              /* it has 32 bits, not 24 */
    uint8_t century;               /* index of the RTC's century register */
    bool can_sleep;                /* S5 is there */
    uint8_t sleep_a, sleep_b;      /* its types */
    uint32_t control_a, control_b; /* PM1 control ports */
    uint32_t event_a, event_b;     /* PM1 status ports, where the power button is in them; else 0 */
    uint32_t event_enable;         /* so far behind them are the ports that let events in */
    uint32_t sci;                  /* the interrupt that they raise, a line of ISA or an input */
    uint32_t smi_command;          /* port */
    uint8_t smi_enable;            /* what turns ACPI mode on there */
    struct vmi__native_register sleep, reset;
    uint8_t reset_value;
    struct vmi__native_ioapic_info ioapics[VMI__IOAPICS_MAX];
    uint32_t ioapics_count;
    struct vmi__native_override overrides[VMI__ISA_LINES];
    bool has_imcr; /* the 8259s are wired to the processor, not to its APIC (MP 1.4, 3.6.2.1) */
};

extern struct vmi__native_acpi vmi__native_acpi;

/* ACPI 6.5, 4.8.2.1: the ACPI timer's frequency, and the bits that it has; tsc.c reads it. */
#define VMI__PM_TIMER_HZ 3579545u

static inline uint32_t vmi__native_pm_mask(void)
{
    return vmi__native_acpi.pm_timer_32 ? 0xffffffff : 0xffffff;
}

VMI__ADDRESS_TAKEN void vmi__native_pm_counter(struct vmi__native_reading *reading);

/* Reads the tables, once; fills the CPUs of vmi__boot. False if they do not tell of any. */
VMI__RUN_ONCE bool vmi__native_acpi_read(void);

/* For mp.c: where the extended BIOS data area is, 0 if the BIOS does not say. */
uint32_t vmi__native_ebda(void);

bool vmi__native_sums_to_zero(const void *table, uint32_t size);

/* Lists a CPU once, if it is one that this mode of the APIC has a name for and there is room. */
void vmi__native_add_cpu(uint32_t apic_id);

/* The same for a table that has a byte for the identifier. */
void vmi__native_add_cpu_of_byte(uint8_t apic_id);

/* Makes room for so many CPUs of a table, as far as they can have names. */
void vmi__native_expect_cpus(uint32_t count);

/* There are CPUs that are not listed: what names all of them must not be used. */
extern bool vmi__native_cpus_unlisted;

/* ---- shutdown.c ---- */

/* Has the machine be in ACPI's mode, in which its fixed hardware is the library's. */
void vmi__native_acpi_enable(void);

/* ---- button.c: ACPI's power button, where vmi__native_acpi.event_a is not 0 ---- */

/* Has it raise ACPI's interrupt, or not any more. */
void vmi__native_button_watch(bool on);

/*
 * Where no kernel watches it: looks whether it was pressed, a few times in a second however often
 * this is called, and ends the kernel then.
 */
void vmi__native_button_unwatched(void);

/* The kernel has taken ACPI's interrupt, and its registers with it: the button is let alone. */
void vmi__native_button_leave(void);

/* Notes whether it was pressed, and lowers the interrupt, which is one by level. */
void vmi__native_button_look(void);

/* ---- requests.c ---- */

/* Called where an alarm is set: ends a kernel that has been asked to end and takes no requests. */
void vmi__native_requests_untaken(void);

/* ---- srat.c ---- */

/*
 * Takes ACPI's affinity table, of so many bytes and sound as a whole, into vmi__boot: which memory
 * and which CPUs belong to which node. The CPUs are listed.
 */
VMI__RUN_ONCE void vmi__native_srat_read(const void *table, uint32_t size);

/* ---- mp.c ---- */

/* Fills vmi__native_acpi and the CPUs of vmi__boot from the MP table, if there is one. */
VMI__RUN_ONCE void vmi__native_mp_read(void);

/* ---- firmware.c ---- */

/* Fills vmi__native_acpi and the CPUs of vmi__boot, once, by whichever tables there are. */
VMI__RUN_ONCE void vmi__native_firmware_init(void);

/* ---- pic.c ---- */

/* Initializes both 8259s with every line masked, and forgets requests that came before. */
void vmi__native_pic_init(void);

/* Gives a line the vector; false if the 8259 cannot, for its vectors come in rows of eight. */
bool vmi__native_pic_route(uint32_t line, uint32_t vector);

/* Takes the vector back. The line is masked. */
void vmi__native_pic_unroute(uint32_t line);

void vmi__native_pic_unmask(uint32_t line);
void vmi__native_pic_mask(uint32_t line);

/* Drops a request of the line, which is masked, with interrupts masked. */
void vmi__native_pic_forget(uint32_t line);

/* Has the line asked while it was masked? */
bool vmi__native_pic_requested(uint32_t line);

/* Ends the interrupt that has this vector if it came from a line; false if it did not. */
bool vmi__native_pic_end(uint32_t vector);

/* ---- ioapic.c ---- */

/* Maps the I/O APICs and masks all their inputs. */
void vmi__native_ioapic_init(void);

/* The input that an ISA line is wired to, or'ed with VMI_GSI_… */
uint32_t vmi__native_ioapic_line(uint32_t line);

/* For an input, which may have VMI_GSI_… with it: does an I/O APIC have it? */
bool vmi__native_ioapic_has(uint32_t input);

/* Gives an input, or'ed with VMI_GSI_…, a vector on the CPU with that APIC, masked. */
void vmi__native_ioapic_route(uint32_t input, uint32_t vector, uint32_t apic_id);

/* Another CPU for it. */
void vmi__native_ioapic_send_to(uint32_t input, uint32_t apic_id);

/*
 * Of an input by level: forgets that an interrupt is under way whose end the I/O APIC has not heard
 * of. What is still raised interrupts anew.
 */
void vmi__native_ioapic_forget(uint32_t input);

/* Masks an input, or unmasks it. Edges that find it masked are lost. */
void vmi__native_ioapic_mask(uint32_t input, bool masked);

/* ---- event.c ---- */

/* Chooses between I/O APIC and 8259. */
void vmi__native_event_init(void);

/* Vector that an ISA line is bound to, 0 if it is not. */
uint32_t vmi__native_event_vector(uint32_t line);

/*
 * An alarm is wired to line 0, or no longer. Only meanwhile may the line interrupt: a timer that is
 * silenced may still raise it. To be told before the timer is started; what came by then is
 * forgotten.
 */
void vmi__native_event_timer(bool on);

/* Tells the 8259 that the interrupt of a vector has ended; false if it is for the APIC to know. */
bool vmi__native_event_end(uint32_t vector);

/* Goes on with the console's line if the vector whose interrupt has ended is its own. */
void vmi__native_event_again(uint32_t vector);

/*
 * Keeps a line by level that is bound masked at the I/O APIC, or no longer: then it comes anew if
 * it is still raised, whatever became of an interrupt of before. Nothing where there is no I/O
 * APIC.
 */
void vmi__native_event_hold(uint32_t line, bool held);

/*
 * Events of devices (devices.c), which are bound and masked at the device. 0 until a kernel asks
 * for devices, so that one that never does is linked with nothing of them.
 */
struct vmi__native_device_events {
    int32_t (*bind)(uint32_t number, uint32_t vector);
    bool (*mask)(uint32_t event, bool masked); /* false: it is none of a device's messages */
    void (*moved)(uint32_t event);
    void (*unbound)(uint32_t event);
    void (*ended)(uint32_t vector);
};
extern const struct vmi__native_device_events *vmi__native_device_events;

/* Vectors whose end may have more to it: of alarms, of the virtio console, of devices' lines. */
extern bool vmi__native_ended_vectors[256];

/* ---- end_of_interrupt.c ---- */

/* What there is to the end of such a vector. */
void vmi__native_vector_ended(uint32_t vector);

/*
 * What EndOfInterrupt does besides telling the interrupt controller; a library with an
 * EndOfInterrupt of its own calls it too.
 */
static inline void vmi__native_interrupt_ended(uint32_t vector)
{
    if (vmi__native_ended_vectors[vector & 0xff])
        vmi__native_vector_ended(vector & 0xff);
}

/* ---- alarm.c ---- */

/* Starts the local APIC's timer, so that it is measured while the TSC is. */
void vmi__native_alarm_prepare(void);

/*
 * Finds the frequency of the local APIC's timer, where it counts in cycles of its own: as it is
 * told, else by measuring it against the TSC. For a client of the ROM that waits until it sets
 * its first alarm.
 */
void vmi__native_alarm_init(void);

/*
 * Writes the LVT timer entry for a kernel that may do so after it has set an alarm: that keeps its
 * timer, and is started anew if the entry was masked meanwhile.
 */
void vmi__native_alarm_write_lvtt(uint32_t value);

/* To be called before the kernel has this CPU's timer count: the entry has the kernel's mode again.
 */
void vmi__native_alarm_leave_timer(void);

/* The APIC may have changed this CPU's entry by itself, as it does when it is turned off. */
void vmi__native_alarm_look_at_lvtt(void);

/*
 * For an inheriting library, before it calls vmi__native_init or vmi__native_serve: its APICWrite
 * is a routine in either mode of the APIC, which passes on what is written. So the LVT timer entry
 * is known without being read. Nothing else may change it: a kernel that writes the register's MSR
 * by WRMSR has no alarms there.
 */
extern bool vmi__native_apic_write_called;

/* Sets an alarm again if the vector whose interrupt has ended is its own. */
void vmi__native_alarm_again(uint32_t vector);

/*
 * Sets this CPU's LVTT alarm again behind the end of any interrupt, if it needs that: for a client
 * of the ROM, of which the vector is not known.
 */
void vmi__native_alarm_after_eoi(void);

/* Forgets a CPU's LVTT alarm and entry; its timer has been reset, or will be. */
void vmi__native_alarm_forget(uint32_t cpu);

/* ---- startup.c ---- */

/*
 * Claims and fills the trampoline's page. A library that wakes CPUs in a way of its own defines
 * this and vmi__native_smp_start (startup.h).
 */
void vmi__native_smp_init(void);

/* ---- arch/x86_64/segments.c ---- */

/* Gives the first CPU a per-CPU area, so that the library's words can be reached. */
void vmi__native_segments_init(void);

/* ---- arch/i386/published.c ---- */

/*
 * Serving a client of the published API, which has found the library as an option ROM. The machine
 * is the client's: the library has no console, no lines, no device window, and finds the local APIC
 * where the client has mapped it.
 */
struct vmi__native_published {
    /* Sets vmi__native_apic; false if the client has not mapped the APIC. */
    bool (*reach_apic)(void);
};

/* 0 where the library is linked with its kernel or was bound to it. */
extern const struct vmi__native_published *vmi__native_published;

/* What native does of vmi__backend_serve; an inheriting library's own does more. */
bool vmi__native_serve(void);

/* What is to be done behind an end of interrupt that was no write to the EOI register. */
void vmi__native_published_ended(void);

VMI__ROUTINE void vmi__native_published_apic_write(uint32_t reg, uint32_t value);
VMI__ROUTINE uint32_t vmi__native_published_apic_read(uint32_t reg);
VMI__ROUTINE int32_t vmi__native_published_ap_state(const struct vmi_ap_state *state,
                                                    uint32_t apic_id);
VMI__ROUTINE void vmi__native_published_shutdown(void);

/*
 * Rows of vmi__published_calls (runtime/image/published.h) that every library has which is one of a
 * PC; those that it does otherwise stand before them.
 */
#define VMI__NATIVE_PUBLISHED_CALLS                                                                \
    {VMI_ORDINAL_SET_GDT, vmi__native_set_gdt_noted},                                              \
        {VMI_ORDINAL_SET_TR, vmi__native_set_tr_noted},                                            \
        {VMI_ORDINAL_SHUTDOWN, vmi__native_published_shutdown},                                    \
        {VMI_ORDINAL_SET_INITIAL_AP_STATE, vmi__native_published_ap_state},                        \
        {VMI_ORDINAL_APIC_WRITE, vmi__native_published_apic_write},                                \
    {                                                                                              \
        VMI_ORDINAL_APIC_READ, vmi__native_published_apic_read                                     \
    }

#endif
