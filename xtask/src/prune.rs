//! Code that is in the module and cannot run. Every type of view brings a table of its functions, so the linker keeps all
//! of them; one is for pages that come to life piece by piece (`leptos::mount::hydrate_lazy`), and ours do so at once.
//! Emptied here, it leaves with all that only it calls: six percent of what a browser would load.

use std::path::Path;

use anyhow::{Result, anyhow, ensure};
use walrus::{
    Module, ModuleConfig,
    ir::{Instr, Unreachable},
};

/// Parts of the names of functions that no page calls. To call one would end the page with an `unreachable`, which the
/// browser tests take for a defect.
const DEAD: [&str; 1] = ["as tachys::view::any_view::IntoAny>::into_any::hydrate_async"];

/// Writes `input` without the bodies of the dead functions to `output`.
pub fn prune(input: &Path, output: &Path) -> Result<()> {
    let parse = || ModuleConfig::new().strict_validate(false).parse_file(input);
    let mut module = parse().map_err(|error| anyhow!("cannot read {}: {error}", input.display()))?;
    for dead in DEAD {
        ensure!(empty(&mut module, dead) > 0, "no function is named {dead} any more: see prune.rs");
    }
    module.emit_wasm_file(output).map_err(|error| anyhow!("cannot write {}: {error}", output.display()))
}

fn empty(module: &mut Module, dead: &str) -> usize {
    let is_dead = |name: &str| format!("{:#}", rustc_demangle::demangle(name)).contains(dead);
    let named = module
        .funcs
        .iter_local()
        .filter(|(id, _)| module.funcs.get(*id).name.as_deref().is_some_and(is_dead));
    let ids: Vec<_> = named.map(|(id, _)| id).collect();
    for &id in &ids {
        let function = module.funcs.get_mut(id).kind.unwrap_local_mut();
        let entry = function.entry_block();
        let body = &mut function.block_mut(entry).instrs;
        body.clear();
        body.push((Instr::Unreachable(Unreachable {}), Default::default()));
    }
    ids.len()
}
