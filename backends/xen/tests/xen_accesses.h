/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What -fsanitize=thread has called before each access of memory (gcc/sanitizer.def), for tests
 * that want to know. Who includes this defines `accessed`, with the address from which it is
 * called, and is the only source of its program that does.
 */
#ifndef XEN_ACCESSES_H
#define XEN_ACCESSES_H

#include <stdbool.h>
#include <stdint.h>

#define UNWATCHED __attribute__((no_sanitize_thread))

/* One that is made by an instruction that other CPUs see whole is `atomic`. */
static void accessed(const volatile void *address, uintptr_t size, bool write, bool atomic,
                     uintptr_t at);

#define HERE ((uintptr_t)__builtin_return_address(0))

#define PLAIN(name, size, write)                                                                   \
    UNWATCHED void __tsan_##name(void *address);                                                   \
    void __tsan_##name(void *address)                                                              \
    {                                                                                              \
        accessed(address, size, write, false, HERE);                                               \
    }
#define MARKED(name, size)                                                                         \
    UNWATCHED void __tsan_volatile_##name(void *address);                                          \
    void __tsan_volatile_##name(void *address)                                                     \
    {                                                                                              \
        accessed(address, size, #name[0] == 'w', true, HERE);                                      \
    }
#define RANGE(name, write)                                                                         \
    UNWATCHED void __tsan_##name(void *address, uintptr_t size);                                   \
    void __tsan_##name(void *address, uintptr_t size)                                              \
    {                                                                                              \
        accessed(address, size, write, false, HERE);                                               \
    }
#define ATOMIC_OPERATION(bits, type, name)                                                         \
    UNWATCHED type __tsan_atomic##bits##_##name(volatile type *address, type value, int order);    \
    type __tsan_atomic##bits##_##name(volatile type *address, type value, int order)               \
    {                                                                                              \
        (void)order;                                                                               \
        accessed(address, sizeof(type), true, true, HERE);                                         \
        return __atomic_##name##_n(address, value, __ATOMIC_SEQ_CST);                              \
    }
#define __atomic_fetch_add_n __atomic_fetch_add
#define __atomic_fetch_or_n  __atomic_fetch_or
#define __atomic_fetch_and_n __atomic_fetch_and

#define SIZED(size)                                                                                \
    PLAIN(read##size, size, false)                                                                 \
    PLAIN(write##size, size, true)                                                                 \
    PLAIN(unaligned_read##size, size, false)                                                       \
    PLAIN(unaligned_write##size, size, true)                                                       \
    MARKED(read##size, size)                                                                       \
    MARKED(write##size, size)                                                                      \
    MARKED(unaligned_read##size, size)                                                             \
    MARKED(unaligned_write##size, size)
#define ATOMIC(bits, type)                                                                         \
    UNWATCHED type __tsan_atomic##bits##_load(const volatile type *address, int order);            \
    type __tsan_atomic##bits##_load(const volatile type *address, int order)                       \
    {                                                                                              \
        (void)order;                                                                               \
        accessed(address, sizeof(type), false, true, HERE);                                        \
        return __atomic_load_n(address, __ATOMIC_SEQ_CST);                                         \
    }                                                                                              \
    UNWATCHED void __tsan_atomic##bits##_store(volatile type *address, type value, int order);     \
    void __tsan_atomic##bits##_store(volatile type *address, type value, int order)                \
    {                                                                                              \
        (void)order;                                                                               \
        accessed(address, sizeof(type), true, true, HERE);                                         \
        __atomic_store_n(address, value, __ATOMIC_SEQ_CST);                                        \
    }                                                                                              \
    UNWATCHED bool __tsan_atomic##bits##_compare_exchange_strong(                                  \
        volatile type *address, type *expected, type value, int order, int failed);                \
    bool __tsan_atomic##bits##_compare_exchange_strong(volatile type *address, type *expected,     \
                                                       type value, int order, int failed)          \
    {                                                                                              \
        (void)order;                                                                               \
        (void)failed;                                                                              \
        accessed(address, sizeof(type), true, true, HERE);                                         \
        return __atomic_compare_exchange_n(address, expected, value, 0, __ATOMIC_SEQ_CST,          \
                                           __ATOMIC_SEQ_CST);                                      \
    }                                                                                              \
    ATOMIC_OPERATION(bits, type, exchange)                                                         \
    ATOMIC_OPERATION(bits, type, fetch_add)                                                        \
    ATOMIC_OPERATION(bits, type, fetch_or)                                                         \
    ATOMIC_OPERATION(bits, type, fetch_and)

SIZED(1)
SIZED(2)
SIZED(4)
SIZED(8)
SIZED(16)
RANGE(read_range, false)
RANGE(write_range, true)
ATOMIC(8, uint8_t)
ATOMIC(16, uint16_t)
ATOMIC(32, uint32_t)
ATOMIC(64, uint64_t)

void __tsan_init(void);
void __tsan_init(void)
{
}

#endif
