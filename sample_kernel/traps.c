/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "traps.h"

#define STI 0xfb
#define HLT 0xf4

static trap_handler *handlers[TRAP_COUNT];

trap_handler *trap_handler_get(uint32_t vector)
{
    return handlers[vector];
}

trap_handler *trap_handler_set(uint32_t vector, trap_handler *handler)
{
    trap_handler *previous = handlers[vector];
    handlers[vector] = handler;
    return previous;
}

const char *trap_name(uint32_t vector)
{
    switch (vector) {
    case TRAP_DIVIDE:
        return "divide error";
    case TRAP_DEBUG:
        return "debug";
    case TRAP_INVALID_OPCODE:
        return "invalid opcode";
    case TRAP_NO_FPU:
        return "no FPU";
    case TRAP_DOUBLE_FAULT:
        return "double fault";
    case TRAP_INVALID_TSS:
        return "invalid TSS";
    case TRAP_NO_SEGMENT:
        return "segment not present";
    case TRAP_STACK:
        return "stack fault";
    case TRAP_PROTECTION:
        return "general protection";
    case TRAP_PAGE_FAULT:
        return "page fault";
    default:
        return vector < 32 ? "exception" : "interrupt";
    }
}

bool trap_before_halt(uintptr_t ip)
{
    const uint8_t *next = (const uint8_t *)ip;
    return next[-1] == STI && next[0] == HLT;
}
