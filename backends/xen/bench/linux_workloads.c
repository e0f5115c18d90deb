/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The first process of a Linux that is a PV guest: it does what the sample kernel's workloads do, a
 * round at a time, so that its kernel's hypercalls can be counted from outside beside theirs.
 * bench_xen_linux.py builds and boots it, and counts.
 *
 * Each workload is one mark `begin`, then a mark `round` before its first round and after each. A
 * mark is CPUID behind the prefix by which Xen emulates it (xen/arch-x86/xen.h,
 * XEN_EMULATE_PREFIX): the trace has the address behind it, here `mark_NAME_place`, and Linux hears
 * nothing of it. The console says `# workload NAME rounds=N` for each in their order.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE   4096
#define WINDOW (1024 * PAGE)

/* In a function that the compiler knows nothing of, so that its address is there once. */
#define MARK(name)                                                                                 \
    static __attribute__((noipa)) void mark_##name(void)                                           \
    {                                                                                              \
        uint32_t a = 0, b, c = 0, d;                                                               \
        __asm__ volatile(".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e; cpuid\n"                             \
                         ".globl mark_" #name "_place\nmark_" #name "_place:"                      \
                         : "+a"(a), "=b"(b), "+c"(c), "=d"(d)::"memory");                          \
    }

MARK(begin)
MARK(round)

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* The second CPU is there for the last workload alone: before, no tick is another CPU's. */
static void set_other_cpu(const char *online)
{
    int file = open("/sys/devices/system/cpu/cpu1/online", O_WRONLY);

    if (file < 0 || write(file, online, 1) != 1 || close(file))
        fail("the second CPU");
}

static void begin(const char *name, unsigned rounds)
{
    printf("# workload %s rounds=%u\n", name, rounds);
    fflush(stdout);
    mark_begin();
    mark_round();
}

static void system_call(unsigned rounds)
{
    begin("system_call", rounds);
    while (rounds--) {
        syscall(SYS_getppid);
        mark_round();
    }
}

/* A page of zeroes for a process that touches it for the first time. */
static void page_fault(unsigned rounds)
{
    volatile char *memory =
        mmap(NULL, rounds * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        fail("mmap");
    begin("page_fault", rounds);
    for (unsigned page = 0; page < rounds; page++) {
        memory[page * PAGE] = 1;
        mark_round();
    }
}

/* There and back, so a round is two, and two system calls. Of two tasks with the same fixed
 * priority each one's turn ends when it yields. */
static void context_switch(unsigned rounds)
{
    struct sched_param parameters = {.sched_priority = 1}, none = {.sched_priority = 0};
    pid_t partner;

    if (sched_setscheduler(0, SCHED_FIFO, &parameters))
        fail("sched_setscheduler");
    partner = fork();
    if (partner == 0)
        for (;;)
            sched_yield();
    for (unsigned round = 0; round < 4; round++)
        sched_yield();
    begin("context_switch", rounds);
    while (rounds--) {
        sched_yield();
        mark_round();
    }
    kill(partner, SIGKILL);
    if (sched_setscheduler(0, SCHED_OTHER, &none) || waitpid(partner, NULL, 0) != partner)
        fail("the end of the other process");
}

/* Pages that a file has in memory are mapped by one system call, and unmapped by another; the page
 * tables stay. */
static void map_unmap(unsigned rounds)
{
    int file = memfd_create("pages", 0);
    void *memory;

    if (file < 0 || ftruncate(file, WINDOW))
        fail("memfd_create");
    memory = mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED || madvise(memory, WINDOW, MADV_POPULATE_WRITE) ||
        madvise(memory, WINDOW, MADV_DONTNEED))
        fail("mmap");
    begin("map_unmap_1024", rounds);
    while (rounds--) {
        if (madvise(memory, WINDOW, MADV_POPULATE_WRITE) || madvise(memory, WINDOW, MADV_DONTNEED))
            fail("madvise");
        mark_round();
    }
}

/* The same, moved as a whole to another place and back by two system calls: the least that Linux
 * makes of 1,024 entries that come and go, for it moves them in lazy mode. */
static void move(unsigned rounds)
{
    char *area = mmap(NULL, 4 * WINDOW, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *here = area + PAGE, *there = here + 2 * WINDOW + PAGE;

    if (area == MAP_FAILED ||
        mmap(here, WINDOW, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1, 0) != here)
        fail("mmap");
    begin("move_1024", rounds);
    while (rounds--) {
        if (mremap(here, WINDOW, WINDOW, MREMAP_MAYMOVE | MREMAP_FIXED, there) != there ||
            mremap(there, WINDOW, WINDOW, MREMAP_MAYMOVE | MREMAP_FIXED, here) != here)
            fail("mremap");
        mark_round();
    }
}

static void process_create_exit(unsigned rounds)
{
    begin("process_create_exit", rounds);
    while (rounds--) {
        pid_t child = fork();

        if (child == 0)
            _exit(0);
        if (waitpid(child, NULL, 0) != child)
            fail("waitpid");
        mark_round();
    }
}

/* The coarse clock goes on at ticks alone, and is read without a system call. */
static long tick(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_nsec;
}

static void timer_tick(unsigned rounds)
{
    long last;

    begin("timer_tick", rounds);
    last = tick();
    while (rounds--) {
        while (tick() == last)
            ;
        last = tick();
        mark_round();
    }
}

/* Longer than an idle CPU needs to rest again; without a system call, as reading the time may be.
 */
static void spin(void)
{
    for (unsigned turn = 0; turn < 20000; turn++)
        __asm__ volatile("pause");
}

/* A counter of the other CPU, which is idle, is stopped or started: its kernel has that done there
 * by an interrupt, and waits. */
static void ipi_round_trip(unsigned rounds)
{
    struct perf_event_attr attributes = {
        .type = PERF_TYPE_SOFTWARE, .size = sizeof(attributes), .config = PERF_COUNT_SW_DUMMY};
    int counter = (int)syscall(SYS_perf_event_open, &attributes, -1, 1, -1, 0);

    if (counter < 0)
        fail("perf_event_open");
    sleep(1); /* for what a CPU does when it starts */
    begin("ipi_round_trip", rounds);
    for (unsigned round = 0; round < rounds; round++) {
        if (ioctl(counter, round & 1 ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE, 0))
            fail("ioctl");
        spin(); /* until the other CPU rests again */
        mark_round();
    }
}

int main(void)
{
    cpu_set_t first;

    CPU_ZERO(&first);
    CPU_SET(0, &first);
    if (sched_setaffinity(0, sizeof(first), &first))
        fail("sched_setaffinity");
    if (mount("sysfs", "/sys", "sysfs", 0, NULL))
        fail("/sys");
    set_other_cpu("0");
    system_call(200);
    page_fault(300);
    context_switch(100);
    map_unmap(8);
    move(8);
    process_create_exit(20);
    timer_tick(50);
    set_other_cpu("1");
    ipi_round_trip(50);
    printf("# done\n");
    fflush(stdout);
    reboot(RB_POWER_OFF);
    return 1;
}
