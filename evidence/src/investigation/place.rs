//! Addresses that a probe can be put at, instead of at a function.

use std::str::FromStr;

use crate::document::value::Address;

/// An address in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeAddress {
    /// The static address of a symbol: `static:__sys_socket`.
    Static(String),
    /// The address of a symbol in the running kernel: `live:__sys_socket`.
    Live(String),
    /// A number: `0xffffffff81000000`.
    Number(Address),
}

/// A text that is not a [`ProbeAddress`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeAddressError {
    /// `static:` or `live:`, and something behind it that no symbol is called.
    #[error("`{0}` is not a symbol's name")]
    Symbol(String),
    /// None of the forms of a place.
    #[error(
        "`{0}` is not an address: write `static:SYMBOL`, `live:SYMBOL`, or 0x and 16 lower-case hex digits"
    )]
    Address(String),
}

impl FromStr for ProbeAddress {
    type Err = ProbeAddressError;

    fn from_str(text: &str) -> Result<Self, ProbeAddressError> {
        let symbol = |name: &str| {
            let first = name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
            let rest = name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'));
            if first && rest {
                Ok(name.to_owned())
            } else {
                Err(ProbeAddressError::Symbol(name.into()))
            }
        };
        match text.split_once(':') {
            Some(("static", name)) => symbol(name).map(ProbeAddress::Static),
            Some(("live", name)) => symbol(name).map(ProbeAddress::Live),
            _ => match Address::parse(text) {
                Some(address) => Ok(ProbeAddress::Number(address)),
                None => Err(ProbeAddressError::Address(text.into())),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check the three forms, and that everything else is refused with what is wrong.
    #[test]
    fn forms() {
        assert_eq!(
            "static:_text".parse(),
            Ok(ProbeAddress::Static("_text".into()))
        );
        assert_eq!(
            "live:a.isra.0".parse(),
            Ok(ProbeAddress::Live("a.isra.0".into()))
        );
        let number = ProbeAddress::Number(Address(0xffff_ffff_8100_0000));
        assert_eq!("0xffffffff81000000".parse(), Ok(number));
        for bad in [
            "",
            "static:",
            "static:1a",
            "static:a b",
            "linked:_text",
            "_text",
            "0xffff",
            "static:a+0x10",
        ] {
            assert!(bad.parse::<ProbeAddress>().is_err(), "{bad}");
        }
    }
}
