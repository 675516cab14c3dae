//! The properties of a key, in fixtures and in policy tests.

use tollgate_core::authn::{Credential, OriginPattern, Restrictions};
use tollgate_core::bounds::{KEY_PLACES_MAX, ROUTE_LIST_MAX};
use tollgate_core::entitlement::PlanNumbers;
use tollgate_core::guard::Networks;
use tollgate_core::operator::numbers;
use tollgate_core::route::HostPattern;
use tollgate_core::time::Timestamp;

use super::api::SCOPES_MAX;
use crate::decode::{self, Fields, parsed};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::Spanned;
use crate::source::Node;

/// What a key may have besides its text or name.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyProperties {
    pub(crate) scopes: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) expires: Option<Spanned<Timestamp>>,
    pub(crate) revoked: bool,
    pub(crate) restrictions: Restrictions,
    pub(crate) limits: Vec<Spanned<PlanNumbers>>,
}

impl KeyProperties {
    /// Reads the properties of an object of the table.
    pub(crate) fn decode(fields: &mut Fields<'_>, report: &mut Report) -> Self {
        let scopes = texts(fields, "scopes", SCOPES_MAX, report);
        let groups = texts(fields, "groups", SCOPES_MAX, report);
        let not_before = fields.optional("not-before", report, timestamp);
        let expires = fields.optional("expires", report, timestamp);
        let revoked = fields.optional("revoked", report, decode::boolean).unwrap_or(false);
        let addresses = texts(fields, "addresses", KEY_PLACES_MAX, report);
        let hosts = texts(fields, "hosts", KEY_PLACES_MAX, report);
        let referrers = texts(fields, "referrers", KEY_PLACES_MAX, report);
        let addresses: Vec<_> = addresses.iter().filter_map(|text| parsed::network(text, report)).collect();
        let hosts: Vec<HostPattern> = parsed::hosts(&hosts, report).into_iter().map(|host| host.value).collect();
        let restrictions = Restrictions {
            addresses: Networks::from(addresses),
            hosts,
            referrers: referrers.iter().filter_map(|text| referrer(text, report)).collect(),
        };
        let limits = texts(fields, "limits", ROUTE_LIST_MAX, report);
        Self {
            limits: limits.iter().filter_map(|text| limit(text, report)).collect(),
            scopes: scopes.iter().filter_map(|scope| parsed::scope(scope, report)).collect(),
            groups: groups.iter().filter_map(|group| parsed::group(group, report)).collect(),
            not_before: not_before.map(|time| time.value),
            expires,
            revoked,
            restrictions,
        }
    }

    /// A credential with these properties.
    pub(crate) fn credential(&self, id: String, consumer: &str, plan: Option<&str>) -> Credential {
        Credential {
            plan: plan.map(str::to_owned),
            scopes: self.scopes.clone(),
            groups: self.groups.clone(),
            not_before: self.not_before,
            expires: self.expires.as_ref().map(|time| time.value),
            revoked: self.revoked,
            limits: self.limits.iter().map(|numbers| numbers.value.clone()).collect(),
            restrictions: (!self.restrictions.is_empty()).then(|| Box::new(self.restrictions.clone())),
            ..Credential::of(id, consumer)
        }
    }

    /// Whether a key with them is always accepted.
    pub(crate) fn is_always_valid(&self) -> bool {
        self.not_before.is_none() && self.expires.is_none() && !self.revoked && self.restrictions.is_empty()
    }
}

fn texts(fields: &mut Fields<'_>, name: &'static str, max: usize, report: &mut Report) -> Vec<Spanned<String>> {
    fields.optional(name, report, |node, report| decode::texts(node, max, report)).unwrap_or_default()
}

fn limit(text: &Spanned<String>, report: &mut Report) -> Option<Spanned<PlanNumbers>> {
    let read = numbers(&text.value);
    if read.is_err() {
        report.push(
            Diagnostic::error(Code::BadLimit, text.span, format!("`{}` gives a limit no number", text.value))
                .why("it is the name of a limit and its number for this key")
                .fix("write it as in `monthly=100000`, of a rate also `burst=100/s` or `burst=100/s:200`"),
        );
    }
    read.ok().map(|numbers| Spanned::new(numbers, text.span))
}

fn timestamp(node: &Node, report: &mut Report) -> Option<Spanned<Timestamp>> {
    let text = decode::text(node, report)?;
    parsed::timestamp(&text, report).map(|time| Spanned::new(time, text.span))
}

fn referrer(text: &Spanned<String>, report: &mut Report) -> Option<OriginPattern> {
    let read = text.value.parse();
    if let Err(error) = &read {
        report.push(
            Diagnostic::error(Code::BadHost, text.span, format!("`{}` is not an origin: {error}", text.value))
                .why("it is compared with the origin of the web page that sends a request")
                .fix("write scheme and host, such as `https://app.example.com` or `https://*.example.com`"),
        );
    }
    read.ok()
}
