// SPDX-License-Identifier: MIT OR GPL-2.0-only
// Generated from vmi.yaml by the template vmi.rs.j2; do not edit.
//! The Virtual Machine Interface, version 3.1, for kernels in Rust on i386: constants, structures
//! and one function per call.
//!
//! A function is one direct call of the library's symbol, with exactly the registers of the
//! specification as operands, and a record by which a kernel can be bound when it starts; the same
//! as in C (vmi/vmi.h). Names lack C's prefix `vmi_`; keywords have an underscore at the end. All
//! functions are unsafe: what each needs of its caller stands with it.
//!
//! A kernel defines `#\[no_mangle\] pub extern "C" fn kernel_main(boot: &'static vmi::BootInfo) -\>
//! !`. How it is compiled and linked: docs/rust.md.
#![no_std]
#![allow(unknown_lints, unexpected_cfgs, stable_features)]
#![allow(clippy::missing_safety_doc, clippy::too_many_arguments)]
// Up to Rust 1.64 only, which the builder tells (vmi-rust).
#![cfg_attr(vmi_const_offset_from, feature(const_ptr_offset_from))]

#[cfg(not(target_arch = "x86"))]
compile_error!("this crate is for i386 only; compile it for the target that vmi-rust renders");

use core::arch::asm;
use core::ffi::c_void;

/// Version of the interface.
pub const API_MAJOR: u32 = 3;
/// Version of the interface.
pub const API_MINOR: u32 = 1;

// Errors. Since 3.0; source: errno.h.
/// An argument is outside its range.
pub const EINVAL: i32 = -22;
/// This backend does not have the call.
pub const ENOSYS: i32 = -38;

// How a backend does a call. Since 3.0; source: SDK.
/// By the bare instruction.
pub const KIND_INSTRUCTION: u32 = 0;
/// By a hypercall.
pub const KIND_HYPERCALL: u32 = 1;
/// By a routine.
pub const KIND_ROUTINE: u32 = 2;
/// Not at all.
pub const KIND_UNSUPPORTED: u32 = 3;

// Modes of Store. Since 3.1; source: SDK.
/// At once.
pub const MODE_NOW: u32 = 0x0;
/// Later.
pub const MODE_LATER: u32 = 0x80000000;

/// Ordinals of the calls.
pub mod ordinal {
    /// Probe.
    pub const PROBE: u32 = 0;
    /// Load.
    pub const LOAD: u32 = 1;
    /// Store.
    pub const STORE: u32 = 2;
    /// Clock.
    pub const CLOCK: u32 = 3;
    /// Return.
    pub const RETURN: u32 = 4;
    /// Fetch.
    pub const FETCH: u32 = 128;
    /// Stop.
    pub const STOP: u32 = 129;
    /// Gate.
    pub const GATE: u32 = 131;
}

/// Asserts the layout of a structure when compiling.
macro_rules! layout {
    ($structure:ty, $size:literal, $($field:ident: $offset:literal),*) => {
        const _: () = {
            assert!(core::mem::size_of::<$structure>() == $size);
            let it = core::mem::MaybeUninit::<$structure>::uninit();
            let base = it.as_ptr();
            $(assert!(
                unsafe { (core::ptr::addr_of!((*base).$field) as *const u8).offset_from(base as *const u8) }
                    == $offset
            );)*
        };
    };
}

/// What Fetch stores.
///
/// Since 3.0; source: SDK.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct State {
    /// Kind.
    pub kind: u8,
    /// When.
    pub time: u64,
    /// Values.
    pub values: [u32; 3],
    /// Stack pointer.
    pub esp: u32,
}

layout!(
    State,
    28,
    kind: 0,
    time: 4,
    values: 12,
    esp: 24
);

/// How the library does a call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CallInfo {
    /// Published name.
    pub name: *const u8,
    /// Of `ordinal`.
    pub ordinal: u16,
    /// `KIND_…`
    pub kind: u16,
    /// Instructions, hypercalls, routine, or why it is unsupported.
    pub how: *const u8,
    /// When the hypercalls are made at all; null: at every call, or there are none.
    pub when: *const u8,
}

/// A hypercall of the library.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HypercallInfo {
    /// The hypervisor's name for it.
    pub name: *const u8,
    /// The hypervisor's number.
    pub number: u32,
    /// How often it was made.
    pub count: *const u32,
}

mod library {
    use super::{CallInfo, HypercallInfo};

    extern "C" {
        pub static vmi_calls: [CallInfo; 0];
        pub static vmi_calls_count: u32;
        pub static vmi_hypercalls: [HypercallInfo; 0];
        pub static vmi_hypercalls_count: u32;
    }
}

/// Every call, by rising ordinal.
pub fn calls() -> &'static [CallInfo] {
    unsafe {
        core::slice::from_raw_parts(
            core::ptr::addr_of!(library::vmi_calls) as *const CallInfo,
            library::vmi_calls_count as usize,
        )
    }
}

/// Every hypercall that the library can make.
pub fn hypercalls() -> &'static [HypercallInfo] {
    unsafe {
        core::slice::from_raw_parts(
            core::ptr::addr_of!(library::vmi_hypercalls) as *const HypercallInfo,
            library::vmi_hypercalls_count as usize,
        )
    }
}

/*
 * The call itself, and its record in section .vmi.sites, as C has it (vmi/vmi.h): address, ordinal, length of
 * the site, and the registers that live on across it (a bit for each, by the processor's numbers; bit 4 stands
 * for the flags).
 * What a longer site has left is one long nop. The record belongs to the code's section group (`?`).
 */
macro_rules! site {
    ($instruction:literal, $symbol:literal, $ordinal:literal, $length:literal, $live:literal) => {
        concat!(
            "771: ", $instruction, " ", $symbol, "\n",
            ".if ", $length, " > 5\n.nops ", $length, " - 5\n.endif\n",
            ".pushsection .vmi.sites, \"a?\"\n",
            ".long 771b\n.short ", $ordinal, "\n.byte ", $length, ", ", $live, "\n",
            ".popsection"
        )
    };
}

// ---- processor ----

/// Probe (0): Ask for two words.
///
/// Replaces: cpuid.
///
/// - `leaf`: Which. (eax)
/// - Result `low`: First word. (eax)
/// - Result `high`: Second word. (ebx)
///
/// Keeps edx, esp, ebp, esi, edi, flags; destroys ecx. Since 3.0; source: SDK.
///
/// # Safety
///
/// What holds for the instruction or the operation that it stands for.
#[inline(always)]
pub unsafe fn probe(leaf: u32) -> (u32, u32) {
    let reg_eax: u32;
    let reg_ebx: u32;
    asm!(
        site!("call", "vmi_probe", "0", "5", "244"),
        inout("eax") leaf => reg_eax,
        out("ebx") reg_ebx,
        out("ecx") _,
        options(att_syntax, preserves_flags, nomem)
    );
    (reg_eax, reg_ebx)
}

/// Load (1): Load a value.
///
/// Replaces: a move.
///
/// - `value`: The value. (bytes; eax)
///
/// Keeps ebx, esp, ebp, esi, edi; destroys eax, ecx, edx, flags. Since 3.0; source: SDK.
///
/// # Safety
///
/// - Term(name='interrupts_off', summary='Interrupts are off.', source=None)
#[inline(always)]
pub unsafe fn load(value: u32) {
    asm!(
        site!("call", "vmi_load", "1", "5", "232"),
        inout("eax") value => _,
        out("ecx") _,
        out("edx") _,
        options(att_syntax)
    );
}

/// Return (4): Return from an interrupt.
///
/// A jump that leaves for good: its operands are on the stack.
///
/// The instruction, with its record, as text for `asm!` and `global_asm!`. Replaces: iret.
///
/// Since 3.0; source: SDK.
#[macro_export]
macro_rules! return__jump {
    () => {
        concat!(
            "771: jmp vmi_return\n.pushsection .vmi.sites, \"a\"\n",
            ".long 771b\n.short 4\n.byte 5, 0\n.popsection"
        )
    };
}

/// Stop (129): Stop.
///
/// Replaces: hlt.
///
/// Keeps ebx, esp, ebp, esi, edi; destroys eax, ecx, edx, flags. Since 3.1; source: SDK.
///
/// # Safety
///
/// What holds for the instruction or the operation that it stands for.
#[inline(always)]
pub unsafe fn stop() -> ! {
    asm!(
        site!("call", "vmi_stop", "129", "5", "232"),
        options(att_syntax, noreturn)
    );
}

// ---- memory ----

/// Store (2): Store a double word.
///
/// It is stored at once or later.
///
/// A second paragraph.
///
/// Replaces: two moves.
///
/// - `low`: Low word. (eax)
/// - `high`: High word. (edx)
/// - `name`: Its name. (ecx)
/// - `mode`: VMI_MODE_… (stack0)
/// - Result: 0 or an error. (eax)
/// - `EINVAL`: The name is empty.
///
/// Keeps ebx, esp, ebp, esi, edi; destroys ecx, edx, flags. Since 3.0; source: SDK.
///
/// # Safety
///
/// What holds for the instruction or the operation that it stands for.
#[inline(always)]
pub unsafe fn store(low: u32, high: u32, name: *const u8, mode: u32) -> i32 {
    let reg_eax: u32;
    asm!(
        "push {stack0}",
        site!("call", "vmi_store", "2", "5", "232"),
        "lea 4(%esp), %esp",
        stack0 = in(reg) mode,
        inout("eax") low => reg_eax,
        inout("edx") high => _,
        inout("ecx") name => _,
        options(att_syntax)
    );
    reg_eax as i32
}

/// Clock (3): Read the clock.
///
/// Replaces: rdtsc.
///
/// - Result: The time. (ns; edx:eax)
///
/// Keeps ecx, ebx, esp, ebp, esi, edi, flags; destroys nothing. Since 3.0; source: SDK.
///
/// # Safety
///
/// What holds for the instruction or the operation that it stands for.
#[inline(always)]
pub unsafe fn clock() -> u64 {
    let reg_eax: u32;
    let reg_edx: u32;
    asm!(
        site!("call", "vmi_clock", "3", "5", "250"),
        out("eax") reg_eax,
        out("edx") reg_edx,
        options(att_syntax, preserves_flags, nomem)
    );
    (reg_edx as u64) << 32 | reg_eax as u64
}

/// Fetch (128): Fetch the state.
///
/// Replaces: nothing.
///
/// - `to`: Where to. (eax)
/// - `limit`: How much. (bytes; ecx:edx)
/// - Result: 1 if there was one. (eax)
///
/// Keeps ebx, esp, ebp, esi, edi; destroys ecx, edx, flags. An NMI handler may call it. Since 3.1;
/// source: SDK.
///
/// # Safety
///
/// What holds for the instruction or the operation that it stands for.
#[inline(always)]
pub unsafe fn fetch(to: *mut State, limit: u64) -> u8 {
    let reg_eax: u32;
    asm!(
        site!("call", "vmi_fetch", "128", "5", "232"),
        inout("eax") to => reg_eax,
        inout("edx") limit as u32 => _,
        inout("ecx") (limit >> 32) as u32 => _,
        options(att_syntax)
    );
    reg_eax as u8
}

/// Gate (131): Write a gate.
///
/// Replaces: a store.
///
/// - `table`: The table. (eax)
/// - `low`: Bits 0-31. (edx)
/// - `high`: Bits 32-63. (ecx)
///
/// Keeps ebx, esp, ebp, esi, edi; destroys eax, ecx, edx, flags. Since 3.1; source: SDK.
///
/// # Safety
///
/// - Term(name='interrupts_off', summary='Interrupts are off.', source=None)
/// - Term(name='name_stays', summary='The name stays where it is until the store is done.',
///   source='SDK')
#[inline(always)]
pub unsafe fn gate(table: u32, low: u32, high: u32) {
    asm!(
        site!("call", "vmi_gate", "131", "5", "232"),
        inout("eax") table => _,
        inout("edx") low => _,
        inout("ecx") high => _,
        options(att_syntax)
    );
}
