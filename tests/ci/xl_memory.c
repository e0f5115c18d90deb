/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * ci/xl-memory.c against a /dev/xen/privcmd that is played here: domain 7 has frames 2 to 159 and
 * 192 to 255, each filled with its number.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static int played_open(const char *path, int flags);
static void *played_mmap(void *at, unsigned long size, int access, int flags, int file, long from);
static int played_ioctl(int file, unsigned long what, void *argument);

#define open  played_open
#define mmap  played_mmap
#define ioctl played_ioctl
#include "../../ci/xl-memory.c"
#undef mmap

#include <errno.h>

#define PRIVCMD 77
#define DOMAIN  7

static int played_open(const char *path, int flags)
{
    return strcmp(path, "/dev/xen/privcmd") || flags != (O_RDWR | O_CLOEXEC) ? -1 : PRIVCMD;
}

static void *played_mmap(void *at, unsigned long size, int access, int flags, int file, long from)
{
    if (at || access != PROT_READ || flags != MAP_SHARED || file != PRIVCMD || from)
        return MAP_FAILED;
    return mmap(0, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* What is not mapped is not to be touched. */
static int played_ioctl(int file, unsigned long what, void *argument)
{
    const struct privcmd_mmapbatch_v2 *batch = argument;

    if (file != PRIVCMD || what != IOCTL_PRIVCMD_MMAPBATCH_V2 || batch->domain != DOMAIN) {
        errno = ESRCH;
        return -1;
    }
    for (unsigned int i = 0; i < batch->num; i++) {
        unsigned long frame = batch->frames[i];
        uint8_t *page = (uint8_t *)(uintptr_t)batch->address + i * PAGE;

        batch->errors[i] = -EINVAL;
        if (frame < 2 || (frame >= 160 && frame < 192) || frame >= 256)
            continue;
        batch->errors[i] = mprotect(page, PAGE, PROT_READ | PROT_WRITE);
        memset(page, (int)frame, PAGE);
    }
    return 0;
}
