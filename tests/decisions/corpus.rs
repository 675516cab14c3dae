//! The corpus: one project, its keys, requests in order, and the hashes that are expected of them. Data, in tests/vectors.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tollgate_config::fixtures;
use tollgate_core::authn::ApiKey;

/// The name of the gateway that the corpus configures.
pub(crate) const GATEWAY: &str = "decisions";

/// The host that it answers on.
pub(crate) const DOMAIN: &str = "decisions.test";

/// Names that stand for keys in the files; the key is made of the place.
const KEYS: [&str; 5] = ["KEY_HOLDS", "KEY_REVOKED", "KEY_EXPIRED", "KEY_NOT_YET", "KEY_UNKNOWN"];

pub(crate) type Records = Vec<(String, Vec<u8>)>;

/// One request of the corpus.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    pub(crate) name: String,
    #[serde(default = "get")]
    pub(crate) method: String,
    pub(crate) target: String,
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) content: String,
    /// Whether its response is stored, which may take until after its log line.
    #[serde(default)]
    pub(crate) stores: bool,
}

fn get() -> String {
    "GET".to_owned()
}

/// The corpus as read from its files.
pub(crate) struct Corpus {
    folder: PathBuf,
    pub(crate) requests: Vec<Asked>,
    /// The hash expected of each request, by its name.
    pub(crate) expected: BTreeMap<String, String>,
}

impl Corpus {
    pub(crate) fn read(root: &Path) -> Result<Self, Box<dyn Error>> {
        let folder = root.join("tests/vectors/decisions");
        let requests = serde_json::from_str(&with_keys(&fs::read_to_string(folder.join("requests.json"))?))?;
        let expected = fs::read_to_string(folder.join("expected.txt")).unwrap_or_default();
        let pairs = expected.lines().filter_map(|line| line.split_once("  "));
        let expected = pairs.map(|(hash, name)| (name.to_owned(), hash.to_owned())).collect();
        Ok(Self { folder, requests, expected })
    }

    /// What a host's store holds for it, its upstream being at this address.
    pub(crate) fn records(&self, upstream: &str) -> Result<Records, Box<dyn Error>> {
        let yaml = fs::read_to_string(self.folder.join("tollgate.yaml"))?.replace("UPSTREAM", upstream);
        let compiled = tollgate_analysis::compile_str("tollgate.yaml", &yaml).map_err(|found| found.to_string())?;
        let text = with_keys(&fs::read_to_string(self.folder.join("fixtures.yaml"))?);
        let keys = fixtures::load_str("fixtures.yaml", &text).map_err(|found| found.to_string())?;
        Ok(compiled.records().iter().cloned().chain(keys.records(GATEWAY)).collect())
    }

    /// Writes what was found as what is expected from now on.
    pub(crate) fn bless(&self, found: &BTreeMap<String, String>) -> Result<(), Box<dyn Error>> {
        let mut text = String::new();
        for Asked { name, .. } in &self.requests {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{}  {name}", found.get(name).map_or("-", String::as_str));
        }
        Ok(fs::write(self.folder.join("expected.txt"), text)?)
    }
}

fn with_keys(text: &str) -> String {
    KEYS.iter().zip(1u8..).fold(text.to_owned(), |text, (name, number)| {
        let key = ApiKey::generate("dev", &[number; 32]);
        text.replace(name, key.as_ref().map_or("", ApiKey::expose))
    })
}
