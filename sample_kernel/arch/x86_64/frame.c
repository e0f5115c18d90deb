/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "frame.h"

#include "print.h"

void frame_print(const struct trap_frame *frame, const char *prefix)
{
    const struct {
        const char *name;
        uint64_t value;
    } registers[] = {
        {"rax", frame->rax}, {"rbx", frame->rbx}, {"rcx", frame->rcx}, {"rdx", frame->rdx},
        {"rsi", frame->rsi}, {"rdi", frame->rdi}, {"rbp", frame->rbp}, {"rsp", frame->sp},
        {"r8", frame->r8},   {"r9", frame->r9},   {"r10", frame->r10}, {"r11", frame->r11},
        {"r12", frame->r12}, {"r13", frame->r13}, {"r14", frame->r14}, {"r15", frame->r15},
    };

    for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i += 2)
        print("%s %s 0x%016llx %s 0x%016llx\n", prefix, registers[i].name,
              (unsigned long long)registers[i].value, registers[i + 1].name,
              (unsigned long long)registers[i + 1].value);
}
