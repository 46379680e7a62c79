//! Units of the values that a claim compares. That a process id is not some integer from memory, or that a duration is greater
//! than a flag, is true of nearly all values, and so on nearly every kernel.
//!
//! Values of two units are never compared ([`compare`](super::value::compare)). A C integer may count anything, so an equality
//! with it says something. That it is different, or greater or less, says nothing, unless the author takes the bare number with
//! `int(…)`. Even then, two values that are both known to be of different kinds are refused.

use super::ast::{Binary, Node, NodeKind};
use super::builtins::Reads;
use super::eval::{Lookup, evaluate};
use super::invariants::is_count;
use super::obstacle::Obstacle;
use super::parts::{ExpressionPart, is_logical};
use super::value::{Kind, Typed};

/// The unit of a number that does not stand in the claim itself.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Measure {
    /// A C integer, which may count anything.
    Any,
    Address,
    /// Hits, events, runs, objects.
    Count,
    /// Parts of one value: characters of a text, bytes, frames.
    Length,
    /// A line of the source.
    Line,
    /// Percent of something.
    Share,
    Of(Kind),
}

impl Measure {
    /// With an article.
    fn name(&self) -> String {
        match self {
            Measure::Any => "a plain number".into(),
            Measure::Address => "an address".into(),
            Measure::Count => "a count".into(),
            Measure::Length => "a length".into(),
            Measure::Line => "a line".into(),
            Measure::Share => "a percentage".into(),
            Measure::Of(kind) => kind.name(),
        }
    }
}

/// A measure, and whether the author has taken the bare number.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unit {
    measure: Measure,
    bare: bool,
}

impl From<Measure> for Unit {
    fn from(measure: Measure) -> Self {
        let bare = false;
        Unit { measure, bare }
    }
}

/// The first comparison among these parts whose outcome says nothing, because its sides count different things.
pub(super) fn find_unit_mismatch(
    parts: &[ExpressionPart<'_>],
    bindings: &dyn Lookup,
) -> Option<Obstacle> {
    parts.iter().find_map(|part| {
        let mut found = None;
        let mut look = |node: &Node, truth: Option<bool>| {
            if found.is_none() {
                found = truth.and_then(|truth| find_vacuous_comparison(node, truth, bindings));
            }
        };
        look(part.node, Some(part.truth));
        // Parts inside a numeric expression, such as the condition of `(a < b ? 1 : 2) == 1`.
        if !is_joint(part.node) {
            part.node.walk(&mut |node| {
                if node.range != part.node.range {
                    look(node, truth(node, bindings));
                }
            });
        }
        found
    })
}

/// True if the operands of a node are parts of their own.
fn is_joint(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Binary(Binary::And | Binary::Or, _) | NodeKind::Conditional(_) => true,
        NodeKind::Binary(Binary::Equal | Binary::NotEqual, sides) => sides.iter().any(is_logical),
        _ => false,
    }
}

fn truth(node: &Node, bindings: &dyn Lookup) -> Option<bool> {
    if !matches!(node.kind, NodeKind::Binary(..)) {
        return None;
    }
    match evaluate(node, bindings) {
        Ok(Typed::Bool(truth)) => Some(truth),
        _ => None,
    }
}

/// The complaint about a comparison that comes out as `truth`, if that says nothing.
fn find_vacuous_comparison(node: &Node, truth: bool, bindings: &dyn Lookup) -> Option<Obstacle> {
    let NodeKind::Binary(operator, sides) = &node.kind else {
        return None;
    };
    let order = match operator {
        Binary::Equal if !truth => false,
        Binary::NotEqual if truth => false,
        Binary::Less | Binary::LessEqual | Binary::Greater | Binary::GreaterEqual => true,
        _ => return None,
    };
    let [a, b] = sides.as_ref();
    // A difference that is compared with a number is a comparison of its operands.
    let mixed = [a, b]
        .into_iter()
        .find_map(|side| find_mixed_units(side, bindings));
    if let Some((x, y)) = mixed {
        return Some(mismatch_obstacle(&x, &y, node));
    }
    let (a, b) = (unit(a, bindings)?, unit(b, bindings)?);
    let unlike = match (&a.measure, &b.measure) {
        (Measure::Any, Measure::Any) => false,
        (_, Measure::Any) => !a.bare,
        (Measure::Any, _) => !b.bare,
        (x, y) => x != y && !(order && (a.bare || b.bare)),
    };
    unlike.then(|| mismatch_obstacle(&a.measure, &b.measure, node))
}

fn mismatch_obstacle(a: &Measure, b: &Measure, node: &Node) -> Obstacle {
    Obstacle {
        message: format!(
            "one is {} and the other {}: that one is not the other, or is the greater, proves nothing",
            a.name(),
            b.name()
        ),
        range: node.range.clone(),
        help: Some(
            "compare values of one kind; what counts the same without saying so is compared with `int(…)`, or the read \
             says its `kind`"
                .into(),
        ),
    }
}

/// The units of the operands of a sum or a difference inside of an expression, if they differ and both are known. An address,
/// an offset and a size may be combined.
fn find_mixed_units(node: &Node, bindings: &dyn Lookup) -> Option<(Measure, Measure)> {
    let says = |measure: &Measure| {
        !matches!(
            measure,
            Measure::Any | Measure::Address | Measure::Of(Kind::Offset | Kind::Size)
        )
    };
    match &node.kind {
        NodeKind::Unary(_, operand) => find_mixed_units(operand, bindings),
        NodeKind::Binary(Binary::Add | Binary::Subtract, sides) => {
            let [a, b] = sides.as_ref();
            find_mixed_units(a, bindings)
                .or_else(|| find_mixed_units(b, bindings))
                .or_else(|| {
                    let (a, b) = (unit(a, bindings)?.measure, unit(b, bindings)?.measure);
                    (a != b && says(&a) && says(&b) && !can_add(&a, &b)).then_some((a, b))
                })
        }
        NodeKind::Call(function, args) if matches!(function.name, "int" | "address") => {
            find_mixed_units(args.first()?, bindings)
        }
        _ => None,
    }
}

/// True of a moment and a duration, and of a place in an order and a count.
fn can_add(a: &Measure, b: &Measure) -> bool {
    use Measure::{Count, Of};
    let one_way = |a: &Measure, b: &Measure| {
        matches!(
            (a, b),
            (Of(Kind::Moment(_)), Of(Kind::Time)) | (Of(Kind::Order(_)), Count)
        )
    };
    one_way(a, b) || one_way(b, a)
}

/// The unit of `address(…)`: a number that says that it is something else stays that.
fn address_unit(number: Option<Unit>) -> Unit {
    match number {
        Some(unit)
            if !matches!(
                unit.measure,
                Measure::Any | Measure::Of(Kind::Offset | Kind::Size)
            ) =>
        {
            Unit {
                bare: false,
                ..unit
            }
        }
        _ => Measure::Address.into(),
    }
}

/// The unit of a number or an address; `None` for literals, and for everything else.
fn unit(node: &Node, bindings: &dyn Lookup) -> Option<Unit> {
    match &node.kind {
        NodeKind::Literal(_) | NodeKind::Constant(_) => None,
        NodeKind::Path(path) => leaf_unit(path.as_str(), bindings.read(path.as_str())?),
        NodeKind::Unary(_, operand) => unit(operand, bindings),
        NodeKind::Binary(operator, sides) => {
            let [a, b] = sides.as_ref();
            result_unit(*operator, unit(a, bindings), unit(b, bindings))
        }
        NodeKind::Conditional(parts) => {
            let [_, yes, no] = parts.as_ref();
            match (unit(yes, bindings), unit(no, bindings)) {
                (Some(a), Some(b)) if a == b => Some(a),
                (Some(a), None) | (None, Some(a)) => Some(a),
                (Some(_), Some(_)) => Some(Measure::Any.into()),
                (None, None) => None,
            }
        }
        NodeKind::Call(function, args) => Some(match function.name {
            "int" => Unit {
                bare: true,
                ..unit(args.first()?, bindings)?
            },
            "mask" => unit(args.first()?, bindings)?,
            "address" => address_unit(unit(args.first()?, bindings)),
            "delta" => Measure::Of(Kind::Offset).into(),
            "errno" => Measure::Of(Kind::Errno).into(),
            "line" => Measure::Line.into(),
            "byte" => Measure::Any.into(),
            "length" => Measure::Length.into(),
            "coverage" => Measure::Share.into(),
            _ if matches!(function.reads, Reads::Hits | Reads::AllRuns) => Measure::Count.into(),
            _ => return None,
        }),
    }
}

fn leaf_unit(path: &str, value: &Typed) -> Option<Unit> {
    let measure = match value {
        Typed::Address(_) => Measure::Address,
        Typed::Number(number) => match &number.kind {
            Kind::Plain if is_count(path) => Measure::Count,
            Kind::Plain | Kind::Literal => Measure::Any,
            kind => Measure::Of(kind.clone()),
        },
        _ => return None,
    };
    Some(measure.into())
}

/// The unit of the result of a calculation.
fn result_unit(operator: Binary, a: Option<Unit>, b: Option<Unit>) -> Option<Unit> {
    match (a, b) {
        (None, other) | (other, None) => other,
        (Some(a), Some(b)) if a.measure == b.measure => {
            let measure = match (operator, a.measure) {
                (Binary::Subtract, Measure::Of(Kind::Order(_))) => Measure::Count,
                (Binary::Subtract, Measure::Of(Kind::Moment(_))) => Measure::Of(Kind::Time),
                (Binary::Add | Binary::Subtract | Binary::Remainder, measure) => measure,
                _ => Measure::Any,
            };
            let bare = a.bare || b.bare;
            Some(Unit { measure, bare })
        }
        (Some(a), Some(b)) if a.measure == Measure::Any => Some(b),
        (Some(a), Some(b)) if b.measure == Measure::Any => Some(a),
        _ => Some(Measure::Any.into()),
    }
}
