//! The file that keeps the stores: every change, one behind the other. A process that is killed loses none that was written.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

/// A file of changes, open for the next one.
#[derive(Debug)]
pub(crate) struct Journal(File);

/// A store, a key, and the value that it has from then on.
pub(crate) type Change = (String, String, Option<Vec<u8>>);

impl Journal {
    /// Opens or creates a file, with the changes in it. One that was cut short is removed.
    pub(crate) fn open(file: &Path) -> io::Result<(Self, Vec<Change>)> {
        let mut open = OpenOptions::new().read(true).append(true).create(true).open(file)?;
        let mut bytes = Vec::new();
        open.read_to_end(&mut bytes)?;
        let (mut changes, mut left) = (Vec::new(), &bytes[..]);
        let mut whole = left;
        while let Some(change) = change(&mut left) {
            changes.push(change);
            whole = left;
        }
        open.set_len((bytes.len() - whole.len()) as u64)?;
        Ok((Self(open), changes))
    }

    /// Adds a change.
    pub(crate) fn write(&mut self, label: &str, key: &str, value: Option<&[u8]>) -> io::Result<()> {
        let mut bytes = Vec::new();
        for part in [label.as_bytes(), key.as_bytes(), value.unwrap_or_default()] {
            bytes.extend(u32::try_from(part.len()).map_err(io::Error::other)?.to_le_bytes());
            bytes.extend(part);
        }
        bytes.push(value.is_some().into());
        self.0.write_all(&bytes)
    }
}

/// Takes a change from the beginning of the bytes. `None` if there is no whole one.
fn change(bytes: &mut &[u8]) -> Option<Change> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (label, key, value) = (text(part(bytes)?), text(part(bytes)?), part(bytes)?.to_vec());
    let (is_some, left) = bytes.split_first()?;
    *bytes = left;
    Some((label, key, (*is_some == 1).then_some(value)))
}

fn part<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, left) = bytes.split_first_chunk()?;
    let (part, left) = left.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *bytes = left;
    Some(part)
}
