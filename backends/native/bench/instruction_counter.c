/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A plugin of QEMU's translator: how many instructions all CPUs together have executed whenever one
 * of these is. beside_linux.py compiles it, for a guest that QEMU's own counting (-icount) does not
 * get to its end.
 *
 * Arguments: out=FILE, which gets a line with the number for each such moment, and at=ADDRESS,
 * hexadecimal, for each of the instructions. Counting begins at the first of them, for until then
 * nothing but those is looked at.
 *
 * QEMU's header is in no package of Debian's, so what is used of it is declared here. Source: QEMU,
 * docs/devel/tcg-plugins.rst. PLUGIN_VERSION is the interface's, which beside_linux.py knows.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

/* What a callback does with registers. */
enum { REGISTERS_NONE };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t place);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *instruction);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
                                           void (*translated)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *instruction,
                                            void (*executed)(unsigned cpu, void *argument),
                                            int registers, void *argument);
/* Forgets what was registered and translated, and calls `again` then. */
void qemu_plugin_reset(plugin_id id, void (*again)(plugin_id));

int qemu_plugin_version = PLUGIN_VERSION;
int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

#define PLACES_MAX 64

static plugin_id self;
static FILE *out;
static uint64_t places[PLACES_MAX], executed;
static unsigned places_count;
static bool counts;

static bool is_place(const struct qemu_plugin_insn *instruction)
{
    uint64_t address = qemu_plugin_insn_vaddr(instruction);

    for (unsigned i = 0; i < places_count; i++)
        if (places[i] == address)
            return true;
    return false;
}

static void count(unsigned cpu, void *argument)
{
    (void)cpu;
    (void)argument;
    executed++;
}

static void translated(plugin_id id, struct qemu_plugin_tb *block);

static void again(plugin_id id)
{
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
}

static void at_place(unsigned cpu, void *argument)
{
    (void)cpu;
    (void)argument;
    fprintf(out, "%llu\n", (unsigned long long)executed);
    fflush(out);
    if (!counts) {
        counts = true;
        qemu_plugin_reset(self, again);
    }
}

static void translated(plugin_id id, struct qemu_plugin_tb *block)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);

        if (counts)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, count, REGISTERS_NONE, NULL);
        if (is_place(instruction))
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, at_place, REGISTERS_NONE, NULL);
    }
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "out=", 4))
            out = fopen(argv[i] + 4, "w");
        else if (!strncmp(argv[i], "at=", 3) && places_count < PLACES_MAX)
            places[places_count++] = strtoull(argv[i] + 3, NULL, 16);
        else
            return -1;
    }
    if (!out || !places_count)
        return -1;
    self = id;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
