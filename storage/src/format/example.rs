//! The hex examples in `FORMAT.md`, for the tests that decode them and encode them back.
//!
//! A line of an example is an offset in hex, two spaces, and the bytes there; what no line covers is zeros.

/// The first example below the heading `heading`, `len` bytes long.
pub(crate) fn documented(heading: &str, len: usize) -> Vec<u8> {
    let document = include_str!("../../FORMAT.md");
    let (_, section) = document.split_once(&format!("## {heading}\n")).expect("FORMAT.md has the heading");
    let (_, example) = section.split_once("```hex\n").expect("the section has an example");
    let (example, _) = example.split_once("```").expect("the example ends");
    let mut bytes = vec![0; len];
    for line in example.lines() {
        let (offset, rest) = line.split_once("  ").expect("a line is an offset and bytes");
        let offset = usize::from_str_radix(offset, 16).expect("an offset in hex");
        for (index, byte) in rest.split_whitespace().enumerate() {
            bytes[offset + index] = u8::from_str_radix(byte, 16).expect("a byte in hex");
        }
    }
    bytes
}

/// Writes `bytes` as an example, leaving out lines of zeros.
pub(crate) fn render(bytes: &[u8]) -> String {
    let lines = bytes.chunks(16).enumerate().filter(|(_, line)| line.iter().any(|byte| *byte != 0));
    let hex = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    lines.map(|(index, line)| format!("{:04x}  {}\n", index * 16, hex(line))).collect()
}

#[test]
fn rendering_and_reading_agree() {
    let rendered = render(&documented("Superblock slot", 4096));
    assert!(include_str!("../../FORMAT.md").contains(&format!("```hex\n{rendered}```")));
}
