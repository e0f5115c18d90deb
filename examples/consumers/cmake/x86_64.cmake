# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# Freestanding x86-64 with the amd64 machine's own gcc.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER gcc)
# No program can be linked before a kernel's linker script is known.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
