//! Makes benches/RESULTS.md, and the plots that it shows, of what the sections found.
//!
//! `bench-report [FOLDER]`, by default benches. Reads FOLDER/results/*.json (a section each, see lab/results.py) and, where
//! there is one, FOLDER/notes/NAME.md, which says what the figures mean and what limits them; writes FOLDER/RESULTS.md and
//! FOLDER/results/*.svg. FOLDER/notes/order names the sections in their order; FOLDER/notes/earlier.md comes at the end.

mod found;
mod plot;
mod text;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use crate::found::Section;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "benches".to_owned()));
    let sections = read_sections(&folder)?;
    for drawing in sections.iter().flat_map(|(section, _)| &section.plots) {
        plot::draw(drawing, &folder.join("results").join(format!("{}.svg", drawing.name)))?;
    }
    let earlier = fs::read_to_string(folder.join("notes/earlier.md")).unwrap_or_default();
    fs::write(folder.join("RESULTS.md"), text::page(&sections, &earlier))?;
    Ok(())
}

/// What is there of the sections that the order names, each with its note.
fn read_sections(folder: &Path) -> Result<Vec<(Section, String)>, Box<dyn Error>> {
    let mut sections = Vec::new();
    for name in fs::read_to_string(folder.join("notes/order"))?.split_whitespace() {
        let path = folder.join("results").join(format!("{name}.json"));
        if !path.exists() {
            continue;
        }
        let section =
            serde_json::from_slice(&fs::read(&path)?).map_err(|error| format!("{}: {error}", path.display()))?;
        let note = fs::read_to_string(folder.join("notes").join(format!("{name}.md"))).unwrap_or_default();
        sections.push((section, note));
    }
    Ok(sections)
}
