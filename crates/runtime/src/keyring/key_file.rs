//! The key file: keys that seal the keys of tenants, kept apart from the data directory.
//!
//! One key a line: a name, a space, 64 hexadecimal digits. Empty lines and lines that begin with `#` say nothing. The last
//! key is the newest; the others are there for what is still sealed with them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::{fmt, fs};

use super::{KeyError, Secret};

/// More keys than anybody rotates in years are a wrong file.
const MAX_KEYS: usize = 64;

/// At least one key.
#[derive(Clone)]
pub struct KeyFile {
    keys: Vec<(String, Secret)>,
}

impl KeyFile {
    /// Reads a file that nobody but its owner may read.
    ///
    /// # Errors
    /// [`KeyError::File`], with the line and never its content.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let wrong = |problem: String| KeyError::File(format!("{}: {problem}", path.display()));
        let mode = fs::metadata(path).map_err(|error| wrong(error.to_string()))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(wrong(format!("others may read it (mode {:o}); make it 600", mode & 0o777)));
        }
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        Self::parse(&text).map_err(wrong)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut keys: Vec<(String, Secret)> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = number + 1;
            let (name, digits) = line.split_once(' ').ok_or(format!("line {place} is not a name and a key"))?;
            let bytes =
                bytes_of(digits.trim()).ok_or(format!("the key in line {place} is not 64 hexadecimal digits"))?;
            if keys.iter().any(|(known, _)| known == name) {
                return Err(format!("line {place} names {name} again"));
            }
            keys.push((name.to_owned(), Secret::new(bytes)));
        }
        match keys.len() {
            0 => Err("has no key".to_owned()),
            1..=MAX_KEYS => Ok(Self { keys }),
            many => Err(format!("has {many} keys, at most {MAX_KEYS} are read")),
        }
    }

    pub(super) fn key(&self, name: &str) -> Option<&Secret> {
        self.keys.iter().find(|(known, _)| known == name).map(|(_, key)| key)
    }

    pub(super) fn newest(&self) -> (&str, &Secret) {
        let (name, key) = self.keys.last().expect("a file without a key is refused");
        (name, key)
    }
}

fn bytes_of(digits: &str) -> Option<[u8; 32]> {
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(name, _)| name)).finish()
    }
}
