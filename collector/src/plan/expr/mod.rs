//! Read paths: the small C-like language in which an investigation says what to read at a probe.
//!
//! ```text
//! expr    = ( "*" | "&" | "(" type ")" )* postfix
//! postfix = primary ( "->" NAME | "." NAME | "[" [ "-" ] N "]" )*
//! primary = PARAMETER | "return" | "regs" | "task" | "fd" | "fd(" N ")" | "text(" SYMBOL [ "," N ] ")"
//!         | "return_slot(" FUNCTION ")" | "container_of(" expr "," type "," MEMBER ( "." MEMBER )* ")" | "(" expr ")"
//! type    = ( "const" | "volatile" | "__user" )* ( "struct" NAME | "union" NAME | "enum" NAME | integer words | TYPEDEF ) "*"*
//! ```
//!
//! - A parameter is called as the kernel calls it, or `arg0`, `arg1`, … where BTF has no name. A parameter
//!   that is called like a built-in (`regs`, `task`, `fd`) hides it; `regs()`, `task()`, `fd()` always mean
//!   the built-in.
//! - `return`: what the function or system call returned. `regs`: the `struct pt_regs` of the hit. `task`: the
//!   current `struct task_struct`. `fd`: the `struct file` at the returned descriptor; `fd(3)`: at descriptor 3.
//!   `text(SYMBOL, N)`: the first N (16 if not said) bytes of kernel text there. `return_slot(FUNCTION)`: what the
//!   stack slot with that function's return address holds; `&return_slot(FUNCTION)`: where the slot is.
//! - As in C, casts, `*` and `&` bind less tightly than `->`, `.` and `[N]`.
//! - A `char *` is read as the string that it points to (`(void *)name` for the pointer itself), `char[N]` as
//!   text, an array of integers up to 64 bytes as bytes. Text longer than 63 bytes is cut, unless [`compile`] is asked for more.
//! - A structure is read with all members, where that is [asked for](ReadOptions::whole): numbers, addresses, arrays of
//!   integers; of other arrays the elements, `e0`, `e1`. Of a union one member counts, as the author says.
//! - An element has to lie inside of its array, and what is counted from the address of something, inside of that. Of an
//!   array that the kernel's types give no length, another path has to say how many elements there are. BTF knows no
//!   arrays of arrays: it has a table of rows as one array of all their elements.
//! - `(const char __user *)buf` reads the task's memory. GCC does not record `__user`, so say it in a cast.
//!
//! [`compile`] turns a path into a [`ReadSpec`] for the eBPF programs and a [`Decode`] for what comes back.

mod compile;
mod decode;
mod lookup;
mod origin;
mod parse;
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
pub use decode::{Decode, Decoded, Field, Loaded, decode, decode_fields};
pub use types::{Compiled, Element, ErrorClass, ExprError, Member, ReadOptions, Returned, Scope};
