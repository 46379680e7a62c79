//! The options of a placeholder that say how its value is written: the closed set of `as=`, `width=` and `align=`.

use crate::markdown::syntax::{Attribute, SyntaxError, Words};

/// The values of `as="…"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueFormat {
    /// A number or a pointer as `0x…`.
    Hex,
    /// A number or a pointer in decimal.
    Dec,
    /// An amount of bytes in MiB, exactly.
    Mib,
    /// An amount in bytes with the unit; raw memory as hex digits.
    Bytes,
    /// `symbol+0x0`: a pointer into the kernel image.
    Symbol,
    /// The name alone: of an enumerator, an error, flags, a symbol, a function.
    Name,
    /// An error number: `-24 (EMFILE)`.
    Errno,
    /// A duration in the unit that suits it; a time stamp by the minute.
    Time,
    /// The file of a source location.
    File,
    /// The line of a source location.
    Line,
}

/// Every `as=` by name, in the order in which the author's guide lists them.
pub const FORMATS: &[(&str, ValueFormat)] = &[
    ("hex", ValueFormat::Hex),
    ("dec", ValueFormat::Dec),
    ("mib", ValueFormat::Mib),
    ("bytes", ValueFormat::Bytes),
    ("symbol", ValueFormat::Symbol),
    ("name", ValueFormat::Name),
    ("errno", ValueFormat::Errno),
    ("time", ValueFormat::Time),
    ("file", ValueFormat::File),
    ("line", ValueFormat::Line),
];

/// On which side of a value the padding goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Padding behind it.
    Left,
    /// Padding before it.
    Right,
    /// Padding on both sides.
    Center,
}

/// Every `align=` by name.
pub const SIDES: &[(&str, Align)] = &[
    ("left", Align::Left),
    ("right", Align::Right),
    ("center", Align::Center),
];

/// The style in which a placeholder asks for its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// `as`.
    pub format: Option<ValueFormat>,
    /// `width`, in characters.
    pub width: Option<usize>,
    /// `align`.
    pub align: Option<Align>,
}

/// The options that [`Style::read`] knows.
pub const STYLE_OPTIONS: &[&str] = &["as", "width", "align"];

/// The widest padding, in characters.
const MAX_WIDTH: usize = 200;

fn parse_one_of<T: Copy>(option: &Attribute, known: &[(&str, T)]) -> Result<T, SyntaxError> {
    let given = option.value.text.as_str();
    known
        .iter()
        .find(|(name, _)| *name == given)
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            SyntaxError::new(
                option.value.span.clone(),
                format!("`{}` cannot be \"{given}\"", option.name.text),
                Some(format!("it can be {}", names.join(", "))),
            )
        })
}

impl Style {
    /// Read the style from a placeholder's options.
    pub fn read(words: &Words) -> Result<Style, SyntaxError> {
        let format = words
            .option("as")
            .map(|o| parse_one_of(o, FORMATS))
            .transpose()?;
        let align = words
            .option("align")
            .map(|o| parse_one_of(o, SIDES))
            .transpose()?;
        let width = match words.option("width") {
            None => None,
            Some(option) => Some(
                option
                    .value
                    .text
                    .parse()
                    .ok()
                    .filter(|width| (1..=MAX_WIDTH).contains(width))
                    .ok_or_else(|| {
                        SyntaxError::new(
                            option.value.span.clone(),
                            format!("a width is a number from 1 to {MAX_WIDTH}"),
                            None,
                        )
                    })?,
            ),
        };
        if let (Some(_), None, Some(option)) = (align, width, words.option("align")) {
            return Err(SyntaxError::new(
                option.name.span.clone(),
                "`align` without a `width` has nothing to align in",
                Some("add width=\"…\"".to_owned()),
            ));
        }
        Ok(Style {
            format,
            width,
            align,
        })
    }

    /// True if the value keeps its natural width.
    pub fn is_unpadded(&self) -> bool {
        self.width.is_none()
    }

    /// Pad `text` to the asked width, counted in characters.
    pub fn pad(&self, text: &str) -> String {
        let width = self.width.unwrap_or(0);
        match self.align {
            None | Some(Align::Left) => format!("{text:<width$}"),
            Some(Align::Right) => format!("{text:>width$}"),
            Some(Align::Center) => format!("{text:^width$}"),
        }
    }
}
