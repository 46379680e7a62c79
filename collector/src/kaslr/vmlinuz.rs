//! The kernel inside a bootable image: the source of its types, and of a static base and a build id if there is no debug info.
//!
//! The image's ELF file is stripped, but states its link address and its build id. Against the live `_text` that gives the
//! slide without any debug package.

use std::io::Read;

use lzma_rust2::{LzmaReader, XzReader};
use thiserror::Error;

use super::report::ImageBase;
use crate::arch::Arch;
use crate::symbols::elf::{self, ElfError};

/// An unusable image.
#[derive(Debug, Error)]
pub enum VmlinuzError {
    /// Not a bzImage of boot protocol 2.08 or later.
    #[error("failed to read the kernel image: {0}")]
    NotABzImage(&'static str),
    /// A plain image for arm64, which has no ELF header.
    #[error(
        "an image for arm64 does not state the address it is linked for; give a vmlinux or a System.map of the same build"
    )]
    NoLinkAddress,
    /// Compressed in a way that is not read here.
    #[error(
        "failed to unpack the kernel image: it is compressed as {0}, which is not supported; give a vmlinux or a System.map"
    )]
    Unsupported(String),
    /// The payload is damaged.
    #[error("failed to unpack the kernel image: {0}")]
    Damaged(String),
    /// The unpacked file is not a kernel.
    #[error("failed to read the kernel unpacked from the image: {0}")]
    Elf(#[from] ElfError),
    /// The kernel in it has no segment in the upper half of the address space.
    #[error("the kernel unpacked from the image is not linked for the kernel's addresses")]
    NoBase,
    /// The kernel in it has no BTF.
    #[error("the kernel unpacked from the image has no types (CONFIG_DEBUG_INFO_BTF)")]
    NoTypes,
}

/// A stock kernel unpacks to 60 MiB; this bounds a damaged or hostile image.
const MAX_BYTES: usize = 512 << 20;
/// Memory that unpacking xz or lzma may take; a kernel's dictionary has at most 128 MiB.
const MAX_MEMORY_KIB: u32 = 256 << 10;
/// Size of a block of the LZ4 legacy format, unpacked.
const LZ4_BLOCK: usize = 8 << 20;

/// Unpack a bzImage and read its kernel's build id and static base. 0.1 to 0.3 s for a stock kernel; ten times that
/// for xz and lzma.
pub fn read_image_base(image: &[u8]) -> Result<ImageBase, VmlinuzError> {
    if Arch::of_image(image) == Some(Arch::Aarch64) {
        return Err(VmlinuzError::NoLinkAddress);
    }
    let kernel = unpack(find_payload(image)?)?;
    Ok(ImageBase {
        build_id: elf::build_id(&kernel[..])?,
        base: elf::image_base(&kernel)?.ok_or(VmlinuzError::NoBase)?,
    })
}

/// Read the types (BTF) of the kernel in an image, without those of modules.
///
/// # Errors
/// When it cannot be unpacked, or the kernel in it has none.
pub fn types(image: &[u8]) -> Result<Vec<u8>, VmlinuzError> {
    if Arch::of_image(image) == Some(Arch::Aarch64) {
        let types = find_types(image);
        return types.map(<[u8]>::to_vec).ok_or(VmlinuzError::NoTypes);
    }
    let kernel = unpack(find_payload(image)?)?;
    let types = elf::section(&kernel, ".BTF")?;
    types.map(<[u8]>::to_vec).ok_or(VmlinuzError::NoTypes)
}

/// Bytes of BTF's header: <https://docs.kernel.org/bpf/btf.html#btf-type-and-string-encoding>.
const BTF_HEADER: usize = 24;

/// The types in a plain image, which has no table of sections: the longest stretch that its own header describes as types followed
/// by strings.
fn find_types(image: &[u8]) -> Option<&[u8]> {
    // Magic, version, flags, length of the header.
    const START: [u8; 8] = [0x9f, 0xeb, 1, 0, BTF_HEADER as u8, 0, 0, 0];
    let candidates = memchr::memmem::find_iter(image, &START).filter_map(|at| {
        let header = image.get(at..at + BTF_HEADER)?;
        let word = |index: usize| {
            let bytes = header.get(index..index + 4)?.try_into().ok()?;
            usize::try_from(u32::from_le_bytes(bytes)).ok()
        };
        let (types, length) = (word(8)?, word(12)?);
        let (strings, size) = (word(16)?, word(20)?);
        let follows = types == 0 && strings == length && length > 0;
        let end = at.checked_add(BTF_HEADER + strings)?.checked_add(size)?;
        image.get(at..end).filter(|_| follows)
    });
    candidates.max_by_key(|found| found.len())
}

/// The compressed kernel in a bzImage, by the boot protocol's header:
/// <https://elixir.bootlin.com/linux/v6.1/source/Documentation/x86/boot.rst>.
fn find_payload(image: &[u8]) -> Result<&[u8], VmlinuzError> {
    let word =
        |at: usize| Some(u32::from_le_bytes(image.get(at..at + 4)?.try_into().ok()?) as usize);
    let cut = VmlinuzError::NotABzImage("it is shorter than its header says");
    if image.get(0x202..0x206) != Some(b"HdrS") {
        return Err(VmlinuzError::NotABzImage("it has no x86 boot header"));
    }
    if image
        .get(0x206..0x208)
        .is_none_or(|version| u16::from_le_bytes([version[0], version[1]]) < 0x208)
    {
        return Err(VmlinuzError::NotABzImage(
            "its boot protocol is older than 2.08 and does not say where the kernel is",
        ));
    }
    // 0 stands for 4, for old boot loaders.
    let setup_sectors = match image[0x1f1] {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let (Some(offset), Some(length)) = (word(0x248), word(0x24c)) else {
        return Err(cut);
    };
    let start = (setup_sectors + 1) * 512 + offset;
    image.get(start..start.saturating_add(length)).ok_or(cut)
}

/// Unpack a kernel or a module, whichever way it was packed.
///
/// # Errors
/// When it was packed in a way that is not read here, or is damaged.
pub fn unpack(payload: &[u8]) -> Result<Vec<u8>, VmlinuzError> {
    match payload {
        [0x02, 0x21, 0x4c, 0x18, blocks @ ..] => unpack_lz4(blocks),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(payload);
            read_limited(decoder.map_err(|error| VmlinuzError::Damaged(error.to_string()))?)
        }
        [0x1f, 0x8b, ..] => read_limited(flate2::read::GzDecoder::new(payload)),
        [0x7f, b'E', b'L', b'F', ..] => Ok(payload.to_vec()),
        // The kernel's own format of xz: with a filter for x86 code before it. Its length follows and is not read.
        [0xfd, b'7', b'z', b'X', b'Z', ..] => {
            read_limited(XzReader::new_mem_limit(payload, false, MAX_MEMORY_KIB))
        }
        [0x5d, 0, 0, ..] => {
            let decoder = LzmaReader::new_mem_limit(payload, MAX_MEMORY_KIB, None);
            read_limited(decoder.map_err(|error| VmlinuzError::Damaged(error.to_string()))?)
        }
        [b'B', b'Z', b'h', ..] => Err(VmlinuzError::Unsupported("bzip2".into())),
        [0x89, b'L', b'Z', b'O', ..] => Err(VmlinuzError::Unsupported("lzo".into())),
        _ => Err(VmlinuzError::Unsupported(format!(
            "an unknown format that begins with {:02x?}",
            &payload[..payload.len().min(4)]
        ))),
    }
}

fn read_limited(source: impl Read) -> Result<Vec<u8>, VmlinuzError> {
    let mut kernel = Vec::new();
    source
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut kernel)
        .map_err(|error| VmlinuzError::Damaged(error.to_string()))?;
    if kernel.len() > MAX_BYTES {
        Err(too_large_error())
    } else {
        Ok(kernel)
    }
}

fn too_large_error() -> VmlinuzError {
    VmlinuzError::Damaged(format!("it unpacks to more than {MAX_BYTES} bytes"))
}

/// Blocks of the legacy format, each preceded by its length; the build appends the total unpacked length.
fn unpack_lz4(mut blocks: &[u8]) -> Result<Vec<u8>, VmlinuzError> {
    let damaged = |what: &str| VmlinuzError::Damaged(what.to_owned());
    let total = blocks
        .split_last_chunk::<4>()
        .map(|(_, last)| u32::from_le_bytes(*last) as usize);
    let total = total.ok_or_else(|| damaged("its LZ4 data is cut off"))?;
    if total > MAX_BYTES {
        return Err(too_large_error());
    }
    let mut kernel = Vec::new();
    let mut block = vec![0; LZ4_BLOCK.min(total)];
    while kernel.len() < total {
        let (length, rest) = blocks
            .split_first_chunk::<4>()
            .ok_or_else(|| damaged("its LZ4 data is cut off"))?;
        let packed = rest
            .get(..u32::from_le_bytes(*length) as usize)
            .ok_or_else(|| damaged("its LZ4 data is cut off"))?;
        let size = lz4_flex::block::decompress_into(packed, &mut block)
            .map_err(|error| VmlinuzError::Damaged(error.to_string()))?;
        if size == 0 {
            return Err(damaged("an LZ4 block unpacks to nothing"));
        }
        kernel.extend_from_slice(&block[..size]);
        blocks = &rest[packed.len()..];
    }
    Ok(kernel)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn bzimage(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 1024];
        image[0x1f1] = 1;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x206..0x208].copy_from_slice(&[0x0f, 0x02]);
        image[0x24c..0x250].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        image.extend(payload);
        image
    }

    fn lz4_payload(kernel: &[u8]) -> Vec<u8> {
        let block = lz4_flex::block::compress(kernel);
        let mut payload = vec![0x02, 0x21, 0x4c, 0x18];
        payload.extend((block.len() as u32).to_le_bytes());
        payload.extend(block);
        payload.extend((kernel.len() as u32).to_le_bytes());
        payload
    }

    /// xz as a kernel's build makes it (scripts/xz_wrap.sh): CRC32, a filter for x86 code, followed by the length.
    fn xz_payload(kernel: &[u8]) -> Vec<u8> {
        let mut options = lzma_rust2::XzOptions::with_preset(1);
        options.set_check_sum_type(lzma_rust2::CheckType::Crc32);
        options.prepend_pre_filter(lzma_rust2::filter::FilterType::BcjX86, 0);
        let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
        writer.write_all(kernel).unwrap();
        let mut payload = writer.finish().unwrap();
        payload.extend((kernel.len() as u32).to_le_bytes());
        payload
    }

    fn lzma_payload(kernel: &[u8]) -> Vec<u8> {
        let options = lzma_rust2::LzmaOptions::with_preset(1);
        let mut writer =
            lzma_rust2::LzmaWriter::new_use_header(Vec::new(), &options, None).unwrap();
        writer.write_all(kernel).unwrap();
        let mut payload = writer.finish().unwrap();
        payload.extend((kernel.len() as u32).to_le_bytes());
        payload
    }

    /// Check that build id and base are read through each way of packing that can be made here.
    #[test]
    fn packed() {
        let kernel = elf::tests::vmlinux(&[0xab; 20]);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&kernel).unwrap();
        let zstd = ruzstd::encoding::compress_to_vec(
            kernel.as_slice(),
            ruzstd::encoding::CompressionLevel::Fastest,
        );
        for payload in [
            kernel.clone(),
            gzip.finish().unwrap(),
            zstd,
            lz4_payload(&kernel),
            xz_payload(&kernel),
            lzma_payload(&kernel),
        ] {
            let found = read_image_base(&bzimage(&payload)).unwrap();
            assert_eq!(
                (found.build_id.to_string(), found.base),
                ("ab".repeat(20), 0xffff_ffff_8100_0000)
            );
        }
    }

    /// Check that a file that is not an image, is cut off, or is packed otherwise is refused with its reason.
    #[test]
    fn refused() {
        let good = bzimage(&lz4_payload(&elf::tests::vmlinux(&[1; 20])));
        assert!(matches!(
            read_image_base(b"no image"),
            Err(VmlinuzError::NotABzImage(_))
        ));
        assert!(matches!(
            read_image_base(&good[..good.len() - 9]),
            Err(VmlinuzError::NotABzImage(_))
        ));
        let bzip2 = read_image_base(&bzimage(b"BZh91AY"))
            .err()
            .unwrap()
            .to_string();
        assert!(bzip2.contains("bzip2, which is not supported"), "{bzip2}");
        let whole = xz_payload(&elf::tests::vmlinux(&[1; 20]));
        for damaged in [
            &b"\x1f\x8b\x08 damaged"[..],
            b"\xfd7zXZ\0\0\0",
            &whole[..whole.len() / 2],
            b"\x5d\0\0\x80\0 damaged",
        ] {
            let error = read_image_base(&bzimage(damaged)).err();
            assert!(matches!(error, Some(VmlinuzError::Damaged(_))), "{error:?}");
        }
    }

    proptest! {
        /// Check that no damage to an image makes the reader panic or take memory without bound.
        #[test]
        fn never_panics(at in 0x1f0_usize..1300, byte in any::<u8>(), noise in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut image = bzimage(&lz4_payload(&elf::tests::vmlinux(&[1; 20])));
            let at = at % image.len();
            image[at] = byte;
            let _ = read_image_base(&image);
            for magic in [&b"\x02\x21\x4c\x18"[..], b"\x28\xb5\x2f\xfd", b"\x1f\x8b", b"\x7fELF", b"\xfd7zXZ\0", b"\x5d\0\0"] {
                let _ = read_image_base(&bzimage(&[magic, &noise].concat()));
            }
        }
    }

    /// Check that types are read out of a packed kernel, and that one without them, and one without sections, say so.
    #[test]
    fn types_of_an_image() {
        let with = |name: &str| {
            let kernel = elf::tests::with_section(name, b"the types");
            bzimage(&lz4_payload(&kernel))
        };
        assert_eq!(types(&with(".BTF")).unwrap(), b"the types");
        let without = bzimage(&lz4_payload(&elf::tests::vmlinux(&[1; 20])));
        for image in [with(".BTF_ids"), without] {
            assert!(matches!(types(&image), Err(VmlinuzError::NoTypes)));
        }
        assert!(matches!(
            types(b"no image"),
            Err(VmlinuzError::NotABzImage(_))
        ));
    }

    /// Check a real image, given by `QED_TEST_VMLINUZ`, and print what it costs.
    #[test]
    #[ignore = "needs a kernel image in QED_TEST_VMLINUZ"]
    fn real_image() {
        let image =
            std::fs::read(std::env::var_os("QED_TEST_VMLINUZ").expect("QED_TEST_VMLINUZ")).unwrap();
        let start = std::time::Instant::now();
        let found = read_image_base(&image).unwrap();
        println!(
            "build id {} base {:#x} in {:?}",
            found.build_id,
            found.base,
            start.elapsed()
        );
        assert_eq!(found.base, 0xffff_ffff_8100_0000);
    }
}
