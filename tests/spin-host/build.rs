//! Points the bindings at the WIT of the Spin SDK, wherever cargo keeps that crate.
//!
//! The interfaces are the SDK's, of the version in Cargo.lock, so the host and the component always use the
//! same ones, and no copy of them is kept in this repository.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The packages of the SDK's WIT that the host implements itself.
const WIT_PACKAGES: [&str; 4] =
    ["spin-key-value@3.0.0", "spin-redis@3.0.0", "spin-variables@3.0.0", "wasi-keyvalue-2024-10-17"];

fn main() -> Result<(), String> {
    let here = required("CARGO_MANIFEST_DIR")?;
    println!("cargo::rerun-if-changed={here}/../../Cargo.lock");
    let wit = sdk_folder(&here)?.join("wit/deps");
    let paths: Vec<String> =
        WIT_PACKAGES.iter().map(|package| format!("{:?}", wit.join(package).display().to_string())).collect();
    let bindings = format!(
        r#"wasmtime::component::bindgen!({{
    path: [{}],
    inline: "
        package tollgate:spin-host;
        world host {{
            import spin:key-value/key-value@3.0.0;
            import spin:redis/redis@3.0.0;
            import spin:variables/variables@3.0.0;
            import wasi:keyvalue/store@0.2.0-draft2;
            import wasi:keyvalue/atomics@0.2.0-draft2;
        }}
    ",
    imports: {{ default: trappable | tracing }},
    with: {{
        "spin:key-value/key-value.store": crate::stores::Handle,
        "spin:redis/redis.connection": crate::redis::Connection,
        "wasi:keyvalue/store.bucket": crate::stores::Handle,
        "wasi:keyvalue/atomics.cas": crate::stores::Swap,
    }},
}});
"#,
        paths.join(", ")
    );
    let out = Path::new(&required("OUT_DIR")?).join("bindings.rs");
    fs::write(&out, bindings).map_err(|error| format!("{}: {error}", out.display()))
}

/// Asks cargo for the location of this workspace's SDK.
fn sdk_folder(here: &str) -> Result<PathBuf, String> {
    let output = Command::new(required("CARGO")?)
        .args(["metadata", "--format-version=1", "--locked"])
        // Only the component's dependencies are queried, so nothing of other platforms is fetched.
        .args(["--filter-platform", "wasm32-wasip2"])
        .arg("--manifest-path")
        .arg(Path::new(here).join("../../adapters/spin/Cargo.toml"))
        .output()
        .map_err(|error| format!("cargo metadata did not start: {error}"))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo metadata failed: {reason}"));
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata did not print JSON: {error}"))?;
    let manifest = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "spin-sdk")
        .and_then(|package| package["manifest_path"].as_str())
        .ok_or("adapters/spin does not depend on spin-sdk, whose WIT this host implements")?;
    Path::new(manifest).parent().map(Path::to_path_buf).ok_or_else(|| format!("{manifest} has no folder"))
}

fn required(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
