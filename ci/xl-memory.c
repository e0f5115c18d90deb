/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Writes the memory of a domain of the Xen rig, which must stand still, to standard output as an
 * ELF core file without CPUs:
 *
 *     xl-memory DOMAIN MIB
 *
 * Addresses are the domain's own, guest-physical ones, from 0 up to MIB; frames that the domain
 * does not have are left out. It is for domains that Xen translates (PVH): `xl dump-core` asks for
 * each of their frames up to the highest by itself, and Xen's own pages lie below 4 GiB. Exits with
 * 1 if it cannot, and says why.
 */
#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE         4096ul
#define PAGES_OF_MIB 256ul
#define MIB_MAX      (1ul << 20)
#define SEGMENTS_MAX 1024u

/* Linux 6.1, include/uapi/xen/privcmd.h; that header includes one that is not given out. */
struct privcmd_mmapbatch_v2 {
    unsigned int num;
    uint16_t domain;
    uint64_t address;
    const unsigned long *frames;
    int *errors; /* of each frame, 0 if it is mapped */
};
#define IOCTL_PRIVCMD_MMAPBATCH_V2 _IOC(_IOC_NONE, 'P', 4, sizeof(struct privcmd_mmapbatch_v2))

static void check(bool right, const char *what)
{
    if (!right) {
        perror(what);
        exit(1);
    }
}

static unsigned long number(const char *text, unsigned long most)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (!*text || *end || !value || value > most) {
        fprintf(stderr, "xl-memory: expected a number from 1 to %lu, found %s\n", most, text);
        exit(1);
    }
    return value;
}

/* Maps frames 0 to `count` of the domain; `errors` says which of them it does not have. */
static const uint8_t *map(uint16_t domain, unsigned long count, int *errors)
{
    int privcmd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
    unsigned long *frames = malloc(count * sizeof(*frames));
    struct privcmd_mmapbatch_v2 batch = {
        .num = (unsigned int)count, .domain = domain, .frames = frames, .errors = errors};
    void *memory;

    check(privcmd >= 0, "/dev/xen/privcmd");
    check(frames, "memory for the list of frames");
    for (unsigned long i = 0; i < count; i++)
        frames[i] = i;
    memory = mmap(0, count * PAGE, PROT_READ, MAP_SHARED, privcmd, 0);
    check(memory != MAP_FAILED, "mmap of /dev/xen/privcmd");
    batch.address = (uintptr_t)memory;
    check(!ioctl(privcmd, IOCTL_PRIVCMD_MMAPBATCH_V2, &batch), "mapping the domain's frames");
    free(frames);
    return memory;
}

/* Pages that are there and follow each other become a segment; how many segments there are. */
static unsigned int find(Elf64_Phdr *segments, const int *errors, unsigned long count)
{
    unsigned int found = 0;

    for (unsigned long i = 0; i < count; i++) {
        if (errors[i])
            continue;
        if (!i || errors[i - 1]) {
            if (found == SEGMENTS_MAX) {
                fprintf(stderr, "xl-memory: the domain's memory is in more than %u pieces\n",
                        SEGMENTS_MAX);
                exit(1);
            }
            segments[found++] = (Elf64_Phdr){
                .p_type = PT_LOAD, .p_flags = PF_R, .p_paddr = i * PAGE, .p_align = PAGE};
        }
        segments[found - 1].p_filesz += PAGE;
        segments[found - 1].p_memsz += PAGE;
    }
    return found;
}

static void out(const void *data, size_t size)
{
    check(fwrite(data, 1, size, stdout) == size, "standard output");
}

int main(int argc, char **argv)
{
    static Elf64_Phdr segments[SEGMENTS_MAX];
    Elf64_Ehdr header = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_CORE,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof(header),
        .e_ehsize = sizeof(header),
        .e_phentsize = sizeof(Elf64_Phdr),
    };
    const uint8_t *memory;
    unsigned long count;
    uint64_t offset;
    int *errors;

    if (argc != 3) {
        fprintf(stderr, "usage: xl-memory DOMAIN MIB\n");
        return 1;
    }
    count = number(argv[2], MIB_MAX) * PAGES_OF_MIB;
    errors = calloc(count, sizeof(*errors));
    check(errors, "memory for what there is of the domain's");
    memory = map((uint16_t)number(argv[1], UINT16_MAX), count, errors);
    header.e_phnum = (Elf64_Half)find(segments, errors, count);
    offset = sizeof(header) + header.e_phnum * sizeof(*segments);
    for (unsigned int i = 0; i < header.e_phnum; i++) {
        segments[i].p_offset = offset;
        offset += segments[i].p_filesz;
    }
    out(&header, sizeof(header));
    out(segments, header.e_phnum * sizeof(*segments));
    for (unsigned int i = 0; i < header.e_phnum; i++)
        out(memory + segments[i].p_paddr, segments[i].p_filesz);
    check(!fflush(stdout), "standard output");
    return 0;
}
