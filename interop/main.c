/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A kernel of the kind that the published API was made for: it finds the ROM, patches itself, and
 * makes the calls that Linux built with CONFIG_VMI makes at boot. Without a ROM it runs by the bare
 * instructions.
 *
 * Words of the command line: `cpus=N` (up to 8) starts further CPUs; `end=shutdown` and
 * `end=reboot` end by that call once every check has passed; `cost` counts instructions and checks
 * nothing else.
 */
#include "checks.h"

void client_main(uint32_t information) __attribute__((noreturn));

static const struct named_check checks[] = {
    {"rom.refusals", check_refusals},
    {"rom.memory", check_memory},
    {"rom.relocations", check_relocations},
    {"CPUID", check_cpuid},
    {"WRMSR RDMSR", check_msr},
    {"SetGDT GetGDT", check_gdt},
    {"SetIDT GetIDT", check_idt},
    {"SetLDT GetLDT", check_ldt},
    {"SetTR GetTR", check_tr},
    {"WriteGDTEntry", check_write_gdt},
    {"WriteLDTEntry", check_write_ldt},
    {"WriteIDTEntry", check_write_idt},
    {"SetCR0 GetCR0 CLTS", check_cr0},
    {"SetCR2 GetCR2", check_cr2},
    {"SetCR3 GetCR3", check_cr3},
    {"SetCR4 GetCR4", check_cr4},
    {"WBINVD", check_wbinvd},
    {"SetDR GetDR", check_dr},
    {"RDTSC", check_rdtsc},
    {"EnableInterrupts DisableInterrupts GetInterruptMask SetInterruptMask", check_interrupt_mask},
    {"IRET", check_iret},
    {"SetIOPLMask", check_iopl},
    {"IODelay", check_io_delay},
    {"SetLinearMapping", check_linear_mapping},
    {CLIENT_PAE ? "SetPxELong InvalPage FlushTLB" : "SetPxE InvalPage FlushTLB", check_set_pxe},
    {CLIENT_PAE ? "SetPxELong absent" : "SetPxE absent", check_absent},
    {CLIENT_PAE ? "UpdatePxELong" : "UpdatePxE", check_update_pxe},
    {"FlushTLB global", check_flush_global},
    {"AllocatePage ReleasePage SetCR3", check_clone},
    {"MachineToPhysical PhysicalToMachine", check_translation},
    {"SetLazyMode", check_lazy},
    {"APICRead APICWrite", check_apic},
    {"IRET to ring 3, UpdateKernelStack", check_user_iret},
    {"SYSEXIT", check_user_sysexit},
    {"Halt", check_halt},
    {"GetCycleFrequency", check_frequency},
    {"GetCycleCounter", check_counters},
    {"SetAlarm IRQ0 one-shot", check_alarm_irq0},
    {"SetAlarm IRQ0 periodic, CancelAlarm", check_alarm_irq0_periodic},
    {"SetAlarm LVTT one-shot", check_alarm_lvtt},
    {"SetAlarm LVTT periodic, CancelAlarm", check_alarm_lvtt_periodic},
    {"SetAlarm LVTT before its vector", check_alarm_lvtt_late},
    {"SetAlarm in the past, Halt", check_alarm_past},
    {"CancelAlarm", check_cancel},
    {"GetWallclockTime WallclockUpdated", check_wallclock},
    {"SetInitialAPState", check_ap},
    {"SetAlarm LVTT, each CPU its own", check_alarm_cpus},
    {"SetAlarm LVTT, another CPU writes LVTT", check_alarm_other_lvtt},
    {"SetInitialAPState again", check_ap_again},
};

#define CHECKS (sizeof(checks) / sizeof(checks[0]))

static const struct named_check cost = {"cost", check_cost};

/* ---- command line ---- */

#define INFORMATION_COMMAND_LINE 0x4

/* What stands behind the `start` of a word of the command line; 0 if no word starts so. */
static const char *word_behind(const char *line, const char *start)
{
    const char *at;

    while (*line) {
        for (at = start; *at && *at == *line; at++)
            line++;
        if (!*at)
            return line;
        while (*line && *line != ' ')
            line++;
        while (*line == ' ')
            line++;
    }
    return 0;
}

/* Is a word among those of the command line? */
static bool has_word(const char *line, const char *word)
{
    const char *behind = word_behind(line, word);

    return behind && (*behind == ' ' || !*behind);
}

static bool is_skip(const char *reason)
{
    return reason[0] == 'S' && reason[1] == 'K' && reason[2] == 'I' && reason[3] == 'P';
}

void client_main(uint32_t information)
{
    const uint32_t *words = client_linear(information);
    const char *line = words[0] & INFORMATION_COMMAND_LINE ? client_linear(words[4]) : "";
    const char *cpus;
    const struct named_check *first = has_word(line, "cost") ? &cost : checks;
    uint32_t count = first == &cost ? 1 : CHECKS, i, passed = 0, failed = 0, skipped = 0;
    const struct rom_header *rom;

    client_information = words;
    client_console_init();
    client_machine_init();
    cpus = word_behind(line, "cpus=");
    if (cpus)
        client_cpus = (uint32_t)(*cpus - '0');
    if (client_cpus < 1 || client_cpus > CLIENT_CPUS_MAX)
        client_panic("cpus= must be 1 to 8");
    client_print("KTAP version 1\n1..%u\n", count);
    client_print("# client %s\n", CLIENT_PAE ? "pae" : "non-pae");
    rom = client_rom_find();
    if (!rom)
        client_print("# native reason=no ROM is fit for use\n");
    else if (!client_activate(rom))
        client_print("# native reason=the ROM does not start\n");
    for (i = 0; i < count; i++) {
        const char *reason = first[i].run();

        if (!reason) {
            passed++;
            client_print("ok %u %s\n", i + 1, first[i].name);
        } else if (is_skip(reason)) {
            skipped++;
            client_print("ok %u %s # %s\n", i + 1, first[i].name, reason);
        } else {
            failed++;
            client_print("not ok %u %s # %s\n", i + 1, first[i].name, reason);
        }
    }
    client_print("# result pass=%u fail=%u skip=%u\n", passed, failed, skipped);
    if (!failed && has_word(line, "end=shutdown") && client_has(CALL_SHUTDOWN))
        client_call(CALL_SHUTDOWN, 0, 0, 0);
    if (!failed && has_word(line, "end=reboot") && client_has(CALL_REBOOT))
        client_call(CALL_REBOOT, 0, 0, 0);
    client_end(failed ? STATUS_FAIL : STATUS_PASS);
}
