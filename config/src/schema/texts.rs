//! The rules for strings.
//!
//! For strings that core parses (hosts, paths, URLs), the pattern is only for editors: it matches everything that the
//! parser accepts, and some strings that it refuses. The other patterns match exactly what the decoder accepts.

use crate::schema::TextRule;

/// The name of an upstream, policy, API, plan or value.
pub(crate) static NAME: TextRule = TextRule {
    name: "name",
    doc: "1 to 40 lowercase letters, digits and hyphens.",
    pattern: "^[a-z0-9-]{1,40}$",
    examples: &["pets", "partner-keys"],
};

/// The name of a policy whose limits a plan changes.
pub(crate) static QUALIFIED_NAME: TextRule = TextRule {
    name: "qualified-name",
    doc: "The name of a policy; `api.policy` for a policy that is defined in the file of an API.",
    pattern: "^[a-z0-9-]{1,40}(\\.[a-z0-9-]{1,40})?$",
    examples: &["burst", "pets.burst"],
};

/// The gateway's name.
pub(crate) static GATEWAY_NAME: TextRule = TextRule {
    name: "gateway-name",
    doc: "1 to 40 lowercase letters, digits and hyphens, beginning with a letter.",
    pattern: "^[a-z][a-z0-9-]{0,39}$",
    examples: &["acme"],
};

/// What the requests of one quota have in common.
pub(crate) static PART: TextRule = TextRule {
    name: "partition",
    doc: "`consumer`, `address`, `installation`, `credential`, `subscription`, `route`, `api`, `upstream`, `gateway`, or an expression that reads one value \
          of the request, its client or its caller.",
    pattern: r"^(consumer|address|installation|credential|subscription|route|api|upstream|gateway|[a-z][ -~]*[.\[][ -~]*)$",
    examples: &["consumer", "request.headers[\"x-tenant\"]"],
};

/// What a request costs.
pub(crate) static COST: TextRule = TextRule {
    name: "cost",
    doc: "`request.bytes`, `response.bytes`, a field of the upstream's response such as `response.headers[\"x-cost\"]`, or an expression \
          that reads one number of the request or its caller.",
    pattern: r"^[a-z][ -~]*[.\[][ -~]*$",
    examples: &["response.bytes", "response.headers[\"x-cost\"]", "request.query[\"limit\"]"],
};

/// A share of a limit.
pub(crate) static PERCENT: TextRule = TextRule {
    name: "percent",
    doc: "A whole number of percent, from 1% to 100%.",
    pattern: "^([1-9][0-9]?|100)%$",
    examples: &["80%", "95%"],
};

/// What is spent in a window.
pub(crate) static BUDGET: TextRule = TextRule {
    name: "budget",
    doc: "An amount of a currency, with up to six decimals, or a number of calls.",
    pattern: "^([0-9]{1,9}(\\.[0-9]{1,6})? [A-Z]{3}|[1-9][0-9]{0,9} calls)$",
    examples: &["20 USD", "0.50 EUR", "100000 calls"],
};

/// The responses after which a request counts.
pub(crate) static STATUSES: TextRule = TextRule {
    name: "statuses",
    doc: "Comparisons of `status` with a number, with `<`, `<=`, `>`, `>=`, `==` or `!=`, joined by `and` and `or`; `and` binds more closely.",
    pattern: "^status (<=?|>=?|==|!=) [2-6][0-9]{2}( (and|or) status (<=?|>=?|==|!=) [2-6][0-9]{2}){0,15}$",
    examples: &["status < 500", "status == 401 or status == 403"],
};

/// The name of a currency.
pub(crate) static CURRENCY: TextRule =
    TextRule { name: "currency", doc: "1 to 16 letters.", pattern: "^[A-Za-z]{1,16}$", examples: &["USD"] };

/// The id of a route, a consumer or a plan.
pub(crate) static ID: TextRule = TextRule {
    name: "id",
    doc: "1 to 80 letters, digits, `-`, `_` and `.`.",
    pattern: "^[A-Za-z0-9_.-]{1,80}$",
    examples: &["listPets"],
};

/// A host, or a pattern of hosts.
pub(crate) static HOST: TextRule = TextRule {
    name: "host",
    doc: "A host (`api.example.com`), a wildcard for all subdomains (`*.example.com`, any number of labels), or `*` for every \
          host; without a port.",
    pattern: r"^(\*|(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?|\[[0-9a-fA-F:.]+\])$",
    examples: &["api.example.com", "*.example.com", "*"],
};

/// The base path of an API.
pub(crate) static BASE: TextRule = TextRule {
    name: "base",
    doc: "A path without parameters, beginning with `/`.",
    pattern: "^/[^{}]*$",
    examples: &["/pets/v1"],
};

/// A path template.
pub(crate) static PATH: TextRule = TextRule {
    name: "path",
    doc: "A path that begins with `/`. `{name}` matches one segment that is not empty, or a part of one; `{name:int}`, \
          `{name:uuid}`, `{name:bool}` and `{name:(a|b)}` match only such values; `{*rest}` at the end matches one or more \
          segments.",
    pattern: "^/",
    examples: &["/pets/{id}", "/pets/{id:int}", "/files/{name}.json", "/assets/{*rest}"],
};

/// A method.
pub(crate) static METHOD: TextRule = TextRule {
    name: "method",
    doc: "An HTTP method in uppercase letters; `GET` also matches `HEAD`. `CONNECT` and `TRACE` are never routed.",
    pattern: "^[A-Z0-9!#$%&'*+.^_`|~-]+$",
    examples: &["GET", "POST", "PUT", "PATCH", "DELETE"],
};

/// A scope.
pub(crate) static SCOPE: TextRule = TextRule {
    name: "scope",
    doc: "One word of printable characters without `\"` and `\\` (RFC 6749, section 3.3).",
    pattern: r"^[!#-\[\]-~]+$",
    examples: &["pets.read"],
};

/// The URL of an upstream or an exporter.
pub(crate) static URL: TextRule = TextRule {
    name: "url",
    doc: "`http://` or `https://` (certificates are verified), a host, an optional port and an optional path; no user name, \
          query or fragment.",
    pattern: "^[hH][tT][tT][pP][sS]?://[^?#]+$",
    examples: &["https://pets.internal:8443"],
};

/// A field's name.
pub(crate) static FIELD: TextRule = TextRule {
    name: "field-name",
    doc: "The name of a header field: a token (RFC 9110, section 5.1), such as letters, digits and hyphens.",
    pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
    examples: &["X-API-Key"],
};

/// A field's value, which may contain references to secrets.
pub(crate) static FIELD_VALUE: TextRule = TextRule {
    name: "field-value",
    doc: "One line of text. `${secret.NAME}` refers to a secret that the host resolves at run time; its name has 1 to 64 \
          uppercase letters, digits and `_`.",
    pattern: r"^([^$]|\$+[^${]|\$*\$\{secret\.[A-Z0-9_]{1,64}\})*\$*$",
    examples: &["Bearer ${secret.PETS_TOKEN}"],
};

/// The name of a claim that the gateway writes.
pub(crate) static CLAIM_NAME: TextRule = TextRule {
    name: "claim-name",
    doc: "The name of a claim: printable characters without blanks, `\"` and `\\`; none of those that the gateway writes itself.",
    pattern: r"^[!#-\[\]-~]+$",
    examples: &["email"],
};

/// What is kept of a token or a certificate for upstreams.
pub(crate) static FACT: TextRule = TextRule {
    name: "fact",
    doc: "A claim of the token, as in conditions: `claims.email`, `claims.org.id`, `claims[\"https://example.com/org\"]`; or what \
          the certificate has of one kind: `certificate.` with `common-name`, `subject`, `dns`, `uri`, `email`, `fingerprint` \
          or `issuer`. Absent if there is none.",
    pattern: r#"^(claims(\.[A-Za-z_][A-Za-z0-9_]*|\["[^"\\]+"\])+|certificate\.(common-name|subject|dns|uri|email|fingerprint|issuer))$"#,
    examples: &["claims.email", "certificate.subject"],
};

/// The scheme before a credential.
pub(crate) static SCHEME: TextRule = TextRule {
    name: "scheme",
    doc: "One word, such as `Bearer`.",
    pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
    examples: &["Bearer"],
};

/// A network in CIDR notation, or an address.
pub(crate) static NETWORK: TextRule = TextRule {
    name: "network",
    doc: "An IPv4 or IPv6 network in CIDR notation, with all bits after the prefix zero, or an address.",
    pattern: "^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$",
    examples: &["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"],
};

/// The origin of web pages.
pub(crate) static ORIGIN: TextRule = TextRule {
    name: "origin",
    doc: "The origin of web pages: scheme, host and an optional port; `*.` before the host stands for all subdomains.",
    pattern: "^[hH][tT][tT][pP][sS]?://[^/?#@]+$",
    examples: &["https://app.example.com", "https://*.example.com"],
};

/// The environment in a key.
pub(crate) static ENVIRONMENT: TextRule = TextRule {
    name: "environment",
    doc: "The environment in a key: 1 to 12 lowercase letters and digits.",
    pattern: "^[a-z0-9]{1,12}$",
    examples: &["live", "test"],
};

/// The name of a query parameter.
pub(crate) static QUERY_PARAMETER: TextRule = TextRule {
    name: "query-parameter",
    doc: "The name of a query parameter as clients send it: letters, digits and `-._~[]$:@!*'()`.",
    pattern: r"^[A-Za-z0-9._~\[\]$:@!*'()-]+$",
    examples: &["page"],
};

/// The name of a cookie.
pub(crate) static COOKIE: TextRule = TextRule {
    name: "cookie",
    doc: "The name of a cookie, as clients send it: letters, digits and ``!#$%&'*+-.^_`|~``.",
    pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
    examples: &["session"],
};

/// The name of a claim.
pub(crate) static CLAIM: TextRule = TextRule {
    name: "claim",
    doc: "The name of a claim of a token; if a token has none of this name, members of members with dots between them, such \
          as `realm_access.roles`.",
    pattern: "",
    examples: &["sub", "client_id", "realm_access.roles"],
};

/// A name that callers have.
pub(crate) static CALLER_NAME: TextRule = TextRule {
    name: "caller-name",
    doc: "The name of a consumer, a plan or a group: 1 to 200 visible ASCII characters.",
    pattern: "^[!-~]{1,200}$",
    examples: &["ada", "staff:ada"],
};

/// A list of callers.
pub(crate) static CALLERS: TextRule = TextRule {
    name: "callers",
    doc: "A list of callers: `consumers`, `plans` or `groups`. Roles are groups.",
    pattern: "^(consumers|plans|groups)$",
    examples: &["consumers", "plans", "groups"],
};

/// A kind of name in a certificate.
pub(crate) static CERTIFICATE_NAME: TextRule = TextRule {
    name: "certificate-name",
    doc: "A kind of name in a certificate (RFC 5280): `common-name` and `subject`; `dns`, `uri` and `email` in the alternative \
          names; `fingerprint`, the SHA-256 of the certificate; `issuer`.",
    pattern: "^(common-name|subject|dns|uri|email|fingerprint|issuer)$",
    examples: &["dns", "common-name"],
};

/// The name of a user.
pub(crate) static USER_NAME: TextRule = TextRule {
    name: "user-name",
    doc: "The name of a user: 1 to 128 bytes without control characters and without `:`, which ends it in a request (RFC 7617).",
    pattern: "^[^:\\u0000-\\u001f\\u007f]{1,128}$",
    examples: &["ada", "batch jobs"],
};

/// A signature algorithm.
pub(crate) static ALGORITHM: TextRule = TextRule {
    name: "algorithm",
    doc: "A signature algorithm of tokens (RFC 7518, RFC 8037).",
    pattern: "^(HS256|HS384|HS512|RS256|RS384|RS512|PS256|PS384|PS512|ES256|ES384|EdDSA|Ed25519)$",
    examples: &["RS256", "ES256", "EdDSA"],
};

/// A signature algorithm of HTTP Message Signatures.
pub(crate) static SIGNATURE_ALGORITHM: TextRule = TextRule {
    name: "signature-algorithm",
    doc: "A signature algorithm of HTTP Message Signatures (RFC 9421, section 6.2.2).",
    pattern: "^(rsa-pss-sha512|rsa-v1_5-sha256|hmac-sha256|ecdsa-p256-sha256|ecdsa-p384-sha384|ed25519)$",
    examples: &["ed25519", "ecdsa-p256-sha256"],
};

/// A component of a request that is signed.
pub(crate) static COMPONENT: TextRule = TextRule {
    name: "component",
    doc: "A component of a request (RFC 9421, section 2): a field in lower case, or a name that begins with `@`, with parameters after \
          `;`.",
    pattern: "^[@a-z0-9!#$%&'*+.^_`|~-]+(;[ -~]*)?$",
    examples: &["@method", "content-digest", "@query-param;name=\"id\""],
};

/// The id of a key.
pub(crate) static KEY_ID: TextRule =
    TextRule { name: "key-id", doc: "The id of a key, as signatures name it.", pattern: "", examples: &["key-1"] };

/// An API key.
pub(crate) static KEY_TEXT: TextRule = TextRule {
    name: "key-text",
    doc: "An API key, as created by `tollgate key new`.",
    pattern: "^tg_",
    examples: &["tg_dev_PWu2EyAB2NTHRtw96AWiraT6d9dxTqt420E1EW"],
};

/// An instant.
pub(crate) static INSTANT: TextRule = TextRule {
    name: "instant",
    doc: "A timestamp as in RFC 3339, with a time zone offset.",
    pattern: r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$",
    examples: &["2026-01-31T23:59:50Z"],
};

/// The name of a platform.
pub(crate) static TARGET: TextRule = TextRule {
    name: "target",
    doc: "A target platform: `workers-free`, `workers-paid`, `spin` or `native`.",
    pattern: "^(workers-free|workers-paid|spin|native)$",
    examples: &["workers-paid"],
};
