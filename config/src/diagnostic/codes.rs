//! The table of all diagnostic codes.

use std::fmt;

macro_rules! codes {
    ($($name:ident $id:literal $title:literal $explanation:literal)*) => {
        /// A stable diagnostic code, such as `TG0201`.
        ///
        /// The meaning of a code never changes, and a code that is no longer used is never assigned again.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// All codes in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as it is printed, such as `TG0201`.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)*
                }
            }

            /// The code's name for programs, such as `UnknownKey`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The finding that the code stands for, in one sentence.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)*
                }
            }

            /// The full explanation: why the rule exists and how to follow it.
            #[must_use]
            pub fn explanation(self) -> &'static str {
                match self {
                    $(Self::$name => $explanation,)*
                }
            }
        }
    };
}

impl Code {
    /// Finds a code by its printed form, in any letter case.
    #[must_use]
    pub fn find(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.id().eq_ignore_ascii_case(id.trim()))
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

codes! {
    UnreadableFile "TG0101" "A file cannot be read."
        "A project is a folder with a `tollgate.yaml` (or `tollgate.json`). Every file that the project refers to must \
        be a regular file inside that folder. Links that lead outside the folder are not followed, so that the files \
        that were reviewed are the files that are compiled."
    Syntax "TG0102" "A file is not well-formed YAML."
        "Files are written in YAML 1.2; JSON is a subset of it. Parsing stops at the first syntax error, because the rest \
        of the file has no defined meaning after it. Frequent causes: a tab used for indentation, a `:` without a space \
        after it, an unquoted value that begins with `*`, `&`, `@`, `{` or `[`, a bracket or quote that is not closed."
    DuplicateKey "TG0103" "A mapping contains a duplicate key."
        "Some parsers keep the first of two equal keys, some the last, some both. The configuration of an API gateway \
        must not depend on the parser, so a duplicate key is an error."
    Yaml11Boolean "TG0104" "An unquoted word is a boolean in YAML 1.1."
        "YAML 1.1 parsers read `yes`, `no`, `on`, `off`, `y` and `n` as booleans; YAML 1.2 parsers read them as strings. \
        A known example is the country code `NO`, which becomes `false`. Write `true` or `false` for a boolean, and quote \
        the word for a string."
    Tag "TG0105" "A value has a YAML tag."
        "A YAML tag (`!!str`, `!include`) changes the type of a value, or makes a parser run code. In this format the key \
        alone decides the type of its value, and every file has an equivalent in JSON, which has no tags."
    SeveralDocuments "TG0106" "A file contains several YAML documents."
        "`---` begins another YAML document. Parsers that read only the first document would ignore the others, so a \
        file must contain exactly one."
    TooLarge "TG0107" "A file is too large, is nested too deeply, or repeats too much through aliases."
        "The size of a file, its nesting depth, its number of values, and what its aliases repeat (\"billion laughs\") are \
        limited, so that a hostile or broken file cannot exhaust the memory of the machine that checks it. The limits are \
        far above the size of files that people write."
    NotUtf8 "TG0108" "A file is not UTF-8."
        "All files are UTF-8. The content of a file in another encoding would depend on the machine that reads it."
    MergeKey "TG0109" "A mapping uses the merge key `<<`."
        "Merge keys are part of YAML 1.1. For a YAML 1.2 parser, `<<` is an ordinary key. Define what several APIs share \
        once, on the gateway or as a named policy."
    KeyNotText "TG0110" "A key is not a string."
        "YAML allows lists and mappings as keys. JSON does not, and this format does not either."
    EndlessAlias "TG0111" "An alias is inside the value that it repeats."
        "An alias (`*name`) repeats a value that is complete. Inside the value of its own anchor, it would describe an \
        infinite value."
    EmptyFile "TG0112" "A file is empty."
        "Every file begins with `format: 1`, so that a later version of Tollgate knows how to read it."
    UnexpectedFile "TG0113" "A file has a name or location at which no file of a project is read."
        "The files of a project are found by folder and name: `tollgate.yaml`, `apis/NAME/api.yaml`, `policies/*.yaml`, \
        `plans/*.yaml`, `env/NAME.yaml`, `tests/*.test.yaml`, each also as `.yml` or `.json`, and `dev/fixtures.yaml`. A \
        similar file beside them would be ignored without notice: in `apis`, `policies`, `plans` and `env` it is an error. \
        A warning is given for files of the root, of `tests` with its folders, of `dev` and beside an `api.yaml`, if their \
        name is similar to that of a test or of fixtures, or if their keys at the root are those of a file of a project, such \
        as `cases`, `consumers` or `routes`. Files in other folders, and with other extensions, are not checked."
    SeveralFiles "TG0114" "Two files define the same thing."
        "Examples are `tollgate.yaml` beside `tollgate.json`, and `api.yml` beside `api.yaml`. It is not defined which of \
        the two is used, so one of them must be removed."
    Yaml11Number "TG0115" "An unquoted number has another meaning in YAML 1.1."
        "YAML 1.1 parsers read `0777` as 511, YAML 1.2 parsers as 777. `1_000` and `12:30` are numbers in YAML 1.1 and \
        strings in YAML 1.2. Write a number in decimal digits without separators, and quote it for a string."
    NotJson "TG0118" "A file named `.json` is not JSON."
        "The compiler reads YAML from a file of any name, but editors and other tools expect JSON in a `.json` file. \
        `tollgate fmt` writes a file named `.json` as JSON. JSON has no comments and no anchors, so a `.json` file that \
        contains them is refused."
    NotFormatted "TG0119" "A file cannot be formatted."
        "The formatter parses its own output and compares the values and the comments with those of the file. If they \
        differ, the file is not changed. This is a bug in the formatter: please report it with the file."

    UnknownKey "TG0201" "A key is unknown."
        "If misspelt keys were ignored, a misspelt policy would not run, without notice. So every key must be one that the \
        format defines for that mapping."
    WrongType "TG0202" "A value has the wrong type."
        "Each key takes values of one type. Numbers and booleans are not converted to strings, nor strings to numbers or \
        booleans. Quote a value to make it a string."
    MissingKey "TG0203" "A required key is missing."
        "The key has no default value that would be safe, so it must be set."
    FormatVersion "TG0204" "This compiler does not support the format version."
        "`format` is the version of the configuration format. This compiler supports `format: 1`."
    BadName "TG0205" "A name contains characters that are not allowed in names."
        "The names of upstreams, policies, APIs and the gateway are used in record keys, metrics and logs. They have 1 to \
        40 characters: lowercase letters, digits and hyphens. Ids of routes and consumers have 1 to 80 characters, and may \
        also contain uppercase letters, `_` and `.`."
    BadDuration "TG0206" "A duration is not valid."
        "A duration is an integer directly followed by its unit: `250ms`, `10s`, `5m`, `1h`, `7d`. The unit is required, \
        because a number alone could mean seconds or milliseconds."
    BadSize "TG0207" "A size is not valid."
        "A size is an integer directly followed by its unit: `512B`, `64KiB`, `10MiB`, `1GiB`. Units are powers of 1024. \
        `KB` and `MB` are refused, because they can mean powers of 1000 or of 1024."
    BadRate "TG0208" "A rate is not valid."
        "A rate is an integer, a slash and a period: `100/s`, `100/min`, `1000/h`, `5/10s`."
    OutOfRange "TG0209" "A number is out of range."
        "The value is less than the minimum or greater than the maximum of its key."
    UnknownValue "TG0210" "A value is not one of the allowed words."
        "The key takes one of a fixed list of words."
    BadSecretReference "TG0211" "A secret reference is not valid."
        "`${secret.NAME}` refers to a secret that the host resolves at run time: an environment variable, a Worker secret, \
        a Spin variable. Names of secrets consist of uppercase letters, digits and underscores. No other form of `${...}` exists, \
        and a literal `${` cannot be written."
    EmptyValue "TG0212" "A key has no value, or an empty list."
        "A key without a value is `null` in YAML. It is unclear whether the default, an empty value or another value was \
        intended."
    Repeated "TG0213" "A list contains the same item twice."
        "The second occurrence has no effect. It is redundant, or another item was intended."

    UnknownUpstream "TG0301" "An API names an upstream that does not exist."
        "Upstreams are defined under `upstreams:`, and an API names one of them."
    UnknownPolicy "TG0302" "A list names a policy that does not exist."
        "Policies are defined under `policies:`, and named in the lists of the phases (`guard`, `authn`, `authz`, `limit`)."
    WrongPolicyKind "TG0303" "A policy is listed in a phase in which its kind cannot run."
        "`ip-filter` runs in `guard`, `api-key` in `authn`, `access` and `condition` in `authz`, and `rate-limit` in `limit`. A `rate-limit` with `by: address` \
        can also run in `guard`, because it needs no authenticated caller."
    BadUrl "TG0304" "A URL is not valid."
        "The URL of an upstream consists of `http://` or `https://`, a host, an optional port and an optional path. User \
        names, passwords, queries and fragments are refused. Write credentials as secret references in `headers`; a query \
        or fragment would not reach the upstream."
    BadHost "TG0305" "A host is not valid."
        "A host is a name (`api.example.com`), a wildcard for all names that end with a name (`*.example.com`), or `*` \
        for every host. It has no scheme and no port."
    BadPath "TG0306" "A path is not valid."
        "A path begins with `/`. `{name}` matches one segment or a part of one. `{name:int}`, `{name:uuid}`, `{name:bool}` \
        and `{name:(a|b)}` match only such values. `{*rest}` at the end matches the rest of the path. Dot segments, empty \
        segments, queries and percent-encoded slashes are refused, because no request can match them."
    BadMethod "TG0307" "A method is not valid."
        "Methods are HTTP methods in uppercase letters, such as `GET`. They are case-sensitive: `get` is another method, \
        which no client sends. `CONNECT` and `TRACE` are never routed."
    BadField "TG0308" "A header field is not valid."
        "The name of a field is a token (RFC 9110, section 5.1), and its value is printable text. Fields that belong to \
        one connection (`Connection`, `Transfer-Encoding` ...) and fields that Tollgate sets (`Host`, `Content-Length`, \
        `Forwarded` ...) cannot be configured. A value cannot refer to the secrets of the operator endpoint, whose names \
        begin with `TOLLGATE_OPERATOR_`."
    ScopesWithoutAuthn "TG0309" "A route requires scopes but does not authenticate."
        "Scopes are granted to credentials. On a route without authentication a request has no scopes, so every request \
        would be refused."
    CostWithoutLimit "TG0310" "A route has a cost but no limit."
        "`cost` is what one request is charged in the rate limits of its route. Without a limit it has no effect."
    BadQueryParameter "TG0311" "The name of a query parameter is not valid."
        "The name of a query parameter is compared with the text before `=` in the query as the client sends it, without \
        decoding."
    DefinedTwice "TG0312" "A name is defined twice."
        "Policies, plans, upstreams and APIs may be defined in several files, and the order of the files has no meaning. So \
        a name may be defined only once. The definitions in an API's own file are visible only to that API, but they must \
        not have the name of a definition that is visible to the whole project."
    BadNetwork "TG0313" "A network is not valid."
        "A network is an IPv4 or IPv6 address, a slash and the length of the prefix, such as `10.0.0.0/8` or \
        `2001:db8::/32`, or a single address. All bits after the prefix must be zero: `10.0.0.1/8` could mean \
        `10.0.0.0/8` or `10.0.0.1`, which are very different networks."
    ChargedTwice "TG0314" "A policy is listed in both `guard` and `limit`."
        "Each request would be charged to the same counter twice. A policy in `guard` is charged before the caller is \
        authenticated, and a policy in `limit` afterwards. List it in one of them, or define two policies."
    ForeignPath "TG0315" "A path is written in the syntax of another router."
        "Other routers write parameters as `/users/:id`, `/users/<id>` or `/users/[id]`, the rest of a path as `/users/*`, and \
        regular expressions as `/users/[0-9]+`. Here all of these would be plain text that no client sends. A parameter is \
        `{id}`, with a type `{id:int}`, and the rest of a path is `{*rest}`. A segment has at most one parameter, with fixed \
        text around it: `{from-to}` in place of `:from-:to`. What may be absent is a route of its own: `/users` and \
        `/users/{id}` in place of `/users(/:id)?`. A parameter has no pattern: `{id}` in place of `{id:public-[a-z]+}` matches \
        any text, so it may need another `authn`. A prefix such as `/admin*` is several routes: `/admin`, `/admin/{*rest}`, and \
        `/admin{name}` for `/admin-2`. To match one of these characters itself, \
        percent-encode it: `%2A` is `*`, `%3A` is `:`. In an OpenAPI document it is only a warning, because there a path may \
        contain such text. There the text in braces is only a name, also in `{id:int}` and `{v:(v1|v2)}`: the parameter matches \
        any text, and its type is that of its `schema`."
    NoScheme "TG0316" "An API key is read from `Authorization` without a scheme."
        "The value of `Authorization` begins with a scheme (RFC 9110, section 11.6.2): `Authorization: Bearer tg_...`. Without \
        `scheme`, the policy expects the key alone, and refuses what HTTP clients send. Other gateways assume `Bearer`."
    PatternCondition "TG0317" "A condition of `when` is written as a pattern."
        "A condition is a value, a list of values, `present` or `absent`. Values are compared as a whole and as they are \
        written: `*`, `^v2` and `2.*` match only requests with exactly this text. Write `present` for any value, or a list."
    PatternScope "TG0318" "A scope is written as a pattern, or as several scopes."
        "Scopes are compared as a whole and as they are written, and a credential must have all scopes of a list: `pets.*`, \
        `!admin` and `a|b` are the names of single scopes. List each scope that is required, or write `{any: [a, b]}` if one \
        of them is enough."
    CostAboveBurst "TG0319" "A request costs more than a limit admits at once."
        "A limit admits at most `burst` at once, and without `burst` the number in `rate`. A request whose `cost` is more is \
        always refused with 429, however long its caller waits. Plans have numbers of their own, and are \
        compared on their own."
    BadTokenPolicy "TG0320" "A policy for tokens cannot verify any, or would accept forged ones."
        "A `jwt` policy needs keys that belong to its issuer and algorithms that belong to its keys. Without `jwks`, `keys` \
        or `secret`, the keys are found by the metadata of the one issuer, which must be an HTTPS URL. Keys are fetched \
        over HTTPS, unless `private-network` says that the provider is in the gateway's own network. Algorithms of shared \
        secrets (HS256 ...) are for `secret` only; `none` is no algorithm."
    BadSignaturePolicy "TG0321" "A policy for signed requests cannot verify any, or would accept forged ones."
        "Secrets of a `webhook` policy are references, because the file and the published configuration are no secrets; a \
        public key (`whpk_...`) can be written. With `sender: hmac`, `header` names the field of the signature, and `signed` \
        contains all of the message. A message that is accepted once has to be remembered for as long as it could be sent \
        again: twice the `tolerance`. An `http-signature` policy has keys with ids, components that a request can have, and algorithms of its \
        keys; a nonce that nobody remembers is no protection. Both read at most 1 MiB of content, so a larger `body-limit` \
        of their routes has no effect."
    BadCertificatePolicy "TG0325" "A policy for client certificates has a value that no certificate can have, or a setting that does not apply."
        "A `client-certificate` policy compares names of certificates as they are. `*.` at the beginning of a host name \
        stands for one label, `/*` at the end of a URI for the rest of its path; there are no other patterns. The record of a \
        registered certificate says who its consumer is, with plan and scopes, so the policy cannot."
    NoCertificates "TG0326" "A policy for client certificates refuses every caller."
        "A `client-certificate` policy needs somebody who tells which certificate a client has: the host, at the end of the \
        client's connection, or with `from: client-cert` a proxy that `gateway.trusted-proxies` trusts. Spin does not tell \
        certificates."
    BadLogin "TG0327" "A policy for logins cannot log anyone in, or not safely."
        "An `oidc-login` policy sends people to its provider and reads the answer at `path`/callback on every host, so each has a \
        path and a cookie of its own. A cookie whose name begins with `__Host-` cannot be set by another site. `scope` contains \
        `openid`, and `after-logout` is a path of the same host. A session ends after `session`, or after `idle` without a request."
    BadBasic "TG0328" "A policy for names and passwords lists a user that nobody can be, or has a setting that does not apply."
        "A `basic` policy without `users` takes the consumers of API keys for users and their keys for passwords, and the \
        records of keys say what they may do. With `users` it has its own, each with the SHA-256 of a generated password in \
        hexadecimal, or with a slow hash of a password that a person thought of: the file contains no passwords. Slow hashes have \
        bounds, and are not verified on Cloudflare. A name has no colon, because the first one ends it in a request."
    BadAnonymous "TG0329" "A policy for callers without a credential cannot have the effect that it seems to have."
        "An `anonymous` policy admits those who present no credential to any other policy of the route, so it is the last \
        alternative, and not together with others: who must present a credential is not anonymous. `optional` admits the same \
        callers without a consumer, so beside it the policy would decide first."
    AuthzWithoutAuthn "TG0330" "A route authorizes callers but does not authenticate them."
        "A policy in `authz` that decides by consumer, plan, group, scope or claim needs an authenticated caller. On a route \
        without authentication it would refuse every request."
    BadAccess "TG0331" "A list of callers cannot have the effect that it seems to have."
        "An `access` policy refuses the callers that `deny` names, and of the others admits those that `allow` names, in \
        `consumers`, `plans` and `groups`. A name in both is always refused, and a pattern such as `team-*` is the name of \
        one single caller."
    BadExpression "TG0332" "An expression is not valid."
        "Conditions are expressions in the syntax of CEL, which are parsed and checked when the project is compiled: names must be \
        known, and operators take values of their types. What CEL has besides (regular expressions, maps, byte strings, \
        conversions) is refused by name."
    ConstantCondition "TG0333" "A condition has the same value for every request."
        "A `condition` that is `true` for every request refuses nothing, and one that is `true` for no request refuses every one. \
        Often `&&` is written in place of `||`, or a value is compared that no request has: `getHours()` is at most 23, countries \
        have two capital letters."
    BadExternal "TG0334" "An external policy cannot ask its service, or would believe others."
        "An `external` policy asks a service over HTTPS, or with `private-network: true` over HTTP, tells it the values in `send`, \
        each under a name of its own, and waits for at most `timeout`. `protocol: authzen` requires `subject.type`, `subject.id`, \
        `action.name`, `resource.type` and `resource.id`."
    ConditionReadsRemoved "TG0335" "A condition reads what the upstream does not receive."
        "A condition sees a request as the client sent it. Fields that tell who the client or the caller is, those that the upstream's \
        `headers` and `identity` set, and credentials are removed or replaced before the request is forwarded, so a client can \
        write anything there without effect on what the upstream does."
    BadIntrospection "TG0340" "An introspection policy cannot ask its provider, or asks it too seldom."
        "An `introspection` policy asks the provider as a client, with `client-id` and `client-secret`, or with `client-auth: \
        bearer` and a token as `client-secret`. An answer is used for `cache`, at most an hour, because a revocation takes \
        effect only when the provider is asked again."
    LiteralSecret "TG0341" "A secret is written in the file."
        "The secrets with which the gateway proves who it is, or verifies what others sign, are references such as \
        `${secret.NAME}`, whose values are bound on the host. What is written in the file is part of the published configuration, which everyone reads who reads the \
        store."
    BadUpstreamAuth "TG0342" "The gateway cannot authenticate itself to an upstream in this way."
        "`auth` of an upstream sets the field `Authorization`, so `headers` cannot set it too. The name of a user has no colon \
        (RFC 7617). A token is fetched over HTTPS, unless `private-network` says that its server is in the gateway's own network. `token-exchange` \
        sends the caller's token to the server, so every caller of its routes must have one. `aws-sigv4` signs the content too, but for S3 over HTTPS."
    BadIdentity "TG0343" "A header field cannot tell an upstream what `identity` says."
        "`identity` names header fields, and for each what it tells: `consumer`, `credential`, `plan`, `scopes`, `groups`, a claim \
        of the token (`claims.email`), or what the client's certificate has of one kind (`certificate.subject`). A claim is known \
        only of callers that a policy with tokens authenticated, and a certificate of those of a `client-certificate` policy."
    BadOutage "TG0345" "A policy admits known tokens without an end, without consumers, or without effect."
        "While the provider of a `jwt` or `introspection` policy is away, `on-unavailable: known` admits tokens that were \
        verified before. This is an exception from verification, so it is bounded: `outage-consumers` names whose tokens they \
        are, `outage-for` says for how long, `outage-past-expiry` for how long after their end; each at most a day. A policy whose \
        keys are in the configuration has no provider that could be away."
    BadMapping "TG0346" "A rule that maps claims to names cannot apply, or two policies give one name to different callers."
        "`map-consumers`, `map-plans` and `map-groups` give names to tokens with some claims, each rule as `claim=value`. A token has one \
        consumer and one plan. `sub` is unique for its issuer only, so two policies would take two people for one if they have one `consumer-prefix`, or if what stands before \
        a `sub` in one is the beginning of a name of the other."
    BadBinding "TG0349" "What is required of the holders of tokens has no effect, or cannot be verified."
        "With `binding: dpop`, `dpop-or-bearer` or `any`, a policy verifies proofs of the keys to which tokens are bound (RFC 9449): \
        the other keys that begin with `dpop-` have an effect only then. The key of a proof is a public key in the proof itself, so \
        algorithms of shared secrets are not among those of proofs, and a proof is accepted for an hour at most."
    BadUpstreamTls "TG0351" "The gateway cannot present this certificate to an upstream."
        "`tls.certificate` of an upstream is the certificate that the gateway presents in the TLS handshake, so the URL is an `https://` \
        one. Certificate and key are secrets, each as `${secret.NAME}` alone: the key is never in the project, and a certificate that \
        is renewed needs no publish. Spin chooses certificates by the upstream's host, so all upstreams at one host have the same one there."

    BadLimit "TG0352" "A limit counts by nothing that requests have, or has a setting that does not apply."
        "`by` of a limit says which requests share a quota: one or several of the words `consumer`, `address`, `installation`, `credential`, \
        `route`, `api`, `upstream`, `gateway`, and values that an expression reads, such as `request.headers[\"x-tenant\"]`. Where a window of a `quota` begins \
        is said by `anchor-day`, `anchor-month` and `anchor-weekday`, each for some windows, and by `zone`, the name of a time zone in the IANA database. \
        A key has numbers only for limits with `at-most`, and like a plan no more than that."
    FreePartition "TG0353" "Callers choose the quota that they are counted to."
        "A limit that counts by what callers write into their requests, such as a field or a parameter, also beside other things, gives everyone another \
        quota for another value. List a second limit on the route, which counts by `consumer` or `address` alone and bounds all of them together; or count by \
        something that a credential proves, such as a claim: then callers need a policy that reads tokens."
    BadNotify "TG0354" "A receiver cannot be told of limits, or is told nothing."
        "`gateway.notify` lists receivers of webhooks, each once. They are reached over HTTPS, or with `private-network: true` over HTTP, and have at \
        most 5 seconds to answer: what they answer later is sent again. They are told when a consumer reaches a share in `warn` of a limit."
    BadBudget "TG0355" "A budget cannot be kept."
        "`budget` of a `quota` is an amount of money, such as `20 USD`, or a number of calls, such as `100000 calls`, that all callers of a route, an \
        API, an upstream or the gateway spend together in a window. Money becomes a number of requests by the price list: `prices.yaml` beside \
        `tollgate.yaml`, otherwise the built-in one. It needs a price for the platforms in `gateway.target`, in the currency of the budget, and pays for one request at least."
    ChargedBeside "TG0358" "A limit is charged while a write is forwarded, or is charged before although it says otherwise."
        "With `charge: beside` a request is forwarded while the owner of its counter is asked, so the upstream may have received a request that \
        is answered with 429. That does no harm to reads. Of a write the client is told that it was refused, and the upstream may have done it: \
        list another limit on routes for writes, with `charge: before`. Limits in `guard` are always charged before: they protect what comes after them."

    RouteConflict "TG0401" "Two routes match the same request with equal precedence."
        "The most specific route is selected, and the order in the file has no effect. These two routes are equally \
        specific and match the same request, so the selection is ambiguous. Change one of the paths, or give the routes \
        methods, hosts or `when` conditions that do not overlap."
    PublicRoute "TG0402" "A route is public without an explicit `authn`."
        "`authn` is set neither on the route nor on its API nor on the gateway. If everyone may call the route, write \
        `authn: none` on one of them. This removes the warning and documents the decision."
    AuthnWidened "TG0403" "A route accepts more credentials than its own `authn` lists."
        "Lists of policies are appended: `authn` on a lower level adds to the policies of the levels above. If only the \
        route's own list was intended, the route accepts callers that its `authn` does not show. Write `{replace: true, \
        any: [...]}` to accept only the listed policies, or `{replace: false, any: [...]}` to confirm the addition; for a \
        list that is written as `all: [...]`, keep the word `all`: `any` would accept a caller with one of them."
    DuplicateRouteId "TG0404" "Two routes have the same id."
        "The id of a route identifies it in logs, metrics and traces, so it must be unique in the gateway. Without `id`, \
        the id consists of the API's name, the methods and the path."
    EmptyApi "TG0405" "An API has no routes."
        "Requests that match no route are answered with 404, so this API has no effect."
    NoApis "TG0406" "The project has no APIs."
        "Requests that match no route are answered with 404, so this gateway answers every request with 404."
    UnusedDefinition "TG0407" "A policy or upstream is defined but not used."
        "A policy that no list names does not run, and an upstream that no API names receives no requests."
    HostOutsideGateway "TG0408" "An API has a host that the gateway does not have."
        "`gateway.hosts` lists the hosts of the gateway. An API can use a subset of them, but cannot add hosts."
    TooMany "TG0409" "A number of items exceeds its maximum."
        "The numbers of hosts, routes and policies are limited, so that the work for one request is bounded."
    InternalOnPublicHost "TG0410" "An internal route is listed on a public host."
        "An internal route is served only on the hosts of `gateway.internal-hosts`, and only to internal callers. If its \
        API lists a public host, the route would be open to everyone. List only internal hosts, or omit `hosts`: public \
        routes are then served on the public hosts, and internal routes on the internal hosts."
    PublicAndInternalHost "TG0411" "A host is both public and internal."
        "`gateway.hosts` lists the hosts for everyone, `gateway.internal-hosts` the hosts for internal callers. If both \
        lists contain the same pattern, it is ambiguous. A more specific pattern in one of the lists is allowed: the most \
        specific pattern applies."
    NeverWins "TG0412" "A route can never be selected."
        "Every request that it matches is served by a more specific route. Examples are `{on:bool}` beside `/true` and \
        `/false`, and a path for which other routes cover every value of a header field. The compiler proves this, and \
        shows a request together with the route that serves it. Paths below `/.tollgate` belong to the operator endpoint \
        and are not routed, unless the gateway has the endpoint at another path."
    NoHost "TG0413" "A route is served on no host."
        "An internal route is served only on the hosts of `gateway.internal-hosts`. Without internal hosts, no request can \
        reach it."
    InternalReachable "TG0414" "A public route gives access to the resource of an internal route."
        "Both routes forward to the same URL of the same upstream, so external callers can reach through the public route \
        what was meant to be internal. Narrow the public route, or define a more specific route for those paths on the \
        public hosts."
    WriteWithoutAuthn "TG0415" "A route for write methods is public."
        "The route accepts `POST`, `PUT`, `PATCH` or `DELETE`, and is public only because `authn: none` is set on the \
        gateway. If everyone may write, set `authn: none` on the API or the route."
    WriteWithoutLimit "TG0416" "A route for write methods has no limit."
        "The route accepts `POST`, `PUT`, `PATCH` or `DELETE`, and has no limit, so one client can call it without \
        restriction. List a `rate-limit` policy in `limit`, or one with `by: address` in `guard`. If no limit is intended, set \
        `limit: none` on the API or the route."
    NeverDecides "TG0417" "An alternative of `authn` is never used."
        "Alternatives are tried in order, and the first one that authenticates the caller is used. An alternative that \
        contains all policies of an earlier alternative is never used, because the earlier one accepts the same callers."
    NothingCached "TG0418" "A cache stores nothing."
        "Responses to requests with credentials are stored only if `cache.with-credentials` says who may share them: \
        `per-consumer`, or `shared` if they do not depend on the caller. On a route with `authn`, every request has a \
        credential. Only responses to `GET` are stored. If nothing is to be stored, write `cache: none` or `with-credentials: \
        never`."
    AnsweredByLogin "TG0419" "A route matches a path that a policy for logins answers itself."
        "An `oidc-login` policy answers some paths below its `path` on every host, before routes: `/callback`, to which the provider \
        sends browsers, `/logout`, and with `revocable: true` `/back-channel-logout`. A route below this path gets no request for them, whatever its methods. Other paths below it \
        are routed."
    ProxiesWithoutEffect "TG0430" "Trusted proxies have no effect on a target platform."
        "`trusted-proxies` says which proxies before the gateway may name their client. On Cloudflare Workers, the first \
        hop is the client of Cloudflare, whose address Cloudflare provides. Only a proxy that stands before Cloudflare can \
        be trusted there, and it has a public address."
    TrustsClients "TG0431" "`trusted-proxies` trusts clients."
        "A trusted proxy names the address of its client. If clients themselves are trusted, each can name any address: \
        filters, limits by address and telemetry then use an address that the client chose. List only the networks of \
        proxies, or count only proxies that every request passes. On Cloudflare Workers, Cloudflare itself is not counted."

    BadKey "TG0501" "A key in the fixtures is not a valid API key."
        "An API key consists of `tg_`, an environment, a random part and a checksum. A key that was made up has a wrong \
        checksum, and the gateway refuses it. Create one with `tollgate key new`."
    BadTimestamp "TG0502" "A timestamp is not valid."
        "Timestamps are written as in RFC 3339: `2026-01-31T23:59:50Z`."
    DuplicateConsumer "TG0503" "Two consumers have the same id."
        "The id of a consumer identifies it in limits, logs and metrics."
    DuplicateKeyText "TG0504" "Two credentials have the same key."
        "A key belongs to one consumer. With the same key for two credentials, a request could not be assigned to one of \
        them."
    NeverValid "TG0505" "A key is never valid."
        "It expires before it becomes valid."
    UnknownPlan "TG0506" "A plan of consumers is not defined in the project."
        "The numbers of a plan replace those of policies for its consumers, which fixtures and policies such as `anonymous` name. With \
        a plan that no `plans:` defines, a consumer has the policies' own numbers, as if it had no plan."
    Expired "TG0507" "A key has expired."
        "The gateway refuses the key from the time in `expires`. A key for local use does not need this key; for a key that \
        is refused on purpose, a policy test with its own clock is better, because it does not depend on today's date."

    Locked "TG0601" "A lower level overrides a locked setting."
        "`locked: true` keeps a setting in force on all levels below. A locked `authn` list cannot be replaced or \
        extended, because more callers would be accepted. A locked `limit` list can be extended, because more limits are \
        stricter. Locked members of `cache`, and a locked `timeout` or `body-limit`, cannot be set again; this includes \
        the `timeout` of an upstream. Remove the setting below, or remove the lock above."
    UndeclaredValue "TG0602" "A value is not declared."
        "A project declares its values with their types under `values:`. Environments assign them, and `${value.NAME}` \
        refers to them. So an environment can change only what the project declares as changeable."
    MissingValue "TG0603" "A value has no default and is not assigned."
        "Every environment must assign a value that has no `default`. A project with such a value can be compiled only for \
        an environment: `--env NAME`."
    ValueWithinText "TG0604" "A value reference is part of a longer string, or of another value."
        "`${value.NAME}` replaces a whole setting. A string that is assembled from parts could not be checked at the place \
        where each part is assigned, and its result would be written in no file. Assign the whole string as the value."
    UnknownEnvironment "TG0605" "The project has no such environment."
        "An environment is a file in `env/` and has the name of that file: `--env production` selects \
        `env/production.yaml`."
    UnusedValue "TG0606" "A value is declared but not used."
        "No `${value.NAME}` refers to it, so what environments assign to it has no effect."
    PlanWithoutLimit "TG0607" "A plan sets limits for a policy that has none."
        "`limits` of a plan names policies of kind `rate-limit`, and sets the numbers that replace the policy's own for \
        the consumers of the plan."
    PlanNeverApplies "TG0608" "A plan sets limits that never apply."
        "A plan belongs to an authenticated consumer. A policy that is charged only in `guard`, before the caller is \
        authenticated, or only on public routes, always uses its own numbers. Nor is there a claim with the number of a \
        limit (`limit-from`) where no policy reads tokens."

    NoOpenApi "TG0701" "A file is not an OpenAPI document of a supported version."
        "`spec:` names an OpenAPI document of version 3.0 or 3.1, in YAML or JSON. Its first key is `openapi`, with the \
        version. A version without quotes is read as it is written, so `3.0` is version 3.0. Swagger 2.0 is another format; converters such as swagger2openapi produce an equivalent \
        OpenAPI 3 document."
    SpecShape "TG0702" "A part of an OpenAPI document does not conform to OpenAPI."
        "OpenAPI documents are written for many tools, and few tools use every part. A part that does not have the form \
        that OpenAPI defines is ignored, and the rest of the document is used."
    BrokenReference "TG0703" "A reference in an OpenAPI document cannot be resolved."
        "A `$ref` refers to a place in the same document (`#/components/...`), to another file, or to a place in another \
        file. Only files in the project folder are read, and URLs are not fetched, so that a project compiles offline and \
        always with the same result. References between schemas may be circular; a reference that only leads back to \
        itself is an error."
    NotRouted "TG0704" "An operation cannot be routed."
        "Some OpenAPI paths cannot be matched unambiguously: a path with `?` or `#`, two paths that differ only in the \
        names of their parameters, two parameters in one segment, and parameters for several segments (`{path+}`), for a query \
        (`{?page}`) or with a regular expression (`{id:[0-9]+}`). `TRACE` is never routed. Such an operation is \
        skipped, and all others are routed. If it is needed, define it under `routes:`; if it is not, hide it with `hidden: true` \
        in `x-tollgate` or `operations:`. Both end the warning about a path. Of two operations that match the \
        same requests the stricter one is routed: its `security` requires all that the other one requires. If neither is \
        stricter, none is routed."
    DuplicateOperation "TG0705" "Two operations have the same operationId."
        "An `operationId` identifies an operation in `operations:`, in logs, metrics and traces, so it must be unique in a \
        document. The first operation keeps the id. The route of the second has an id made of its method and path."
    WeakerThanSpec "TG0706" "The gateway requires less than the `security` of the specification."
        "Readers of the specification expect that an operation is protected as its `security` declares. The gateway is \
        less strict: it requires no credential, fewer scopes, or no client certificate. An operation that answers the \
        requests of another one that is not routed is compared with what that one requires, and so is every route, also one \
        under `routes:` or of another API, that has precedence for some requests of an operation. Make the policy of the \
        gateway stricter. If the upstream itself checks the credential, use an overlay to publish what the gateway requires."
    OtherCredential "TG0707" "The specification declares another credential than the gateway reads."
        "A client that follows the specification would be refused: the gateway reads the key from one place, and the \
        specification names another. Configure the policy to read the key from that place, or correct the specification \
        with an overlay."
    BadOverlay "TG0708" "An overlay is not valid."
        "An overlay (OpenAPI Overlay Specification 1.0) is a list of actions. Each action has a JSONPath expression \
        (RFC 9535) as its `target`, and an `update` or `remove: true`. Overlays are often used to hide operations from \
        the public, so an overlay that cannot be applied completely is an error."
    OverlayTarget "TG0709" "The target of an overlay action matches nothing."
        "The action has no effect. A common cause is that the document has changed since the overlay was written."
    NothingSelected "TG0710" "An entry of `operations` selects no operation."
        "The settings of an entry that selects nothing would be ignored without notice. `select` names an operation by its \
        `operationId`, by a tag, or by method and path as written in the specification."
    SelectConflict "TG0711" "Two entries of `operations` set one key of an operation to different values."
        "Entries are applied from the least specific to the most specific: first by tag, then by method and path, then by \
        `operationId`. Between two equally specific entries the order in the file has no effect, so they must not set the \
        same key to different values."
    NoOperations "TG0712" "A specification has no operations."
        "Requests that match no route are answered with 404, so this specification has no effect. All its operations may \
        be hidden by `hidden: true`. Webhooks and callbacks are requests that the API sends to others; they are not routed."

    PastPlatformLimit "TG0801" "A request can exceed a limit of the target platform."
        "`gateway.target` and `check --target` name the target platforms. The configuration determines what one request \
        can cause at most: how many policies may look up a key, how many counters are charged, whether responses are \
        stored, how long telemetry is collected. A platform aborts a request that exceeds its limits, and tests often do not reach them. `tollgate cost` \
        shows the numbers of every route, and docs/bounds.md describes how they are computed."
    NearPlatformLimit "TG0802" "A request may exceed a limit of the target platform."
        "Cloudflare's free plan allows 50 subrequests to the Internet and 1,000 to Cloudflare services. Its documentation \
        can also be understood as 50 subrequests of both types together. A request with at most 50 subrequests in total \
        is safe in both cases. Workers end the work after a reply after 30 seconds, so telemetry that is collected for \
        more than 20 seconds may be lost while it is sent."

    EmptyTestFile "TG0901" "A test file tests nothing."
        "The file has neither cases nor invariants, or it has a case without steps. Such a test always passes."
    UnclearStep "TG0902" "A step has no action, or several actions."
        "A step has exactly one action: `request`, `advance`, `at`, `purge`, `fault` or `restore`. Steps run in the order \
        of the list, but the actions within one step would have no order."
    BadRequest "TG0903" "A request of a policy test cannot be sent."
        "A request consists of a method and a path, or a full URL: `GET /pets?limit=5`, \
        `GET https://api.example.com/pets`. Its header fields must be valid in HTTP."
    BadExpectation "TG0904" "An expectation is not valid, or cannot be met."
        "A status is `200`, a class such as `2xx`, or a list of these. The numbers under `count` add up to `repeat`. A \
        pattern is a regular expression. An expectation that no response can meet would hide the reason for the failure."
    UnknownTestKey "TG0905" "A step uses a key that no consumer of the file has."
        "The name of a key refers to a key that the test creates: `consumers: [{id: acme, keys: [k1]}]`. To send a text \
        that is not a key, write it as a header field."
    DuplicateTestName "TG0906" "Two cases, consumers or keys of a test file have the same name."
        "The name identifies a case in reports, and a key in steps."
    TimeGoesBack "TG0907" "A step sets the clock to an earlier time."
        "The clock of a case starts at the file's `clock` and moves only forward, like the clocks of counters and caches. \
        Sort the steps by time, or begin a new case."
    NothingExpected "TG0908" "A case has no expectation."
        "The case would pass with every response of the gateway. Add the expected result of its requests."
    UnknownInProject "TG0909" "A test file names something that the project does not have."
        "The name is misspelt, or the project no longer has the route, policy or upstream. The expectation or the scripted \
        upstream would have no effect."
    BadInvariant "TG0910" "An invariant has no condition."
        "An invariant selects routes, and defines what all of them have (`have`) or what none of them has (`not`)."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_sorted_and_found_by_their_printed_form() {
        assert!(Code::ALL.is_sorted_by(|a, b| a.id() < b.id()), "two codes have the same number or are out of order");
        for &code in Code::ALL {
            assert_eq!(code.id().len(), 6, "{code}");
            assert_eq!(Code::find(code.id()), Some(code));
            assert!(code.title().ends_with('.') && code.explanation().ends_with('.'), "{code}");
        }
        assert_eq!(Code::find("tg0201"), Some(Code::UnknownKey));
        assert_eq!(Code::find("TG9999"), None);
    }
}
