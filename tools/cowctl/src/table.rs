//! Tables: aligned for people, separated by tabs for scripts.

use cow_api::size::ByteSize;
use cow_api::time::Time;

use crate::output::{Tone, one_line};

/// A value in a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Nothing,
    Text(String),
    /// Bytes; exactly, or in units for people.
    Bytes(u64),
    Number(u64),
    Moment(Time),
    Ratio(f64),
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub fn of<T>(value: Option<T>, cell: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Nothing, cell)
    }

    /// As printed: `exact` for scripts, which get bytes, and seconds since 1970.
    pub fn show(&self, exact: bool) -> String {
        match self {
            Self::Nothing => "-".to_owned(),
            Self::Text(text) => one_line(text),
            Self::Bytes(bytes) if exact => bytes.to_string(),
            Self::Bytes(bytes) => ByteSize(*bytes).to_string(),
            Self::Number(number) => number.to_string(),
            Self::Moment(time) if exact => time.seconds.to_string(),
            Self::Moment(time) => Time { nanoseconds: 0, ..*time }.to_string(),
            Self::Ratio(ratio) if exact => format!("{ratio:.4}"),
            Self::Ratio(ratio) => format!("{ratio:.2}x"),
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Self::Bytes(_) | Self::Number(_) | Self::Ratio(_))
    }

    /// Which comes first when sorted; nothing before anything.
    pub fn order(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Bytes(left) | Self::Number(left), Self::Bytes(right) | Self::Number(right)) => left.cmp(right),
            (Self::Moment(left), Self::Moment(right)) => left.cmp(right),
            (Self::Ratio(left), Self::Ratio(right)) => left.total_cmp(right),
            // Some properties are sizes written as text.
            (Self::Text(left), Self::Text(right)) => match (left.parse::<ByteSize>(), right.parse()) {
                (Ok(left), Ok(right)) => left.cmp(&right),
                _ => left.cmp(right),
            },
            _ => (*self != Self::Nothing).cmp(&(*other != Self::Nothing)),
        }
    }
}

/// How a table is printed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// Without a heading, and with tabs between.
    pub for_scripts: bool,
    /// Bytes and seconds instead of units and dates.
    pub exact: bool,
}

/// Rows under headings.
pub struct Table {
    pub headings: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// The table's lines. `paint` colours the heading.
    pub fn lines(&self, style: Style, paint: impl Fn(Tone, &str) -> String) -> Vec<String> {
        let shown: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(|cell| cell.show(style.exact)).collect()).collect();
        if style.for_scripts {
            return shown.iter().map(|row| row.join("\t")).collect();
        }
        let headings: Vec<String> = self.headings.iter().map(|heading| heading.to_uppercase()).collect();
        let width_of = |column: usize| {
            let widest = shown.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            widest.max(headings[column].chars().count())
        };
        let widths: Vec<usize> = (0..headings.len()).map(width_of).collect();
        let right: Vec<bool> =
            (0..headings.len()).map(|column| self.rows.iter().any(|row| row[column].is_number())).collect();
        let line = |row: &[String]| {
            let pad = |(column, text): (usize, &String)| {
                let width = widths[column];
                if right[column] { format!("{text:>width$}") } else { format!("{text:width$}") }
            };
            row.iter().enumerate().map(pad).collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let heading = paint(Tone::Heading, &line(&headings));
        std::iter::once(heading).chain(shown.iter().map(|row| line(row))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned_for_people_and_exact_for_scripts() {
        let time = "2026-03-01T09:30:00.5Z".parse().unwrap();
        let table = Table {
            headings: ["name", "size", "created"].map(str::to_owned).to_vec(),
            rows: vec![
                vec![Cell::text("é"), Cell::Bytes(1536), Cell::Moment(time)],
                vec![Cell::text("long\nname"), Cell::Bytes(3), Cell::Nothing],
            ],
        };
        let plain = |_: Tone, text: &str| text.to_owned();
        assert_eq!(
            table.lines(Style::default(), plain),
            ["NAME          SIZE  CREATED", "é          1.5 KiB  2026-03-01T09:30:00Z", "long name      3 B  -"]
        );
        let scripts = Style { for_scripts: true, exact: true };
        assert_eq!(table.lines(scripts, plain), ["é\t1536\t1772357400", "long name\t3\t-"]);
        let mut cells = [Cell::Bytes(2), Cell::Nothing, Cell::Bytes(1)];
        cells.sort_by(Cell::order);
        assert_eq!(cells, [Cell::Nothing, Cell::Bytes(1), Cell::Bytes(2)]);
    }
}
