//! One of cron's fields: which numbers it names.

/// A field's numbers, and whether it begins with `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// A bit for each number.
    numbers: u64,
    /// Whether it begins with `*`, which says that it restricts nothing by itself.
    pub is_star: bool,
}

/// What a field may hold.
pub struct Kind {
    /// What it is called.
    pub name: &'static str,
    /// Its lowest and highest number.
    pub range: (u32, u32),
    /// Names that stand for numbers, from the lowest on.
    pub words: &'static [&'static str],
}

impl Field {
    /// Reads a field: `*`, `a`, `a-b`, each with `/step` behind a range, and several of these with commas between.
    pub fn parse(text: &str, kind: &Kind) -> Result<Self, String> {
        let wrong = |part: &str| {
            let (low, high) = kind.range;
            format!("'{}' is no {}: write {low} to {high}, as in 3, 1-5, */15 or 1,2", part.escape_default(), kind.name)
        };
        let mut numbers = 0;
        for part in text.split(',') {
            let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
            let (first, last) = span(range, kind).ok_or_else(|| wrong(part))?;
            let step = match step {
                None => 1,
                // A step of a single number would be cron's oldest trap: it names that number alone.
                Some(_) if range != "*" && !range.contains('-') => return Err(wrong(part)),
                Some(step) => digits(step).filter(|step| *step > 0).ok_or_else(|| wrong(part))?,
            };
            numbers |= (first..=last).step_by(step as usize).fold(0, |numbers, number| numbers | 1_u64 << number);
        }
        Ok(Self { numbers, is_star: text.starts_with('*') })
    }

    /// Whether it names a number.
    pub fn has(&self, number: u32) -> bool {
        self.numbers >> number & 1 == 1
    }

    /// The same, with what `from` names taken as `to` too.
    pub fn with_alias(self, from: u32, to: u32) -> Self {
        let also = if self.has(from) { 1 << to } else { 0 };
        Self { numbers: self.numbers | also, ..self }
    }
}

fn span(range: &str, kind: &Kind) -> Option<(u32, u32)> {
    if range == "*" {
        return Some(kind.range);
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let span = (number(first, kind)?, number(last, kind)?);
    (span.0 <= span.1).then_some(span)
}

fn number(text: &str, kind: &Kind) -> Option<u32> {
    let by_word = kind.words.iter().position(|word| word.eq_ignore_ascii_case(text));
    let number = by_word.map_or_else(|| digits(text), |at| Some(kind.range.0 + at as u32))?;
    (kind.range.0..=kind.range.1).contains(&number).then_some(number)
}

fn digits(text: &str) -> Option<u32> {
    let fits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}
