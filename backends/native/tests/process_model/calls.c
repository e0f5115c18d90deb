/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The calls of tests/process_model/calls.h on hardware.
 */
#include "calls.h"

#define UART        0x3f8
#define UART_LCR    (UART + 3)
#define UART_LSR    (UART + 5)
#define LSR_EMPTY   0x20
#define DEBUG_EXIT  0xf4
#define STATUS_PASS 0x10
#define STATUS_FAIL 0x11

#define MSR_STAR           0xc0000081u
#define MSR_LSTAR          0xc0000082u
#define MSR_FMASK          0xc0000084u
#define MSR_FS_BASE        0xc0000100u
#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define FMASK              0x40700u /* AC, DF, IF, TF */

#define CS_KERNEL 0x08ull
#define DS_KERNEL 0x10ull
#define CS_SYSRET 0x18ull
#define DS_USER   0x23ull
#define CS_USER   0x2bull
#define TSS       0x30u

#define GATES 32

struct gate {
    uint64_t low, high;
};

struct tss {
    uint32_t reserved;
    uint64_t rsp0, rest[11];
    uint16_t none, io_map;
} __attribute__((packed, aligned(8)));

extern char boot_root[], bss_end[];
extern uint64_t native_gdt[];
void native_syscall(void);
void native_main(void);

void (*native_syscall_target)(void);

static struct gate idt[GATES];
static struct tss tss;
static struct percpu boot_area, *area = &boot_area;

static void out(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t in(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void write_msr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

void vmi_console_write(const char *text, uint64_t length)
{
    while (length--) {
        while (!(in(UART_LSR)&LSR_EMPTY))
            ;
        out(UART, (uint8_t)*text++);
    }
}

void vmi_shutdown(bool passed)
{
    out(DEBUG_EXIT, passed ? STATUS_PASS : STATUS_FAIL);
    for (;;)
        __asm__ volatile("cli; hlt");
}

void vmi_allocate_page(uint64_t frame, enum table kind)
{
    (void)frame;
    (void)kind;
}

void vmi_release_page(uint64_t frame, enum table kind)
{
    (void)frame;
    (void)kind;
}

void vmi_set_pxe(uint64_t value, uint64_t *entry)
{
    *(volatile uint64_t *)entry = value;
}

void vmi_set_cr3(uint64_t root, uint64_t user)
{
    (void)user;
    __asm__ volatile("mov %0, %%cr3" : : "r"(root) : "memory");
}

void vmi_set_gate(uint32_t vector, void (*entry)(void), uint32_t dpl)
{
    uint64_t address = (uint64_t)entry;

    idt[vector].low = (address & 0xffff) | CS_KERNEL << 16 | (0x8e00ull | dpl << 13) << 32 |
                      (address >> 16 & 0xffff) << 48;
    idt[vector].high = address >> 32;
}

void vmi_set_syscall_entry(void (*entry)(void))
{
    native_syscall_target = entry;
    write_msr(MSR_STAR, CS_SYSRET << 48 | CS_KERNEL << 32);
    write_msr(MSR_LSTAR, (uint64_t)native_syscall);
    write_msr(MSR_FMASK, FMASK);
}

void vmi_update_kernel_stack(uint64_t rsp)
{
    tss.rsp0 = rsp;
    area->kernel_stack = rsp;
}

void vmi_set_gs_base(struct percpu *to)
{
    *to = *area;
    area = to;
    write_msr(MSR_GS_BASE, (uint64_t)to);
}

void vmi_set_user_gs_base(uint64_t base)
{
    write_msr(MSR_KERNEL_GS_BASE, base);
}

void vmi_set_fs_base(uint64_t base)
{
    write_msr(MSR_FS_BASE, base);
}

void native_main(void)
{
    static struct boot boot = {
        .user_cs = CS_USER, .user_ss = DS_USER, .kernel_cs = CS_KERNEL, .kernel_ss = DS_KERNEL};
    const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) idtr = {sizeof(idt) - 1, (uint64_t)idt};
    uint64_t base = (uint64_t)&tss;

    out(UART_LCR, 3); /* 8 bits */
    /* The firmware has left both interrupt controllers open. */
    out(0x21, 0xff);
    out(0xa1, 0xff);
    tss.io_map = sizeof(tss);
    native_gdt[TSS / 8] =
        (sizeof(tss) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
    native_gdt[TSS / 8 + 1] = base >> 32;
    __asm__ volatile("lidt %0\n\tltr %w1" : : "m"(idtr), "r"(TSS));
    write_msr(MSR_GS_BASE, (uint64_t)area);
    boot.root = (uint64_t)boot_root - IMAGE_BASE;
    boot.first_frame = ((uint64_t)bss_end - IMAGE_BASE) >> 12;
    boot.end_frame = boot.first_frame + 1024;
    kernel_main(&boot);
}
