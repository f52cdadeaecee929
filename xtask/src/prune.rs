//! Removes code that is in the module and never runs. Every view type has a table of its functions, so the linker
//! keeps all of them. One of these functions serves pages that are hydrated piece by piece
//! (`leptos::mount::hydrate_lazy`); ours are hydrated as a whole. Emptying it removes everything that only it calls:
//! six percent of the browser's download.
//!
//! A body keeps its length, and only the relocations in it are removed, so that the positions of all other functions
//! and relocations stay valid for the later split (`split.rs`).

use std::{collections::HashSet, ops::Range};

use anyhow::{Context, Result, ensure};
use wasmparser::{BinaryReader, KnownCustom, Name, Parser, Payload, RelocSectionReader, TypeRef};

use crate::sections::{sections, start, within, write_number};

/// Parts of the names of functions that no page calls. A call would end the page with an `unreachable`, which the
/// browser tests report as a failure.
const DEAD: [&str; 1] = ["as tachys::view::any_view::IntoAny>::into_any::hydrate_async"];

const RELOCATIONS: &str = "reloc.CODE";

/// The module without the bodies of the dead functions.
pub fn prune(module: &[u8]) -> Result<Vec<u8>> {
    let read = Read::of(module)?;
    let dead = read.dead_bodies()?;
    let mut emptied = module.to_vec();
    for body in &dead {
        empty(&mut emptied[body.clone()]);
    }
    let mut pruned = start();
    for section in sections(module)? {
        if section.name.as_deref() == Some(RELOCATIONS) {
            section.write(&mut pruned, &without_relocations(module, &section.content, &dead, read.code)?);
        } else {
            section.write(&mut pruned, &emptied[section.content.clone()]);
        }
    }
    Ok(pruned)
}

#[derive(Default)]
struct Read {
    /// Start of the code section's content; relocations count from there.
    code: usize,
    bodies: Vec<Range<usize>>,
    /// The indexes in `bodies` of the dead functions, per name in `DEAD`.
    dead: [HashSet<usize>; DEAD.len()],
}

impl Read {
    fn of(module: &[u8]) -> Result<Read> {
        let mut read = Read::default();
        let mut imported = 0;
        for payload in Parser::new(0).parse_all(module) {
            match payload.context("the module cannot be read")? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        imported += usize::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::CodeSectionStart { range, .. } => read.code = within(&range).start,
                Payload::CodeSectionEntry(body) => read.bodies.push(within(&body.range())),
                Payload::CustomSection(custom) => {
                    if let KnownCustom::Name(names) = custom.as_known() {
                        read.names(names, imported)?;
                    }
                }
                _ => {}
            }
        }
        Ok(read)
    }

    fn names(&mut self, names: wasmparser::NameSectionReader, imported: usize) -> Result<()> {
        for part in names {
            let Name::Function(functions) = part? else { continue };
            for function in functions {
                let function = function?;
                let name = format!("{:#}", rustc_demangle::demangle(function.name));
                let Some(place) = (function.index as usize).checked_sub(imported) else { continue };
                for (dead, found) in DEAD.iter().zip(&mut self.dead) {
                    if name.contains(dead) {
                        found.insert(place);
                    }
                }
            }
        }
        Ok(())
    }

    fn dead_bodies(&self) -> Result<Vec<Range<usize>>> {
        for (dead, found) in DEAD.iter().zip(&self.dead) {
            ensure!(!found.is_empty(), "no function is named {dead} any more: see prune.rs");
        }
        let mut places: Vec<usize> = self.dead.iter().flatten().copied().collect();
        places.sort_unstable();
        places.dedup();
        let long_enough = |body: &Range<usize>| body.len() >= 3;
        Ok(places.into_iter().map(|place| self.bodies[place].clone()).filter(long_enough).collect())
    }
}

/// Writes: no locals, `unreachable`, `nop`s as filler, `end`.
fn empty(body: &mut [u8]) {
    body.fill(0x01);
    body[..2].fill(0x00);
    if let Some(last) = body.last_mut() {
        *last = 0x0b;
    }
}

/// The content of the relocation section, without the relocations in the `dead` bodies (in order).
fn without_relocations(
    module: &[u8],
    content: &Range<usize>,
    dead: &[Range<usize>],
    code: usize,
) -> Result<Vec<u8>> {
    let mut reader = BinaryReader::new(&module[content.clone()], 0);
    let name = reader.read_string()?;
    let entries = &module[content.start + reader.current_position()..content.end];
    let relocations = RelocSectionReader::new(BinaryReader::new(entries, 0))?;
    let is_dead = |at: usize| {
        let after = dead.partition_point(|body| body.end <= at);
        dead.get(after).is_some_and(|body| body.contains(&at))
    };
    let mut kept = Vec::new();
    let mut count = 0;
    let mut all = relocations.entries().into_iter_with_offsets().peekable();
    while let Some(entry) = all.next() {
        let (from, entry) = entry?;
        let until = match all.peek() {
            Some(Ok((next, _))) => *next,
            _ => entries.len() as u64,
        };
        if !is_dead(code + entry.offset as usize) {
            kept.extend_from_slice(&entries[within(&(from..until))]);
            count += 1;
        }
    }
    let mut section = Vec::with_capacity(kept.len() + 32);
    write_number(&mut section, name.len());
    section.extend_from_slice(name.as_bytes());
    write_number(&mut section, relocations.section_index() as usize);
    write_number(&mut section, count);
    section.append(&mut kept);
    Ok(section)
}
