//! Diff: paths that differ, in the time that their number takes.

use cow_api::v1::{Diff, Difference, DifferenceKind};
use cow_storage::pool;

use crate::service::problem::problem;
use crate::service::{Answer, Service};

impl Service {
    /// Paths that differ between two snapshots or heads, at most `limit` of them.
    pub fn diff(&self, older: &str, newer: &str, limit: usize) -> Answer<Diff> {
        let mut differences = Vec::new();
        let mut truncated = false;
        let mut found = |difference: pool::Difference| {
            truncated = differences.len() >= limit;
            if !truncated {
                differences.push(shown(&difference));
            }
            !truncated
        };
        self.pool().diff(older, newer, &mut found).map_err(problem)?;
        Ok(Diff { older: older.to_owned(), newer: newer.to_owned(), differences, truncated })
    }
}

fn shown(difference: &pool::Difference) -> Difference {
    Difference {
        kind: match difference.kind {
            pool::DifferenceKind::Added => DifferenceKind::Added,
            pool::DifferenceKind::Removed => DifferenceKind::Removed,
            pool::DifferenceKind::Modified => DifferenceKind::Modified,
            pool::DifferenceKind::Renamed => DifferenceKind::Renamed,
        },
        path: shown_path(&difference.path),
        from: difference.from.as_deref().map(shown_path),
        changed_bytes: difference.changed_bytes,
    }
}

/// A path as text: bytes that are not UTF-8 as `\xNN`, a backslash doubled.
fn shown_path(path: &[u8]) -> String {
    let mut shown = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        shown += &chunk.valid().replace('\\', "\\\\");
        chunk.invalid().iter().for_each(|byte| shown += &format!("\\x{byte:02x}"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_any_bytes_are_told_apart() {
        let cases: [(&[u8], &str); 4] = [
            (b"/a b", "/a b"),
            ("/\u{e9}".as_bytes(), "/\u{e9}"),
            (b"/\xe9\xff/x", "/\\xe9\\xff/x"),
            (b"/\\xe9", "/\\\\xe9"),
        ];
        for (path, shown) in cases {
            assert_eq!(shown_path(path), shown);
        }
    }
}
