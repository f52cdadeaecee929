//! Splits a WebAssembly module into its sections, and assembles them again.

use std::ops::Range;

use anyhow::{Context, Result};
use wasmparser::{Parser, Payload};

pub struct Section {
    id: u8,
    /// The name of a custom section.
    pub name: Option<String>,
    /// The range of the section's content.
    pub content: Range<usize>,
}

pub fn sections(module: &[u8]) -> Result<Vec<Section>> {
    let mut sections = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.context("the module cannot be read")?;
        if let Some((id, content)) = payload.as_section() {
            let name = match &payload {
                Payload::CustomSection(custom) => Some(custom.name().to_owned()),
                _ => None,
            };
            sections.push(Section { id, name, content: within(&content) });
        }
    }
    Ok(sections)
}

/// The header of every module: magic number and version.
pub fn start() -> Vec<u8> {
    b"\0asm\x01\0\0\0".to_vec()
}

impl Section {
    /// Appends this section, with the given content, to a module.
    pub fn write(&self, module: &mut Vec<u8>, content: &[u8]) {
        module.push(self.id);
        write_number(module, content.len());
        module.extend_from_slice(content);
    }
}

/// Writes a number as LEB128, seven bits per byte.
pub fn write_number(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Converts a range of the parser to indexes.
pub fn within(range: &Range<u64>) -> Range<usize> {
    range.start as usize..range.end as usize
}

#[cfg(test)]
mod tests {
    use super::{sections, start, write_number};

    #[test]
    fn what_is_taken_apart_goes_together_again() {
        let mut module = start();
        module.extend_from_slice(&[0, 6, 4, b'n', b'a', b'm', b'e', 7, 1, 4, 1, 0x60, 0, 0]);
        let mut again = start();
        let parts = sections(&module).expect("a module");
        for section in &parts {
            section.write(&mut again, &module[section.content.clone()]);
        }
        assert_eq!(parts[0].name.as_deref(), Some("name"));
        assert_eq!(again, module);
    }

    #[test]
    fn long_numbers_take_more_bytes() {
        let mut bytes = Vec::new();
        write_number(&mut bytes, 127);
        write_number(&mut bytes, 300);
        assert_eq!(bytes, [127, 0xac, 0x02]);
    }
}
