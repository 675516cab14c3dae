//! Keys of other gateways and formats, with the place where the same is written here.

/// What to write instead of an unknown key of an object, which is named as in the tables.
pub(in crate::decode) fn fix(object: &str, key: &str) -> Option<&'static str> {
    let key: String = key.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_ascii_lowercase();
    let is_of = |habit: &&Habit| habit.objects.contains(&object) && habit.keys.contains(&key.as_str());
    HABITS.iter().find(is_of).map(|habit| habit.fix)
}

/// Keys that are written elsewhere or otherwise here.
struct Habit {
    /// The names of the tables in which they are unknown.
    objects: &'static [&'static str],
    /// The keys in lowercase letters, without hyphens and underscores.
    keys: &'static [&'static str],
    fix: &'static str,
}

const fn habit(objects: &'static [&'static str], keys: &'static [&'static str], fix: &'static str) -> Habit {
    Habit { objects, keys, fix }
}

const PROJECT: &[&str] = &["project"];
const GATEWAY: &[&str] = &["gateway"];
const TOP: &[&str] = &["project", "gateway"];
const APIS: &[&str] = &["api", "api-file"];
const ROUTE: &[&str] = &["route"];
const ROUTES: &[&str] = &["route", "operation", "extension"];
const LEVELS: &[&str] = &["gateway", "api", "api-file", "route", "operation", "extension"];
const UPSTREAM: &[&str] = &["upstream"];
const POLICIES: &[&str] = &["policy", "api-key", "ip-filter", "rate-limit"];

/// The order has a meaning: the first that fits is shown.
const HABITS: &[Habit] = &[
    // The project.
    habit(
        PROJECT,
        &["plugins", "globalplugins", "globalrules", "middlewares", "middleware", "filters"],
        "define policies under `policies`, and name them in `guard`, `authn` or `limit` of the gateway, an API or a route",
    ),
    habit(
        PROJECT,
        &["services", "backends", "clusters", "servers"],
        "define servers under `upstreams`, and routes under `apis`",
    ),
    habit(
        PROJECT,
        &["routes", "routers", "endpoints", "paths", "locations", "http"],
        "write routes under `apis.NAME.routes`",
    ),
    habit(
        PROJECT,
        &["openapi", "swagger", "spec"],
        "name the OpenAPI document in `apis.NAME.spec`; `tollgate import openapi` starts a project from one",
    ),
    habit(
        PROJECT,
        &["consumers", "keyauthcredentials", "users"],
        "consumers and keys are not configuration: `tollgate key new` creates keys, and `dev/fixtures.yaml` has those for local use",
    ),
    habit(
        PROJECT,
        &["environments", "envs", "env", "vars", "variables"],
        "declare values under `values`, and assign them in `env/NAME.yaml`",
    ),
    habit(PROJECT, &["version", "formatversion", "apiversion", "schemaversion"], "write `format: 1`"),
    habit(PROJECT, &["secrets", "vaults"], "secrets are not configuration: write `${secret.NAME}` where one is used"),
    habit(
        TOP,
        &["listen", "listeners", "port", "ports", "bind", "address", "entrypoints", "proxylisten"],
        "the address to listen on is an option of `tollgate serve`: `--listen ADDRESS`",
    ),
    habit(
        TOP,
        &["tls", "ssl", "certificates", "certificate", "sslcertificate", "sslcertificatekey", "snis"],
        "certificates are options of `tollgate serve`: `--tls-cert FILE --tls-key FILE`",
    ),
    habit(
        TOP,
        &["logging", "log", "accesslog", "errorlog", "metrics", "tracing", "prometheus", "opentelemetry", "otel"],
        "write `telemetry:` at the root of the project",
    ),
    habit(
        PROJECT,
        &["hosts", "host", "timeout", "target", "name", "authn", "limit", "cache", "guard", "bodylimit"],
        "write it under `gateway:`",
    ),
    habit(
        GATEWAY,
        &["domains", "domain", "servername", "host", "hostname", "hostnames", "virtualhosts", "vhosts"],
        "write `hosts: [\"api.example.com\"]`",
    ),
    habit(
        GATEWAY,
        &[
            "trustedips",
            "trustproxy",
            "trustforwarded",
            "trustedhops",
            "setrealipfrom",
            "realiprecursive",
            "usexforwardedfor",
            "xfftrustedhops",
            "xffnumtrustedhops",
            "numtrustedproxies",
        ],
        "write `trusted-proxies: [10.0.0.0/8]` with the networks of the proxies before the gateway, or how many of them every request passes",
    ),
    habit(
        GATEWAY,
        &["realipheader", "forwardedheader", "clientipheader"],
        "write `proxy-field: x-forwarded-for` or `proxy-field: forwarded`, with `trusted-proxies`",
    ),
    habit(GATEWAY, &["proxyconnecttimeout", "connecttimeoutms"], "write `connect-timeout: 5s`"),
    habit(
        GATEWAY,
        &["platform", "platforms", "runtime", "provider"],
        "write `target: workers-free`, `workers-paid`, `spin` or `native`",
    ),
    // APIs.
    habit(
        APIS,
        &[
            "path",
            "paths",
            "prefix",
            "pathprefix",
            "basepath",
            "context",
            "contextpath",
            "listenpath",
            "baseurl",
            "uri",
        ],
        "write `base: /prefix` for all routes of the API, and the path of each route under `routes`",
    ),
    habit(
        APIS,
        &["strippath", "stripprefix", "striplistenpath", "stripcontext"],
        "write `strip-base: true` or `false`; `true` is the default",
    ),
    habit(
        APIS,
        &[
            "service",
            "backend",
            "backends",
            "proxypass",
            "target",
            "targets",
            "targeturl",
            "url",
            "cluster",
            "server",
            "servers",
            "origin",
            "upstreamurl",
        ],
        "define the server under `upstreams` of the project, and name it in `upstream`",
    ),
    habit(APIS, &["endpoints", "resources", "locations", "handlers"], "write `routes:` with a list of routes"),
    habit(APIS, &["openapi", "swagger", "specification", "specurl", "document"], "write `spec: ./openapi.yaml`"),
    habit(APIS, &["host", "domains", "domain", "servername", "hostname"], "write `hosts: [\"api.example.com\"]`"),
    // Routes.
    habit(ROUTE, &["paths", "uris", "urls", "patterns"], "write one route for each path, with `path`"),
    habit(
        ROUTE,
        &[
            "uri",
            "url",
            "match",
            "pattern",
            "route",
            "location",
            "prefix",
            "regex",
            "pathprefix",
            "matcher",
            "rule",
            "endpoint",
        ],
        "write `path: /users/{id}`",
    ),
    habit(ROUTE, &["method", "verbs", "verb", "httpmethod", "httpmethods"], "write `methods: [GET]`"),
    habit(
        ROUTE,
        &["host", "hosts", "domain", "servername", "hostnames"],
        "hosts are set for a whole API: write `hosts` there",
    ),
    habit(ROUTE, &["name", "operationid", "key", "routeid"], "write `id: listPets`"),
    habit(
        ROUTE,
        &[
            "headers",
            "header",
            "query",
            "queryparams",
            "querystring",
            "vars",
            "predicates",
            "conditions",
            "matches",
            "queries",
        ],
        "write conditions as `when: {header: {X-Version: \"2\"}, query: {debug: present}}`",
    ),
    habit(
        ROUTES,
        &["upstream", "service", "backend", "proxypass", "target", "targeturl", "server", "cluster", "handler"],
        "the upstream is set for a whole API: write `upstream` there, and another API for other servers",
    ),
    habit(
        ROUTES,
        &["priority", "regexpriority", "order", "weight", "preservehost"],
        "remove it: of the routes that match a request, the most specific one is selected",
    ),
    habit(
        ROUTES,
        &[
            "rewrite",
            "rewritepath",
            "rewriteurl",
            "urlrewrite",
            "replacepath",
            "pathrewrite",
            "prefixrewrite",
            "regexuri",
            "striprefix",
            "strippath",
            "stripprefix",
        ],
        "the path is forwarded without the API's `base` (`strip-base`) and after the path of the upstream's URL; there is no other rewriting",
    ),
    // All levels.
    habit(
        &["gateway", "api", "route", "operation", "extension"],
        &["policies"],
        "name policies by what they do: `guard`, `authn` and `limit` list them",
    ),
    habit(
        LEVELS,
        &["plugins", "middlewares", "middleware", "filters", "policy", "interceptors", "pipeline"],
        "name policies by what they do: `guard`, `authn` and `limit` list them",
    ),
    habit(
        LEVELS,
        &[
            "auth",
            "authentication",
            "security",
            "authorization",
            "authenticate",
            "auths",
            "apikey",
            "keyauth",
            "requireauth",
            "jwt",
        ],
        "write `authn: NAME` with the name of a policy that authenticates, such as one of kind `api-key`",
    ),
    habit(
        LEVELS,
        &[
            "ratelimit",
            "ratelimits",
            "ratelimiting",
            "limits",
            "throttle",
            "throttling",
            "quota",
            "limitreq",
            "limitcount",
            "spikearrest",
        ],
        "write `limit: NAME` with the name of a policy of kind `rate-limit`",
    ),
    habit(
        LEVELS,
        &[
            "ipwhitelist",
            "ipblacklist",
            "ipallowlist",
            "ipdenylist",
            "iprestriction",
            "allow",
            "deny",
            "whitelist",
            "acl",
        ],
        "write `guard: NAME` with the name of a policy of kind `ip-filter`",
    ),
    habit(
        LEVELS,
        &[
            "readtimeout",
            "writetimeout",
            "sendtimeout",
            "requesttimeout",
            "responsetimeout",
            "proxyreadtimeout",
            "proxysendtimeout",
            "timeoutms",
            "timeouts",
            "idletimeout",
        ],
        "write `timeout: 10s`: it is for the whole exchange with the upstream",
    ),
    habit(
        LEVELS,
        &[
            "clientmaxbodysize",
            "maxbodysize",
            "bodysizelimit",
            "requestsizelimiting",
            "maxrequestsize",
            "bodysize",
            "maxbody",
            "requestsizelimit",
        ],
        "write `body-limit: 10MiB`",
    ),
    habit(LEVELS, &["proxycache", "caching", "cachettl", "responsecache", "ttl"], "write `cache: {ttl: 10m}`"),
    habit(
        LEVELS,
        &[
            "cors",
            "retries",
            "retry",
            "circuitbreaker",
            "compression",
            "gzip",
            "healthcheck",
            "healthchecks",
            "loadbalancing",
            "mirror",
            "transform",
            "websocket",
            "websockets",
        ],
        "remove it: this version has no such feature",
    ),
    habit(
        LEVELS,
        &["enabled", "disabled", "active"],
        "remove it: what is not wanted is removed or commented out; an operation of a specification can be `hidden: true`",
    ),
    habit(LEVELS, &["description", "summary", "comment", "title"], "write it as a comment, after `#`"),
    // Upstreams.
    habit(
        UPSTREAM,
        &[
            "host",
            "hostname",
            "address",
            "server",
            "servers",
            "target",
            "targets",
            "nodes",
            "endpoint",
            "endpoints",
            "port",
            "protocol",
            "scheme",
            "path",
            "uri",
            "upstream",
            "loadbalancer",
        ],
        "write `url: \"https://pets.internal:8443\"`, with scheme, host, port and path",
    ),
    habit(
        UPSTREAM,
        &["readtimeout", "writetimeout", "sendtimeout", "requesttimeout", "proxyreadtimeout", "timeoutms", "timeouts"],
        "write `timeout: 10s`: it is for the whole exchange",
    ),
    habit(UPSTREAM, &["connecttimeoutms", "proxyconnecttimeout", "dialtimeout"], "write `connect-timeout: 2s`"),
    habit(
        UPSTREAM,
        &[
            "header",
            "requestheaders",
            "addheaders",
            "setheaders",
            "proxysetheader",
            "headerstoadd",
            "auth",
            "basicauth",
            "token",
        ],
        "write `headers: {Authorization: \"Bearer ${secret.NAME}\"}`",
    ),
    habit(
        UPSTREAM,
        &[
            "retries",
            "retry",
            "healthcheck",
            "healthchecks",
            "checks",
            "weight",
            "algorithm",
            "hash",
            "keepalive",
            "type",
            "passhost",
            "tls",
            "tlsverify",
            "sslverify",
            "insecureskipverify",
            "maxfails",
        ],
        "remove it: this version has no such setting; certificates are always verified",
    ),
    // Policies.
    habit(POLICIES, &["type", "plugin", "policytype", "use"], "write `kind: rate-limit`, `api-key` or `ip-filter`"),
    habit(
        POLICIES,
        &["config", "configuration", "options", "settings", "params", "parameters", "with"],
        "write the settings beside `kind`",
    ),
    habit(
        POLICIES,
        &["enabled", "disabled", "priority", "order", "runon", "protocols", "phase"],
        "remove it: a policy runs where `guard`, `authn` or `limit` names it, in the order of the list",
    ),
    habit(
        &["rate-limit", "plan-limit"],
        &[
            "limit",
            "limits",
            "requests",
            "requestspersecond",
            "rps",
            "requestsperminute",
            "rpm",
            "second",
            "minute",
            "hour",
            "day",
            "count",
            "average",
            "max",
            "quota",
            "calls",
            "period",
            "window",
            "timewindow",
            "interval",
            "per",
            "unit",
            "seconds",
            "windowsize",
        ],
        "write `rate: 100/s`, `100/min` or `5/10s`",
    ),
    habit(
        &["rate-limit", "plan-limit"],
        &["burstsize", "maxburst", "nodelay", "capacity", "burstlimit"],
        "write `burst: 200`",
    ),
    habit(
        &["rate-limit"],
        &["key", "limitby", "keytype", "sourcecriterion", "identifier", "scope", "zone", "groupby"],
        "write `by: consumer` or `by: address`",
    ),
    habit(
        &["rate-limit"],
        &["faulttolerant", "allowdegradation", "failopen", "failureMode", "failuremode", "failuremodedeny", "onerror"],
        "write `on-unavailable: open` or `closed`",
    ),
    habit(
        &["rate-limit"],
        &["policy", "redis", "redishost", "store", "storage", "rejectedcode", "statuscode", "hideclientheaders"],
        "remove it: counters are kept by the host, and a refused request is answered with 429",
    ),
    habit(
        &["api-key"],
        &["keynames", "keyname", "keyinheader", "name", "headername", "in", "headers"],
        "write `header: X-API-Key`",
    ),
    habit(&["api-key"], &["keyinquery", "queryparam", "queryparameter", "queryname"], "write `query: api-key`"),
    habit(&["api-key"], &["prefix", "authscheme", "tokentype"], "write `scheme: Bearer`"),
    habit(
        &["api-key"],
        &["keys", "key", "consumers", "credentials", "users", "hidecredentials", "anonymous", "realm"],
        "remove it: keys are created by `tollgate key new`, and `dev/fixtures.yaml` has those for local use",
    ),
    habit(
        &["ip-filter"],
        &["whitelist", "allowlist", "allowed", "allowips", "ips", "sourcerange", "cidrs", "include", "ranges"],
        "write `allow: [\"10.0.0.0/8\"]`",
    ),
    habit(
        &["ip-filter"],
        &["blacklist", "denylist", "denied", "denyips", "blocked", "exclude", "block"],
        "write `deny: [\"192.0.2.0/24\"]`",
    ),
    // Others.
    habit(
        &["cache"],
        &[
            "maxage",
            "cachettl",
            "expires",
            "expire",
            "duration",
            "timeout",
            "proxycachevalid",
            "expirationinseconds",
            "lifetime",
            "time",
        ],
        "write `ttl: 10m`",
    ),
    habit(&["cache"], &["varyheaders", "headers", "cachebyheader", "varybyheader"], "write `vary: [Accept-Language]`"),
    habit(
        &["cache"],
        &["varyqueryparams", "query", "queryparams", "cachekey", "key", "keys", "varybyquery"],
        "write `key-query: [page]`",
    ),
    habit(
        &["cache"],
        &[
            "methods",
            "cachemethod",
            "requestmethod",
            "statuses",
            "statuscodes",
            "responsecode",
            "cachehttpstatus",
            "enabled",
        ],
        "remove it: `GET` and `HEAD` are cached, if the response may be stored",
    ),
    habit(
        &["otlp"],
        &["url", "address", "host", "collector", "uri", "endpoints"],
        "write `endpoint: \"https://otel.example.com\"`, without `/v1/traces`",
    ),
    habit(
        &["otlp"],
        &["protocol", "insecure", "compression", "timeout", "samplerate", "sampler", "samplingratio"],
        "remove it: OTLP/HTTP in JSON is used, and the client's `traceparent` decides about sampling",
    ),
    habit(
        &["otlp"],
        &["flushinterval", "scheduledelay", "exportinterval", "batchinterval", "intervalms", "batch"],
        "write `interval: 1s`",
    ),
    habit(&["when"], &["headers", "fields", "headermatch"], "write `header: {X-Version: \"2\"}`"),
    habit(
        &["when"],
        &["queries", "queryparams", "parameters", "querystring", "params", "args"],
        "write `query: {debug: present}`",
    ),
    habit(
        &["when"],
        &["host", "hosts", "path", "method", "methods"],
        "hosts are set on the API, path and methods on the route",
    ),
    habit(&["consumer"], &["name", "username", "customid"], "write `id: acme`"),
    habit(
        &["consumer"],
        &["key", "apikey", "apikeys", "credentials", "keyauthcredentials", "secrets"],
        "write `keys: [...]`; `tollgate key new` creates a key",
    ),
    habit(
        &["consumer-key"],
        &["expiry", "expiresat", "expiration", "validuntil"],
        "write `expires: \"2027-01-01T00:00:00Z\"`",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_of_other_gateways_have_a_place() {
        for (object, key, meant) in [
            ("project", "plugins", "`policies`"),
            ("project", "_format_version", "`format: 1`"),
            ("gateway", "server_name", "`hosts:"),
            ("api", "strip_path", "`strip-base:"),
            ("api", "stripPath", "`strip-base:"),
            ("api", "rate_limiting", "`limit: NAME`"),
            ("route", "paths", "one route for each path"),
            ("route", "proxy_pass", "the upstream is set for a whole API"),
            ("route", "method", "`methods: [GET]`"),
            ("upstream", "read_timeout", "`timeout: 10s`"),
            ("rate-limit", "requests_per_second", "`rate: 100/s`"),
            ("cache", "max-age", "`ttl: 10m`"),
        ] {
            assert!(fix(object, key).is_some_and(|fix| fix.contains(meant)), "{object} {key}");
        }
        assert_eq!(fix("route", "colour"), None);
    }

    #[test]
    fn every_habit_is_of_a_table_and_no_key_of_it() {
        // Objects of specifications are in no file of a project.
        let all = [crate::tests::objects(), vec![&crate::model::tables::EXTENSION]].concat();
        let mut seen = BTreeSet::new();
        for Habit { objects, keys, .. } in HABITS {
            for name in *objects {
                let object =
                    all.iter().find(|object| object.name == *name).unwrap_or_else(|| panic!("no table {name}"));
                for key in *keys {
                    let is_known = object.all_keys().any(|known| known.name.replace('-', "") == *key);
                    assert!(!is_known, "{key} is a key of {name}");
                    seen.insert((*name, *key));
                }
            }
        }
        assert!(seen.len() > 200, "{}", seen.len());
    }
}
