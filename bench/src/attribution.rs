//! What the code of the Worker's module belongs to: bytes of functions by crate, and by module for Tollgate's own crates.
//!
//! `cargo xtask sizes` prints it, and fails if the Worker is larger than the sum of the shares of the features that it has.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::families::{Family, IDENTITY, SIGNATURES};
use crate::module::Module;
use crate::side::{Side, artifact_folder};
use crate::sizes;

/// The shares of features in the Worker's module, in KiB compressed, and whether the feature has landed. All of them together
/// are the most that the Worker may ever have.
const SHARES: [(&str, u64, bool); 7] = [
    ("gateway", 390, true),
    ("identity", 80, true),
    ("quotas", 20, true),
    ("upstreams", 25, false),
    ("cache", 15, false),
    ("telemetry", 15, false),
    ("contracts", 55, false),
];

/// What identity takes above its share, in KiB: the operator's calls for keys and the futures of its policies have to become smaller.
/// What lands of identity adds to it until they are. Plans, subscriptions and grants that operators write are part of it, too: their records
/// and calls are more than is left of the share of quotas.
const OWED_KIB: u64 = 72;

/// The most that all that is deployed to Cloudflare may have, in KiB compressed: both modules and the JavaScript.
const DEPLOYED_KIB_MAX: u64 = 600;

/// By how much the same code differs from folder to folder, in which the linker finds its functions in another order.
const ORDER_KIB: u64 = 4;

/// Prints what the module's code belongs to, and checks the size of what is deployed. Of the component, which must have names, it
/// prints what families of signatures add.
pub(crate) fn check(of_component: bool) -> Result<(), String> {
    let module = artifact_folder("target/wasm32-unknown-unknown/wasm").join("tollgate_cloudflare.wasm");
    let module = read(&module)?;
    print!("{}", Parts::of(&module).table());
    let shares_kib: u64 = SHARES.iter().filter(|(_, _, landed)| *landed).map(|(_, kib, _)| kib).sum();
    let allowed_kib = shares_kib + OWED_KIB;
    let (used, deployed) = sizes::of_worker(&Side::own())?;
    #[expect(clippy::cast_precision_loss, reason = "sizes of some megabytes")]
    let compressed = used as f64 / module.whole.max(1) as f64;
    print_families("only reached by, in the Worker", &module, IDENTITY, compressed);
    if of_component {
        // It is not deployed compressed: its code is reckoned as that of the Worker.
        print_families("in software, in the component", &read(&Side::own().component)?, SIGNATURES, compressed);
    }
    println!(
        "\nThe Worker's module as deployed: {} KiB gzip of {shares_kib} KiB, and {OWED_KIB} that are owed.",
        used / 1024
    );
    println!("All that is deployed: {} KiB gzip of {DEPLOYED_KIB_MAX} KiB.", deployed / 1024);
    if deployed > (DEPLOYED_KIB_MAX + ORDER_KIB) * 1024 {
        return Err(format!("what is deployed to Cloudflare is larger than {DEPLOYED_KIB_MAX} KiB: make it smaller"));
    }
    if used <= allowed_kib * 1024 {
        return Ok(());
    }
    let landed: Vec<&str> = SHARES.iter().filter(|(_, _, landed)| *landed).map(|(name, _, _)| *name).collect();
    Err(format!(
        "the Worker's module is larger than the shares of {}: make it smaller, or say in bench/src/attribution.rs which feature landed",
        landed.join(", ")
    ))
}

fn read(file: &Path) -> Result<Module, String> {
    let bytes = fs::read(file).map_err(|error| format!("{}: {error}; build it first", file.display()))?;
    Module::read(&bytes).map_err(|error| format!("{}: {error}", file.display()))
}

fn print_families(what: &str, module: &Module, families: &[Family], compressed: f64) {
    print!("\n{what:<36}    KiB   gzip, about\n{}", module.graph.table(families, compressed));
}

/// Bytes of code by crate and module, and of data.
#[derive(Debug, Default)]
struct Parts {
    code: BTreeMap<(String, String), u64>,
    data: u64,
    whole: u64,
}

impl Parts {
    fn of(module: &Module) -> Self {
        let mut parts = Self { data: module.data, whole: module.whole, ..Self::default() };
        for function in &module.graph.functions {
            *parts.code.entry(part(&function.path)).or_default() += function.bytes;
        }
        parts
    }

    /// The crates, the largest first, and the modules of Tollgate's own.
    fn table(&self) -> String {
        let mut crates: BTreeMap<&str, u64> = BTreeMap::new();
        for ((krate, _), bytes) in &self.code {
            *crates.entry(krate).or_default() += bytes;
        }
        let code: u64 = crates.values().sum();
        let mut out = String::from("part of the module                      KiB   share\n");
        let mut line = |name: &str, bytes: u64| {
            #[expect(clippy::cast_precision_loss, reason = "sizes of some megabytes")]
            let (kib, share) = (bytes as f64 / 1024.0, bytes as f64 * 100.0 / self.whole.max(1) as f64);
            out.push_str(&format!("{name:<36} {kib:>6.1} {share:>6.1} %\n"));
        };
        for (krate, bytes) in by_size(crates.into_iter().map(|(krate, bytes)| (krate.to_owned(), bytes))) {
            line(&krate, bytes);
            let own = self.code.iter().filter(|((of, module), _)| *of == krate && !module.is_empty());
            for (module, bytes) in by_size(own.map(|((_, module), bytes)| (module.clone(), *bytes))) {
                line(&format!("  {module}"), bytes);
            }
        }
        line("data", self.data);
        line("types, imports, tables", self.whole.saturating_sub(code + self.data));
        out
    }
}

fn by_size(parts: impl Iterator<Item = (String, u64)>) -> Vec<(String, u64)> {
    let mut parts: Vec<_> = parts.collect();
    parts.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    parts
}

/// The crate of a path, and its module if the crate is Tollgate's.
fn part(path: &str) -> (String, String) {
    let mut segments = path.split("::");
    let krate = segments.next().filter(|krate| !krate.is_empty() && !krate.starts_with("__wbindgen"));
    let krate = krate.unwrap_or("(no path)");
    let is_module = |segment: &&str| segment.starts_with(|c: char| c.is_ascii_lowercase());
    let module = segments.next().filter(|_| krate.starts_with("tollgate_")).filter(is_module).unwrap_or_default();
    (krate.to_owned(), module.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_belongs_to_the_crate_that_needs_it() {
        for (path, krate, module) in [
            ("tollgate_edge::pipeline::limit::charge", "tollgate_edge", "pipeline"),
            ("tollgate_core::cell::Charge", "tollgate_core", "cell"),
            ("tollgate_core::Problem", "tollgate_core", ""),
            ("alloc::vec::Vec", "alloc", ""),
            ("", "(no path)", ""),
        ] {
            assert_eq!(part(path), (krate.to_owned(), module.to_owned()), "{path}");
        }
    }

    #[test]
    fn a_module_without_functions_is_all_other() {
        let parts = Parts::of(&Module::read(b"\0asm\x01\0\0\0").unwrap());
        assert!(parts.code.is_empty() && parts.data == 0);
        assert!(parts.table().contains("types, imports, tables                  0.0  100.0 %"), "{}", parts.table());
    }
}
