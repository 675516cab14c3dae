//! The project, the gateway and APIs.

use super::{Habit, habit};

const PROJECT: &[&str] = &["project"];
const GATEWAY: &[&str] = &["gateway"];
const TOP: &[&str] = &["project", "gateway"];
const LEVELS_AND_PROJECT: &[&str] = &["project", "gateway", "api", "api-file", "route"];
const APIS: &[&str] = &["api", "api-file"];

pub(super) const PROJECT_HABITS: &[Habit] = &[
    habit(
        PROJECT,
        &["plugins", "globalplugins", "globalrules", "middlewares", "middleware", "filters"],
        "define policies under `policies`, and name them in `guard`, `authn`, `authz` or `limit` of the gateway, an API or a route",
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
        PROJECT,
        &["include", "includes", "import", "imports", "extends", "files", "resources"],
        "remove it: `apis/NAME/api.yaml`, `policies/*.yaml` and `plans/*.yaml` are read without being named",
    ),
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
        &["hosts", "host", "timeout", "target", "name", "authn", "authz", "limit", "cache", "guard", "bodylimit"],
        "write it under `gateway:`",
    ),
    habit(
        GATEWAY,
        &["domains", "domain", "servername", "host", "hostname", "hostnames", "virtualhosts", "vhosts"],
        "write `hosts: [\"api.example.com\"]`",
    ),
    habit(
        LEVELS_AND_PROJECT,
        &[
            "trustedips",
            "trustproxy",
            "trustforwarded",
            "trustforwardedfor",
            "trustforwardheader",
            "trustedhops",
            "numtrustedhops",
            "setrealipfrom",
            "realiprecursive",
            "realip",
            "useremoteaddress",
            "usexforwardedfor",
            "xfftrustedhops",
            "xffnumtrustedhops",
            "numtrustedproxies",
            "forwardedheaders",
        ],
        "write `trusted-proxies: [10.0.0.0/8]` in `gateway`, with the networks of the proxies before the gateway, or how many of them every request passes",
    ),
    habit(
        LEVELS_AND_PROJECT,
        &["realipheader", "realipfrom", "forwardedheader", "clientipheader", "originalipdetection"],
        "write `proxy-field: x-forwarded-for` or `proxy-field: forwarded` in `gateway`, with `trusted-proxies`",
    ),
    habit(
        LEVELS_AND_PROJECT,
        &["proxyprotocol", "useproxyprotocol", "acceptproxyprotocol"],
        "remove it: the PROXY protocol is not read; let the proxy set `X-Forwarded-For`, and write `trusted-proxies` in `gateway`",
    ),
    habit(PROJECT, &["trustedproxies", "proxyfield", "clientfields"], "write it under `gateway:`"),
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
    habit(
        APIS,
        &["protocols", "protocol", "schemes", "scheme"],
        "remove it: the host that runs the gateway decides which protocols are answered, and an upstream's URL has its own scheme",
    ),
    habit(APIS, &["connecttimeout", "connecttimeoutms"], "write `connect-timeout: 5s` on the upstream or the gateway"),
    habit(APIS, &["versions", "version", "apiversion"], "write one API for each version, with its own `base`"),
    habit(APIS, &["cost", "scopes"], "write it in a route under `routes`, or in an entry of `operations`"),
    habit(APIS, &["when", "methods"], "write it in a route under `routes`"),
    habit(APIS, &["route", "paths"], "write `routes:` with a list of routes"),
    habit(
        APIS,
        &["rewrite", "rewritepath", "pathrewrite", "urlrewrite"],
        "the path is forwarded without the API's `base` (`strip-base`) and after the path of the upstream's URL; there is no other rewriting",
    ),
    habit(APIS, &["host", "domains", "domain", "servername", "hostname"], "write `hosts: [\"api.example.com\"]`"),
];
