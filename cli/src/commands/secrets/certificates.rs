//! The certificates that the gateway presents to upstreams: whether the native host can use them, and when they end.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tollgate_core::forward::OwnCertificate;
use tollgate_core::time::Timestamp;
use tollgate_native::{CertificateFault, SecretSource, check_certificate};

use crate::commands::key::now;
use crate::terminal;

/// A certificate, and what was found about it.
pub(super) struct Checked {
    name: String,
    uses: BTreeSet<String>,
    found: Result<Option<Timestamp>, CertificateFault>,
}

/// Checks each certificate once; with each is the upstream that it is for.
pub(super) fn check<'c>(
    all: impl Iterator<Item = (&'c str, &'c OwnCertificate)>,
    secrets: &SecretSource,
) -> Vec<Checked> {
    let mut uses: Vec<(&OwnCertificate, BTreeSet<String>)> = Vec::new();
    for (upstream, own) in all {
        let place = uses.iter().position(|(known, _)| *known == own).unwrap_or_else(|| {
            uses.push((own, BTreeSet::new()));
            uses.len() - 1
        });
        uses[place].1.insert(format!("upstream {upstream}"));
    }
    let checked = |(own, uses): (&OwnCertificate, _)| Checked {
        name: own.name.clone(),
        uses,
        found: check_certificate(own, secrets),
    };
    uses.into_iter().map(checked).collect()
}

impl Checked {
    /// Why it cannot be used now.
    pub(super) fn fault(&self) -> Option<String> {
        match &self.found {
            Err(fault) => Some(fault.to_string()),
            Ok(Some(end)) if *end < now() => Some(format!("the certificate in the secret `{}` has expired", self.name)),
            Ok(_) => None,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"certificate": self.name, "ends": self.ends(), "fault": self.fault(), "used": self.uses})
    }

    fn ends(&self) -> Option<String> {
        self.found.as_ref().ok().copied().flatten().map(|end| end.to_rfc3339())
    }
}

/// The certificates as a table; faults are said elsewhere.
pub(super) fn table(all: &[Checked]) -> String {
    let mut rows = vec![["CERTIFICATE", "ENDS", "USED BY"].map(str::to_owned).to_vec()];
    rows.extend(all.iter().map(|one| {
        let uses: Vec<&str> = one.uses.iter().map(String::as_str).collect();
        vec![one.name.clone(), one.ends().unwrap_or_else(|| "-".to_owned()), uses.join(", ")]
    }));
    terminal::table(&rows)
}
