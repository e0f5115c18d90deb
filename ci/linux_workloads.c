/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The first process of a Linux that is a guest or has a PC for itself: it does what the sample
 * kernel's workloads do, a round at a time, so that what its kernel takes for them can be seen from
 * outside, or counted by itself, and stands beside theirs. ci/beside_linux.py builds it.
 *
 * Its arguments are the workloads' names, in the order in which they are wanted. One that is a path
 * names the console from there on. Kernel modules in /modules are loaded first, by their names'
 * order.
 *
 * Each workload is one mark `begin`, then a mark `round` before its first round and after each.
 * What a mark is, whoever counts says by a header of its own, mark.h: MARK(NAME) defines a function
 * mark_NAME.
 *
 * The console says `# workload NAME rounds=N` for each before it, and after it
 * `# took NAME least=N median=N all=N`: time-stamp ticks of the cheapest round, of the median one
 * and of all together; of devices before that `# rested NAME nanoseconds=N`, in which the CPU had
 * nothing to do.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "linux_workloads.h"
#include "mark.h"

#define PAGE   4096
#define WINDOW (1024 * PAGE)

#define ROUNDS_MAX 1000

#define CONSOLE_BYTES     65536
#define CONSOLE_LINE      256
#define CONSOLE_PIECE_MAX 4096

#define CONSOLE_WAITS             1000
#define CONSOLE_WAIT_MICROSECONDS 10000

MARK(begin)
MARK(round)

void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void load_modules(void)
{
    struct dirent **found;
    int count = scandir("/modules", &found, NULL, alphasort);

    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];

        if (found[i]->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/modules/%s", found[i]->d_name);
        int file = open(path, O_RDONLY);
        if (file < 0 || syscall(SYS_finit_module, file, "", 0) || close(file))
            fail(found[i]->d_name);
    }
}

/* A driver may need a while to find its device. */
static void use_console(const char *path)
{
    int file = open(path, O_RDWR | O_NOCTTY);

    for (unsigned waits = 0; file < 0 && waits < CONSOLE_WAITS; waits++) {
        usleep(CONSOLE_WAIT_MICROSECONDS);
        file = open(path, O_RDWR | O_NOCTTY);
    }
    if (file < 0 || dup2(file, STDOUT_FILENO) < 0 || dup2(file, STDERR_FILENO) < 0)
        fail(path);
}

/* The second CPU, if there is one, is there for what needs it alone: else no tick is another CPU's.
 */
static void set_other_cpu(const char *online)
{
    int file = open("/sys/devices/system/cpu/cpu1/online", O_WRONLY);

    if (file < 0 && errno == ENOENT && *online == '0')
        return;
    if (file < 0 || write(file, online, 1) != 1 || close(file))
        fail("the second CPU");
}

/* Ticks of each round of a workload. */
static uint64_t taken[ROUNDS_MAX];
static unsigned rounds_done;
static uint64_t round_began;

/* Where it is done stands in a section, for whoever counts from outside. */
uint64_t ticks(void)
{
    uint32_t low, high;

    __asm__ volatile("1: rdtsc\n"
                     ".pushsection ticks_at, \"a\"\n"
                     ".quad 1b\n"
                     ".popsection"
                     : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

void begin(const char *name, unsigned rounds)
{
    printf("# workload %s rounds=%u\n", name, rounds);
    fflush(stdout);
    memset(taken, 1, sizeof(taken)); /* its pages are there from now on */
    rounds_done = 0;
    mark_begin();
    mark_round();
    round_began = ticks();
}

/* The end of a round, whose ticks are known. */
static void round_took(uint64_t spent)
{
    taken[rounds_done++] = spent;
    mark_round();
    round_began = ticks();
}

void round_end(void)
{
    round_took(ticks() - round_began);
}

static int by_size(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

    return (a > b) - (a < b);
}

static void show_taken(const char *name)
{
    qsort(taken, rounds_done, sizeof(taken[0]), by_size);
    uint64_t all = 0;

    for (unsigned i = 0; i < rounds_done; i++)
        all += taken[i];
    printf("# took %s least=%llu median=%llu all=%llu\n", name, (unsigned long long)taken[0],
           (unsigned long long)taken[rounds_done / 2], (unsigned long long)all);
    fflush(stdout);
}

/* What a round costs in which nothing is done. */
static void nothing(unsigned rounds)
{
    begin("nothing", rounds);
    while (rounds--)
        round_end();
}

static void clock_read(unsigned rounds)
{
    struct timespec now;

    begin("clock_read", rounds);
    while (rounds--) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        round_end();
    }
}

static void system_call(unsigned rounds)
{
    begin("system_call", rounds);
    while (rounds--) {
        syscall(SYS_getppid);
        round_end();
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
        round_end();
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
        round_end();
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
        round_end();
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
        round_end();
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
        round_end();
    }
}

/* The coarse clock goes on at ticks alone, and is read without a system call. */
static long tick(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_nsec;
}

/* The time that a process misses is the tick's. */
static void timer_tick(unsigned rounds)
{
    long last;

    begin("timer_tick", rounds);
    last = tick();
    while (rounds--) {
        uint64_t before = ticks(), least = UINT64_MAX, most = 0;
        bool gone_off;

        do {
            gone_off = tick() != last;
            uint64_t now = ticks(), gap = now - before;
            before = now;
            if (gap < least)
                least = gap;
            if (gap > most)
                most = gap;
        } while (!gone_off);
        last = tick();
        round_took(most - least);
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
        uint64_t spent = ticks() - round_began;
        spin(); /* until the other CPU rests again */
        round_took(spent);
    }
}

/* In pieces, each up to the moment that its last byte has left; all of them are one round. As the
 * sample kernel does, the cheapest piece counts for all: others may have waited for whoever reads.
 */
static void console(const char *name, unsigned rounds, unsigned size)
{
    char piece[CONSOLE_PIECE_MAX];

    memset(piece, '.', size);
    for (unsigned line = 0; line < size; line += CONSOLE_LINE) {
        memcpy(piece + line, "# data ", 7);
        piece[line + CONSOLE_LINE - 1] = '\n';
    }
    begin(name, rounds);
    while (rounds--) {
        uint64_t least = UINT64_MAX;

        for (unsigned done = 0; done < CONSOLE_BYTES; done += size) {
            uint64_t start = ticks();
            if (write(STDOUT_FILENO, piece, size) != (ssize_t)size)
                fail("the console");
            tcdrain(STDOUT_FILENO);
            uint64_t spent = ticks() - start;
            if (spent < least)
                least = spent;
        }
        round_took(least * (CONSOLE_BYTES / size));
    }
}

static void console_64k(unsigned rounds)
{
    console("console_64k", rounds, CONSOLE_LINE);
}

static void console_pages(unsigned rounds)
{
    console("console_pages", rounds, CONSOLE_PIECE_MAX);
}

static const struct {
    const char *name;
    void (*run)(unsigned rounds);
    unsigned rounds;
    bool two; /* CPUs */
} workloads[] = {
    {"nothing", nothing, 200, false},
    {"clock_read", clock_read, 200, false},
    {"system_call", system_call, 200, false},
    {"page_fault", page_fault, 300, false},
    {"context_switch", context_switch, 100, false},
    {"map_unmap_1024", map_unmap, 8, false},
    {"move_1024", move, 8, false},
    {"process_create_exit", process_create_exit, 20, false},
    {"timer_tick", timer_tick, 50, false},
    {"console_64k", console_64k, 1, false},
    {"console_pages", console_pages, 1, false},
    {"ipi_round_trip", ipi_round_trip, 50, true},
    {"disk_1", disk_1, 32, false},
    {"disk_32", disk_32, 32, false},
    {"send_1", send_1, 4, false},
    {"send_64", send_64, 32, false},
    {"echo_1", echo_1, 32, false},
    {"echo_64", echo_64, 16, false},
};

static void run(const char *name)
{
    static bool two = true;

    for (unsigned i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
        if (!strcmp(name, workloads[i].name)) {
            if (two != workloads[i].two)
                set_other_cpu(workloads[i].two ? "1" : "0");
            two = workloads[i].two;
            workloads[i].run(workloads[i].rounds);
            show_taken(name);
            return;
        }
    printf("no workload is called %s\n", name);
    exit(1);
}

int main(int argc, char **argv)
{
    cpu_set_t first;

    CPU_ZERO(&first);
    CPU_SET(0, &first);
    if (sched_setaffinity(0, sizeof(first), &first))
        fail("sched_setaffinity");
    if (mount("sysfs", "/sys", "sysfs", 0, NULL))
        fail("/sys");
    load_modules();
    for (int i = 1; i < argc; i++)
        if (argv[i][0] == '/')
            use_console(argv[i]);
        else
            run(argv[i]);
    printf("# done\n");
    fflush(stdout);
    reboot(RB_POWER_OFF);
    return 1;
}
