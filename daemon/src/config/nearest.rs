//! Which known name somebody may have meant.

/// The known name nearest to `name`, if it is near enough to be a slip.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().map(|known| (distance(name, known), known));
    let (distance, found) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= found.len().max(3) / 3).then_some(found)
}

/// Letters to insert, delete, replace, or swap with their neighbour to come from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before_last[j - 1] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_near_and_other_words_are_not() {
        for (a, b, expected) in
            [("", "abc", 3), ("socket", "socket", 0), ("sokcet", "socket", 1), ("scket", "sockets", 2)]
        {
            assert_eq!((distance(a, b), distance(b, a)), (expected, expected), "{a} {b}");
        }
        let known = ["path", "socket", "commit_interval"];
        assert_eq!(nearest("pth", known), Some("path"));
        assert_eq!(nearest("comit_intervall", known), Some("commit_interval"));
        assert_eq!(nearest("quota", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
