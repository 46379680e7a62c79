//! Per-CPU variables and pointers: `this_cpu_ptr(&VARIABLE)`, `this_cpu_ptr(POINTER)` and the same on a CPU by its number.

use std::ops::Range;

use qed_collector_ebpf::root;

use super::compile::{Compiler, Result, WithSpan, type_error, unknown_error};
use super::parse::{CpuNumber, Expr, ExprNode};
use super::types::{ErrorClass, ExprError};
use super::value::{Extent, Origin, ReadLocation, Shape, Ty, Value, ValueSource};
use crate::btf::{NameKind, PerCpuVariable};
use qed_evidence::secrets::is_secret_variable;

impl Compiler<'_, '_, '_> {
    /// The pointer into the memory of a CPU that a per-CPU pointer, or the address of a per-CPU variable, stands for.
    pub(super) fn compile_on_cpu(
        &self,
        of: &Expr,
        cpu: Option<&CpuNumber>,
        span: &Range<usize>,
    ) -> Result<Value> {
        let cpu = cpu.map(|cpu| self.check_cpu(cpu)).transpose()?;
        let mut value = match variable(of) {
            Some((name, span)) => self.compile_variable(name, span)?,
            None => self.compile_per_cpu_pointer(of)?,
        };
        value.place.on_cpu(cpu, span)?;
        Ok(value)
    }

    /// The place of a variable of which each CPU has a copy.
    fn compile_variable(&self, name: &str, span: &Range<usize>) -> Result<Value> {
        let found = self.btf().per_cpu_variables(name).with_span(span)?;
        let Some((&PerCpuVariable { ty, .. }, others)) = found.split_first() else {
            let near = self.btf().nearest(NameKind::Variable, name);
            let reason = format!("this kernel has no per-CPU variable `{name}`");
            return Err(unknown_error(span, reason).with_nearest(near));
        };
        if !others.is_empty() {
            let reason = format!("this kernel has {} per-CPU variables `{name}`", found.len());
            return type_error(span, reason);
        }
        let symbol = (self.scope.code.per_cpu)(name);
        let symbol = symbol.ok_or_else(|| {
            let reason = format!(
                "the place of the per-CPU variable `{name}` is not known: the kernel hides it, or has one CPU only"
            );
            ExprError::new(ErrorClass::Symbol, span, reason)
        })?;
        let offset = u64::from(found[0].offset);
        if symbol.offset != offset {
            let reason = format!(
                "the kernel's types and its symbols disagree about the per-CPU variable `{name}`: it is {offset} or {} bytes behind \
                 the first one",
                symbol.offset
            );
            return Err(ExprError::new(ErrorClass::Btf, span, reason));
        }
        let place = ReadLocation {
            constant: symbol.value,
            ..ReadLocation::root(root::ADDRESS)
        };
        let ty = Ty::from(ty);
        let size = ty.size(self.btf()).with_span(span)?;
        let end = size.and_then(|size| i64::try_from(size).ok());
        let origin = match is_secret_variable(name) {
            true => Origin::Secret,
            false => Origin::Kernel,
        };
        Ok(Value {
            origin,
            ..Value::new(
                place,
                ty.pointer_to(false),
                ValueSource::Itself,
                Extent::Within(0, end),
            )
        })
    }

    /// The place that a per-CPU pointer leads to, but for the offset of the CPU.
    fn compile_per_cpu_pointer(&self, of: &Expr) -> Result<Value> {
        let mut value = self.compile_expr(of)?;
        let Shape::Pointer(target) = value.ty.shape(self.btf()).with_span(&of.span)? else {
            let ty = value.ty.name(self.btf()).with_span(&of.span)?;
            return type_error(&of.span, format!("`{ty}` is no pointer"));
        };
        if target.user {
            return type_error(&of.span, "it is a pointer into the task's memory");
        }
        match value.holds {
            ValueSource::Itself => {}
            ValueSource::Kernel => value.place.hop(&of.span)?,
            _ => return type_error(&of.span, "it is no per-CPU pointer"),
        }
        let origin = value.origin;
        Ok(Value {
            origin,
            ..Value::new(
                value.place,
                target.ty.pointer_to(false),
                ValueSource::Itself,
                Extent::Free,
            )
        })
    }

    /// The number of a CPU that the machine can have.
    fn check_cpu(&self, cpu: &CpuNumber) -> Result<u32> {
        let Some(cpus) = self.scope.code.cpus else {
            return Err(ExprError::new(
                ErrorClass::Symbol,
                &cpu.span,
                "it is not known how many CPUs the machine has",
            ));
        };
        match u32::try_from(cpu.number) {
            Ok(number) if number < cpus => Ok(number),
            _ => Err(unknown_error(
                &cpu.span,
                format!(
                    "this machine has no CPU {}: it can have {cpus}, counted from 0",
                    cpu.number
                ),
            )),
        }
    }
}

/// The name in `&NAME`, also if a parameter is called so: that is in a register, which has no address.
fn variable(of: &Expr) -> Option<(&str, &Range<usize>)> {
    let ExprNode::AddressOf(named) = &of.node else {
        return None;
    };
    match &named.node {
        ExprNode::Name(name) => Some((name, &named.span)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use qed_collector_ebpf::{MAX_HOPS, NO_CPU, THIS_CPU, form, root};

    use crate::btf::build::Builder;
    use crate::btf::{ArgumentLocation, Btf, Parameter};
    use crate::plan::expr::{
        Code, CompiledPath, ErrorClass, ExprError, PerCpuSymbol, ReturnMeaning, Scope, compile,
    };

    /// Behind all hops.
    const END: Option<usize> = Some(MAX_HOPS);
    /// Where per-CPU variables start, as on x86-64 since 6.15.
    const START: u64 = 0xffff_ffff_8300_0000;

    /// Compile `path` for a function with the parameter `mnt`, which has a per-CPU pointer. Of the variables `count`, `queue` and
    /// `crngs` the symbols agree with the types, of `moved` they do not, and that of `hidden` is not known.
    fn read(path: &str) -> Result<CompiledPath, ExprError> {
        let mut b = Builder::default();
        let int = b.int("int", 4, true);
        let pair = b.array(int, 2);
        let queue = b.structure("rq", 16, &[("running", int, 64, 0)]);
        let gdt = b.structure("gdt_page", 4, &[("base", int, 0, 0)]);
        b.structure("other", 4, &[("base", int, 0, 0)]);
        let state = b.structure("rnd_state", 16, &[("s1", int, 0, 0)]);
        let counter = b.pointer(int);
        let mnt = b.structure("mount", 24, &[("pcp", counter, 128, 0)]);
        let mnt = b.pointer(mnt);
        let entries = [
            (b.variable("count", int), 8, 4),
            (b.variable("queue", queue), 64, 16),
            (b.variable("pair", pair), 96, 8),
            (b.variable("crngs", int), 128, 4),
            (b.variable("moved", int), 132, 4),
            (b.variable("hidden", int), 136, 4),
            (b.variable("gdt_page", gdt), 160, 4),
            (b.variable("net_state", state), 176, 16),
            (b.variable("mnt", int), 192, 4),
            (b.variable("twin", int), 140, 4),
            (b.variable("twin", int), 144, 4),
        ];
        b.section(".data..percpu", &entries);
        let data = b.bytes();
        let btf = Btf::parse(&data).unwrap();
        let parameter = Parameter {
            name: Some("mnt"),
            type_id: mnt,
            location: ArgumentLocation::Register(0),
        };
        let per_cpu = |name: &str| {
            let offset = match name {
                "count" => 8,
                "queue" => 64,
                "pair" => 96,
                "crngs" => 128,
                "moved" => 256,
                "gdt_page" => 160,
                "net_state" => 176,
                "mnt" => 192,
                _ => return None,
            };
            Some(PerCpuSymbol {
                value: START + offset,
                offset,
            })
        };
        let scope = Scope {
            btf: &btf,
            parameters: &[parameter],
            returned: ReturnMeaning::NotYet,
            code: Code {
                per_cpu: &per_cpu,
                cpus: Some(2),
                ..Code::UNKNOWN
            },
        };
        compile(path, &scope)
    }

    /// Start, hops, offset, form, and where which CPU comes in.
    fn shape(path: &str) -> (u64, Vec<i32>, i32, u32, Option<usize>, u32) {
        let compiled = read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let spec = compiled.spec;
        let hops = spec.hops[..spec.hop_count as usize].to_vec();
        let added = spec.per_cpu.iter().position(|mask| *mask != 0);
        (spec.constant, hops, spec.offset, spec.form, added, spec.cpu)
    }

    /// Check that a variable and a pointer are followed where the offset of the CPU is added, and no other read adds one.
    #[test]
    fn compiled() {
        for (path, expected) in [
            (
                "*this_cpu_ptr(&count)",
                (START + 8, vec![], 0, form::BYTES, END, THIS_CPU),
            ),
            (
                "per_cpu(count, 1)",
                (START + 8, vec![], 0, form::BYTES, END, 1),
            ),
            (
                "*per_cpu_ptr(&count, 0)",
                (START + 8, vec![], 0, form::BYTES, END, 0),
            ),
            (
                "this_cpu_ptr(&count)",
                (START + 8, vec![], 0, form::ADDRESS, END, THIS_CPU),
            ),
            (
                "this_cpu_ptr(&queue)->running",
                (START + 64, vec![], 8, form::BYTES, END, THIS_CPU),
            ),
            (
                "per_cpu(queue, 1).running",
                (START + 64, vec![], 8, form::BYTES, END, 1),
            ),
            (
                "per_cpu(pair, 1)[1]",
                (START + 96, vec![], 4, form::BYTES, END, 1),
            ),
            (
                "*this_cpu_ptr(mnt->pcp)",
                (0, vec![16], 0, form::BYTES, END, THIS_CPU),
            ),
            (
                "*this_cpu_ptr(&mnt->pcp[1])",
                (0, vec![16], 4, form::BYTES, END, THIS_CPU),
            ),
            (
                "per_cpu(mnt, 1)",
                (START + 192, vec![], 0, form::BYTES, END, 1),
            ),
            ("*mnt->pcp", (0, vec![16], 0, form::BYTES, None, NO_CPU)),
        ] {
            assert_eq!(shape(path), expected, "{path}");
        }
        assert_eq!(
            read("*this_cpu_ptr(&count)").unwrap().spec.root,
            root::ADDRESS
        );
    }

    /// Check that secrets are marked, and only they.
    #[test]
    fn secrets() {
        assert!(read("*this_cpu_ptr(&crngs)").unwrap().secret);
        assert!(!read("*this_cpu_ptr(&count)").unwrap().secret);
        // However a part of one is reached.
        for path in [
            "this_cpu_ptr(&gdt_page)->base",
            "((struct other *)this_cpu_ptr(&gdt_page))->base",
            "(int)per_cpu(gdt_page, 1).base",
        ] {
            let found = read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(found.secret && found.retyped, "{path}");
        }
        assert!(read("*this_cpu_ptr(&net_state)").is_err());
    }

    /// Check that what cannot be followed is refused with the reason.
    #[test]
    fn refused() {
        for (path, class, reason) in [
            (
                "*this_cpu_ptr(&county)",
                ErrorClass::Unknown,
                "did you mean `count`",
            ),
            ("*this_cpu_ptr(&moved)", ErrorClass::Btf, "disagree"),
            ("*this_cpu_ptr(&hidden)", ErrorClass::Symbol, "is not known"),
            (
                "*this_cpu_ptr(&twin)",
                ErrorClass::Type,
                "2 per-CPU variables",
            ),
            ("per_cpu(count, 2)", ErrorClass::Unknown, "no CPU 2"),
            (
                "per_cpu(count, 4294967295)",
                ErrorClass::Unknown,
                "no CPU 4294967295",
            ),
            (
                "this_cpu_ptr(&pair)[1]",
                ErrorClass::Type,
                "would be the bytes",
            ),
            (
                "*this_cpu_ptr(this_cpu_ptr(&count))",
                ErrorClass::Limit,
                "one per-CPU pointer",
            ),
            (
                "*this_cpu_ptr(*mnt->pcp)",
                ErrorClass::Type,
                "is no pointer",
            ),
            ("per_cpu(count)", ErrorClass::Syntax, "`,`"),
            ("per_cpu(&count, 1)", ErrorClass::Syntax, "per-CPU variable"),
            (
                "per_cpu_ptr(mnt->pcp, mnt)",
                ErrorClass::Syntax,
                "number of a CPU",
            ),
            ("this_cpu_ptr", ErrorClass::Syntax, "needs its arguments"),
        ] {
            let error = read(path).expect_err(path);
            assert_eq!(error.class, class, "{path}: {error}");
            assert!(error.to_string().contains(reason), "{path}: {error}");
        }
    }
}
