/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Runs the runtime's readers of boot structures as a Linux process: memory as a loader might have
 * left it comes in on standard input, what the runtime makes of it goes out as text. For either
 * architecture, and without a C library, so that no 32-bit one has to be installed.
 *
 * Input, in words: protocol, magic number, address of the structure, start and end of the image,
 * size of memory, bits of an address (0: no matter), number of pieces; then of each piece address,
 * size, bytes. Pieces from FAR on are in memory above the linear region. Memory that the runtime
 * must not touch is not mapped: a read there ends the process by a signal.
 */
#include "loader.h"

#define SYS_EXIT     1
#define SYS_READ     3
#define SYS_WRITE    4
#define SYS_MPROTECT 125
#define SYS_MMAP2    192

#define PROT_NONE     0
#define PROT_READ     1
#define PROT_WRITE    2
#define MAP_ANONYMOUS 0x22 /* and private */

#define PAGE 4096u

#define CLAIMS 400 /* pages that are claimed one by one */

#define FAR      0x20000000u
#define FAR_SIZE (1u << 20)

void _start(void);

struct vmi_boot_info vmi__boot = {.loader = "", .command_line = ""};

/* A 64-bit process makes these calls too; what it hands over is below 4 GiB, so none of its stack.
 */
#ifdef __x86_64__
#define BASE     "rbp"
#define STACK    "rsp"
#define DESTROYS "r8", "r9", "r10", "r11", "memory"
#else
#define BASE     "ebp"
#define STACK    "esp"
#define DESTROYS "memory"
#endif

static int call(int number, uintptr_t a, uintptr_t b, uint32_t c)
{
    int result;

    __asm__ volatile("int $0x80" : "=a"(result) : "0"(number), "b"(a), "c"(b), "d"(c) : DESTROYS);
    return result;
}

static void __attribute__((noreturn)) leave(uint32_t status)
{
    for (;;)
        call(SYS_EXIT, status, 0, 0);
}

static void put(const char *bytes, uint32_t size)
{
    if (call(SYS_WRITE, 1, (uintptr_t)bytes, size) != (int)size)
        leave(3);
}

static void put_text(const char *text)
{
    uint32_t length = 0;

    while (text[length])
        length++;
    put(text, length);
}

static void put_number(uint64_t number)
{
    static const char digits[] = "0123456789abcdef";
    static char text[17] = " ";
    uint32_t i;

    for (i = 0; i < 16; i++)
        text[1 + i] = digits[number >> (60 - 4 * i) & 15];
    put(text, sizeof(text));
}

/* Strings may hold anything: in hexadecimal digits. */
static void put_string(const char *text)
{
    static const char digits[] = "0123456789abcdef";

    put(" =", 2);
    for (; *text; text++) {
        static char pair[2];

        pair[0] = digits[(unsigned char)*text >> 4];
        pair[1] = digits[*text & 15];
        put(pair, 2);
    }
}

static void get(void *to, uint32_t size)
{
    char *next = to;

    while (size) {
        int count = call(SYS_READ, 0, (uintptr_t)next, size);

        if (count <= 0)
            leave(2);
        next += count;
        size -= (uint32_t)count;
    }
}

static char *reserve(uint32_t size, uint32_t protection)
{
    uint32_t result;

    __asm__ volatile("push %%" BASE "; xor %%ebp, %%ebp; int $0x80; pop %%" BASE
                     : "=a"(result)
                     : "0"(SYS_MMAP2), "b"(0), "c"(size), "d"(protection), "S"(MAP_ANONYMOUS),
                       "D"(-1)
                     : DESTROYS);
    if (result > -PAGE)
        leave(4);
    return (char *)(uintptr_t)result;
}

static unsigned char *far_memory;

/* What was lent before is gone with the next call. */
static const void *borrow(uint64_t address, uint32_t size)
{
    static unsigned char lent[64 * PAGE];
    uint32_t i;

    if (address < FAR || address > FAR + FAR_SIZE || size > FAR + FAR_SIZE - address ||
        size > sizeof(lent))
        return 0;
    for (i = 0; i < sizeof(lent); i++)
        lent[i] = i < size ? far_memory[(uint32_t)address - FAR + i] : 0xff;
    return lent;
}

static void report(void)
{
    const char *value;
    uint32_t length, i;

    put_text("ok\n");
    for (i = 0; i < vmi__boot.memory_count; i++) {
        put_text("range");
        put_number(vmi__boot.memory[i].base);
        put_number(vmi__boot.memory[i].size);
        put_number(vmi__boot.memory[i].kind);
        put_text("\n");
    }
    for (i = 0; i < vmi__boot.module_count; i++) {
        put_text("module");
        put_number(vmi__boot.modules[i].base);
        put_number(vmi__boot.modules[i].size);
        put_string(vmi__boot.modules[i].command_line);
        put_text("\n");
    }
    put_text("linear_pages");
    put_number(vmi__boot.linear_pages);
    put_text("\nrsdp");
    put_number(vmi__boot.acpi_root);
    put_text("\n");
    if (vmi__boot.framebuffer) {
        const struct vmi_framebuffer *screen = vmi__boot.framebuffer;

        put_text("screen");
        put_number(screen->base);
        put_number(screen->pitch);
        put_number(screen->width);
        put_number(screen->height);
        put_number(screen->bits);
        put_number(screen->color);
        put_number(screen->red_shift | (uint32_t)screen->red_bits << 8 |
                   (uint32_t)screen->green_shift << 16 | (uint32_t)screen->green_bits << 24);
        put_number(screen->blue_shift | (uint32_t)screen->blue_bits << 8);
        put_text("\n");
    }
    put_text("efi");
    put_number(vmi__boot.efi_system_table);
    put_number(vmi__boot.efi_bits);
    put_text("\n");
    if (vmi__option("quiet", &value, &length)) {
        put_text("quiet");
        put_number(length);
        put_text("\n");
    }
    put_text("claim");
    put_number(vmi__memory_claim(5000, 0xa0000));
    for (i = 0; i < CLAIMS && vmi__memory_claim(PAGE, 1u << 25); i++)
        ;
    put_text("\nclaims");
    put_number(i);
    put_text("\n");
}

static void __attribute__((used)) run(void)
{
    static struct {
        uint32_t protocol, magic, info, image_start, image_end, size, bits, pieces;
    } head;
    static uint32_t piece[2];
    struct vmi__loader_view view;
    const char *reason, *options;
    uint32_t whole;
    char *memory;

    get(&head, sizeof(head));
    /* A page without access on each side. */
    whole = (head.size + PAGE - 1) & -PAGE;
    memory = reserve(whole + 2 * PAGE, PROT_NONE) + PAGE;
    call(SYS_MPROTECT, (uintptr_t)memory, whole, PROT_READ | PROT_WRITE);
    far_memory = (unsigned char *)reserve(FAR_SIZE, PROT_READ | PROT_WRITE);
    while (head.pieces--) {
        get(piece, sizeof(piece));
        get(piece[0] >= FAR ? (char *)far_memory + (piece[0] - FAR) : memory + piece[0], piece[1]);
    }
    if (head.image_end > head.image_start)
        call(SYS_MPROTECT, (uintptr_t)memory + head.image_start, head.image_end - head.image_start,
             PROT_NONE);

    view.base = (unsigned char *)memory;
    view.size = head.size;
    view.image_start = head.image_start;
    view.image_end = head.image_end;
    view.bits = head.bits;
    view.borrow = borrow;
    reason = vmi__loader_read(&view, head.protocol, head.magic, head.info);
    put_text("command_line");
    put_string(vmi__boot.command_line);
    put_text("\nloader");
    put_string(vmi__boot.loader);
    put_text("\n");
    options = vmi__options();
    if (!reason)
        reason = options;
    put_text("debug_exit");
    put_number(vmi__boot.debug_exit);
    put_text("\n");
    if (reason) {
        put_text("refused ");
        put_text(reason);
        put_text("\n");
    } else {
        report();
    }
    leave(0);
}

/* The kernel enters with the stack aligned, but with no return address on it. */
__asm__(".globl _start\n_start: and $-16, %" STACK "\n call run\n");
