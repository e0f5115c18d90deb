/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <stdarg.h>
#include <vmi/vmi.h>

#include "frame.h"
#include "layout.h"
#include "panic.h"
#include "print.h"
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

void panic_trap(const struct trap_frame *frame, const char *name, uintptr_t address)
{
    vmi_disable_interrupts();
    print("PANIC: trap %u (%s), error code 0x%x\n", (unsigned)frame->vector, name,
          (unsigned)frame->error);
    print("PANIC: ip 0x%08llx cs 0x%04x flags 0x%08llx cr2 0x%08llx cr3 0x%08llx\n",
          (unsigned long long)frame->ip, (unsigned)frame->cs & 0xffff,
          (unsigned long long)frame->flags, (unsigned long long)address,
          (unsigned long long)vmi_get_cr3());
    frame_print(frame, "PANIC:");
    if (!trap_from_user(frame)) {
        /*
         * The words end where the stack does: a thread's is STACK_SIZE bytes on a boundary of that
         * size.
         */
        const uintptr_t *word = (const uintptr_t *)trap_sp(frame);
        for (unsigned i = 0; i < STACK_WORDS && (uintptr_t)(word + i) % STACK_SIZE != 0; i++) {
            if (i % 8 == 0)
                print(i == 0 ? "PANIC: stack" : "\nPANIC: stack");
            print(" %08llx", (unsigned long long)word[i]);
        }
        print("\n");
    }
    end();
}
