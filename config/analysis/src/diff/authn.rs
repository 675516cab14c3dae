//! Compares the authentication of two routes: their alternatives, by the credentials that each requires.

use std::collections::BTreeSet;
use std::fmt;

use tollgate_config::Compiled;
use tollgate_core::kinds::{AuthnPolicy, Named, Policies, Slot};
use tollgate_core::settings::RouteSettings;

use super::policy::used;
use super::value::Looseness;
use super::{Change, Differing, Effect};

/// The alternatives of a route, in the order in which they are tried.
struct Alternatives(Vec<Alternative>);

/// Policies that must all authenticate the caller.
struct Alternative {
    names: Vec<String>,
    /// For each policy, the places of a request from which it reads a credential; one of them is enough.
    places: Vec<Places>,
}

/// Places of a request, such as `header x-api-key`.
type Places = BTreeSet<String>;

/// The authenticators that routes of both projects use. How their places differ is reported once, for the policy.
pub(super) fn shared<'c>(from: &'c Compiled, to: &'c Compiled) -> BTreeSet<&'c str> {
    let authn = |compiled| used(compiled).into_iter().filter(|(_, slot)| *slot == Slot::Authn);
    let old: BTreeSet<&str> = authn(from).map(|(name, _)| name).collect();
    authn(to).map(|(name, _)| name).filter(|name| old.contains(name)).collect()
}

/// Compares the places from which two policies read credentials; `None` if one of them is no authenticator.
pub(super) fn compare_places(from: &Compiled, old: &str, to: &Compiled, new: &str) -> Option<Looseness> {
    let (old, new) = (places_of(from.policies(), old)?, places_of(to.policies(), new)?);
    Some(match (new.is_superset(&old), old.is_superset(&new)) {
        (true, true) => Looseness::Same,
        (true, false) => Looseness::Looser,
        (false, true) => Looseness::Stricter,
        (false, false) => Looseness::Other,
    })
}

/// The change of the accepted callers, if there is one.
pub(super) fn authn(
    (from, old): (&Compiled, &RouteSettings),
    (to, new): (&Compiled, &RouteSettings),
    shared: &BTreeSet<&str>,
    subject: &str,
) -> Option<Change> {
    let as_before = |name: &str| if shared.contains(name) { places_of(from.policies(), name) } else { None };
    let (old, new) = (Alternatives::of(from, old, |_| None), Alternatives::of(to, new, as_before));
    if old.places().eq(new.places()) {
        return None;
    }
    let (accepts_more, accepts_fewer) = (!old.accepts(&new), !new.accepts(&old));
    let values = Differing { from: Some(old.to_string()), to: Some(new.to_string()) };
    let change = |effect, reason| Change::of(subject, "authn", values, effect, reason);
    Some(match (old.0.is_empty(), new.0.is_empty()) {
        (true, false) if new.admits_anonymous() => {
            change(Effect::Review, "a request with a wrong credential is refused now")
        }
        (true, _) => change(Effect::Breaking, "a credential is required now"),
        (_, true) => change(Effect::Compatible, "no credential is required any more").loosening(),
        _ => match (accepts_more, accepts_fewer) {
            (true, false) => change(Effect::Compatible, "more credentials are accepted").loosening(),
            (false, true) => change(Effect::Breaking, "fewer credentials are accepted"),
            (true, true) => change(Effect::Breaking, "other credentials are accepted").loosening(),
            (false, false) => {
                change(Effect::Review, "a request with several credentials may be authenticated by another of them")
            }
        },
    })
}

impl Alternatives {
    /// The alternatives of a route; `instead` can have other places of a policy.
    fn of(compiled: &Compiled, route: &RouteSettings, instead: impl Fn(&str) -> Option<Places>) -> Self {
        let all = compiled.policies();
        let alternative = |together: &Vec<_>| {
            let policies: Vec<&Named<AuthnPolicy>> = all.at(together).collect();
            Alternative {
                names: policies.iter().map(|named| named.name.to_string()).collect(),
                // Nothing has to be sent to one that admits callers without a credential.
                places: policies
                    .iter()
                    .filter(|named| !named.policy.is_anonymous())
                    .map(|named| instead(&named.name).unwrap_or_else(|| places(named)))
                    .collect(),
            }
        };
        Self(route.authn.iter().map(alternative).collect())
    }

    fn admits_anonymous(&self) -> bool {
        self.0.iter().any(|alternative| alternative.places.is_empty())
    }

    fn places(&self) -> impl Iterator<Item = &Vec<Places>> {
        self.0.iter().map(|alternative| &alternative.places)
    }

    /// Whether a caller with the credentials of any of the other alternatives is accepted by one of these.
    fn accepts(&self, others: &Self) -> bool {
        let takes =
            |own: &Vec<Places>, sent: &[&String]| own.iter().all(|own| sent.iter().any(|place| own.contains(*place)));
        others.places().flat_map(|other| requests(other)).all(|sent| self.places().any(|own| takes(own, &sent)))
    }
}

/// The ways to send the credentials of an alternative: a place for each of its policies. Of many, the first are enough to
/// find a difference.
fn requests(places: &[Places]) -> Vec<Vec<&String>> {
    let mut all: Vec<Vec<&String>> = vec![Vec::new()];
    for next in places {
        let chosen = all.iter().flat_map(|sent| next.iter().map(move |place| [sent.as_slice(), &[place]].concat()));
        all = chosen.take(REQUESTS_MAX).collect();
    }
    all
}

/// The maximum number of ways that are compared: that of eight policies with two places each.
const REQUESTS_MAX: usize = 256;

fn places_of(policies: &Policies, name: &str) -> Option<Places> {
    policies.authn.iter().find(|named| named.name == name).map(places)
}

/// The places from which a policy reads a credential.
fn places(named: &Named<AuthnPolicy>) -> Places {
    let Some(place) = named.policy.uses().credential else { return Places::from([named.name.to_string()]) };
    let field = match &place.scheme {
        Some(scheme) => format!("header {} {}", place.field, scheme.to_ascii_lowercase()),
        None => format!("header {}", place.field),
    };
    let query = place.query.iter().map(|name| format!("query {name}"));
    let cookie = place.cookie.iter().map(|name| format!("cookie {name}"));
    std::iter::once(field).chain(query).chain(cookie).collect()
}

impl fmt::Display for Alternatives {
    /// Alternatives are joined by `or`. An alternative with several policies is in parentheses if there are others.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |alternative: &Alternative| {
            if alternative.names.is_empty() {
                return "anonymous".to_owned();
            }
            let names = alternative.names.join(" + ");
            if alternative.names.len() > 1 && self.0.len() > 1 { format!("({names})") } else { names }
        };
        match self.0.as_slice() {
            [] => f.write_str("public"),
            all => f.write_str(&all.iter().map(shown).collect::<Vec<_>>().join(" or ")),
        }
    }
}
