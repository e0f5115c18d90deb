/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The programs in user/; for C and assembly. */
#ifndef PROGRAMS_H
#define PROGRAMS_H

/* How many calls the program `syscalls` makes between its two readings of the time. */
#define PROGRAM_SYSTEM_CALLS 1000

/* How many single steps the program `stepped` asks for at least. */
#define PROGRAM_STEPS 8

#ifndef __ASSEMBLER__
/* A program, which lies in the kernel's image as data. */
struct program {
    const char *name;
    const unsigned char *image, *image_end;
};

/* user/NAME.S defines program_NAME and program_NAME_end. */
#define PROGRAM(id)                                                                                \
    extern const unsigned char program_##id[], program_##id##_end[];                               \
    const struct program user_##id = {                                                             \
        .name = #id, .image = program_##id, .image_end = program_##id##_end}

extern const struct program user_hello, user_memory, user_fork, user_fault, user_intruder,
    user_privileged, user_spin, user_misuse, user_nothing, user_readings, user_syscalls, user_touch,
    user_registers, user_float, user_tables;
#endif

#endif
