//! What the upstream of a route gets of the caller and of the gateway, by the level that says it.
//!
//! An upstream whose `identity` or `auth` another level replaces is a second one with the same name, so that a request finds
//! all that it needs in the settings of its upstream.

use std::collections::{BTreeMap, HashMap};

use tollgate_core::forward::{Attribute, IdentityField, Told, UpstreamAuth, UpstreamSettings};

use super::merge::{Effective, Single};
use super::upstream_auth::{self, Upstream};
use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::identity::Identity;
use crate::model::level::{Level, Setting};
use crate::model::upstream_auth::{How, WrittenAuth};
use crate::place::{Span, Spanned};

/// The statements that apply to an upstream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statements<'p> {
    pub(super) identity: Option<&'p Setting<Identity>>,
    pub(super) auth: Option<&'p Setting<Option<WrittenAuth>>>,
}

impl<'p> Statements<'p> {
    /// Those of the upstream itself, and of the gateway where it has none.
    pub(super) fn of_upstream(own: &'p Level, gateway: Option<&'p Level>) -> Self {
        let identity = own.identity.as_ref().or_else(|| gateway?.identity.as_ref());
        Self { identity, auth: own.upstream_auth.as_ref().or_else(|| gateway?.upstream_auth.as_ref()) }
    }

    fn of_route(effective: &Effective<'p>) -> Self {
        fn nearest<'p, T>(single: &Single<'p, T>) -> Option<&'p Setting<T>> {
            single.value.map(|at| at.value)
        }
        Self { identity: nearest(&effective.identity), auth: nearest(&effective.upstream_auth) }
    }

    fn spans(&self) -> [Option<Span>; 2] {
        [self.identity.map(|setting| setting.span), self.auth.map(|setting| setting.span)]
    }

    /// What they are in core's settings, for an upstream.
    pub(super) fn lower(
        &self,
        upstream: Upstream<'_>,
        report: &mut Report,
    ) -> Option<(Vec<IdentityField>, UpstreamAuth)> {
        let identity = self.identity.map_or(&[][..], |setting| &setting.value);
        let identity = parsed::identity(identity, (upstream.name, upstream.fields), report);
        let auth = match self.auth.and_then(|setting| setting.value.as_ref()) {
            Some(written) => upstream_auth::auth(written, upstream, &identity, report)?,
            None => UpstreamAuth::None,
        };
        Some((identity, auth))
    }
}

/// The upstreams as routes have them.
#[derive(Debug)]
pub(super) struct PassedOn<'p> {
    /// The number of those that are defined.
    defined: usize,
    /// For an upstream and the places of its statements, the index of the one that has them.
    known: HashMap<(usize, [Option<Span>; 2]), usize>,
    /// Those that differ from what is defined.
    others: Vec<UpstreamSettings>,
    /// The fields that tell what policies keep, by the place of what they tell; and whether a policy has it.
    told: BTreeMap<(Span, usize), (&'p Spanned<String>, &'p Attribute, bool)>,
}

impl<'p> PassedOn<'p> {
    /// Of a project that defines so many upstreams.
    pub(super) fn new(defined: usize) -> Self {
        Self { defined, known: HashMap::new(), others: Vec::new(), told: BTreeMap::new() }
    }

    /// The upstream at an index after all that are defined.
    pub(super) fn get(&self, place: usize) -> Option<&UpstreamSettings> {
        self.others.get(place.checked_sub(self.defined)?)
    }

    /// The index of the upstream of a route: that of the defined one, or of another one after all of these.
    pub(super) fn place(
        &mut self,
        (place, settings): (usize, Option<&UpstreamSettings>),
        own: Statements<'p>,
        effective: &Effective<'p>,
        report: &mut Report,
    ) -> usize {
        let statements = Statements::of_route(effective);
        let (Some(settings), true) = (settings, statements.spans() != own.spans()) else { return place };
        if let Some(known) = self.known.get(&(place, statements.spans())) {
            return *known;
        }
        let upstream = Upstream { name: &settings.name, url: Some(&settings.url), fields: &settings.fields };
        let lowered = statements.lower(upstream, report);
        let index = lowered.map_or(place, |(identity, auth)| {
            let other = UpstreamSettings { identity, auth, ..settings.clone() };
            let same = self.others.iter().position(|known| *known == other);
            let at = same.unwrap_or_else(|| {
                self.others.push(other);
                self.others.len() - 1
            });
            self.defined + at
        });
        self.known.insert((place, statements.spans()), index);
        index
    }

    /// Those that differ from what is defined.
    pub(super) fn into_others(self) -> Vec<UpstreamSettings> {
        self.others
    }

    /// Takes the fields of a route that tell what policies keep, of which `keep` says whether one of the route's policies has it.
    pub(super) fn keep(&mut self, effective: &Effective<'p>, mut keep: impl FnMut(&Attribute) -> bool) {
        let Some(setting) = effective.identity.value.map(|at| at.value) else { return };
        for (name, tells) in &setting.value {
            for (at, attribute) in tells.value.attributes().enumerate().filter(|(_, attribute)| attribute.is_kept()) {
                let is_told = keep(attribute);
                self.told.entry((tells.span, at)).or_insert((name, attribute, false)).2 |= is_told;
            }
        }
    }

    /// Reports a route on which callers may have no token that could be exchanged.
    pub(super) fn check_tokens(effective: &Effective<'p>, route: Span, has_tokens: bool, report: &mut Report) {
        let written = effective.upstream_auth.value.and_then(|at| at.value.value.as_ref());
        let Some(written) = written.filter(|written| matches!(written.how, How::TokenExchange { .. })) else { return };
        if !has_tokens {
            report.push(
                Diagnostic::error(Code::BadUpstreamAuth, written.at, "callers may have no token that could be exchanged")
                    .why("`token-exchange` sends the token with which the caller was authenticated, by `jwt` or `introspection`, to the server")
                    .fix("require such a policy as the first or only one of each alternative in `authn`, or set another `upstream-auth` for the route")
                    .related(route, "on this route"),
            );
        }
    }

    /// Reports tokens that nobody signs.
    pub(super) fn check_signed(identity: &Identity, has_key: bool, report: &mut Report) {
        let unsigned = identity.iter().find(|(_, tells)| !has_key && matches!(tells.value, Told::Token(_)));
        if let Some((_, tells)) = unsigned {
            report.push(
                Diagnostic::error(Code::BadIdentity, tells.span, "the gateway has no key to sign tokens about callers")
                    .why("a token is signed, so that the upstream knows that the gateway says it")
                    .fix("add `identity-tokens: {issuer: \"https://api.example.com\", key: \"${secret.NAME}\"}` to `gateway`"),
            );
        }
    }

    /// Reports the fields that are never sent.
    pub(super) fn report(&self, report: &mut Report) {
        for ((span, _), (name, tells, _)) in self.told.iter().filter(|(_, (_, _, is_told))| !is_told) {
            let of = match tells {
                Attribute::Certificate(_) => "a `client-certificate` policy",
                _ => "a policy that reads tokens (`jwt`, `introspection`, `oidc-login`)",
            };
            report.push(
                Diagnostic::warning(Code::BadIdentity, *span, format!("`{}` never tells `{tells}`", name.value))
                    .why(format!("no route with this setting has {of}"))
                    .fix(format!("name {of} in `authn` of a route, or remove the field")),
            );
        }
    }
}
