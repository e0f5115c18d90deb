/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Read before each of the library's sources in a test build: what enters a critical section, or
 * leaves one, or moves a request from one place to the next, tells xen_sections.c so. The sources
 * themselves are not changed. base.c, which defines these names, is compiled as it is.
 */
#ifndef XEN_SECTIONS_H
#define XEN_SECTIONS_H

#include "xen/channels.h"
#include "xen_common/lock.h"

/* Instructions of a section at which a CPU may sleep, each once. */
#define SECTION_PLACES 6

struct section {
    const char *file, *function;
    uint32_t entered, slept, others;
    uint32_t middle; /* how often a CPU slept within it */
    uintptr_t places[SECTION_PLACES];
    uint8_t listed;
};

/* With events masked on this CPU. */
void section_enter(struct section *section, const char *function);
void section_leave(struct section *section, const char *function);
void section_here(struct section *section, const char *function);

#define SECTION_TELL(tell)                                                                         \
    ({                                                                                             \
        static struct section section_ = {.file = __FILE_NAME__};                                  \
        tell(&section_, __func__);                                                                 \
    })

#define vmi__xen_mask()                                                                            \
    ({                                                                                             \
        uint32_t mask_ = vmi__xen_mask();                                                          \
        SECTION_TELL(section_enter);                                                               \
        mask_;                                                                                     \
    })
#define vmi__xen_take(lock)                                                                        \
    ({                                                                                             \
        uint32_t mask_ = vmi__xen_take(lock);                                                      \
        SECTION_TELL(section_enter);                                                               \
        mask_;                                                                                     \
    })
#define vmi__xen_unmask(mask)     (SECTION_TELL(section_leave), vmi__xen_unmask(mask))
#define vmi__xen_give(lock, mask) (SECTION_TELL(section_leave), vmi__xen_give(lock, mask))
#define vmi__xen_common_enter(lock)                                                                \
    ({                                                                                             \
        uint32_t flags_ = vmi__xen_common_enter(lock);                                             \
        SECTION_TELL(section_enter);                                                               \
        flags_;                                                                                    \
    })
#define vmi__xen_common_leave(lock, flags)                                                         \
    (SECTION_TELL(section_leave), vmi__xen_common_leave(lock, flags))
/* Between the port, which is no longer pending, and the request. */
#define vmi__xen_set_bit(bits, bit) (SECTION_TELL(section_here), vmi__xen_set_bit(bits, bit))

#endif
