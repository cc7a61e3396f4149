//! Attributes that get a column of their own in merged files.
//!
//! The stored schema has no column for an attribute that no convention names; it is one entry of the residual list. A
//! merge looks at some of its rows, and gives every (key, type) that is in at least [`PROMOTE_SHARE`] of them a column
//! of the file that it writes. The rest of the house sees the stored schema: whoever reads such a file puts the entries
//! back ([`Promoted::restore`]), or asks the column ([`Promoted::columns_of`]).
//!
//! | column of a file | type | holds |
//! |---|---|---|
//! | `attr:s:KEY`, `attr:j:KEY`, `attr:x:KEY` | labels | text after the tag of the entry, see [`model::attribute`] |
//! | `attr:i:KEY` | 64-bit integer | the number |
//! | `attr:d:KEY` | 64-bit float | the number |
//! | `attr:b:KEY` | boolean | the truth |
//! | `attr_order` | labels | null where the entries are those of the columns, in their order, then those of the list; else where each came from |
//! | `attrs_rest` | list | every other entry |
//!
//! Only the first entry of a key in a row goes to a column, and only when the column gives back exactly its text. The
//! key-value metadata [`REST_KEYS`] lists the keys that some row still has in the list, so that a search for any other
//! key leaves the list unread.
//!
//! What was chosen is remembered per tenant and signal, so that the next file has the same columns: at most
//! [`MAX_COLUMNS`]. When they are used up, a key takes the place of one that fell under [`FORGET_SHARE`], or waits. A
//! client that makes up keys gets no more columns than that, and none for keys that few rows have.

mod columns;
mod memory;
mod sample;
mod split;

pub use columns::{Promoted, texts_of};

pub(crate) use memory::{Chosen, Remembered, choose};
pub(crate) use sample::Sample;
pub(crate) use split::Splitter;

use arrow::datatypes::DataType;
use model::signal::label_type;

/// Columns that one tenant's files of one signal may have beside those of the stored schema.
pub(crate) const MAX_COLUMNS: usize = 192;
/// Share of the rows from which a key gets a column.
pub(crate) const PROMOTE_SHARE: f64 = 0.01;
/// Share of the rows below which a column may be given to another key, once all are used up.
pub(crate) const FORGET_SHARE: f64 = 0.0025;
/// Longest key that gets a column.
const MAX_KEY_BYTES: usize = 128;
/// The column that says in which order the entries of a row came.
const ORDER: &str = "attr_order";
/// Key-value metadata: JSON list of the keys in the residual list, as entries write them; absent when they are too many.
const REST_KEYS: &str = "tracehound.rest_keys";
/// Keys that [`REST_KEYS`] names at most, and their bytes.
const MAX_REST_KEYS: usize = 256;
const MAX_REST_KEY_BYTES: usize = 16 << 10;
/// Begins the name of a column.
const PREFIX: &str = "attr:";
/// Types that have columns, as entries tag them.
const TAGS: &str = "sjxidb";

/// A key with the type its column has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PromotedKey {
    /// The key of the attribute.
    pub key: String,
    /// The type, as [`model::attribute::Value::tag`] writes it.
    pub tag: char,
}

impl PromotedKey {
    /// The name of its column.
    pub fn column(&self) -> String {
        format!("{PREFIX}{}:{}", self.tag, self.key)
    }

    /// The key of a column; `None` for columns of the stored schema.
    pub fn of_column(name: &str) -> Option<Self> {
        let (tag, key) = name.strip_prefix(PREFIX)?.split_once(':')?;
        let mut tags = tag.chars();
        let tag = tags.next().filter(|tag| TAGS.contains(*tag) && tags.as_str().is_empty())?;
        Some(Self { key: key.to_owned(), tag })
    }

    /// The type of its column.
    pub fn data_type(&self) -> DataType {
        match self.tag {
            'i' => DataType::Int64,
            'd' => DataType::Float64,
            'b' => DataType::Boolean,
            _ => label_type(),
        }
    }
}

/// Key, tag and text of an entry that may go to a column: one in which nothing had to be escaped.
fn parts_of(entry: &str) -> Option<(&str, char, &str)> {
    let (key, rest) = entry.split_once(model::attribute::ENTRY_SEPARATOR)?;
    let tag = rest.chars().next().filter(|tag| TAGS.contains(*tag))?;
    let is_plain = key.len() <= MAX_KEY_BYTES && !entry.contains('\u{1b}');
    is_plain.then_some((key, tag, &rest[1..]))
}

#[cfg(test)]
mod tests;
