//! The form of a guest's answer, and of the job that a waiting guest is handed: one frame in a window of memory that guest and host
//! share.
//!
//! Who sends writes the body, then the header, whose magic comes last; so a guest that dies half way leaves no frame, and the
//! checksum detects a corrupted copy. Guest and host are one program on one machine, so nobody forges a frame, and a
//! cryptographic digest would only cost time: an emulated processor computes it slowly.
//!
//! | offset | bytes | |
//! | --- | --- | --- |
//! | 0 | 8 | magic `QEDFRAME` |
//! | 8 | 4 | version, little-endian, 2 |
//! | 12 | 4 | kind: 1 payload, 2 error, 3 job, 4 refusal |
//! | 16 | 8 | length of the body in bytes, little-endian |
//! | 24 | 8 | XXH64 of the body, seed 0, little-endian |
//! | 4096 | length | body |

use twox_hash::XxHash64;

/// Size of the shared window in bytes; a power of two, as a PCI memory region must be. Its pages are
/// only allocated when written.
pub const WINDOW: usize = 64 << 20;
/// Offset of the body in bytes: one page.
pub const BODY: usize = 4096;
/// Size of the header in bytes.
pub const HEADER: usize = 32;
/// Offset of the first byte after the magic, which is written last.
pub const MAGIC_END: usize = 8;

const MAGIC: [u8; 8] = *b"QEDFRAME";
const VERSION: u32 = 2;

/// The kind of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// The job's result.
    Payload,
    /// The reason why there is no result, as UTF-8 text.
    Error,
    /// What the host hands to a guest that waits for it.
    Job,
    /// What is wrong with the investigation, as UTF-8 text.
    Refusal,
}

/// A header whose fields were all understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The kind of the body.
    pub kind: FrameKind,
    /// Length of the body in bytes.
    pub length: usize,
    checksum: u64,
}

/// A window without a usable frame.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameError {
    /// The magic is all zero: nothing was ever sealed.
    #[error("the guest sent no result")]
    Absent,
    /// Neither zero nor the magic.
    #[error("the guest's result does not start with {MAGIC:?} but with {0:?}")]
    Magic([u8; 8]),
    /// Another version of this format.
    #[error("the guest's result has format version {0}, this collector reads {VERSION}")]
    Version(u32),
    /// Unknown kind.
    #[error("the guest's result is of unknown kind {0}")]
    Kind(u32),
    /// Longer than the window holds.
    #[error("a result of {length} bytes does not fit the channel, which holds {room}")]
    Oversize {
        /// Length claimed or wanted, in bytes.
        length: u64,
        /// Length that fits, in bytes.
        room: u64,
    },
    /// Fewer bytes than the header says.
    #[error("the guest's result is truncated: {got} of {length} bytes")]
    Truncated {
        /// Bytes present.
        got: usize,
        /// Bytes announced.
        length: usize,
    },
    /// The digest differs.
    #[error("the guest's result is corrupt: its checksum differs from the one sent with it")]
    Corrupt,
}

/// Make the header for `body`, for a window of `window` bytes.
///
/// # Errors
/// [`FrameError::Oversize`] when the body does not fit.
pub fn make_header(
    kind: FrameKind,
    body: &[u8],
    window: usize,
) -> Result<[u8; HEADER], FrameError> {
    body_length(body.len() as u64, window)?;
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let kind: u32 = match kind {
        FrameKind::Payload => 1,
        FrameKind::Error => 2,
        FrameKind::Job => 3,
        FrameKind::Refusal => 4,
    };
    header[12..16].copy_from_slice(&kind.to_le_bytes());
    header[16..24].copy_from_slice(&(body.len() as u64).to_le_bytes());
    header[24..32].copy_from_slice(&checksum(body).to_le_bytes());
    Ok(header)
}

/// Understand a header found in a window of `window` bytes.
///
/// # Errors
/// Any [`FrameError`] but `Truncated` and `Corrupt`.
pub fn parse_header(header: &[u8; HEADER], window: usize) -> Result<Header, FrameError> {
    let magic: [u8; 8] = field(header, 0);
    if magic == [0; 8] {
        return Err(FrameError::Absent);
    }
    if magic != MAGIC {
        return Err(FrameError::Magic(magic));
    }
    let version = u32::from_le_bytes(field(header, 8));
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    let kind = match u32::from_le_bytes(field(header, 12)) {
        1 => FrameKind::Payload,
        2 => FrameKind::Error,
        3 => FrameKind::Job,
        4 => FrameKind::Refusal,
        other => return Err(FrameError::Kind(other)),
    };
    let length = body_length(u64::from_le_bytes(field(header, 16)), window)?;
    Ok(Header {
        kind,
        length,
        checksum: u64::from_le_bytes(field(header, 24)),
    })
}

/// Check `body` against its header.
///
/// # Errors
/// `Truncated` or `Corrupt`.
pub fn check_body(header: &Header, body: &[u8]) -> Result<(), FrameError> {
    if body.len() != header.length {
        return Err(FrameError::Truncated {
            got: body.len(),
            length: header.length,
        });
    }
    if checksum(body) != header.checksum {
        return Err(FrameError::Corrupt);
    }
    Ok(())
}

fn checksum(body: &[u8]) -> u64 {
    XxHash64::oneshot(0, body)
}

fn body_length(length: u64, window: usize) -> Result<usize, FrameError> {
    let room = window.saturating_sub(BODY);
    usize::try_from(length)
        .ok()
        .filter(|&n| n <= room)
        .ok_or(FrameError::Oversize {
            length,
            room: room as u64,
        })
}

fn field<const N: usize>(header: &[u8; HEADER], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&header[at..at + N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Check that an untouched window is told apart from a broken one.
    #[test]
    fn absent() {
        assert_eq!(parse_header(&[0; HEADER], WINDOW), Err(FrameError::Absent));
        assert!(matches!(
            parse_header(&[1; HEADER], WINDOW),
            Err(FrameError::Magic(_))
        ));
    }

    /// Check that a body which does not fit is refused on both sides.
    #[test]
    fn oversize() {
        let body = vec![7; 4097];
        assert_eq!(
            make_header(FrameKind::Payload, &body, 8192),
            Err(FrameError::Oversize {
                length: 4097,
                room: 4096
            })
        );
        let header = make_header(FrameKind::Payload, &body, 16384).unwrap();
        assert_eq!(
            parse_header(&header, 8192),
            Err(FrameError::Oversize {
                length: 4097,
                room: 4096
            })
        );
        let mut header = header;
        header[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(
            parse_header(&header, WINDOW),
            Err(FrameError::Oversize { .. })
        ));
    }

    proptest! {
        /// Check that a frame comes back as it went in, and that no single flipped byte or missing tail passes.
        #[test]
        fn round_trip(body in proptest::collection::vec(any::<u8>(), 1..300), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let header = make_header(FrameKind::Error, &body, WINDOW).unwrap();
            let opened = parse_header(&header, WINDOW).unwrap();
            prop_assert_eq!(opened.kind, FrameKind::Error);
            prop_assert_eq!(check_body(&opened, &body), Ok(()));
            let got = at.index(body.len());
            prop_assert_eq!(check_body(&opened, &body[..got]), Err(FrameError::Truncated { got, length: body.len() }));
            let mut flipped = body.clone();
            flipped[got] ^= 1 << bit;
            prop_assert_eq!(check_body(&opened, &flipped), Err(FrameError::Corrupt));
            let mut bad = header;
            let at = at.index(HEADER);
            bad[at] ^= 1 << bit;
            // A flipped bit may turn one kind into another only through the values 1 and 2.
            let passes = parse_header(&bad, WINDOW).is_ok_and(|h| h.kind == FrameKind::Error && check_body(&h, &body).is_ok());
            prop_assert!(!passes, "byte {} of the header may be anything", at);
        }
    }
}
