/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Processors of x86-64 as far as they have translations: for code of a library or of a kernel that
 * runs as a process (played.h). What only a kernel may execute faults there, and the handler of the
 * fault does it to the CPU `here`.
 *
 * A TLB has all that it may have (Intel SDM vol. 3A, 4.10): each translation that was used stays
 * until something must drop it. Who includes this says what a CPU finds that has none.
 */
#ifndef VMI_TESTS_PLAYED_TRANSLATIONS_H
#define VMI_TESTS_PLAYED_TRANSLATIONS_H

#include "backends/played.h"

#define CPU_CR4_PGE   0x80u
#define CPU_CR4_PCIDE 0x20000u
#define CPU_CONTEXT   0xfffu
#define CPU_KEEP      (1ull << 63)
#define CPU_PAGE_MASK 0xfffull

struct translation {
    uint64_t page, frame;
    uint32_t context;
    bool global, there;
};

#define TRANSLATIONS 256
struct cpu_played {
    uint64_t cr0, cr3, cr4;
    struct translation tlb[TRANSLATIONS];
    uint32_t used;    /* by translations that were there */
    uint32_t dropped; /* all of them, so often */
};

static struct cpu_played *here;
/* What a processor answers by an exception, and what the handler does not know. */
static uint32_t refused;

/* The walk: frame of a page by the tables of a root, all ones if there is none; and whether global.
 */
static uint64_t translate(uint64_t root, uint64_t page, bool *global);

static uint32_t context_in_use(void)
{
    return here->cr4 & CPU_CR4_PCIDE ? here->cr3 & CPU_CONTEXT : 0;
}

/* Drops what fits: a page or all, a context or all. */
#define ALL_PAGES    UINT64_MAX
#define ALL_CONTEXTS UINT32_MAX
static void drop(uint64_t page, uint32_t context, bool global)
{
    for (uint32_t i = 0; i < TRANSLATIONS; i++) {
        struct translation *each = &here->tlb[i];

        if ((page == ALL_PAGES || each->page == (page & ~CPU_PAGE_MASK)) &&
            (each->global ? global : context == ALL_CONTEXTS || each->context == context))
            each->there = false;
    }
}

static void drop_everything(void)
{
    drop(ALL_PAGES, ALL_CONTEXTS, true);
    here->dropped++;
}

/* The frame that an access finds: as it is kept, or else by the tables, which is kept then. */
static uint64_t accessed(uint64_t address)
{
    uint64_t page = address & ~CPU_PAGE_MASK;
    struct translation *room = 0;

    for (uint32_t i = 0; i < TRANSLATIONS; i++) {
        struct translation *each = &here->tlb[i];

        if (!each->there) {
            room = each;
        } else if (each->page == page && (each->global || each->context == context_in_use())) {
            here->used++;
            return each->frame;
        }
    }
    if (!room) {
        refused++;
        return UINT64_MAX;
    }
    *room = (struct translation){.page = page, .context = context_in_use(), .there = true};
    room->frame = translate(here->cr3 & ~CPU_PAGE_MASK, page, &room->global);
    room->global &= (here->cr4 & CPU_CR4_PGE) != 0;
    room->there = room->frame != UINT64_MAX; /* what is not present is not kept */
    return room->frame;
}

static void write_cr3(uint64_t value)
{
    bool keep = value & CPU_KEEP;

    if (keep && !(here->cr4 & CPU_CR4_PCIDE))
        refused++;
    here->cr3 = value & ~CPU_KEEP;
    if (!keep)
        drop(ALL_PAGES, context_in_use(), false);
}

static void write_cr4(uint64_t value)
{
    uint64_t changed = here->cr4 ^ value;

    if (changed & value & CPU_CR4_PCIDE && here->cr3 & CPU_CONTEXT)
        refused++;
    here->cr4 = value;
    if (changed & CPU_CR4_PGE || changed & ~value & CPU_CR4_PCIDE)
        drop_everything();
}

/* Types of INVPCID (Intel SDM vol. 2A). */
static void invpcid(uint64_t type, const uint64_t *what)
{
    if (type > 3 || what[0] > CPU_CONTEXT || (type < 2 && what[0] && !(here->cr4 & CPU_CR4_PCIDE)))
        refused++;
    else if (type == 2)
        drop_everything();
    else
        drop(type ? ALL_PAGES : what[1], type == 3 ? ALL_CONTEXTS : (uint32_t)what[0], false);
}

/* ---- the handler ----------------------------------------------------------------------------- */

/* Linux, of x86-64: asm/unistd_64.h, asm/sigcontext.h, asm/ucontext.h, asm/signal.h. */
#define SYS_RT_SIGACTION64 13
#define SYS_SIGALTSTACK64  131
#define SIGILL             4
#define SIGSEGV            11
#define SA_SIGINFO         0x4u
#define SA_RESTORER        0x04000000u
#define SA_ONSTACK         0x08000000u

struct signal_context {
    uint64_t flags, link, stack[3];
    uint64_t r8_r15[8], rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip;
};

static uint64_t *register_of(struct signal_context *context, uint32_t number)
{
    uint64_t *const low[] = {&context->rax, &context->rcx, &context->rdx, &context->rbx,
                             &context->rsp, &context->rbp, &context->rsi, &context->rdi};

    return number < 8 ? low[number] : &context->r8_r15[number - 8];
}

static void unknown(void)
{
    put("not ok: an instruction that nobody plays\n");
    call(SYS_EXIT, 1, 0, 0);
}

/* The address that a ModRM byte names, which is a register's; *code is behind it then. */
static uint64_t address_of(struct signal_context *context, const uint8_t **code, uint32_t rex)
{
    uint32_t mod = **code >> 6, base = *(*code)++ & 7;

    if (base == 4 && *(*code)++ != 0x24) /* of RSP and R12 a second byte says that they are alone */
        unknown();
    if (mod == 1 ? *(*code)++ != 0 : mod || base == 5)
        unknown();
    return *register_of(context, base | (rex & 1) << 3);
}

static void control_register(uint64_t *value, uint32_t number, bool write)
{
    if (number != 0 && number != 3 && number != 4)
        unknown();
    else if (!write)
        *value = number == 0 ? here->cr0 : number == 3 ? here->cr3 : here->cr4;
    else if (number == 0)
        here->cr0 = *value;
    else if (number == 3)
        write_cr3(*value);
    else
        write_cr4(*value);
}

/* CLI, STI, RDMSR, MOV to and from control registers, INVLPG and INVPCID. */
static void on_fault(int signal, void *information, struct signal_context *context)
{
    const uint8_t *code = (const uint8_t *)context->rip;
    bool prefix = *code == 0x66;
    uint32_t rex, field;
    uint8_t opcode;

    (void)signal;
    (void)information;
    code += prefix;
    rex = (*code & 0xf0) == 0x40 ? *code++ : 0;
    opcode = *code++;
    if (opcode == 0x0f) {
        opcode = *code++;
        if (opcode == 0x38 && (!prefix || *code++ != 0x82))
            unknown();
        field = *code >> 3 & 7;
        if (opcode == 0x32)
            context->rax = context->rdx = 0;
        else if (opcode == 0x20 || opcode == 0x22)
            control_register(register_of(context, (*code++ & 7) | (rex & 1) << 3), field,
                             opcode == 0x22);
        else if (opcode == 0x01 && field == 7)
            drop(address_of(context, &code, rex), context_in_use(), true);
        else if (opcode == 0x38)
            invpcid(*register_of(context, field | (rex & 4) << 1),
                    (const uint64_t *)address_of(context, &code, rex));
        else
            unknown();
    } else if (opcode != 0xfa && opcode != 0xfb) {
        unknown();
    }
    context->rip = (uint64_t)code;
}

void signal_return(void);
__asm__(".text\nsignal_return: mov $15, %eax\n\tsyscall");

static void call64(uint64_t number, uint64_t a, const void *b, uint64_t c, uint64_t d)
{
    register uint64_t fourth __asm__("r10") = d;

    __asm__ volatile("syscall"
                     : "+a"(number)
                     : "D"(a), "S"(b), "d"(c), "r"(fourth)
                     : "rcx", "r11", "memory");
}

static void play_processors(void)
{
    static uint8_t stack[65536];
    static const struct {
        void (*handler)(int, void *, struct signal_context *);
        uint64_t flags;
        void (*restorer)(void);
        uint64_t mask;
    } action = {on_fault, SA_SIGINFO | SA_RESTORER | SA_ONSTACK, signal_return, 0};
    static const struct {
        void *base;
        uint64_t flags, size;
    } own = {stack, 0, sizeof(stack)};

    call64(SYS_SIGALTSTACK64, (uint64_t)&own, 0, 0, 0);
    call64(SYS_RT_SIGACTION64, SIGSEGV, &action, 0, 8);
    call64(SYS_RT_SIGACTION64, SIGILL, &action, 0, 8);
}

#endif
