//! Evaluation: every operand is evaluated without short-circuiting, and values of different kinds are never compared.

use std::cmp::Ordering;
use std::ops::Range;

use super::ast::{Binary, Literal, Node, NodeKind, Unary, call_reads};
use super::builtins::{ArgumentKind, Function};
use super::value::{
    self, Failure, Haystack, Kind, Number, Prefix, Typed, common_kind, compare, is_bare_uint,
};

/// The message about a division by zero, with the way out.
const BY_ZERO: &str = "division by zero; a divisor that can be 0 is guarded by a condition: `d != 0 ? n / d == 2 : …`";

/// A failure and the bytes of the expression where it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LocatedFailure {
    pub failure: Failure,
    pub range: Range<usize>,
}

type EvalResult = Result<Typed, LocatedFailure>;

/// The source of the values that an evaluation reads.
pub(super) trait Lookup {
    /// The value of a leaf that the expression reads.
    fn read(&self, key: &str) -> Option<&Typed>;
    /// The value of a named constant.
    fn constant(&self, name: &str) -> Option<Typed>;
}

/// The value of an expression.
pub(super) fn evaluate(node: &Node, bindings: &dyn Lookup) -> EvalResult {
    let located = |failure| LocatedFailure {
        failure,
        range: node.range.clone(),
    };
    match &node.kind {
        NodeKind::Literal(literal) => Ok(literal_value(literal)),
        NodeKind::Path(path) => bindings
            .read(path.as_str())
            .cloned()
            .ok_or_else(|| located(Failure::Missing(format!("`{path}` has no value")))),
        // Which it was looked up, and complained about, before.
        NodeKind::Constant(name) => bindings
            .constant(name)
            .ok_or_else(|| located(Failure::Missing(format!("`{name}` is not known here")))),
        NodeKind::Unary(operator, operand) => {
            eval_unary(*operator, evaluate(operand, bindings)?).map_err(located)
        }
        NodeKind::Binary(operator, operands) => {
            let [a, b] = operands.as_ref();
            let (a, b) = combine_results(evaluate(a, bindings), evaluate(b, bindings))?;
            eval_binary(*operator, &a, &b).map_err(located)
        }
        NodeKind::Conditional(parts) => eval_conditional(parts, bindings),
        NodeKind::Call(function, args) => eval_call(function, args, bindings, &node.range),
    }
}

fn literal_value(literal: &Literal) -> Typed {
    let number = |value: i128, unsigned| {
        Typed::Number(Number {
            value,
            unsigned,
            kind: Kind::Literal,
            names: Vec::new(),
        })
    };
    match literal {
        Literal::Bool(value) => Typed::Bool(*value),
        Literal::Int(value) => number((*value).into(), false),
        Literal::Uint(value) => number((*value).into(), true),
        Literal::Text(value) => Typed::Text(value.clone()),
        Literal::Bytes(value) => Typed::Bytes(value.clone()),
    }
}

/// Both results, or the worse of the two failures: a mistake takes precedence over a missing value.
fn combine_results(a: EvalResult, b: EvalResult) -> Result<(Typed, Typed), LocatedFailure> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(a), Err(b)) => Err(match (&a.failure, &b.failure) {
            (Failure::Missing(_), Failure::Kinds { .. } | Failure::Value(_)) => b,
            _ => a,
        }),
        (Err(failure), Ok(_)) | (Ok(_), Err(failure)) => Err(failure),
    }
}

/// `c ? a : b`. Both branches are evaluated; the branch that is not taken may only fail because of its values (a division by
/// zero).
fn eval_conditional(parts: &[Node; 3], bindings: &dyn Lookup) -> EvalResult {
    let [condition, yes, no] = parts;
    let (outcomes, condition_value) = (
        [evaluate(yes, bindings), evaluate(no, bindings)],
        evaluate(condition, bindings),
    );
    let taken = match condition_value? {
        Typed::Bool(taken) => taken,
        other => {
            return Err(LocatedFailure {
                failure: Failure::kinds(
                    format!("a condition is yes or no, not {}", other.kind()),
                    None,
                ),
                range: condition.range.clone(),
            });
        }
    };
    let [yes_outcome, no_outcome] = outcomes;
    if let (Ok(a), Ok(b)) = (&yes_outcome, &no_outcome)
        && let Err(failure @ Failure::Kinds { .. }) = compare(a, b)
        && !(value::is_opaque(a) && a.kind() == b.kind())
    {
        return Err(LocatedFailure {
            failure,
            range: yes.range.start..no.range.end,
        });
    }
    let (chosen, other) = if taken {
        (yes_outcome, no_outcome)
    } else {
        (no_outcome, yes_outcome)
    };
    match other {
        Err(LocatedFailure {
            failure: Failure::Value(_),
            ..
        }) => chosen,
        other => combine_results(chosen, other).map(|(chosen, _)| chosen),
    }
}

fn eval_call(
    function: &Function,
    args: &[Node],
    bindings: &dyn Lookup,
    range: &Range<usize>,
) -> EvalResult {
    let located = |failure| LocatedFailure {
        failure,
        range: range.clone(),
    };
    let mut values = Vec::with_capacity(4);
    for key in call_reads(function, args) {
        let value = bindings.read(&key).cloned();
        values
            .push(value.ok_or_else(|| located(Failure::Missing(format!("`{key}` has no value"))))?);
    }
    let mut worst: Option<LocatedFailure> = None;
    for (arg, shape) in args.iter().zip(function.arguments) {
        if matches!(shape, ArgumentKind::Value | ArgumentKind::Literal) {
            match evaluate(arg, bindings) {
                Ok(value) => values.push(value),
                Err(failure) => match &worst {
                    Some(LocatedFailure {
                        failure: Failure::Kinds { .. } | Failure::Value(_),
                        ..
                    }) => {}
                    _ => worst = Some(failure),
                },
            }
        }
    }
    if let Some(worst) = worst {
        return Err(worst);
    }
    (function.compute)(&values).map_err(|failure| {
        located(match failure {
            Failure::Kinds { message, help } => Failure::Kinds {
                message: format!("`{}` {message}", function.name),
                help: help.or_else(|| Some(format!("{}: {}", function.usage, function.help))),
            },
            Failure::Value(message) => Failure::Value(format!("`{}`: {message}", function.name)),
            missing @ Failure::Missing(_) => missing,
        })
    })
}

fn eval_unary(operator: Unary, operand: Typed) -> Result<Typed, Failure> {
    match (operator, operand) {
        (Unary::Not, Typed::Bool(value)) => Ok(Typed::Bool(!value)),
        (Unary::Negate, Typed::Number(number)) if !number.unsigned => check_range(
            Number {
                value: -number.value,
                ..number
            },
            "-",
        ),
        (operator, operand) => {
            let what = match operator {
                Unary::Not => "`!` negates yes or no",
                Unary::Negate => "`-` negates a signed number",
            };
            Err(Failure::kinds(
                format!("{what}, not {}", operand.kind()),
                None,
            ))
        }
    }
}

fn eval_binary(operator: Binary, a: &Typed, b: &Typed) -> Result<Typed, Failure> {
    use Binary::{And, Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual, Or};
    let test: fn(Ordering) -> bool = match operator {
        And | Or => {
            let (Typed::Bool(a), Typed::Bool(b)) = (a, b) else {
                let culprit = if matches!(a, Typed::Bool(_)) { b } else { a };
                return Err(Failure::kinds(
                    format!(
                        "`{}` joins yes and no, not {}",
                        operator.symbol(),
                        culprit.kind()
                    ),
                    None,
                ));
            };
            return Ok(Typed::Bool(if operator == And {
                *a && *b
            } else {
                *a || *b
            }));
        }
        Equal => Ordering::is_eq,
        NotEqual => Ordering::is_ne,
        Less => Ordering::is_lt,
        LessEqual => Ordering::is_le,
        Greater => Ordering::is_gt,
        GreaterEqual => Ordering::is_ge,
        _ => return eval_arithmetic(operator, a, b),
    };
    match a {
        _ if matches!(operator, Equal | NotEqual) => {}
        Typed::Bool(_) => return Err(Failure::kinds("yes and no have no order".into(), None)),
        // By their letters, '6.12' would be below '6.6'.
        Typed::Text(_) | Typed::Name(_) | Typed::Bytes(_) | Typed::Cut(_)
            if a.kind() == b.kind() =>
        {
            return Err(Failure::kinds(
                format!("`{}` does not work on {}", operator.symbol(), a.kind()),
                Some("versions are ordered: `version(kernel.release) < version('6.6')`".into()),
            ));
        }
        _ => {}
    }
    if matches!(operator, Equal | NotEqual) {
        check_errno_sign(a, b)?;
    }
    if let (Typed::Version(a), Typed::Version(b)) = (a, b) {
        return Ok(Typed::Bool(value::test_versions(a, b, test)?));
    }
    let order = compare(a, b)?;
    if !matches!(operator, Equal | NotEqual) {
        value::check_orderable(a, b)?;
    }
    Ok(Typed::Bool(test(order)))
}

/// Refuse to ask whether an error number is a written number of the other sign: the answer would always be no.
fn check_errno_sign(a: &Typed, b: &Typed) -> Result<(), Failure> {
    let (Typed::Number(a), Typed::Number(b)) = (a, b) else {
        return Ok(());
    };
    let (error, written) = match (&a.kind, &b.kind) {
        (Kind::Errno, Kind::Literal) => (a, b),
        (Kind::Literal, Kind::Errno) => (b, a),
        _ => return Ok(()),
    };
    if error.value.signum() * written.value.signum() >= 0 {
        return Ok(());
    }
    // A count or a descriptor, most likely, of a call that failed.
    if error.value < 0 && error.value != -written.value {
        let name = error.names.first().map_or("an error", String::as_str);
        return Err(Failure::kinds(
            format!(
                "the call failed with {} ({name}), a negative number as the kernel returns it, and {} is positive",
                error.value, written.value
            ),
            Some("a claim about what a call returns needs it to succeed; an error is compared with `-EMFILE`".into()),
        ));
    }
    Err(value::errno_sign_failure())
}

fn eval_arithmetic(operator: Binary, a: &Typed, b: &Typed) -> Result<Typed, Failure> {
    match (a, b) {
        (Typed::Number(x), Typed::Number(y)) => eval_integers(operator, x, y),
        (Typed::Returned(error), _) | (_, Typed::Returned(error)) => Err(error.misread_failure()),
        (Typed::Text(_) | Typed::Name(_), Typed::Text(_) | Typed::Name(_))
            if operator == Binary::Add =>
        {
            let (a, b) = (value::one_text(a)?, value::one_text(b)?);
            Ok(Typed::Text(format!("{a}{b}")))
        }
        (Typed::Cut(beginning), other) | (other, Typed::Cut(beginning))
            if operator == Binary::Add
                && Haystack::text(other).is_some()
                && matches!(beginning.prefix, Prefix::Text(_)) =>
        {
            Err(beginning.unknown_end_failure())
        }
        (Typed::Address(pointer), Typed::Number(n)) if is_bare_uint(n) => {
            let (address, n) = (i128::from(pointer.number()?), n.value);
            let moved = match operator {
                Binary::Add => address + n,
                Binary::Subtract => address - n,
                Binary::Remainder if n == 0 => return Err(Failure::value(BY_ZERO)),
                Binary::Remainder => {
                    return Ok(Typed::Number(Number {
                        value: address % n,
                        unsigned: true,
                        kind: Kind::Literal,
                        names: Vec::new(),
                    }));
                }
                _ => {
                    return Err(Failure::kinds(
                        format!("`{}` does not work on addresses", operator.symbol()),
                        None,
                    ));
                }
            };
            u64::try_from(moved)
                .map(Typed::address)
                .map_err(|_| Failure::value("the address leaves the 64 bits that addresses have"))
        }
        (Typed::Address(_), Typed::Address(_)) => Err(Failure::kinds(
            format!("`{}` does not work on two addresses", operator.symbol()),
            Some("their distance is `delta(a, b)`".into()),
        )),
        _ => Err(value::kind_mismatch_failure(a, b)),
    }
}

fn eval_integers(operator: Binary, a: &Number, b: &Number) -> Result<Typed, Failure> {
    let common = common_kind(a, b)?;
    if a.unsigned != b.unsigned {
        return Err(Failure::kinds(
            format!(
                "`{}` needs two signed or two unsigned numbers, and one of these is {}",
                operator.symbol(),
                if a.unsigned { a.value } else { b.value }
            ),
            Some("leave the suffix u away beside a signed number".into()),
        ));
    }
    let zero = b.value == 0;
    let (value, kind) = match operator {
        Binary::Add => (a.value + b.value, common),
        Binary::Subtract => (a.value - b.value, difference_kind(a, b, common)),
        Binary::Multiply => match a.value.checked_mul(b.value) {
            Some(product) => (product, ratio_kind(a, b, common)),
            None => {
                return Err(Failure::value(
                    "overflow: the product needs more than 128 bits",
                ));
            }
        },
        Binary::Divide | Binary::Remainder if zero => {
            return Err(Failure::value(BY_ZERO));
        }
        // CEL would cut the quotient: 7 / 2 == 3.
        Binary::Divide if a.value % b.value != 0 => {
            return Err(Failure::value(format!(
                "{} divided by {} leaves a remainder of {}, which `/` would hide: compare products (`a == b * c`), or take \
                 the remainder off first (`(a - a % b) / b`)",
                a.value,
                b.value,
                a.value % b.value
            )));
        }
        Binary::Divide => (a.value / b.value, ratio_kind(a, b, common)),
        _ => (a.value % b.value, common),
    };
    check_range(
        Number {
            value,
            unsigned: a.unsigned,
            kind,
            names: Vec::new(),
        },
        operator.symbol(),
    )
}

/// The unit of a difference: between two events of an experiment lie a time and a number of events.
fn difference_kind(a: &Number, b: &Number, common: Kind) -> Kind {
    match (&a.kind, &b.kind) {
        (Kind::Moment(_), Kind::Moment(_)) => Kind::Time,
        (Kind::Order(_), Kind::Order(_)) => Kind::Plain,
        _ => common,
    }
}

/// The unit of a product or quotient: none if both sides have the same unit.
fn ratio_kind(a: &Number, b: &Number, common: Kind) -> Kind {
    match (&a.kind, &b.kind) {
        (Kind::Literal, Kind::Literal) => Kind::Literal,
        (a, b) if a == b => Kind::Plain,
        _ => common,
    }
}

fn check_range(number: Number, operator: &str) -> Result<Typed, Failure> {
    let fits = if number.unsigned {
        u64::try_from(number.value).is_ok()
    } else {
        i64::try_from(number.value).is_ok()
    };
    if fits {
        Ok(Typed::Number(number))
    } else {
        Err(Failure::value(format!(
            "overflow: the result of `{operator}` is {}, which 64 bits cannot hold; compare the operands themselves",
            number.value
        )))
    }
}
