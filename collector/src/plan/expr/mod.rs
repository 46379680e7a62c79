//! Read paths: the small C-like language of an investigation for what to read at a probe.
//!
//! ```text
//! expr    = ( "*" | "&" | "(" type ")" )* postfix
//! postfix = primary ( "->" NAME | "." NAME | "[" [ "-" ] N "]" )*
//! primary = PARAMETER | "return" | "regs" | "task" | "fd" | "fd(" N ")" | "text(" SYMBOL [ "," N ] ")"
//!         | "return_slot(" FUNCTION ")" | "this_cpu_ptr(" expr ")" | "per_cpu_ptr(" expr "," N ")" | "per_cpu(" VARIABLE "," N ")"
//!         | LIST "(" type "," expr "," MEMBER ( "." MEMBER )* ")"
//!         | "container_of(" expr "," type "," MEMBER ( "." MEMBER )* ")" | "(" expr ")"
//! LIST    = "list_for_each_entry" | "hlist_for_each_entry" | "hlist_nulls_for_each_entry" | "llist_for_each_entry"
//! type    = ( "const" | "volatile" | "__user" )* ( "struct" NAME | "union" NAME | "enum" NAME | integer words | TYPEDEF ) "*"*
//! ```
//!
//! - A parameter has the name that the kernel gives it, or `arg0`, `arg1`, … where BTF has no name. A parameter with the name
//!   of a built-in (`regs`, `task`, `fd`) hides it; `regs()`, `task()`, `fd()` always mean the built-in.
//! - `return`: what the function or system call returned. `regs`: the `struct pt_regs` of the hit. `task`: the current
//!   `struct task_struct`. `fd`: the `struct file` at the returned descriptor; `fd(3)`: at descriptor 3. `text(SYMBOL, N)`: the
//!   first N (default: 16) bytes of kernel text there. `return_slot(FUNCTION)`: the content of the stack slot with that
//!   function's return address; `&return_slot(FUNCTION)`: the address of the slot.
//! - `this_cpu_ptr(POINTER)` and `per_cpu_ptr(POINTER, N)`: a per-CPU pointer, or the address of a per-CPU variable, `&VARIABLE`, on
//!   the CPU of the hit, or on CPU N; `per_cpu(VARIABLE, N)`: the variable there. BTF describes the variables of the kernel, not those
//!   of modules.
//! - `list_for_each_entry(TYPE, HEAD, MEMBER)`: each object of a list, as a pointer to `TYPE`. `HEAD` points to the head, and `MEMBER` links
//!   the objects. The read has to be [asked for](ReadOptions::limit) a number of elements.
//! - As in C, casts, `*` and `&` bind less tightly than `->`, `.` and `[N]`.
//! - A `char *` is read as the string that it points to (`(void *)name` for the pointer itself), `char[N]` as text, an array of
//!   integers up to 64 bytes as bytes. Text longer than 63 bytes is truncated, unless [`compile`] is asked for more.
//! - A structure is read with all its members if that is [asked for](ReadOptions::whole): numbers, addresses, arrays of
//!   integers, and the elements `e0`, `e1`, … of other arrays. Of a union only the member that the author chooses is read.
//! - An element has to lie inside its array, and an index from the address of an object has to stay inside that object. If the
//!   kernel's types give an array no length, another path has to give the number of its elements. BTF has no arrays of arrays:
//!   it describes a two-dimensional table as one array of all its elements.
//! - `(const char __user *)buf` reads the task's memory. GCC does not record `__user` in BTF, so write it in a cast.
//!
//! [`compile`] turns a path into a [`ReadSpec`](qed_collector_ebpf::ReadSpec) for the eBPF programs and a [`Decoder`] for what comes back.

mod compile;
mod decode;
mod inner_members;
mod kinds;
mod list;
mod list_kind;
mod lookup;
mod origin;
mod parse;
mod per_cpu;
mod read;
mod result_register;
mod steps;
mod structure;
#[cfg(test)]
mod tests;
mod tokens;
mod types;
mod value;

pub use compile::{check, compile, compile_wanted};
pub use decode::{DecodedValue, Decoder, LoadedBytes, StructureField, decode, decode_fields};
pub use kinds::{as_bits, as_time, compile_of_kind, text_length};
pub use list_kind::ListKind;
pub use types::{
    Code, CompiledList, CompiledPath, Element, ErrorClass, ExprError, PathMember, PerCpuSymbol,
    ReadOptions, ReturnMeaning, ReturnSlot, Scope,
};
