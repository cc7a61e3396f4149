//! Files and row groups that cannot hold what a search needs, left out before anything is planned.

use std::collections::HashMap;
use std::sync::Arc;

use lake::Snapshot;

use crate::QueryError;
use crate::query::{Inner, blocking};

/// Of files that may hold a match in some row groups only, by name: which.
pub(crate) type Groups = HashMap<String, Vec<bool>>;

/// Takes the files that hold no match out of the snapshot. Of every set of hashes a match has one.
pub(crate) async fn narrow(
    inner: &Arc<Inner>,
    mut snapshot: Snapshot,
    needs: Vec<Vec<u64>>,
) -> Result<(Snapshot, Groups), QueryError> {
    if needs.is_empty() || snapshot.files.is_empty() {
        return Ok((snapshot, Groups::new()));
    }
    let inner = Arc::clone(inner);
    blocking(move || {
        let mut groups = Groups::new();
        snapshot.files.retain(|file| {
            let values = inner.footers.values(file);
            let Some(values) = values.as_ref() else { return true };
            let may_hold = values.groups_with(&needs);
            let holds = may_hold.contains(&true);
            if holds && may_hold.contains(&false) {
                groups.insert(file.name.clone(), may_hold);
            }
            holds
        });
        Ok((snapshot, groups))
    })
    .await
}
