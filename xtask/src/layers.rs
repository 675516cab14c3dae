//! Checks the layers: which crate may depend on which, what only an adapter may do, and the floors inside crates.
//!
//! The table below is the "may depend on" column of docs/ARCHITECTURE.md. Dev-dependencies are allowed, because a
//! test may use anything; build-dependencies count, because the code they generate is shipped.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::floors::{self, Order, SourceFile};
use crate::place::Place;
use crate::{run, source};

/// One row: a package, the Tollgate packages it may use, and the platforms it may use.
struct Layer {
    package: &'static str,
    may_use: &'static [&'static str],
    platforms: &'static [&'static str],
}

/// Every package that is shipped. Tests, benchmarks and tasks may use anything and have no row.
const LAYERS: [Layer; 13] = [
    Layer { package: "tollgate-derive", may_use: &[], platforms: &[] },
    Layer { package: "tollgate-core", may_use: &["tollgate-derive"], platforms: &[] },
    Layer { package: "tollgate-signatures", may_use: &["tollgate-core"], platforms: &[] },
    Layer { package: "tollgate-kv-schemas", may_use: &["tollgate-core"], platforms: &[] },
    Layer { package: "tollgate-edge", may_use: &["tollgate-core", "tollgate-kv-schemas"], platforms: &[] },
    Layer { package: "tollgate-config", may_use: &["tollgate-core", "tollgate-kv-schemas"], platforms: &[] },
    Layer {
        package: "tollgate-analysis",
        may_use: &["tollgate-core", "tollgate-kv-schemas", "tollgate-config"],
        platforms: &[],
    },
    Layer {
        package: "tollgate-native",
        may_use: &["tollgate-core", "tollgate-signatures", "tollgate-kv-schemas", "tollgate-edge", "tollgate-redis"],
        platforms: &["native"],
    },
    Layer {
        package: "tollgate-cloudflare",
        may_use: &["tollgate-core", "tollgate-kv-schemas", "tollgate-edge"],
        platforms: &["cloudflare"],
    },
    Layer {
        package: "tollgate-redis",
        may_use: &["tollgate-core", "tollgate-kv-schemas", "tollgate-edge"],
        platforms: &[],
    },
    Layer { package: "tollgate-counter", may_use: &["tollgate-core"], platforms: &["cloudflare"] },
    Layer {
        package: "tollgate-spin",
        may_use: &["tollgate-core", "tollgate-signatures", "tollgate-kv-schemas", "tollgate-edge", "tollgate-redis"],
        platforms: &["spin"],
    },
    Layer {
        package: "tollgate",
        may_use: &[
            "tollgate-core",
            "tollgate-kv-schemas",
            "tollgate-edge",
            "tollgate-config",
            "tollgate-analysis",
            "tollgate-native",
            "tollgate-signatures",
        ],
        platforms: &["native"],
    },
];

/// Crates that belong to one platform. A package without that platform must not depend on them, not even indirectly.
const PLATFORM_CRATES: [(&str, &str); 17] = [
    ("worker", "cloudflare"),
    ("worker-sys", "cloudflare"),
    ("wasm-bindgen", "cloudflare"),
    ("wasm-bindgen-futures", "cloudflare"),
    ("js-sys", "cloudflare"),
    ("web-sys", "cloudflare"),
    ("spin-sdk", "spin"),
    ("wasip2", "spin"),
    ("wasip3", "spin"),
    ("tokio", "native"),
    ("mio", "native"),
    ("hyper", "native"),
    ("hyper-util", "native"),
    ("rustls", "native"),
    ("rusqlite", "native"),
    ("socket2", "native"),
    ("getrandom", "any adapter"),
];

/// The packages whose whole dependency tree must be free of platform crates.
const PURE: [&str; 6] =
    ["tollgate-core", "tollgate-kv-schemas", "tollgate-edge", "tollgate-config", "tollgate-analysis", "tollgate-redis"];

/// A crate whose units (folders and files next to `lib.rs`) must not use each other in circles.
struct Floors {
    folder: &'static str,
    /// The order of its floors, if one is stated; the lowest first.
    order: Option<Order>,
    /// Pairs of units that may use each other, with the reason.
    pairs: &'static [(&'static str, &'static str, &'static str)],
}

const FLOORS: [Floors; 5] = [
    Floors {
        folder: "core/src",
        order: None,
        pairs: &[
            ("kinds", "limit", "what a policy may use says whose requests are counted, and limits are kinds"),
            ("event", "guard", "a reason holds the network that decided, and a refusal its reason"),
            ("event", "limit", "a reason holds the fault of a counter, which becomes a problem with that reason"),
            ("event", "problem", "a problem holds its reason, and an event the problem it ended with"),
        ],
    },
    Floors {
        folder: "edge/src",
        order: None,
        pairs: &[(
            "pipeline",
            "policies",
            "a slot's phase asks its policies, which read the request as it was received",
        )],
    },
    Floors {
        folder: "adapters/native/src",
        order: None,
        pairs: &[
            ("content", "upstream", "an answer's content holds the connection that it streams from"),
            ("admin", "server", "the server listens for the admin port, which reports the server's state"),
        ],
    },
    Floors {
        folder: "config/src",
        order: Some(&[
            &["place"],
            &["diagnostic"],
            &["source"],
            &["zones"],
            &["expression", "openapi", "schema"],
            &["decode"],
            &["policies"],
            &["model"],
            &["values"],
            &["lower"],
            &["compile"],
            &["fixtures", "fmt", "origins", "policy_tests", "prices"],
        ]),
        pairs: &[],
    },
    Floors {
        folder: "config/analysis/src",
        order: Some(&[&["leased"], &["bounds", "diff", "proofs"], &["compile"]]),
        pairs: &[],
    },
];

/// The paths that `core/clippy.toml` must ban.
const BANNED_IN_CORE: [&str; 7] = [
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "std::thread::spawn",
    "std::thread::sleep",
    "std::env::var",
    "std::env::var_os",
    "std::env::vars",
];

/// Words that only an adapter's code may contain.
const ADAPTER_WORDS: [&str; 2] = ["unsafe", "target_arch"];

/// Checks all rules and reports every violation, not only the first.
pub(crate) fn check(place: &Place) -> Result<(), String> {
    println!("==> layers");
    let mut breaches = Vec::new();
    let direct = direct_dependencies(place)?;
    breaches.extend(forbidden_edges(&direct));
    for package in PURE {
        breaches.extend(platforms_reached(package, &tree(place, package)?));
    }
    let clippy = fs::read_to_string(place.root.join("core/clippy.toml"))
        .map_err(|error| format!("core/clippy.toml: {error}"))?;
    breaches.extend(missing_bans(&clippy));
    for file in rust_files(&place.root)? {
        let text =
            fs::read_to_string(place.root.join(&file)).map_err(|error| format!("{}: {error}", file.display()))?;
        breaches.extend(adapter_words(&file, &text));
    }
    for floors in &FLOORS {
        breaches.extend(off_their_floors(place, floors)?);
    }
    for breach in &breaches {
        eprintln!("layers: {breach}");
    }
    if breaches.is_empty() {
        println!("    layers: {} packages keep to their layers, {} crates to their floors", LAYERS.len(), FLOORS.len());
        return Ok(());
    }
    Err(format!("{} violations of the layers", breaches.len()))
}

/// Package -> the names of its normal and build dependencies, as the manifests declare them.
type Dependencies = BTreeMap<String, Vec<String>>;

fn direct_dependencies(place: &Place) -> Result<Dependencies, String> {
    let mut metadata = run::cargo(place);
    metadata.args(["metadata", "--locked", "--no-deps", "--format-version", "1"]);
    let said = run::answer(&mut metadata).ok_or("cargo metadata failed")?;
    let metadata: serde_json::Value =
        serde_json::from_str(&said).map_err(|error| format!("cargo metadata: {error}"))?;
    Ok(declared(&metadata))
}

fn declared(metadata: &serde_json::Value) -> Dependencies {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages
        .map(|package| {
            let dependencies = package["dependencies"].as_array().into_iter().flatten();
            let names = dependencies
                .filter(|dependency| dependency["kind"] != "dev")
                .filter_map(|dependency| dependency["name"].as_str())
                .map(str::to_owned)
                .collect();
            (text(&package["name"]), names)
        })
        .collect()
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Dependencies that the manifests declare and the table does not allow.
fn forbidden_edges(direct: &Dependencies) -> Vec<String> {
    let mut breaches = Vec::new();
    for layer in &LAYERS {
        let Some(dependencies) = direct.get(layer.package) else {
            breaches.push(format!("the workspace has no package {}", layer.package));
            continue;
        };
        for name in dependencies {
            let ours = direct.contains_key(name);
            if ours && !layer.may_use.contains(&name.as_str()) {
                breaches.push(format!("{} must not depend on {name}", layer.package));
            }
            if let Some(platform) = platform_of(name)
                && !allowed(layer, platform)
            {
                breaches.push(format!("{} must not depend on {name}, which belongs to {platform}", layer.package));
            }
        }
    }
    breaches
}

fn platform_of(name: &str) -> Option<&'static str> {
    PLATFORM_CRATES.iter().find(|(package, _)| *package == name).map(|(_, platform)| *platform)
}

fn allowed(layer: &Layer, platform: &str) -> bool {
    layer.platforms.contains(&platform) || (platform == "any adapter" && !layer.platforms.is_empty())
}

/// The names of all packages that `package` is built from, on any target.
fn tree(place: &Place, package: &str) -> Result<Vec<String>, String> {
    let mut tree = run::cargo(place);
    tree.args(["tree", "--locked", "--package", package, "--target", "all"])
        .args(["--edges", "normal,build", "--prefix", "none"])
        .args(["--format", "{p}"]);
    let said = run::answer(&mut tree).ok_or_else(|| format!("cargo tree of {package} failed"))?;
    Ok(said.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

fn platforms_reached(package: &str, tree: &[String]) -> Vec<String> {
    let mut breaches: Vec<String> = tree
        .iter()
        .filter_map(|name| {
            let platform = platform_of(name)?;
            Some(format!("{package} reaches {name}, which belongs to {platform}"))
        })
        .collect();
    breaches.dedup();
    breaches
}

fn missing_bans(clippy: &str) -> Vec<String> {
    BANNED_IN_CORE
        .iter()
        .filter(|path| !clippy.contains(&format!("\"{path}\"")))
        .map(|path| format!("core/clippy.toml does not ban {path}"))
        .collect()
}

/// Uses between a crate's units that violate their order or form circles.
fn off_their_floors(place: &Place, floors: &Floors) -> Result<Vec<String>, String> {
    let Floors { folder, order, pairs } = floors;
    let root = place.root.join(folder);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(root.join(&path)).map_err(|error| format!("{folder}: {error}"))?;
        Ok(SourceFile { path: path.to_string_lossy().replace('\\', "/"), text })
    };
    let files = rust_files(&root)?.into_iter().map(read).collect::<Result<Vec<_>, String>>()?;
    let (units, mut arrows) = floors::arrows(&files);
    arrows.retain(|arrow| !pairs.iter().any(|(a, b, _)| arrow.is_between(a, b)));
    let breaches = match order {
        Some(order) => floors::against(order, &units, &arrows),
        None => floors::circles(&arrows),
    };
    Ok(breaches.into_iter().map(|breach| format!("{folder}: {breach}")).collect())
}

/// Every Rust file of the clone, relative to it, without build output and dependencies.
fn rust_files(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let complain = |error| format!("{}: {error}", folder.display());
        for entry in fs::read_dir(root.join(&folder)).map_err(complain)? {
            let entry = entry.map_err(complain)?;
            let name = entry.file_name();
            let path = folder.join(&name);
            let kind = entry.file_type().map_err(complain)?;
            if kind.is_dir() && !skipped(&name.to_string_lossy()) {
                folders.push(path);
            } else if path.extension().is_some_and(|suffix| suffix == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn skipped(folder: &str) -> bool {
    folder.starts_with('.') || ["target", "node_modules", "build"].contains(&folder)
}

fn adapter_words(file: &Path, text: &str) -> Vec<String> {
    // The module of a Worker for benchmarks exports names, as an adapter's does.
    if ["adapters", "bench/edits", "bench/spin-floor"].iter().any(|folder| file.starts_with(folder)) {
        return Vec::new();
    }
    ADAPTER_WORDS
        .iter()
        .filter(|word| source::says(text, word))
        .map(|word| format!("{} contains `{word}`, which only adapters may use", file.display()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace in which every layer depends on exactly what it may.
    fn sound() -> Dependencies {
        LAYERS
            .iter()
            .map(|layer| {
                let may_use = layer.may_use.iter().map(|name| (*name).to_owned());
                (layer.package.to_owned(), may_use.collect())
            })
            .collect()
    }

    #[track_caller]
    fn breach(package: &str, dependency: &str) {
        let mut direct = sound();
        direct.get_mut(package).expect("a layer").push(dependency.to_owned());
        let breaches = forbidden_edges(&direct);
        assert_eq!(breaches.len(), 1, "{breaches:?}");
        assert!(breaches[0].contains(package) && breaches[0].contains(dependency));
    }

    #[test]
    fn a_workspace_that_keeps_the_table_has_no_breach() {
        assert_eq!(forbidden_edges(&sound()), Vec::<String>::new());
    }

    #[test]
    fn every_wall_is_guarded() {
        breach("tollgate-core", "tollgate-kv-schemas");
        breach("tollgate-core", "tokio");
        breach("tollgate-edge", "tollgate-config");
        breach("tollgate-edge", "worker");
        breach("tollgate-config", "tollgate-edge");
        breach("tollgate-config", "tollgate-analysis");
        breach("tollgate-native", "tollgate-spin");
        breach("tollgate-native", "spin-sdk");
        breach("tollgate-cloudflare", "tollgate-native");
        breach("tollgate-spin", "tokio");
        breach("tollgate", "tollgate-cloudflare");
    }

    #[test]
    fn a_missing_layer_is_a_breach() {
        let mut direct = sound();
        direct.remove("tollgate-edge");
        assert_eq!(forbidden_edges(&direct).len(), 1);
    }

    #[test]
    fn dev_dependencies_are_free_and_build_dependencies_are_not() {
        let metadata = serde_json::json!({"packages": [{"name": "tollgate-core", "dependencies": [
            {"name": "http", "kind": null},
            {"name": "wasm-bindgen-test", "kind": "dev"},
            {"name": "cc", "kind": "build"},
        ]}]});
        assert_eq!(declared(&metadata)["tollgate-core"], ["http", "cc"]);
    }

    #[test]
    fn a_platform_is_found_behind_another_crate() {
        let tree = ["tollgate-edge", "http", "tokio"].map(str::to_owned);
        assert_eq!(platforms_reached("tollgate-edge", &tree).len(), 1);
        assert!(platforms_reached("tollgate-edge", &tree[..2]).is_empty());
    }

    #[test]
    fn a_ban_that_is_lifted_is_noticed() {
        let all: String = BANNED_IN_CORE.iter().map(|path| format!("{{ path = \"{path}\" }}\n")).collect();
        assert!(missing_bans(&all).is_empty());
        let lifted = all.replace("\"std::env::var\"", "\"std::env::home_dir\"");
        assert_eq!(missing_bans(&lifted), ["core/clippy.toml does not ban std::env::var"]);
    }

    #[test]
    fn only_adapters_may_be_unsafe() {
        let code = "fn f() { unsafe { g() } }\n#[cfg(target_arch = \"wasm32\")] fn h() {}";
        assert_eq!(adapter_words(Path::new("core/src/lib.rs"), code).len(), 2);
        assert!(adapter_words(Path::new("adapters/spin/src/lib.rs"), code).is_empty());
    }
}
