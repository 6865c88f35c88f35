//! A seal at the end of what is stored: a CRC-32 over it.
//!
//! SQLite does not check what it reads, and a damaged digit is still JSON: without the seal it would be taken for good.

/// A seal: this, and eight hexadecimal digits.
const SEAL: u8 = b'#';
const SEAL_BYTES: usize = 9;

/// The bytes with their seal.
pub(crate) fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let seal = crc32fast::hash(&bytes);
    bytes.push(SEAL);
    bytes.extend(format!("{seal:08x}").bytes());
    bytes
}

/// The bytes without their seal, when it is whole.
///
/// # Errors
/// What is wrong.
pub(crate) fn unsealed(bytes: &[u8]) -> Result<&[u8], String> {
    match bytes.split_last_chunk::<SEAL_BYTES>() {
        Some((content, [SEAL, seal @ ..]))
            if *seal == *format!("{:08x}", crc32fast::hash(content)).as_bytes() =>
        {
            Ok(content)
        }
        _ => Err(format!("{} bytes are damaged: their seal does not fit", bytes.len())),
    }
}
