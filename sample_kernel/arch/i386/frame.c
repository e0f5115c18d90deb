/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "frame.h"

#include "print.h"

void frame_print(const struct trap_frame *frame, const char *prefix)
{
    print("%s eax 0x%08x ebx 0x%08x ecx 0x%08x edx 0x%08x\n", prefix, frame->eax, frame->ebx,
          frame->ecx, frame->edx);
    print("%s esi 0x%08x edi 0x%08x ebp 0x%08x esp 0x%08x\n", prefix, frame->esi, frame->edi,
          frame->ebp, (uint32_t)trap_sp(frame));
}
