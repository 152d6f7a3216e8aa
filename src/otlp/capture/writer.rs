//! Writes records.

use crate::base::Nanos;
use std::io::{self, Write};

/// Appends one record; the parts are one request.
///
/// # Errors
/// The writer's, or `InvalidInput` for a request of 4 GiB and more.
pub fn write_record(
    out: &mut impl Write,
    arrived: Nanos,
    parts: &[impl AsRef<[u8]>],
) -> io::Result<()> {
    let len: usize = parts.iter().map(|part| part.as_ref().len()).sum();
    let len = u32::try_from(len).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "a record holds less than 4 GiB",
        )
    })?;
    let mut header = [0; 12];
    let (time, length) = header.split_at_mut(8);
    time.copy_from_slice(&arrived.0.to_le_bytes());
    length.copy_from_slice(&len.to_le_bytes());
    out.write_all(&header)?;
    parts
        .iter()
        .try_for_each(|part| out.write_all(part.as_ref()))
}
