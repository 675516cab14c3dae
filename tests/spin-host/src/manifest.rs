//! The part of `spin.toml` that the host supports: one component, its source, variables, stores and outbound hosts.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::outbound::AllowedHosts;

/// The one component of an application, with its templates filled in.
#[derive(Debug)]
pub(crate) struct App {
    /// The path of the built component.
    pub source: PathBuf,
    /// The component's variables, by their names in the component.
    pub variables: BTreeMap<String, String>,
    pub key_value_stores: HashSet<String>,
    pub allowed_hosts: AllowedHosts,
}

impl App {
    /// Reads the manifest; `given` are application variables that override the manifest's defaults.
    pub(crate) fn read(path: &Path, given: &BTreeMap<String, String>) -> Result<Self, String> {
        let text =
            std::fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, folder, given).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn parse(text: &str, folder: &Path, given: &BTreeMap<String, String>) -> Result<Self, String> {
        let manifest: Manifest = toml::from_str(text).map_err(|error| error.to_string())?;
        if manifest.spin_manifest_version != 2 {
            return Err("only spin_manifest_version = 2 is supported".into());
        }
        let mut components = manifest.component.into_values();
        let (Some(component), None) = (components.next(), components.next()) else {
            return Err("exactly one component is expected".into());
        };
        let values = application_values(manifest.variables, given)?;
        let variables = component
            .variables
            .iter()
            .map(|(name, template)| Ok((name.clone(), expand(template, &values)?)))
            .collect::<Result<_, String>>()?;
        let hosts = component
            .allowed_outbound_hosts
            .iter()
            .map(|template| expand(template, &values))
            .collect::<Result<Vec<_>, String>>()?;
        Ok(Self {
            source: folder.join(component.source),
            variables,
            key_value_stores: component.key_value_stores,
            allowed_hosts: AllowedHosts::parse(&hosts)?,
        })
    }
}

#[derive(Deserialize)]
struct Manifest {
    spin_manifest_version: u32,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    component: BTreeMap<String, Component>,
}

#[derive(Deserialize)]
struct Variable {
    default: Option<String>,
    #[serde(default)]
    required: bool,
}

#[derive(Deserialize)]
struct Component {
    source: String,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default)]
    key_value_stores: HashSet<String>,
    #[serde(default)]
    allowed_outbound_hosts: Vec<String>,
}

fn application_values(
    declared: BTreeMap<String, Variable>,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, String> {
    declared
        .into_iter()
        .map(|(name, variable)| {
            let value = given.get(&name).cloned().or(variable.default);
            match value {
                Some(value) => Ok((name, value)),
                None if variable.required => Err(format!("variable {name} is required")),
                None => Err(format!("variable {name} has no default and is not required")),
            }
        })
        .collect()
}

/// Fills in `{{ name }}`.
fn expand(template: &str, values: &BTreeMap<String, String>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or_else(|| format!("{template:?} has an open {{{{"))?;
        let name = name.trim();
        let value = values.get(name).ok_or_else(|| format!("{template:?} names the unknown variable {name}"))?;
        filled.push_str(before);
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
        spin_manifest_version = 2
        [application]
        name = "acme"
        [variables]
        gateway = { default = "dev" }
        token = { required = true, secret = true }
        [[trigger.http]]
        route = "/..."
        component = "gateway"
        [component.gateway]
        source = "target/gateway.wasm"
        key_value_stores = ["default"]
        allowed_outbound_hosts = ["https://{{ gateway }}.example.com"]
        [component.gateway.variables]
        name = "{{ gateway }}-1"
        token = "{{ token }}"
    "#;

    fn given(values: &[(&str, &str)]) -> BTreeMap<String, String> {
        values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn variables_reach_the_component_through_its_templates() {
        let app = App::parse(MANIFEST, Path::new("/app"), &given(&[("token", "t")])).unwrap();
        assert_eq!(app.source, Path::new("/app/target/gateway.wasm"));
        assert_eq!(app.variables["name"], "dev-1");
        assert_eq!(app.variables["token"], "t");
        assert!(app.allowed_hosts.allow("https", "dev.example.com", None));
    }

    #[test]
    fn a_required_variable_that_nobody_gave_stops_the_start() {
        let error = App::parse(MANIFEST, Path::new("/app"), &given(&[])).unwrap_err();
        assert_eq!(error, "variable token is required");
    }
}
