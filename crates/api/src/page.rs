//! Lists that answer in pages.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::Problem;

/// Items per page when the request does not say.
pub(crate) const DEFAULT_LIMIT: usize = 20;
/// Most items per page.
pub(crate) const MAX_LIMIT: usize = 1_000;

/// Some items of a list, and the way to the next ones.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T: ToSchema> {
    /// The items.
    pub items: Vec<T>,
    /// Give it back as `cursor` to get the next page; null on the last.
    pub next_cursor: Option<String>,
    /// Files of stored events that are damaged or gone: the answer is without what is in them. Left out when there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_files: Vec<String>,
}

/// One page of a list that is held in memory, in ascending order of a key. The cursor is the key of the last item given
/// (base64url), so that items which come or go meanwhile neither repeat nor hide others.
pub(crate) fn slice<T: ToSchema>(
    mut items: Vec<T>,
    key: impl Fn(&T) -> String,
    limit: usize,
    cursor: Option<&str>,
) -> Result<Page<T>, Problem> {
    items.sort_by_cached_key(&key);
    if let Some(cursor) = cursor {
        let wrong = || Problem::field("cursor", "cursor is not one that this list gave out");
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
        let after = String::from_utf8(bytes).map_err(|_| wrong())?;
        items.retain(|item| key(item) > after);
    }
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| has_more).map(|last| URL_SAFE_NO_PAD.encode(key(last)));
    Ok(Page { items, next_cursor, missing_files: Vec::new() })
}
