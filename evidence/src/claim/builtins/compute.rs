//! The computation of each function of [`FUNCTIONS`](super::FUNCTIONS).

use std::cmp::Ordering;

use crate::document::value::{Address, Frame};

use crate::claim::value::{
    self, Failure, Haystack, Kind, Number, Prefix, ReturnedError, TruncatedValue, Typed, Version,
};

type Computed = Result<Typed, Failure>;

/// The failure of a function that was handed another kind of value than it takes.
fn kind_failure(what: &str, got: &Typed) -> Failure {
    Failure::kinds(format!("takes {what}, not {}", got.kind()), None)
}

/// The failure of a call with too few values; the parser has counted them, so it does not happen.
fn argument_count_failure() -> Failure {
    Failure::kinds("has the wrong number of arguments".into(), None)
}

fn one_argument(args: &[Typed]) -> Result<&Typed, Failure> {
    args.first().ok_or_else(argument_count_failure)
}

fn two_arguments(args: &[Typed]) -> Result<(&Typed, &Typed), Failure> {
    match args {
        [a, b, ..] => Ok((a, b)),
        _ => Err(argument_count_failure()),
    }
}

/// A text that is whole.
fn text(value: &Typed) -> Result<&str, Failure> {
    match value {
        Typed::Text(_) | Typed::Name(_) => value::one_text(value),
        Typed::Cut(
            beginning @ TruncatedValue {
                prefix: Prefix::Text(_),
                ..
            },
        ) => Err(beginning.unknown_end_failure()),
        other => Err(kind_failure("a text", other)),
    }
}

/// Two texts, each of which may be truncated.
fn two_texts(args: &[Typed]) -> Result<(Haystack<'_>, Haystack<'_>), Failure> {
    let seen = |value| Haystack::text(value).ok_or_else(|| kind_failure("a text", value));
    let (a, b) = two_arguments(args)?;
    Ok((seen(a)?, seen(b)?))
}

fn number(value: &Typed) -> Result<&Number, Failure> {
    match value {
        Typed::Number(number) => Ok(number),
        Typed::Returned(error) => Err(error.misread_failure()),
        other => Err(kind_failure("a number", other)),
    }
}

/// An address, or a number written as one (`0x…u`).
fn address(value: &Typed) -> Result<u64, Failure> {
    match value {
        Typed::Address(pointer) => pointer.number(),
        Typed::Number(number) if value::is_bare_uint(number) => bits(value),
        Typed::Number(_) => Err(Failure::kinds(
            format!("takes an address, not {}", value.kind()),
            Some("an address is written with the suffix u; a register that holds one is `address(…)`".into()),
        )),
        Typed::Returned(error) => Err(error.misread_failure()),
        other => Err(kind_failure("an address", other)),
    }
}

/// The bits of an address or of a number that is not negative.
fn bits(value: &Typed) -> Result<u64, Failure> {
    match value {
        Typed::Address(pointer) => pointer.number(),
        Typed::Number(number) => u64::try_from(number.value)
            .map_err(|_| Failure::value("a negative number has no bits to look at")),
        Typed::Returned(error) => Err(error.misread_failure()),
        other => Err(kind_failure("an address or a number", other)),
    }
}

pub(super) fn aligned(args: &[Typed]) -> Computed {
    let (a, n) = two_arguments(args)?;
    let n = bits(&Typed::Number(number(n)?.clone()))?;
    if !n.is_power_of_two() {
        return Err(Failure::value(format!(
            "an alignment is a power of two, not {n}"
        )));
    }
    Ok(Typed::Bool(bits(a)?.is_multiple_of(n)))
}

pub(super) fn mask(args: &[Typed]) -> Computed {
    let (a, m) = two_arguments(args)?;
    let mask = bits(&Typed::Number(number(m)?.clone()))?;
    // The author may ask for all bits of an error, although some of them look like those of a value.
    let whole = match a {
        Typed::Returned(error) if mask == u64::MAX => error.bits,
        other => bits(other)?,
    };
    let masked = whole & mask;
    Ok(match a {
        Typed::Number(Number {
            kind: Kind::Flags,
            unsigned,
            ..
        }) => Typed::Number(Number {
            value: masked.into(),
            unsigned: *unsigned,
            kind: Kind::Flags,
            names: Vec::new(),
        }),
        Typed::Number(number) => Typed::Number(Number {
            value: masked.into(),
            unsigned: number.unsigned,
            kind: Kind::Plain,
            names: Vec::new(),
        }),
        _ => Typed::Number(Number {
            value: masked.into(),
            unsigned: true,
            kind: Kind::Literal,
            names: Vec::new(),
        }),
    })
}

pub(super) fn delta(args: &[Typed]) -> Computed {
    let (a, b) = two_arguments(args)?;
    let difference = i128::from(address(a)?) - i128::from(address(b)?);
    i64::try_from(difference)
        .map(|difference| Typed::number_of_kind(difference, Kind::Offset))
        .map_err(|_| Failure::value("the addresses are more than 2^63 bytes apart"))
}

pub(super) fn int(args: &[Typed]) -> Computed {
    Ok(Typed::number(match one_argument(args)? {
        Typed::Returned(error) if !error.pointer => error.negative_errno(),
        other => number(other)?.value,
    }))
}

pub(super) fn address_of(args: &[Typed]) -> Computed {
    if let Typed::Returned(error) = one_argument(args)? {
        let pointer = true;
        return Ok(Typed::Returned(ReturnedError { pointer, ..*error }));
    }
    let plain = number(one_argument(args)?)?;
    if !matches!(plain.kind, Kind::Plain | Kind::Literal) {
        return Err(kind_failure("a plain number", one_argument(args)?));
    }
    let bits = bits(one_argument(args)?)?;
    Ok(ReturnedError::from_pointer(bits).map_or(Typed::address(bits), Typed::Returned))
}

pub(super) fn errno(args: &[Typed]) -> Computed {
    let named = |errno: u32| {
        Typed::Number(Number {
            value: errno.into(),
            unsigned: false,
            kind: Kind::Errno,
            names: crate::constants::errno_names_of(errno),
        })
    };
    let returned = match one_argument(args)? {
        Typed::Returned(error) => return Ok(named(error.errno)),
        Typed::Address(pointer) if pointer.value == 0 => return Ok(named(0)),
        Typed::Address(pointer) => {
            let address = Address(pointer.value);
            return Err(Failure::value(format!("{address} is not a returned error")));
        }
        other => number(other)?,
    };
    match (&returned.kind, returned.value) {
        (Kind::Errno, value) => Ok(named(u32::try_from(value.abs()).unwrap_or_default())),
        (Kind::Plain | Kind::Literal, value @ -4095..=0) => {
            Ok(named(u32::try_from(-value).unwrap_or_default()))
        }
        (Kind::Plain | Kind::Literal, value) => {
            Err(Failure::value(format!("{value} is not a returned error")))
        }
        _ => Err(kind_failure(
            "what a call returned on failure",
            one_argument(args)?,
        )),
    }
}

pub(super) fn name(args: &[Typed]) -> Computed {
    match one_argument(args)? {
        Typed::Returned(error) => Ok(Typed::Name(error.names())),
        Typed::Number(Number { names, .. }) if !names.is_empty() => Ok(Typed::Name(names.clone())),
        Typed::Number(Number {
            kind: Kind::Enum(type_name),
            value,
            ..
        }) => Err(Failure::Missing(format!(
            "{value} is not an enumerator of {type_name} that this kernel's BTF names"
        ))),
        other => Err(kind_failure("an enumerator or an error number", other)),
    }
}

/// The names of an address's symbol and the bytes from its start.
fn resolve_symbol(value: &Typed) -> Result<(&[String], u64), Failure> {
    let Typed::Address(pointer) = value else {
        return Err(kind_failure("a measured address", value));
    };
    match &pointer.symbol {
        Some((names, offset)) => Ok((names, *offset)),
        None => Err(Failure::Missing(format!(
            "the capture found no symbol for {}: it does not lead into the kernel image, or the symbol \
             table could not be read",
            Address(pointer.value)
        ))),
    }
}

pub(super) fn symbol(args: &[Typed]) -> Computed {
    let (names, offset) = resolve_symbol(one_argument(args)?)?;
    let names = names.iter().map(|name| format!("{name}+{offset:#x}"));
    Ok(Typed::Name(names.collect()))
}

pub(super) fn symbol_name(args: &[Typed]) -> Computed {
    Ok(Typed::Name(resolve_symbol(one_argument(args)?)?.0.to_vec()))
}

pub(super) fn file(args: &[Typed]) -> Computed {
    match one_argument(args)? {
        Typed::Location(place) => Ok(Typed::Text(place.file.clone())),
        other => Err(kind_failure("a place in the source", other)),
    }
}

pub(super) fn line(args: &[Typed]) -> Computed {
    match one_argument(args)? {
        Typed::Location(place) => Ok(Typed::number(place.line)),
        other => Err(kind_failure("a place in the source", other)),
    }
}

pub(super) fn function_name(args: &[Typed]) -> Computed {
    match one_argument(args)? {
        Typed::Location(place) => Ok(Typed::Text(place.function.clone())),
        other => Err(kind_failure("a place in the source", other)),
    }
}

/// The functions on a stack from the innermost outwards, inlined ones included; `None` for a frame whose
/// function is unknown.
fn stack_functions(frames: &[Frame]) -> Vec<Option<&str>> {
    let mut chain = Vec::new();
    for frame in frames {
        match &frame.site {
            Some(site) => {
                chain.push(Some(site.function.as_str()));
                chain.extend(
                    site.inlined_into
                        .iter()
                        .map(|outer| Some(outer.function.as_str())),
                );
            }
            None => chain.push(frame.symbol.as_deref()),
        }
    }
    chain
}

/// A stack proves absence only if it is complete: every frame to the outermost, with its source line, and so with the functions
/// that are inlined there.
fn prove_absence(stack: Frames<'_>, what: &str) -> Computed {
    let Frames { frames, whole } = stack;
    if !whole {
        return Err(Failure::Missing(format!(
            "{what} is not seen on the stack, but may be further out than the {} frames that were recorded",
            frames.len()
        )));
    }
    match frames.iter().find(|frame| frame.site.is_none()) {
        None => Ok(Typed::Bool(false)),
        Some(frame) => Err(Failure::Missing(format!(
            "{what} is not seen on the stack, but may be inlined into the frame at {}, whose source line is \
             unknown without debug info",
            frame
                .symbol
                .clone()
                .unwrap_or_else(|| frame.address.to_string())
        ))),
    }
}

/// The frames of a stack that were recorded.
#[derive(Clone, Copy)]
struct Frames<'t> {
    frames: &'t [Frame],
    /// True if there are no further frames.
    whole: bool,
}

fn stack(value: &Typed) -> Result<Frames<'_>, Failure> {
    match value {
        Typed::Stack(frames) => Ok(Frames {
            frames,
            whole: true,
        }),
        Typed::Cut(TruncatedValue {
            prefix: Prefix::Stack(frames),
            ..
        }) => Ok(Frames {
            frames,
            whole: false,
        }),
        other => Err(kind_failure("a stack", other)),
    }
}

pub(in crate::claim) fn on_stack(args: &[Typed]) -> Computed {
    let (frames, function) = two_arguments(args)?;
    let (seen, function) = (stack(frames)?, text(function)?);
    if stack_functions(seen.frames).contains(&Some(function)) {
        return Ok(Typed::Bool(true));
    }
    prove_absence(seen, function)
}

pub(super) fn calls(args: &[Typed]) -> Computed {
    let [frames, caller, callee] = args else {
        return Err(argument_count_failure());
    };
    let (seen, caller, callee) = (stack(frames)?, text(caller)?, text(callee)?);
    // Functions in an interrupt or a fault were not called by the frames below it.
    for part in seen.frames.split_inclusive(|frame| frame.interrupts) {
        let chain = stack_functions(part);
        let inner = chain.iter().position(|name| *name == Some(callee));
        let outer = chain.iter().rposition(|name| *name == Some(caller));
        if let (Some(inner), Some(outer)) = (inner, outer)
            && inner < outer
        {
            return Ok(Typed::Bool(true));
        }
    }
    prove_absence(seen, &format!("a call of {callee} by {caller}"))
}

/// A question about two texts, each of which may be truncated.
type TextTest = fn(&Haystack<'_>, &Haystack<'_>) -> Result<bool, Failure>;

/// The answer to a question about two texts. Of a number with several names it has to be the same for all of them.
fn test_texts(args: &[Typed], test: TextTest) -> Computed {
    let (value, _) = two_arguments(args)?;
    if let Typed::Name(names) = value
        && names.len() > 1
    {
        let (_, what) = two_arguments(args)?;
        let what = Haystack::text(what).ok_or_else(|| kind_failure("a text", what))?;
        let answers: Vec<bool> = names
            .iter()
            .map(|name| test(&Haystack::from_whole(name.as_bytes()), &what))
            .collect::<Result<_, _>>()?;
        return match answers.iter().all(|answer| *answer == answers[0]) {
            true => Ok(Typed::Bool(answers[0])),
            false => Err(value::ambiguous_name_failure(names)),
        };
    }
    let (a, b) = two_texts(args)?;
    test(&a, &b).map(Typed::Bool)
}

pub(super) fn contains(args: &[Typed]) -> Computed {
    test_texts(args, value::contains)
}

pub(super) fn starts_with(args: &[Typed]) -> Computed {
    test_texts(args, value::starts_with)
}

pub(super) fn ends_with(args: &[Typed]) -> Computed {
    test_texts(args, value::ends_with)
}

pub(super) fn length(args: &[Typed]) -> Computed {
    let length = match one_argument(args)? {
        Typed::Text(text) => text.len(),
        Typed::Name(_) => text(one_argument(args)?)?.len(),
        Typed::Bytes(bytes) => bytes.len(),
        Typed::Stack(frames) => frames.len(),
        Typed::Cut(beginning) => return beginning.length().map(Typed::number),
        other => return Err(kind_failure("a text, bytes or a stack", other)),
    };
    Ok(Typed::number(length as u64))
}

pub(super) fn byte(args: &[Typed]) -> Computed {
    let (bytes, place) = two_arguments(args)?;
    let bytes =
        Haystack::bytes(bytes).ok_or_else(|| kind_failure("bytes and a place in them", bytes))?;
    let place = number(place)?.value;
    match bytes.byte(place)? {
        Some(byte) => Ok(Typed::number(byte)),
        None => Err(Failure::value(format!(
            "there is no byte {place}{}: they are counted from 0",
            bytes
                .len()
                .map_or_else(|_| String::new(), |length| format!(" in {length}"))
        ))),
    }
}

pub(super) fn version(args: &[Typed]) -> Computed {
    Ok(Typed::Version(measured_version(one_argument(args)?)?))
}

/// `version` of a text that the claim itself holds.
pub(super) fn written_version(args: &[Typed]) -> Computed {
    let version = Version::written(text(one_argument(args)?)?)?;
    Ok(Typed::Version(version))
}

fn measured_version(value: &Typed) -> Result<Version, Failure> {
    let text = text(value)?;
    Version::measured(text)
        .ok_or_else(|| Failure::value(format!("`{text}` is not a kernel version such as 6.12")))
}

pub(super) fn kernel_at_least(args: &[Typed]) -> Computed {
    let (release, wanted) = two_arguments(args)?;
    let wanted = Version::written(text(wanted)?)?;
    let at_least = value::test_versions(&measured_version(release)?, &wanted, Ordering::is_ge)?;
    Ok(Typed::Bool(at_least))
}

pub(super) fn fired(args: &[Typed]) -> Computed {
    Ok(one_argument(args)?.clone())
}

pub(super) fn never(args: &[Typed]) -> Computed {
    Ok(Typed::Bool(number(one_argument(args)?)?.value == 0))
}

pub(super) fn ran(args: &[Typed]) -> Computed {
    Ok(Typed::Bool(number(one_argument(args)?)?.value > 0))
}

pub(super) fn never_ran(args: &[Typed]) -> Computed {
    never(args)
}

pub(super) fn calls_of(args: &[Typed]) -> Computed {
    fired(args)
}

pub(super) fn parent(args: &[Typed]) -> Computed {
    Ok(one_argument(args)?.clone())
}

pub(super) fn coverage(args: &[Typed]) -> Computed {
    Ok(one_argument(args)?.clone())
}

pub(super) fn before(args: &[Typed]) -> Computed {
    let (a, b) = two_arguments(args)?;
    Ok(Typed::Bool(number(a)?.value < number(b)?.value))
}

pub(super) fn inside(args: &[Typed]) -> Computed {
    let [entered, returned, outer_entered, outer_returned] = args else {
        return Err(argument_count_failure());
    };
    Ok(Typed::Bool(
        number(outer_entered)?.value < number(entered)?.value
            && number(returned)?.value < number(outer_returned)?.value,
    ))
}

/// The reason why a ledger without a row says nothing of frees.
pub(in crate::claim) const NOTHING_ALLOCATED: &str =
    "nothing was allocated, so nothing shows that a leak would be seen";

pub(super) fn freed(args: &[Typed]) -> Computed {
    let (allocated, leaked) = two_arguments(args)?;
    if number(allocated)?.value == 0 {
        // Neither that it would have been freed nor that it would not.
        return Err(Failure::Missing(NOTHING_ALLOCATED.into()));
    }
    Ok(Typed::Bool(number(leaked)?.value == 0))
}
