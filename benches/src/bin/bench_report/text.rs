//! The page of results.

use std::fmt::Write;

use crate::found::{Section, Table};

const HEAD: &str = "# What was measured

Written by `tools/bench`, which runs every section again, or one: `tools/bench NAME`. All that is compared ran in turn, in one run, on the same kind of loop
device; a figure is the median, with the least and the most where there were several. Absolute figures drift by a factor of two from
hour to hour: quote ratios.
";

/// The whole page; `earlier` is its end.
pub fn page(sections: &[(Section, String)], earlier: &str) -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## How the goals stand\n\n| section | goal | found | |\n|---|---|---|---|\n");
    for (section, _) in sections {
        for goal in &section.goals {
            let met = if goal.met { "met" } else { "short" };
            let link = anchor(&section.title);
            let _ = writeln!(page, "| [{}](#{link}) | {} | {} | {met} |", section.name, goal.goal, goal.found);
        }
    }
    for (section, note) in sections {
        write_section(&mut page, section, note);
    }
    if !earlier.is_empty() {
        let _ = write!(page, "\n{earlier}");
    }
    page
}

fn write_section(page: &mut String, section: &Section, note: &str) {
    let facts: Vec<String> = section.machine.iter().map(|(name, value)| fact(name, value)).collect();
    let _ = write!(page, "\n## {}\n\n{}\n\n", section.title, section.text);
    let _ = writeln!(page, "`{}`, {}, commit {}; {}.", section.command, section.date, section.commit, facts.join("; "));
    for table in &section.tables {
        write_table(page, table);
    }
    for plot in &section.plots {
        let _ = writeln!(page, "\n![{}](results/{}.svg)", plot.title, plot.name);
    }
    for remark in &section.remarks {
        let _ = writeln!(page, "\n{remark}");
    }
    if !note.is_empty() {
        let _ = write!(page, "\n{}", note.trim_end());
        page.push('\n');
    }
}

fn fact(name: &str, value: &serde_json::Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => format!("{name}: {value}"),
    }
}

fn write_table(page: &mut String, table: &Table) {
    let _ = write!(
        page,
        "\n{}\n\n| {} |\n|{}\n",
        table.title,
        table.columns.join(" | "),
        "---|".repeat(table.columns.len())
    );
    for row in &table.rows {
        let _ = writeln!(page, "| {} |", row.join(" | "));
    }
}

/// The name that a heading has in links.
fn anchor(title: &str) -> String {
    let kept = title.to_lowercase().replace(' ', "-");
    kept.chars().filter(|letter| letter.is_alphanumeric() || *letter == '-').collect()
}
