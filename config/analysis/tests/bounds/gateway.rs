//! Generated gateways, written as projects.

use proptest::prelude::*;

/// The properties of a generated gateway.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    /// The hosts for which it has routes.
    pub(crate) hosts: Vec<&'static str>,
    /// The places of the keys.
    pub(crate) keys: Vec<Place>,
    /// Whether the address is charged before the caller is authenticated.
    pub(crate) guarded: bool,
    pub(crate) by_consumer: bool,
    pub(crate) by_address: bool,
    pub(crate) cache: bool,
    pub(crate) methods: &'static str,
    /// For each field that the upstream's configuration sets, its secrets.
    pub(crate) upstream_secrets: Vec<Vec<u8>>,
    /// The same for the export, if there is one.
    pub(crate) export_secrets: Option<Vec<Vec<u8>>>,
}

/// The place from which a policy reads a key.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) field: u8,
    pub(crate) scheme: Option<u8>,
    pub(crate) query: Option<u8>,
}

pub(crate) const HOSTS: [&str; 3] = ["api.example.com", "*.example.com", "*"];

pub(crate) fn forms() -> impl Strategy<Value = Form> {
    let hosts = proptest::sample::subsequence(HOSTS.to_vec(), 1..=HOSTS.len());
    let place = (0u8..4, proptest::option::of(0u8..2), any::<bool>());
    let keys = proptest::collection::vec(place, 0..5).prop_map(|places| {
        let place = |(n, (field, scheme, query)): (usize, (u8, Option<u8>, bool))| {
            // No two policies share a parameter, so that a request can contain a key for each.
            Place { field, scheme, query: query.then_some(u8::try_from(n).unwrap_or(u8::MAX)) }
        };
        places.into_iter().enumerate().map(place).collect()
    });
    let secrets = || proptest::collection::vec(proptest::collection::vec(0u8..4, 1..4), 0..4);
    let methods = prop_oneof![Just("[GET]"), Just("[HEAD]"), Just("[POST]"), Just("[GET, PUT]"), Just("")];
    (hosts, keys, any::<(bool, bool, bool, bool)>(), methods, secrets(), proptest::option::of(secrets())).prop_map(
        |(hosts, keys, (guarded, by_consumer, by_address, cache), methods, upstream_secrets, export_secrets)| Form {
            hosts,
            keys,
            guarded,
            by_consumer,
            by_address,
            cache,
            methods,
            upstream_secrets,
            export_secrets,
        },
    )
}

impl Form {
    /// The project: a route `/a`, and a second route with a cached `GET` on the same path if the first has none.
    pub(crate) fn yaml(&self) -> String {
        let mut out = format!("format: 1\ngateway: {{name: g, hosts: {:?}}}\n", self.hosts);
        if let Some(fields) = &self.export_secrets {
            out.push_str(&format!(
                "telemetry: {{otlp: {{endpoint: \"http://otlp\", headers: {{{}}}}}}}\n",
                headers(fields, 'E')
            ));
        }
        let headers = headers(&self.upstream_secrets, 'U');
        out.push_str(&format!("upstreams: {{u: {{url: \"http://u\", headers: {{{headers}}}}}}}\npolicies:\n"));
        for (n, place) in self.keys.iter().enumerate() {
            let scheme = place.scheme.map(|s| format!(", scheme: S{s}")).unwrap_or_default();
            let query = place.query.map(|q| format!(", query: q{q}")).unwrap_or_default();
            out.push_str(&format!("  k{n}: {{kind: api-key, header: X-K{}{scheme}{query}}}\n", place.field));
        }
        for (wanted, name) in [(self.by_consumer, "consumer"), (self.by_address, "address")] {
            if wanted {
                out.push_str(&format!("  {name}: {{kind: rate-limit, rate: 1/s, burst: 1, by: {name}}}\n"));
            }
        }
        out.push_str("  early: {kind: rate-limit, rate: 1/s, burst: 1, by: address}\n");
        out.push_str("  unused: {kind: rate-limit, rate: 1/s}\napis:\n");
        for (n, host) in self.hosts.iter().enumerate() {
            out.push_str(&self.api(n, host));
        }
        out
    }

    fn api(&self, n: usize, host: &str) -> String {
        let list = |names: Vec<String>, key: &str| match names.len() {
            0 => "none".to_owned(),
            _ => format!("{{{key}: [{}]}}", names.join(", ")),
        };
        let authn = list((0..self.keys.len()).map(|n| format!("k{n}")).collect(), "any");
        let limits = [(self.by_consumer, "consumer"), (self.by_address, "address")];
        let limit = list(limits.iter().filter(|(on, _)| *on).map(|(_, name)| (*name).to_owned()).collect(), "use");
        let guard = if self.guarded { "early" } else { "none" };
        let cache = if self.cache { "{ttl: 1s, with-credentials: shared}" } else { "none" };
        let methods = if self.methods.is_empty() { String::new() } else { format!(", methods: {}", self.methods) };
        let mut out = format!("  a{n}:\n    hosts: [\"{host}\"]\n    upstream: u\n    authn: {authn}\n    routes:\n");
        out.push_str(&format!(
            "      - {{path: \"/a\", id: own{methods}, guard: {guard}, limit: {limit}, cache: {cache}}}\n"
        ));
        if self.has_reader() {
            out.push_str("      - {path: \"/a\", id: reader, methods: [GET], cache: {with-credentials: shared}}\n");
        }
        out
    }

    /// Whether there is a second route, only for `GET`.
    pub(crate) fn has_reader(&self) -> bool {
        self.methods == "[POST]"
    }
}

fn headers(fields: &[Vec<u8>], prefix: char) -> String {
    let text = |names: &Vec<u8>| names.iter().map(|n| format!("${{secret.{prefix}{n}}}")).collect::<String>();
    let all = fields.iter().enumerate().map(|(n, names)| format!("X-H{n}: \"{}\"", text(names)));
    all.collect::<Vec<_>>().join(", ")
}
