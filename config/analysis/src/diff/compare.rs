//! Compares the settings of routes that match the same requests, of upstreams and of the gateway.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_config::{Compiled, CompiledRoute, duration, size};
use tollgate_core::cache::CacheCredentials;
use tollgate_core::client::ProxySettings;
use tollgate_core::forward::{OwnCertificate, TokenSigning, UpstreamAuth, UpstreamSettings};
use tollgate_core::limit::{LegacyFields, NoticeReceiver};
use tollgate_core::settings::RouteSettings;

use super::ask::Answered;
use super::authn::{authn, shared};
use super::policy::lists;
use super::{Change, Differing, Effect};

/// The changes of routes.
pub(super) fn routes(from: &Compiled, to: &Compiled, asked: &[Answered]) -> Vec<Change> {
    let mut pairs: BTreeMap<(Option<usize>, Option<usize>), Vec<&Answered>> = BTreeMap::new();
    for answered in asked {
        pairs.entry((answered.from, answered.to)).or_default().push(answered);
    }
    let kept: BTreeSet<_> = pairs.keys().filter_map(|(from, to)| from.zip(*to)).collect();
    let shared = shared(from, to);
    let mut changes = Vec::new();
    for ((old, new), asked) in &pairs {
        let (old, new) = (old.and_then(|place| from.routes().get(place)), new.and_then(|place| to.routes().get(place)));
        let is_whole_route = |place: Option<usize>, side: fn(&(usize, usize)) -> usize| {
            place.is_some_and(|place| !kept.iter().any(|pair| side(pair) == place))
        };
        match (old, new) {
            (Some(old), None) => changes.push(removed(old, asked, is_whole_route(asked[0].from, |pair| pair.0))),
            (None, Some(new)) => changes.push(added((to, new), asked, is_whole_route(asked[0].to, |pair| pair.1))),
            (Some(old), Some(new)) => changes.extend(Pair { from, to, old, new, asked, shared: &shared }.changes()),
            (None, None) => {}
        }
    }
    changes
}

fn removed(route: &CompiledRoute, asked: &[&Answered], is_whole_route: bool) -> Change {
    let (setting, reason) = if is_whole_route {
        ("route", "no route matches its requests any more")
    } else {
        ("matches", "no route matches these requests any more")
    };
    let values = Differing { from: Some(matches(asked)), to: None };
    Change::of(&route.settings.id, setting, values, Effect::Breaking, reason).shown_by(&asked[0].request)
}

fn added((to, route): (&Compiled, &CompiledRoute), asked: &[&Answered], is_whole_route: bool) -> Change {
    let setting = if is_whole_route { "route" } else { "matches" };
    let values = Differing { from: None, to: Some(matches(asked)) };
    let is_public = route.settings.admits_anyone(to.policies()) && !route.settings.internal;
    let reason = if is_public {
        "no route matched these requests before; they are public"
    } else {
        "no route matched these requests before"
    };
    let change = Change::of(&route.settings.id, setting, values, Effect::Compatible, reason);
    let change = change.shown_by(&asked[0].request);
    if is_public { change.loosening() } else { change }
}

/// The requests that are affected; of many, the first and the number of the others.
fn matches(asked: &[&Answered]) -> String {
    let all: BTreeSet<&str> = asked.iter().map(|answered| answered.matches.as_str()).collect();
    let first: Vec<&str> = all.iter().take(SHOWN_MAX).copied().collect();
    match all.len().saturating_sub(SHOWN_MAX) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

const SHOWN_MAX: usize = 4;

/// Two routes that match the same requests.
struct Pair<'c> {
    from: &'c Compiled,
    to: &'c Compiled,
    old: &'c CompiledRoute,
    new: &'c CompiledRoute,
    asked: &'c [&'c Answered],
    /// The authenticators that routes of both use.
    shared: &'c BTreeSet<&'c str>,
}

impl Pair<'_> {
    fn changes(&self) -> Vec<Change> {
        let mut all = self.route();
        let (old, new) = (&self.old.settings, &self.new.settings);
        all.extend(authn((self.from, old), (self.to, new), self.shared, self.subject()));
        all.extend(self.scopes());
        all.extend(lists(self.from, self.to, old, new, self.subject()));
        all.extend(self.cache());
        all.extend(self.single_values());
        all.extend(self.upstream());
        let witness = &self.asked[0].request;
        all.into_iter().map(|change| change.shown_by(witness)).collect()
    }

    fn subject(&self) -> &str {
        &self.new.settings.id
    }

    fn change(&self, setting: &str, from: String, to: String, effect: Effect, reason: &str) -> Change {
        Change::of(self.subject(), setting, Differing { from: Some(from), to: Some(to) }, effect, reason)
    }

    /// Another id, or another route.
    fn route(&self) -> Vec<Change> {
        let (old, new) = (&self.old.settings, &self.new.settings);
        if old.id == new.id {
            return Vec::new();
        }
        let same = old.path.shape() == new.path.shape() && old.when == new.when;
        let (old_id, new_id) = (old.id.clone(), new.id.clone());
        vec![if same {
            self.change("id", old_id, new_id, Effect::Compatible, "the id in logs, metrics and traces changes")
        } else {
            let what = format!("another route matches {}", matches(self.asked));
            self.change("taken by", old_id, new_id, Effect::Review, &what)
        }]
    }

    fn scopes(&self) -> Vec<Change> {
        if !(self.old.settings.scope_sets.is_empty() && self.new.settings.scope_sets.is_empty()) {
            return self.scope_sets().into_iter().collect();
        }
        let set = |route: &CompiledRoute| route.settings.scopes.iter().cloned().collect::<BTreeSet<_>>();
        let (old, new) = (set(self.old), set(self.new));
        let subject = self.subject();
        let added = new.difference(&old).map(|scope| {
            let values = Differing { from: None, to: Some(scope.clone()) };
            Change::of(subject, "scopes", values, Effect::Breaking, "credentials must have this scope")
        });
        let removed = old.difference(&new).map(|scope| {
            let values = Differing { from: Some(scope.clone()), to: None };
            let reason = "credentials without this scope are accepted";
            Change::of(subject, "scopes", values, Effect::Compatible, reason).loosening()
        });
        added.chain(removed).collect()
    }

    /// The change of scopes that have alternatives.
    fn scope_sets(&self) -> Option<Change> {
        let sets = |route: &CompiledRoute| -> Vec<BTreeSet<String>> {
            let all = route.settings.accepted_scopes().into_iter();
            all.map(|set| set.into_iter().map(str::to_owned).collect()).collect()
        };
        let (old, new) = (sets(self.old), sets(self.new));
        let within = |own: &[BTreeSet<String>], others: &[BTreeSet<String>]| {
            own.iter().all(|set| others.iter().any(|other| other.is_subset(set)))
        };
        let texts = [&old, &new].map(|sets| {
            let text = |set: &BTreeSet<String>| set.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
            sets.iter().map(text).collect::<Vec<_>>().join(" | ")
        });
        let [from, to] = texts;
        let accepts_more = "credentials with other scopes are accepted";
        match (within(&new, &old), within(&old, &new)) {
            (true, true) => None,
            (true, false) => {
                Some(self.change("scopes", from, to, Effect::Breaking, "credentials must have more scopes"))
            }
            (false, true) => Some(self.change("scopes", from, to, Effect::Compatible, accepts_more).loosening()),
            (false, false) => {
                let reason = "credentials must have other scopes";
                Some(self.change("scopes", from, to, Effect::Breaking, reason).loosening())
            }
        }
    }

    fn cache(&self) -> Vec<Change> {
        let on = |text: &str| text.to_owned();
        let (old, new) = match (&self.old.settings.cache, &self.new.settings.cache) {
            (None, None) => return Vec::new(),
            (None, Some(_)) => {
                return vec![self.change(
                    "cache",
                    on("off"),
                    on("on"),
                    Effect::Review,
                    "responses may come from the cache",
                )];
            }
            (Some(_), None) => {
                return vec![self.change(
                    "cache",
                    on("on"),
                    on("off"),
                    Effect::Compatible,
                    "every request reaches the upstream",
                )];
            }
            (Some(old), Some(new)) => (old, new),
        };
        let mut all = Vec::new();
        if old.ttl_ms != new.ttl_ms {
            let shown = |ttl: Option<u64>| ttl.map_or_else(|| "declared by the upstream".to_owned(), duration);
            let shorter = matches!((old.ttl_ms, new.ttl_ms), (Some(old), Some(new)) if new < old);
            let (effect, reason) = if shorter {
                (Effect::Compatible, "responses are fresh for a shorter time")
            } else {
                (Effect::Review, "responses may be older")
            };
            all.push(self.change("cache.ttl", shown(old.ttl_ms), shown(new.ttl_ms), effect, reason));
        }
        if old.credentials != new.credentials {
            let change = self.change(
                "cache.with-credentials",
                credentials(old.credentials).1.to_owned(),
                credentials(new.credentials).1.to_owned(),
                Effect::Review,
                "stored responses are shared by other callers",
            );
            let loosens = credentials(new.credentials).0 > credentials(old.credentials).0;
            all.push(if loosens { change.loosening() } else { change });
        }
        if old.vary != new.vary {
            let is_less = old.vary.iter().any(|name| !new.vary.contains(name));
            let change = self.change(
                "cache.vary",
                old.vary.join(","),
                new.vary.join(","),
                Effect::Review,
                "other requests share a stored response",
            );
            all.push(if is_less { change.loosening() } else { change });
        }
        if old.key_query != new.key_query {
            let shown = |query: &Option<Vec<String>>| {
                query.as_ref().map_or_else(|| "the whole query".to_owned(), |names| format!("[{}]", names.join(",")))
            };
            let reason = "other requests share a stored response";
            all.push(self.change(
                "cache.key-query",
                shown(&old.key_query),
                shown(&new.key_query),
                Effect::Review,
                reason,
            ));
        }
        all
    }

    fn single_values(&self) -> Vec<Change> {
        let (old, new) = (&self.old.settings, &self.new.settings);
        let mut all = Vec::new();
        if old.timeout_ms != new.timeout_ms {
            let shown = |route: &RouteSettings| route.timeout_ms.map_or_else(|| "none".to_owned(), duration);
            let time = |route: &RouteSettings| route.timeout_ms.unwrap_or(u64::MAX);
            let (effect, reason) = if time(new) < time(old) {
                (Effect::Breaking, "exchanges that take longer are aborted")
            } else {
                (Effect::Compatible, "exchanges may take longer")
            };
            all.push(self.change("timeout", shown(old), shown(new), effect, reason));
        }
        if old.content_bytes_max != new.content_bytes_max {
            let (effect, reason) = if new.content_bytes_max < old.content_bytes_max {
                (Effect::Breaking, "larger content is refused")
            } else {
                (Effect::Compatible, "larger content is accepted")
            };
            let (from, to) = (size(old.content_bytes_max), size(new.content_bytes_max));
            let change = self.change("body-limit", from, to, effect, reason);
            all.push(if effect == Effect::Compatible { change.loosening() } else { change });
        }
        if old.limit_fields != new.limit_fields {
            let shown = |route: &RouteSettings| route.limit_fields.map_or("standard", limit_fields).to_owned();
            let (effect, reason) = match (old.limit_fields, new.limit_fields) {
                (None, _) => (Effect::Compatible, "responses have further fields"),
                (Some(_), _) => (Effect::Breaking, "clients find their limits in other fields"),
            };
            all.push(self.change("limit-fields", shown(old), shown(new), effect, reason));
        }
        if old.help != new.help {
            let shown = |route: &RouteSettings| route.help.clone().unwrap_or_else(|| "none".to_owned());
            let reason = "clients that a limit refuses are sent to another page";
            all.push(self.change("help", shown(old), shown(new), Effect::Compatible, reason));
        }
        if old.matrix_parameters != new.matrix_parameters {
            let (from, to) = (old.matrix_parameters.to_string(), new.matrix_parameters.to_string());
            all.push(if new.matrix_parameters {
                self.change("matrix-parameters", from, to, Effect::Compatible, "paths with `;` are accepted")
                    .loosening()
            } else {
                self.change("matrix-parameters", from, to, Effect::Breaking, "paths with `;` are refused")
            });
        }
        if old.internal != new.internal {
            let (from, to) = (old.internal.to_string(), new.internal.to_string());
            all.push(if new.internal {
                self.change("internal", from, to, Effect::Breaking, "external callers cannot reach the route any more")
            } else {
                self.change("internal", from, to, Effect::Compatible, "external callers can reach the route")
                    .loosening()
            });
        }
        all
    }

    fn upstream(&self) -> Vec<Change> {
        let of =
            |compiled: &Compiled, route: &CompiledRoute| compiled.upstreams().get(route.settings.upstream).cloned();
        let (old, new) = (of(self.from, self.old), of(self.to, self.new));
        let mut all = Vec::new();
        // An upstream that keeps its name is compared once, for all routes to it.
        let renamed = old.as_ref().map(|upstream| &upstream.name) != new.as_ref().map(|upstream| &upstream.name);
        if let (true, Some(old), Some(new)) = (renamed, &old, &new) {
            all.extend(upstream_changes(self.subject(), old, new));
        }
        // What it is told may be a setting of the route.
        let is_own = !(is_defined(self.from, old.as_ref()) && is_defined(self.to, new.as_ref()));
        if let (false, true, Some(old), Some(new)) = (renamed, is_own, &old, &new) {
            all.extend(passed_on(self.subject(), old, new));
        }
        let (old, new) = (self.old.settings.strip_segments, self.new.settings.strip_segments);
        if old != new {
            let reason = "the upstream receives another path";
            all.push(self.change("strip-base", old.to_string(), new.to_string(), Effect::Review, reason));
        }
        all
    }
}

/// The word for fields that tell of limits.
const fn limit_fields(fields: LegacyFields) -> &'static str {
    match fields {
        LegacyFields::XRatelimit => "x-ratelimit",
        LegacyFields::XRatelimitUnix => "x-ratelimit-unix",
        LegacyFields::Draft03 => "draft-03",
    }
}

/// A rank by how many callers share a stored response, and the word for it.
const fn credentials(credentials: CacheCredentials) -> (u8, &'static str) {
    match credentials {
        CacheCredentials::Never => (0, "never"),
        CacheCredentials::PerConsumer => (1, "per-consumer"),
        CacheCredentials::Shared => (2, "shared"),
    }
}

/// Compares upstreams with the same name.
pub(super) fn upstreams(from: &Compiled, to: &Compiled) -> Vec<Change> {
    let named = |old: &UpstreamSettings| to.upstreams().iter().find(|new| new.name == old.name);
    let defined = from.upstreams().iter().filter(|old| is_defined(from, Some(old)));
    let both = defined.filter_map(|old| Some((old, named(old)?)));
    both.flat_map(|(old, new)| upstream_changes(&format!("upstream {}", old.name), old, new)).collect()
}

/// Whether it is an upstream as it is defined: the first one of its name. The others are those for which routes set something else.
fn is_defined(compiled: &Compiled, upstream: Option<&UpstreamSettings>) -> bool {
    upstream.is_none_or(|upstream| compiled.upstreams().iter().find(|one| one.name == upstream.name) == Some(upstream))
}

fn upstream_changes(subject: &str, old: &UpstreamSettings, new: &UpstreamSettings) -> Vec<Change> {
    let say = |setting: &str, from: Option<String>, to: Option<String>, effect, reason: &str| {
        Change::of(subject, setting, Differing { from, to }, effect, reason)
    };
    let mut all = Vec::new();
    if old.url != new.url {
        let (from, to) = (Some(old.url.to_string()), Some(new.url.to_string()));
        let change = say("upstream.url", from, to, Effect::Review, "requests go to another server");
        let loosens = old.url.is_https() && !new.url.is_https();
        all.push(if loosens { change.loosening() } else { change });
    }
    if old.connect_timeout_ms != new.connect_timeout_ms {
        let (from, to) = (Some(duration(old.connect_timeout_ms)), Some(duration(new.connect_timeout_ms)));
        let (effect, reason) = if new.connect_timeout_ms < old.connect_timeout_ms {
            (Effect::Breaking, "connection attempts that take longer are aborted")
        } else {
            (Effect::Compatible, "connection attempts may take longer")
        };
        all.push(say("upstream.connect-timeout", from, to, effect, reason));
    }
    let of = |upstream: &UpstreamSettings| upstream.fields.iter().cloned().collect::<BTreeMap<_, _>>();
    let (before, after) = (of(old), of(new));
    for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        if before.get(name) != after.get(name) {
            // The value may be confidential without being a secret reference.
            let shown = |is_set: bool| is_set.then(|| "set".to_owned());
            let (from, to) = (shown(before.contains_key(name)), shown(after.contains_key(name)));
            let reason = "the upstream receives another header field";
            all.push(say(&format!("upstream.headers.{name}"), from, to, Effect::Review, reason));
        }
    }
    if old.certificate != new.certificate {
        let shown = |own: &Option<OwnCertificate>| own.as_ref().map(|own| own.name.clone());
        let reason = "the gateway presents another certificate to the upstream";
        let (from, to) = (shown(&old.certificate), shown(&new.certificate));
        all.push(say("upstream.tls.certificate", from, to, Effect::Review, reason));
    }
    all.extend(passed_on(subject, old, new));
    all
}

/// The differences in what an upstream gets of callers and of the gateway.
fn passed_on(subject: &str, old: &UpstreamSettings, new: &UpstreamSettings) -> Vec<Change> {
    let say = |setting: &str, from: Option<String>, to: Option<String>, effect, reason: &str| {
        Change::of(subject, setting, Differing { from, to }, effect, reason)
    };
    let mut all = Vec::new();
    if old.auth != new.auth {
        let shown = |auth: &UpstreamAuth| (!auth.is_none()).then(|| auth.kind().to_owned());
        let reason = "the gateway authenticates itself to the upstream in another way";
        all.push(say("upstream.auth", shown(&old.auth), shown(&new.auth), Effect::Review, reason));
    }
    all.extend(identity(old, new).into_iter().map(|(name, from, to)| {
        let change =
            |reason| say(&format!("upstream.identity.{name}"), from.clone(), to.clone(), Effect::Review, reason);
        match to {
            Some(_) => change("the upstream is told something else about callers"),
            None => change("the upstream receives what clients send in this header field").loosening(),
        }
    }));
    all
}

/// The fields that tell an upstream something else about the caller than before, with what they told and tell.
fn identity<'u>(
    old: &'u UpstreamSettings,
    new: &'u UpstreamSettings,
) -> Vec<(&'u str, Option<String>, Option<String>)> {
    let of = |upstream: &'u UpstreamSettings| -> BTreeMap<&'u str, String> {
        upstream.identity.iter().map(|field| (field.name.as_str(), field.tells.to_string())).collect()
    };
    let (old, new) = (of(old), of(new));
    let names: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    let changed = names.into_iter().filter(|name| old.get(name) != new.get(name));
    changed.map(|name| (name, old.get(name).cloned(), new.get(name).cloned())).collect()
}

/// Compares the settings of the gateway.
pub(super) fn gateway(from: &Compiled, to: &Compiled) -> Vec<Change> {
    let (old, new) = (from.settings(), to.settings());
    let say = |setting: &str, from: String, to: String, effect, reason: &str| {
        Change::of("gateway", setting, Differing { from: Some(from), to: Some(to) }, effect, reason)
    };
    let mut all = Vec::new();
    if old.name != new.name {
        let reason = "keys, counters and stored responses are stored under the gateway's name";
        all.push(say("name", old.name.clone(), new.name.clone(), Effect::Breaking, reason));
    }
    if old.proxies != new.proxies {
        let reason = "clients are identified by other addresses";
        let shown =
            |proxies: &Option<ProxySettings>| proxies.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
        let change = say("trusted-proxies", shown(&old.proxies), shown(&new.proxies), Effect::Review, reason);
        let is_within = match (&new.proxies, &old.proxies) {
            (None, _) => true,
            (Some(new), Some(old)) => new.is_within(old),
            (Some(_), None) => false,
        };
        all.push(if is_within { change } else { change.loosening() });
    }
    if old.client_fields != new.client_fields {
        let reason = "upstreams are told of clients in other fields";
        let [from, to] = [old, new].map(|settings| settings.client_fields.as_str().to_owned());
        all.push(say("client-fields", from, to, Effect::Review, reason));
    }
    if old.identity_tokens != new.identity_tokens {
        let shown = |signing: &Option<TokenSigning>| {
            let one = |signing: &TokenSigning| {
                format!(
                    "{}, keys at {}, {}",
                    signing.issuer,
                    signing.keys_path,
                    duration(u64::from(signing.lifetime_s) * 1_000)
                )
            };
            signing.as_ref().map_or_else(|| "none".to_owned(), one)
        };
        let reason =
            "the tokens that tell upstreams who callers are are signed in another way, or their keys are elsewhere";
        let [from, to] = [old, new].map(|settings| shown(&settings.identity_tokens));
        all.push(say("identity-tokens", from, to, Effect::Review, reason));
    }
    if old.notify != new.notify {
        let shown = |receivers: &[NoticeReceiver]| match receivers {
            [] => "none".to_owned(),
            some => {
                let each = |to: &NoticeReceiver| format!("{} within {}", to.url, duration(to.timeout_ms.into()));
                some.iter().map(each).collect::<Vec<_>>().join(",")
            }
        };
        let reason = "other receivers are told of limits, or in another way";
        all.push(say("notify", shown(&old.notify), shown(&new.notify), Effect::Review, reason));
    }
    if old.internal_hosts != new.internal_hosts {
        let shown = |hosts: &[tollgate_core::route::HostPattern]| {
            hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        };
        let is_less = old.internal_hosts.iter().any(|host| !new.internal_hosts.contains(host));
        let reason = "the set of internal hosts changes";
        let change =
            say("internal-hosts", shown(&old.internal_hosts), shown(&new.internal_hosts), Effect::Review, reason);
        all.push(if is_less { change.loosening() } else { change });
    }
    if old.telemetry != new.telemetry {
        let shown = |telemetry: &tollgate_core::telemetry::TelemetrySettings| {
            let otlp = telemetry.otlp.as_ref().map_or_else(|| "no export".to_owned(), |otlp| otlp.endpoint.to_string());
            let usage = telemetry.usage.as_ref().map_or_else(
                || "no records of usage".to_owned(),
                |usage| {
                    let (every, keep) = (duration(usage.every_ms), duration(u64::from(usage.keep_s) * 1_000));
                    format!("usage every {every}, kept for {keep}")
                },
            );
            format!("log {}, {otlp}, {usage}", telemetry.log)
        };
        let reason = "responses do not change";
        all.push(say("telemetry", shown(&old.telemetry), shown(&new.telemetry), Effect::Compatible, reason));
    }
    all
}
