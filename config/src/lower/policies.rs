//! Lowers upstreams and policies to core's settings, and finds them by name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use tollgate_core::authn::{IdentityRules, MapRule};
use tollgate_core::bounds::CONNECT_TIMEOUT_MS_DEFAULT;
use tollgate_core::forward::UpstreamSettings;
use tollgate_core::kinds::{NamedPolicy, Slot};

use super::passed_on::Statements;
use super::{upstream_auth, upstream_tls};
use crate::decode::habits::word;
use crate::decode::{Named, parsed};
use crate::diagnostic::{Code, Diagnostic, Report, closest, listed};
use crate::model::api::Api;
use crate::model::level::Level;
use crate::model::project::Project;
use crate::model::upstream::Upstream;
use crate::place::{Span, Spanned};
use crate::policies::{self, WrittenPolicy};

/// Definitions by name; those that could not be lowered have no value, so that their names are not reported as unknown.
#[derive(Debug)]
pub(super) struct Definitions<T> {
    /// The word for a definition in messages, such as "upstream".
    noun: &'static str,
    unknown: Code,
    /// Sorted by name. A definition in an API's file is named `api.name`, which cannot be equal to another name.
    list: Vec<Definition<T>>,
    /// Whether all definitions could be read; otherwise an unknown name may be defined in an unreadable file.
    is_complete: bool,
}

/// Definitions as written, each list with the API to which it belongs, if any.
type Scoped<'p, A> = Vec<(Option<&'p str>, &'p Named<A>)>;

#[derive(Debug)]
struct Definition<T> {
    name: String,
    span: Span,
    value: Option<T>,
    used: bool,
}

pub(super) fn upstreams(project: &Project, report: &mut Report) -> Definitions<UpstreamSettings> {
    let default = project.gateway.as_ref().and_then(|gateway| gateway.connect_timeout_ms.as_ref());
    let default = default.map_or(CONNECT_TIMEOUT_MS_DEFAULT, |ms| ms.value);
    let mut all: Scoped<'_, Upstream> = vec![(None, &project.upstreams)];
    all.extend(own(project).map(|(name, api)| (Some(name), &api.upstreams)));
    let gateway = project.gateway.as_ref().map(|gateway| &gateway.level);
    Definitions::of("upstream", Code::UnknownUpstream, project.is_complete, &all, |name, upstream| {
        lower_upstream(name, upstream, (default, gateway), report)
    })
}

pub(super) fn policies(project: &Project, report: &mut Report) -> Definitions<NamedPolicy> {
    let mut all: Scoped<'_, WrittenPolicy> = vec![(None, &project.policies)];
    all.extend(own(project).map(|(name, api)| (Some(name), &api.policies)));
    Definitions::of("policy", Code::UnknownPolicy, project.is_complete, &all, |name, definition| {
        let policy = (definition.kind.lower)(&definition.written, report)?;
        policies::report_strangers(name, &definition.written, &policy, report);
        Some(NamedPolicy { name: name.into(), policy })
    })
}

/// The APIs, each with its name.
fn own(project: &Project) -> impl Iterator<Item = (&str, &Api)> {
    project.apis.iter().filter_map(|(name, api)| Some((name.value.as_str(), api.as_ref()?)))
}

impl<T> Definitions<T> {
    fn of<A>(
        noun: &'static str,
        unknown: Code,
        is_complete: bool,
        scoped: &Scoped<'_, A>,
        mut lower: impl FnMut(&str, &A) -> Option<T>,
    ) -> Self {
        let mut list = Vec::new();
        for (api, named) in scoped {
            for (name, written) in *named {
                let full = api.map_or_else(|| name.value.clone(), |api| qualified(api, &name.value));
                let value = written.as_ref().and_then(|written| lower(&full, written));
                list.push(Definition { name: full, span: name.span, value, used: false });
            }
        }
        // The order of the file has no meaning, so the bundle must not depend on it.
        list.sort_by(|a, b| a.name.cmp(&b.name));
        Self { noun, unknown, list, is_complete }
    }

    /// The place of the definition with this name in the scope of an API; an unknown name is reported, with those that
    /// fit in its place.
    pub(super) fn find(
        &mut self,
        name: &Spanned<String>,
        api: Option<&str>,
        fits: impl Fn(&T) -> bool,
        report: &mut Report,
    ) -> Option<usize> {
        // The project and an API cannot both define a name, so the order of the look-ups does not matter.
        let own = || api.and_then(|api| self.place(&qualified(api, &name.value)));
        let found = self.place(&name.value).or_else(own);
        match found {
            Some(place) => self.list[place].used = true,
            None if self.is_complete => self.report_unknown(name, api, self.habit(&name.value), fits, report),
            None => {}
        }
        found
    }

    /// The place of the definition with this full name, which is not marked as used; an unknown name is reported.
    pub(super) fn look_up(
        &self,
        name: &Spanned<String>,
        fits: impl Fn(&T) -> bool,
        report: &mut Report,
    ) -> Option<usize> {
        let found = self.place(&name.value);
        if found.is_none() && self.is_complete {
            // The keys of a plan are names, and never stand for something else.
            self.report_unknown(name, None, None, fits, report);
        }
        found
    }

    /// The definition at a place, for changes.
    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.list.get_mut(place).and_then(|definition| definition.value.as_mut())
    }

    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.list.binary_search_by(|definition| definition.name.as_str().cmp(name)).ok()
    }

    /// The definition at a place, if it could be lowered.
    pub(super) fn get(&self, place: usize) -> Option<&T> {
        self.list.get(place).and_then(|definition| definition.value.as_ref())
    }

    /// All definitions that could be lowered, in the order of their places.
    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.list.iter().filter_map(|definition| definition.value.as_ref())
    }

    /// The span of the definition at a place.
    pub(super) fn span(&self, place: usize) -> Option<Span> {
        self.list.get(place).map(|definition| definition.span)
    }

    /// Reports definitions that are not used.
    pub(super) fn report_unused(&self, report: &mut Report) {
        for Definition { name, span, used, .. } in &self.list {
            if !used {
                report.push(
                    Diagnostic::warning(Code::UnusedDefinition, *span, format!("{} `{name}` is not used", self.noun))
                        .why("a definition has no effect unless it is named by an API, a route or the gateway")
                        .fix("name it where it should apply, or remove it"),
                );
            }
        }
    }

    /// What to write instead of a name that is written as something else in other gateways.
    fn habit(&self, name: &str) -> Option<String> {
        let is_upstream = self.unknown == Code::UnknownUpstream;
        if is_upstream { word::upstream(name).map(str::to_owned) } else { word::policy(name) }
    }

    fn report_unknown(
        &self,
        name: &Spanned<String>,
        api: Option<&str>,
        habit: Option<String>,
        fits: impl Fn(&T) -> bool,
        report: &mut Report,
    ) {
        let is_visible = |definition: &'_ Definition<T>| match definition.name.split_once('.') {
            None => definition.value.as_ref().is_none_or(&fits),
            Some((owner, _)) => api == Some(owner) && definition.value.as_ref().is_none_or(&fits),
        };
        let short = |name: &'_ str| name.find('.').map_or(0, |dot| dot + 1);
        let known = || self.list.iter().filter(|d| is_visible(d)).map(|d| &d.name[short(&d.name)..]);
        let meant = if report.is_full() { None } else { closest(&name.value, known()) };
        let fix = match (meant, habit) {
            (Some(known), _) => format!("did you mean `{known}`?"),
            (None, Some(habit)) => habit,
            (None, None) if known().next().is_none() => {
                format!("define it; the project defines no {} for this place yet", self.noun)
            }
            (None, None) => format!("define it, or use one of {}", listed(known())),
        };
        report.push(
            Diagnostic::error(self.unknown, name.span, format!("{} `{}` is not defined", self.noun, name.value))
                .why("every name that is used must be defined")
                .fix(fix),
        );
    }
}

impl Definitions<NamedPolicy> {
    /// Reports policies for different issuers in which two people may have one name: a subject is unique for its issuer only.
    pub(super) fn report_shared_names(&self, report: &mut Report) {
        let mut known: Vec<Names<'_>> = Vec::new();
        for names in self.list.iter().filter_map(Names::of) {
            if let Some((other, how)) = known.iter().find_map(|other| Some((other, names.met_by(other)?))) {
                report.push(
                    Diagnostic::warning(Code::BadMapping, names.span, "another policy gives the same names to its callers")
                        .why(format!("{how}: two people of two issuers may be one consumer"))
                        .fix("write another `consumer-prefix`; or let both name a claim that is one for all issuers, such as a verified email; \
                              or name who is meant in `map-consumers` of both")
                        .related(other.span, "the other policy"),
                );
            }
            known.push(names);
        }
    }

    /// For each definition, its index in the list of its slot.
    pub(super) fn slot_indices(&self) -> Vec<usize> {
        let mut counts: BTreeMap<Option<Slot>, usize> = BTreeMap::new();
        let slots = self.list.iter().map(|definition| definition.value.as_ref().map(|named| named.policy.slot()));
        let index = |slot| {
            let count = counts.entry(slot).or_default();
            *count += 1;
            *count - 1
        };
        slots.map(index).collect()
    }
}

/// The names that a policy gives to the bearers of tokens.
struct Names<'d> {
    rules: &'d IdentityRules,
    /// In front of the value of the claim.
    prefix: Cow<'d, str>,
    span: Span,
}

impl<'d> Names<'d> {
    fn of(definition: &'d Definition<NamedPolicy>) -> Option<Self> {
        let named = definition.value.as_ref()?;
        let rules = policies::token_rules(&named.policy)?;
        let prefix = match &rules.consumer_prefix {
            Some(prefix) => Cow::from(prefix),
            None => Cow::from(format!("{}:", named.name)),
        };
        Some(Self { rules, prefix, span: definition.span })
    }

    /// How a name may be given by both, to people who are not one.
    fn met_by(&self, other: &Self) -> Option<&'static str> {
        if self.rules.issuers == other.rules.issuers {
            return None;
        }
        if self.prefix == other.prefix && (self.is_of_subject() || other.is_of_subject()) {
            return Some("`sub` is unique for its issuer only");
        }
        self.reaches(other).or_else(|| other.reaches(self))
    }

    /// How a subject of this policy may be a name of the other one.
    fn reaches(&self, other: &Self) -> Option<&'static str> {
        let is_own = |name: &str| self.rules.consumers.iter().any(|rule| rule.name == name);
        let is_met = |rule: &MapRule| rule.name.starts_with(&*self.prefix) && !is_own(&rule.name);
        if !self.is_of_subject() {
            return None;
        }
        if other.prefix.starts_with(&*self.prefix) {
            return Some("the prefix of one begins with that of the other, after which any `sub` may stand");
        }
        let is_mapped = other.rules.consumers.iter().any(is_met);
        is_mapped.then_some(
            "a name in `map-consumers` of one begins with the prefix of the other, after which any `sub` may stand",
        )
    }

    fn is_of_subject(&self) -> bool {
        self.rules.consumer == "sub"
    }
}

/// The written definition with a name in the gateway: `name`, or `api.name`.
pub(crate) fn written<'p, T>(
    project: &'p Project,
    name: &str,
    of_project: impl Fn(&'p Project) -> &'p Named<T>,
    of_api: impl Fn(&'p Api) -> &'p Named<T>,
) -> Option<(&'p Spanned<String>, &'p T)> {
    let (named, name) = match name.split_once('.') {
        None => (of_project(project), name),
        Some((api, name)) => {
            let (_, api) = project.apis.iter().find(|(known, _)| known.value == api)?;
            (of_api(api.as_ref()?), name)
        }
    };
    let (defined, written) = named.iter().find(|(known, _)| known.value == name)?;
    Some((defined, written.as_ref()?))
}

/// The name in the gateway of a definition in an API's file; names contain no dot.
pub(super) fn qualified(api: &str, name: &str) -> String {
    format!("{api}.{name}")
}

fn lower_upstream(
    name: &str,
    upstream: &Upstream,
    (connect_timeout_ms, gateway): (u64, Option<&Level>),
    report: &mut Report,
) -> Option<UpstreamSettings> {
    let url = parsed::url(&upstream.url, report);
    let fields = parsed::fields(&upstream.headers, report);
    let (identity, auth) = Statements::of_upstream(&upstream.level, gateway)
        .lower(upstream_auth::Upstream { name, url: url.as_ref(), fields: &fields }, report)?;
    let certificate = match &upstream.tls {
        Some(tls) => Some(upstream_tls::certificate(tls, url.as_ref(), report)?),
        None => None,
    };
    let own = upstream.connect_timeout_ms.as_ref().map(|ms| ms.value);
    Some(UpstreamSettings {
        name: name.to_owned(),
        url: url?,
        connect_timeout_ms: own.unwrap_or(connect_timeout_ms),
        fields,
        identity,
        auth,
        certificate,
    })
}
