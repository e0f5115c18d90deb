/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <stdarg.h>
#include <vmi/vmi.h>

#include "panic.h"
#include "print.h"
#include "traps.h"
#include "x86.h"

/* How many words of the stack a trap shows. */
#define STACK_WORDS 16

static void __attribute__((noreturn)) end(void)
{
    vmi_shutdown_reason(VMI_SHUTDOWN_CRASH, VMI_STATUS_PANIC);
}

void panic(const char *text, ...)
{
    char message[256];
    va_list arguments;

    vmi_disable_interrupts();
    va_start(arguments, text);
    format_list(message, sizeof(message), text, arguments);
    va_end(arguments);
    print("PANIC: %s\n", message);
    end();
}

void panic_trap(const struct trap_frame *frame, const char *name, unsigned address)
{
    vmi_disable_interrupts();
    print("PANIC: trap %u (%s), error code 0x%x\n", frame->vector, name, frame->error);
    print("PANIC: eip 0x%08x cs 0x%04x eflags 0x%08x cr2 0x%08x cr3 0x%08x\n", frame->eip,
          frame->cs & 0xffff, frame->eflags, address, vmi_get_cr3());
    print("PANIC: eax 0x%08x ebx 0x%08x ecx 0x%08x edx 0x%08x\n", frame->eax, frame->ebx,
          frame->ecx, frame->edx);
    print("PANIC: esi 0x%08x edi 0x%08x ebp 0x%08x esp 0x%08x\n", frame->esi, frame->edi,
          frame->ebp, trap_esp(frame));
    if (!trap_from_user(frame)) {
        /*
         * The words end where the stack does: a thread's is STACK_SIZE bytes on a boundary of that
         * size.
         */
        const uint32_t *word = (const uint32_t *)(uintptr_t)trap_esp(frame);
        for (unsigned i = 0; i < STACK_WORDS && (uintptr_t)(word + i) % STACK_SIZE != 0; i++) {
            if (i % 8 == 0)
                print(i == 0 ? "PANIC: stack" : "\nPANIC: stack");
            print(" %08x", word[i]);
        }
        print("\n");
    }
    end();
}
