/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the ways of dispatch cost on the processor at hand, in user mode: two calls that need no
 * privilege, one that is nothing (as SetLazyMode on plain hardware) and one that is two
 * instructions (GetInterruptMask), each by itself, as the binder leaves it at a site, called
 * directly, and called through a pointer. A Linux process without a C library, so that no 32-bit
 * one has to be installed.
 *
 * Says for each way `NAME NANOSECONDS` of ROUNDS * CALLS calls, RUNS times in turn; the arguments
 * of the compiler set these.
 */
#define SYS_EXIT          1
#define SYS_WRITE         4
#define SYS_CLOCK_GETTIME 265

#define CLOCK_MONOTONIC 1

#define TEXT(number)    TEXT_(number)
#define TEXT_(number)   #number
#define NOTHING_ENTRY   "dispatch_nothing"
#define FLAGS_ENTRY     "dispatch_flags"
#define NOTHING_POINTER "dispatch_pointers"
#define FLAGS_POINTER   "dispatch_pointers+4"

__asm__("    .text\n"
        "    .balign 16\n" NOTHING_ENTRY ":\n"
        "    ret\n"
        "    .balign 16\n" FLAGS_ENTRY ":\n"
        "    pushf\n"
        "    pop %eax\n"
        "    ret\n"
        "    .data\n"
        "    .balign 4\n"
        "dispatch_pointers:\n"
        "    .long " NOTHING_ENTRY ", " FLAGS_ENTRY "\n"
        "    .text");

/* Each call is followed by an instruction of the caller, which a call that is nothing may lengthen.
 */
#define WAY(name, call)                                                                            \
    static void name(void)                                                                         \
    {                                                                                              \
        for (unsigned round = ROUNDS; round; round--)                                              \
            __asm__ volatile(".rept " TEXT(CALLS) "\n\t" call "\n\tmov %%eax, %%edx\n\t.endr"      \
                             :                                                                     \
                             :                                                                     \
                             : "eax", "ecx", "edx", "cc", "memory");                               \
    }

WAY(nothing_inline, "")
WAY(nothing_prefixes, ".byte 0x2e, 0x2e, 0x2e, 0x2e, 0x2e")
WAY(nothing_nop, ".byte 0x0f, 0x1f, 0x44, 0x00, 0x00")
WAY(nothing_direct, "call " NOTHING_ENTRY)
WAY(nothing_pointer, "call *" NOTHING_POINTER)
WAY(instruction_inline, "pushf\n\tpop %%eax")
WAY(instruction_patched, ".byte 0x3e, 0x3e, 0x3e\n\tpushf\n\tpop %%eax")
WAY(instruction_direct, "call " FLAGS_ENTRY)
WAY(instruction_pointer, "call *" FLAGS_POINTER)

static const struct {
    const char *name;
    void (*run)(void);
} ways[] = {
    {"nothing inline", nothing_inline},
    {"nothing prefixes", nothing_prefixes},
    {"nothing nop", nothing_nop},
    {"nothing direct", nothing_direct},
    {"nothing pointer", nothing_pointer},
    {"instruction inline", instruction_inline},
    {"instruction patched", instruction_patched},
    {"instruction direct", instruction_direct},
    {"instruction pointer", instruction_pointer},
};

static long system_call(long number, long a, long b, long c)
{
    long result;

    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
    return result;
}

/* Wraps after four seconds, which no run takes. */
static unsigned nanoseconds(void)
{
    struct {
        long seconds, nanoseconds;
    } now;

    system_call(SYS_CLOCK_GETTIME, CLOCK_MONOTONIC, (long)&now, 0);
    return (unsigned)now.seconds * 1000000000u + (unsigned)now.nanoseconds;
}

static void say(const char *name, unsigned number)
{
    char line[64];
    unsigned length = 0, digits = 1;

    while (*name)
        line[length++] = *name++;
    line[length++] = ' ';
    for (unsigned rest = number; rest >= 10; rest /= 10)
        digits++;
    for (unsigned i = digits; i-- > 0; number /= 10)
        line[length + i] = (char)('0' + number % 10);
    length += digits;
    line[length++] = '\n';
    system_call(SYS_WRITE, 1, (long)line, (long)length);
}

void _start(void) __attribute__((noreturn));

void _start(void)
{
    for (unsigned run = 0; run < RUNS; run++)
        for (unsigned way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
            unsigned start = nanoseconds();
            ways[way].run();
            say(ways[way].name, nanoseconds() - start);
        }
    system_call(SYS_EXIT, 0, 0, 0);
    __builtin_unreachable();
}
