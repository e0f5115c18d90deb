/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A kernel that binds itself to a provider when it starts: its entry path looks for providers, one
 * of them is put into the kernel's own memory and started in place of a linked library, and when
 * that is ready every call site is rewritten, before the kernel runs and before there is a second
 * CPU.
 */
#ifndef VMI_RUNTIME_BIND_H
#define VMI_RUNTIME_BIND_H

#include "runtime.h"

#include "bind/rom.h"

/* Memory for the provider's parts (area.S). */
extern uint8_t vmi__provider_text[VMI__PROVIDER_TEXT_SIZE];
extern uint8_t vmi__provider_data[VMI__PROVIDER_DATA_SIZE];

/* The images that the kernel carries, by falling priority; made by codegen/vmirom. */
struct vmi__builtin {
    const uint8_t *start, *end;
};

extern const struct vmi__builtin vmi__builtin[];
extern const uint32_t vmi__builtin_count;

/*
 * Considers an image: true if it is whole, is the wanted one (the option vmi.provider=NAME) or says
 * that it can run here, and was put into place. `source` and `address` are for the report, which
 * says why an image was refused. A source of 0 is the kernel itself: such an image is as much part
 * of it as the binder, and whether it adds up is asked only of the one that is chosen.
 */
bool vmi__bind_try(const uint8_t *bytes, uint32_t available, const char *source, uintptr_t address);

/*
 * What binding took: ticks of the time-stamp counter while images were looked for, from the entry
 * on, and while sites were bound; not the provider's own start between the two. vmi__bind_count
 * is called where each of these begins and ends: it takes what it has from the time.
 */
extern uint64_t vmi__bind_ticks;
void vmi__bind_count(void);

/* The first built-in image that vmi__bind_try takes; false if none. */
bool vmi__bind_builtin(void);

/*
 * The built-in image of that name, whether or not it finds itself at home; or for 0 the first, by
 * falling priority, that does, whatever the options say: its console and its ends are those that
 * work here. The one for plain hardware always does. False if there is none.
 */
bool vmi__bind_named(const char *name);

/*
 * Starts the provider that was put into place last, for the kernel that vmi__kernel describes, and
 * goes on in the kernel, bound. There is no second provider: later only forms by processor feature
 * are chosen again (Rebind). Comes back only if the provider is not for a kernel that was entered
 * by vmi__kernel.protocol.
 */
void vmi__bind_start(void);

/*
 * For entry points of hypervisors that run a kernel their own way: binds the built-in image `name`;
 * `info` is what the hypervisor passes. On the boot stack.
 */
void vmi__bind_paravirtual(const char *name, const void *info) __attribute__((noreturn));

#endif
