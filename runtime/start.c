/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The way from an entry path to the kernel, and out again when the library cannot run.
 */
#include "faults.h"
#include "forms.h"
#include "runtime.h"

void vmi__print(const char *text)
{
    uint32_t length = 0;

    while (text[length])
        length++;
    vmi_console_write(text, length);
}

void vmi__fatal(const char *reason)
{
    vmi__print("vmi: cannot run: ");
    vmi__print(reason);
    vmi__print("\r\n");
    vmi_shutdown_reason(VMI_SHUTDOWN_CRASH, VMI_STATUS_REFUSED);
}

/* `init` is in place of the library's own, if it is not 0. */
static void prepare(void (*init)(struct vmi_boot_info *))
{
    const char *reason;

    vmi__forms_choose(0);
    reason = vmi__options();
    if (reason)
        vmi__fatal(reason);
    if (init)
        init(&vmi__boot);
    else
        vmi__backend_init(&vmi__boot);
    reason = vmi__memory_publish();
    if (reason)
        vmi__fatal(reason);
}

void vmi__prepare(void)
{
    prepare(0);
}

static void __attribute__((noreturn))
enter(void (*init)(struct vmi_boot_info *), void (*kernel)(const struct vmi_boot_info *),
      bool paged)
{
    prepare(init);
    vmi__faults_catch(paged);
    vmi__construct();
    vmi__kernel_call(&vmi__boot, kernel);
    vmi__print("vmi: kernel_main returned; a kernel ends by vmi_shutdown_reason\r\n");
    vmi_shutdown_reason(VMI_SHUTDOWN_CRASH, VMI_STATUS_PANIC);
}

void vmi__start(void)
{
    enter(0, vmi__kernel.main, true);
}

/* Every x86-64 processor has the paging that the kernel wants. */
void vmi__start_unpaged(void)
{
#ifdef __i386__
    if (vmi__backend_init_unpaged && vmi__kernel.main_unpaged)
        enter(vmi__backend_init_unpaged, vmi__kernel.main_unpaged, false);
#endif
}
