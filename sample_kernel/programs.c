/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "programs.h"

PROGRAM(hello);
PROGRAM(memory);
PROGRAM(fork);
PROGRAM(fault);
PROGRAM(intruder);
PROGRAM(privileged);
PROGRAM(spin);
PROGRAM(misuse);
PROGRAM(nothing);
PROGRAM(readings);
PROGRAM(syscalls);
PROGRAM(touch);
PROGRAM(registers);
PROGRAM(float);
PROGRAM(tables);
