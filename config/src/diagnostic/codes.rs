//! The one table of diagnostic codes.

use std::fmt;

macro_rules! codes {
    ($($name:ident $id:literal $title:literal $explanation:literal)*) => {
        /// A stable diagnostic code, such as `TG0201`.
        ///
        /// A code keeps its meaning forever; one that is no longer used is never reused.
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

            /// What the code is about, in one sentence.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)*
                }
            }

            /// The full explanation: why the rule exists and how to work with it.
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
        "A project is a folder with a `tollgate.yaml` (or `tollgate.json`). Every file the project names must be \
        a regular file inside that folder; links that lead outside are not followed, so that what is compiled is \
        what is reviewed."
    Syntax "TG0102" "A file is not well-formed YAML."
        "Files are YAML 1.2, of which JSON is a part. Reading stops at the first place that cannot be understood, \
        because everything behind it could mean anything. Frequent causes: a tab used for indentation, a `:` \
        without a space behind it, an unquoted value that begins with `*`, `&`, `@`, `{` or `[`, a bracket or \
        quote that is not closed."
    DuplicateKey "TG0103" "A key is given twice in one mapping."
        "Some readers keep the first of two equal keys, some the last, some both. A configuration that guards an \
        API must not depend on the reader, so a duplicate key is an error."
    Yaml11Boolean "TG0104" "An unquoted word is a boolean in YAML 1.1."
        "`yes`, `no`, `on`, `off`, `y` and `n` are booleans to YAML 1.1 readers and text to YAML 1.2 readers: the \
        country code `NO` famously became false. Write `true` or `false` where a boolean is meant, and quotes \
        where text is meant."
    Tag "TG0105" "A value carries a tag."
        "A YAML tag (`!!str`, `!include`) changes how a value is read or what program runs on it. Here a value's \
        type follows from its key alone, and a file says the same as its JSON form."
    SeveralDocuments "TG0106" "A file holds several documents."
        "`---` begins a further YAML document. Readers that stop after the first would overlook the rest, so a \
        file holds exactly one."
    TooLarge "TG0107" "A file is too large, too deep, or repeats too much."
        "Files are bounded in bytes, nesting, number of values, and in what aliases repeat (\"billion laughs\"), \
        so that a hostile or broken file cannot exhaust the machine that checks it. The bounds are far above \
        what people write by hand."
    NotUtf8 "TG0108" "A file is not UTF-8."
        "The format is UTF-8 everywhere. A file in another encoding would mean something else on another machine."
    MergeKey "TG0109" "A mapping uses the merge key `<<`."
        "Merge keys belong to YAML 1.1. YAML 1.2 readers see an ordinary key named `<<`. What several APIs share \
        is written once at the gateway level, or as a named policy."
    KeyNotText "TG0110" "A key is not plain text."
        "YAML allows lists and mappings as keys; JSON does not, and neither does this format."
    EndlessAlias "TG0111" "An alias stands inside the value it repeats."
        "An alias (`*name`) repeats a finished value. Inside its own anchor it would describe a value without an \
        end."
    EmptyFile "TG0112" "A file is empty."
        "Every file begins with `format: 1`, so that a later version of Tollgate knows how to read it."
    UnexpectedFile "TG0113" "A file is where no file of a project is read."
        "Files of a project are found by their folders and names: `tollgate.yaml`, `apis/NAME/api.yaml`, \
        `policies/*.yaml`, `plans/*.yaml`, `env/NAME.yaml`, each also as `.yml` or `.json`. A file next to them that \
        is not read would silently do nothing. Files elsewhere, and with other endings, are left alone."
    SeveralFiles "TG0114" "Two files stand for the same thing."
        "`tollgate.yaml` beside `tollgate.json`, or `api.yml` beside `api.yaml`: which of the two counts cannot be \
        known."
    Yaml11Number "TG0115" "An unquoted number means something else in YAML 1.1."
        "`0777` is 511 to YAML 1.1 readers and 777 to YAML 1.2 readers; `1_000` and `12:30` are numbers to the one and \
        text to the other. Write a number in plain figures, and quotes where text is meant."
    NotJson "TG0118" "A file named `.json` is not JSON."
        "YAML is read from a file of any name, but editors and tools believe the name. `tollgate fmt` writes a file named \
        `.json` as JSON, which has no comments and no anchors, so it refuses one that holds them."
    NotFormatted "TG0119" "A file cannot be formatted."
        "The formatter reads what it has written and compares: the same values, the same comments. If there is a \
        difference, the file is left as it is. This should not happen: please report it with the file."

    UnknownKey "TG0201" "A key is not known."
        "A misspelt key that is silently ignored is a policy that silently does not run. Every key must be one \
        the format knows at that place."
    WrongType "TG0202" "A value has the wrong type."
        "Each key takes one kind of value. Numbers and booleans are not turned into text or back: write quotes \
        where text is meant."
    MissingKey "TG0203" "A required key is missing."
        "The key has no safe default, so it must be said."
    FormatVersion "TG0204" "The format version is not one this compiler reads."
        "`format` names the version of the authoring format. This compiler reads `format: 1`."
    BadName "TG0205" "A name has characters that names do not have."
        "Names of upstreams, policies, APIs and the gateway appear in record keys, metrics and logs: small \
        letters, figures and hyphens, 1 to 40 of them. Route and consumer ids may also have capitals, `_` and \
        `.`, and 80 of them."
    BadDuration "TG0206" "A duration cannot be read."
        "A duration is a whole number directly followed by its unit: `250ms`, `10s`, `5m`, `1h`, `7d`. A number \
        without a unit would be seconds to one reader and milliseconds to another."
    BadSize "TG0207" "A size cannot be read."
        "A size is a whole number directly followed by its unit: `512B`, `64KiB`, `10MiB`, `1GiB`. Units are \
        powers of 1024; `KB` and `MB` mean different things to different people and are refused."
    BadRate "TG0208" "A rate cannot be read."
        "A rate is a whole number, a slash and a period: `100/s`, `100/min`, `1000/h`, `5/10s`."
    OutOfRange "TG0209" "A number is out of range."
        "The value is smaller or larger than what can work."
    UnknownValue "TG0210" "A word is not one of those allowed here."
        "The key takes one of a few words."
    BadSecretReference "TG0211" "A secret reference cannot be read."
        "`${secret.NAME}` stands for a secret that the host resolves at run time: an environment variable, a \
        Worker secret, a Spin variable. Names have letters, figures and underscores. No other `${...}` exists, \
        and a literal `${` cannot be written."
    EmptyValue "TG0212" "A key has no value, or an empty list."
        "A key with nothing behind it is `null`. Whether its author meant a default, nothing or forgot to go on \
        cannot be known."
    Repeated "TG0213" "A list names the same thing twice."
        "The second mention does nothing, or something else was meant."

    UnknownUpstream "TG0301" "An API names an upstream that does not exist."
        "Upstreams are defined under `upstreams:` and named by APIs."
    UnknownPolicy "TG0302" "A list names a policy that does not exist."
        "Policies are defined under `policies:` and named in the lists `guard`, `authn` and `limit`."
    WrongPolicyKind "TG0303" "A policy is named in a phase it does not belong to."
        "Each kind of policy belongs to one of the lists `guard`, `authn` and `limit`. A limit with `by: address` can be \
        named in `guard` too, because it needs no authenticated caller."
    BadUrl "TG0304" "A URL cannot be used."
        "An upstream's URL is `http://` or `https://`, a host, and perhaps a port and a path. User names, \
        passwords, queries and fragments are refused: credentials belong in `headers` as secret references, \
        and the rest would not reach the upstream."
    BadHost "TG0305" "A host cannot be used."
        "A host is a name (`api.example.com`), all names one label below another (`*.example.com`), or `*` for \
        every host. Ports and schemes are not part of it."
    BadPath "TG0306" "A path cannot be used."
        "A path begins with `/`. `{name}` stands for one segment or a part of one, `{name:int}`, `{name:uuid}`, \
        `{name:bool}` and `{name:(a|b)}` for such values only, `{*rest}` at the end for the \
        rest of the path. Dot segments, empty segments, queries and percent-encoded slashes cannot be matched by \
        any request and are refused."
    BadMethod "TG0307" "A method cannot be used."
        "Methods are HTTP methods in capital letters, such as `GET`. Methods are case-sensitive: `get` is a \
        different method that no client sends. `CONNECT` and `TRACE` are never routed."
    BadField "TG0308" "A header field cannot be used."
        "A field's name is a token (RFC 9110, section 5.1), its value printable text. Fields that belong to one \
        connection (`Connection`, `Transfer-Encoding` ...) or that Tollgate writes itself (`Host`, `Content- \
        Length`, `Forwarded` ...) cannot be set."
    ScopesWithoutAuthn "TG0309" "A route asks for scopes but authenticates nobody."
        "Scopes are what a credential was granted. Where no credential is asked for, nobody has any, and every \
        request would be refused."
    CostWithoutLimit "TG0310" "A route has a cost but no limit."
        "`cost` says how much one request takes from the rate limits in force. Without a limit it does nothing."
    BadQueryParameter "TG0311" "A query parameter's name cannot be used."
        "A query parameter's name is compared with what stands before `=` in the query as it is sent, without decoding."
    DefinedTwice "TG0312" "A name is defined twice."
        "Policies, plans, upstreams and APIs may be spread over several files, whose order means nothing, so a name is \
        defined once. What an API's own file defines only that API sees, but it may not have the name of something \
        that the whole project sees: a reader could not know which of them is meant."
    BadNetwork "TG0313" "A network cannot be used."
        "A network is an IPv4 or IPv6 address, a slash and the length of the prefix, such as `10.0.0.0/8` or \
        `2001:db8::/32`, or an address alone. Bits after the prefix must be zero: `10.0.0.1/8` means either \
        `10.0.0.0/8` or `10.0.0.1`, which are very different networks."
    ChargedTwice "TG0314" "A limit is named in `guard` and in `limit`."
        "Each request would be charged to the same counter twice. A limit in `guard` is charged before the caller is \
        authenticated, a limit in `limit` afterwards. Name it in one of the lists, or define two limits."

    RouteConflict "TG0401" "Two routes could both win a request."
        "The most specific route wins, whatever the order in the file. These two are equally specific and answer \
        the same request, so which one wins would be chance. Change a path, or give them methods, hosts or `when` that \
        do not overlap."
    PublicRoute "TG0402" "A route is public, and nothing says so."
        "Neither the route nor its API nor the gateway says who may call it. If everybody may, write `authn: \
        none` where that was decided; the warning goes away and the reader knows."
    AuthnWidened "TG0403" "A route accepts more credentials than its own `authn` says."
        "Phase lists append: an `authn` at a lower level adds to what the higher levels accept. Where a narrower \
        list was meant, that lets in callers whom the reader of the route would not expect. Write `{replace: \
        true, any: [...]}` to accept only these, or `{replace: false, any: [...]}` to say that adding was meant."
    DuplicateRouteId "TG0404" "Two routes have the same id."
        "A route's id names it in logs, metrics and traces, so it is unique in the gateway. Where `id` is not \
        given, it is made of the API's name, the methods and the path."
    EmptyApi "TG0405" "An API has no routes."
        "Anything that is not routed is denied, so this API answers nothing."
    NoApis "TG0406" "The project has no APIs."
        "Anything that is not routed is denied, so this gateway answers 404 to everything."
    UnusedDefinition "TG0407" "A policy or upstream is defined but not used."
        "A policy that is in no list does not run. Perhaps it was meant to."
    HostOutsideGateway "TG0408" "An API answers on a host that is not one of the gateway's."
        "`gateway.hosts` lists what this gateway answers on. An API can narrow that list, not widen it."
    TooMany "TG0409" "There is more of something than can work."
        "Numbers of hosts, routes and policies are bounded, so that a request's work is bounded."
    InternalOnPublicHost "TG0410" "An internal route is listed on a public host."
        "An internal route answers on the hosts of `gateway.internal-hosts` alone, and there only callers inside. An \
        API that lists a public host for one would open it to everybody. List internal hosts only, or leave `hosts` \
        out: public routes then answer on the public hosts, internal ones on the internal hosts."
    PublicAndInternalHost "TG0411" "A host is both public and internal."
        "`gateway.hosts` are for everybody, `gateway.internal-hosts` for callers inside. The same pattern in both \
        would be either. A more specific pattern in one of the lists is fine: the most specific one counts."
    NeverWins "TG0412" "A route can never win a request."
        "Every request that it matches goes to a more specific route: `{on:bool}` beside `/true` and `/false`, a \
        path for all of whose header fields there are other routes. The compiler has proved it, and shows who takes \
        one of them."
    NoHost "TG0413" "A route answers on no host."
        "An internal route answers on the hosts of `gateway.internal-hosts` alone; where there are none, nobody can \
        reach it."
    InternalReachable "TG0414" "A public route reaches what an internal route is for."
        "Both forward to the same URL of the same upstream. Whoever calls the public route gets what the internal one \
        was to keep inside. Narrow the public route, or give the public hosts a more specific route for those paths."
    WriteWithoutAuthn "TG0415" "A route that writes lets everybody in."
        "It takes `POST`, `PUT`, `PATCH` or `DELETE`, and asks for no credential because the gateway as a whole says \
        `authn: none`. Where that is meant for a route that changes something, its API or the route itself says so."
    WriteWithoutLimit "TG0416" "A route that writes has no limit."
        "It takes `POST`, `PUT`, `PATCH` or `DELETE`, and no limit holds for it, so one client can call it as often as \
        it likes. Name a `rate-limit` policy in `limit`, or one by address in `guard`, or write `limit: none` on the API \
        or the route where that is meant."
    NeverDecides "TG0417" "An alternative of `authn` can never decide."
        "Alternatives are tried in order, and the first one that authenticates the caller is used. An alternative that \
        needs all policies of an earlier one, and perhaps others, is never used: the earlier one has authenticated the \
        caller already."

    BadKey "TG0501" "A key in the fixtures is not a valid API key."
        "A key is `tg_`, an environment, a random part and a checksum. A key typed by hand has a wrong checksum \
        and would be refused at the gate. Make one with `tollgate key new`."
    BadTimestamp "TG0502" "A time cannot be read."
        "A time is written as in RFC 3339: `2026-01-31T23:59:50Z`."
    DuplicateConsumer "TG0503" "Two consumers have the same id."
        "A consumer's id names it in limits, logs and metrics."
    DuplicateKeyText "TG0504" "Two credentials have the same key."
        "A key belongs to one consumer; a request with it could not be told apart."
    NeverValid "TG0505" "A key can never be used."
        "It expires before it begins to be valid."

    Locked "TG0601" "A lower level overrides what a higher one locked."
        "`locked: true` keeps what a level says in force below it. A locked list of `authn` takes neither replacement nor \
        additions, which would let more callers in; a locked `limit` may be added to, which only tightens; locked members \
        of `cache`, and a locked `timeout` or `body-limit`, may not be said again, an upstream's `timeout` included. \
        Remove what is said below, or have the lock lifted where it is."
    UndeclaredValue "TG0602" "A value is not declared."
        "A project declares its values under `values:`, with their types; environments give them, and `${value.NAME}` \
        stands for them. So an environment can change only what the project says may differ."
    MissingValue "TG0603" "A value has no default and is not given."
        "A value without a `default` must be given by every environment, and a project with such a value is compiled \
        for one of them: `--env NAME`."
    ValueWithinText "TG0604" "A value stands within a longer text, or within a value."
        "`${value.NAME}` stands for a whole setting. Texts that are put together from pieces cannot be checked where \
        they are given, and nobody sees what they become. Let the value hold the whole text."
    UnknownEnvironment "TG0605" "The project has no such environment."
        "An environment is a file in `env/`, named after it: `env/production.yaml` is chosen by `--env production`."
    UnusedValue "TG0606" "A value is declared but not used."
        "What environments give for it does nothing. Perhaps `${value.NAME}` was meant to stand somewhere."
    PlanWithoutLimit "TG0607" "A plan has numbers for a policy that has none."
        "`limits` of a plan names policies of kind `rate-limit`, and says which numbers its consumers have in place of \
        the policy's own."
    PlanNeverApplies "TG0608" "A plan has numbers that never apply."
        "A plan belongs to an authenticated consumer. A limit that is charged only in `guard`, before the caller is \
        authenticated, or only on public routes, always has its own numbers."

    NoOpenApi "TG0701" "A file is not an OpenAPI document that can be read."
        "`spec:` names an OpenAPI document of version 3.0 or 3.1, in YAML or JSON. Its first key is `openapi`, with the \
        version as text. Swagger 2.0 is another format: converters such as swagger2openapi write an OpenAPI 3 \
        document that means the same."
    SpecShape "TG0702" "A part of an OpenAPI document is not what OpenAPI says it is."
        "Documents are written for many tools, and few tools read all of one. What does not have the shape that \
        OpenAPI gives it is left out, and the rest is read."
    BrokenReference "TG0703" "A reference in an OpenAPI document leads nowhere."
        "A `$ref` names a place in the same document (`#/components/...`), a file beside it, or a place in such a \
        file. Files are looked for inside the project folder only, and URLs are not fetched, so that a project \
        compiles offline and means the same tomorrow. References may be circular where schemas are; a reference \
        that leads back to itself without saying anything is a mistake."
    NotRouted "TG0704" "An operation cannot be routed."
        "Some paths of OpenAPI cannot be told apart from others by a path alone: those with a `?` or `#`, two that \
        differ only in the names of their parameters, or two parameters within one segment. `TRACE` is never routed. \
        The operation is left out, and all others are routed. Where it is needed, write it under `routes:`."
    DuplicateOperation "TG0705" "Two operations have the same operationId."
        "An `operationId` names an operation in `operations:`, in logs, metrics and traces, so it is unique in a \
        document. The first keeps the name; the route of the second is named by its method and path."
    WeakerThanSpec "TG0706" "The gateway asks for less than the specification promises."
        "Who reads the specification believes that an operation is protected as its `security` says. The gateway lets \
        more callers in: it asks for no credential, for fewer scopes, or for no client certificate. Either the \
        gateway's policy is to be tightened, or, where the upstream asks by itself, an overlay says what the gateway \
        publishes."
    OtherCredential "TG0707" "The specification tells clients to send another credential than the gateway reads."
        "A client that follows the specification would be refused: the gateway looks for a key in one place, and the \
        specification names another. Let the policy read the place that the specification names, or let an overlay \
        name the one that the gateway reads."
    BadOverlay "TG0708" "An overlay has a mistake."
        "An overlay (OpenAPI Overlay Specification 1.0) is a list of actions, each with a JSONPath expression \
        (RFC 9535) for its `target`, and an `update` or `remove: true`. An overlay often hides what is not for \
        everybody, so one that cannot be applied as a whole stops the compilation."
    OverlayTarget "TG0709" "An overlay's target matches nothing."
        "The action does nothing. Often the document has changed since the overlay was written."
    NothingSelected "TG0710" "An entry of `operations` selects nothing."
        "An override that silently overrides nothing is a policy that silently does not run. `select` names an \
        operation by its `operationId`, by a tag, or by method and path as the specification has them."
    SelectConflict "TG0711" "Two entries of `operations` say different things of one operation."
        "Entries apply by how specific they are: a tag first, then method and path, then the operation. Between two \
        that are as specific as each other, the order in the file does not count, so they must not disagree."
    NoOperations "TG0712" "A specification has no operations."
        "Anything that is not routed is denied, so nothing comes of this specification. Webhooks and callbacks are \
        requests that others receive, and are not routed."

    PastPlatformLimit "TG0801" "A request can pass a limit of the platform that the gateway is meant for."
        "`gateway.target` and `check --target` name platforms. What one request can cause at most follows from the \
        configuration: how many policies may look up a key, how many counters are charged, whether responses are \
        stored. Platforms fail a request that passes their limits, and it is seldom the first request of a test that \
        does. `tollgate cost` shows the numbers of every route; docs/bounds.md says how they come about."
    NearPlatformLimit "TG0802" "A request perhaps passes a limit of the platform."
        "Cloudflare's free plan allows 50 subrequests to the Internet and 1,000 to its own services, and its page can \
        be read as if all of them counted towards the 50. A gateway that stays below 50 in all is safe in any case."

    EmptyTestFile "TG0901" "A test file tests nothing."
        "It has neither cases nor invariants, or a case without steps. A test that cannot fail is taken for one \
        that passed."
    UnclearStep "TG0902" "A step does nothing, or several things."
        "A step is one of: a `request`, `advance` or `at` (time passes), `purge`, `fault` or `restore`. Steps run \
        in the order of the list; two things in one step would have no order."
    BadRequest "TG0903" "A request of a policy test cannot be sent."
        "A request is a method and a path, or a full URL: `GET /pets?limit=5`, `GET https://api.example.com/pets`. \
        Its header fields must be ones that HTTP can carry."
    BadExpectation "TG0904" "An expectation can never be met, or cannot be read."
        "A status is `200`, a class such as `2xx`, or a list of these. The counts of `count` add up to `repeat`. A \
        pattern is a regular expression. An expectation that no answer meets would fail for the wrong reason."
    UnknownTestKey "TG0905" "A step uses a key that no consumer of the file has."
        "Names of keys stand for real keys that are made for the test: `consumers: [{id: acme, keys: [k1]}]`. \
        To send something that is no key, write it as a header field."
    DuplicateTestName "TG0906" "Two cases, consumers or keys of a test file have the same name."
        "The name tells cases apart in reports, and keys in steps."
    TimeGoesBack "TG0907" "A step goes back in time."
        "The clock of a case begins at the file's `clock` and only moves forward, as the clocks of counters and \
        caches do. Put the steps in the order of their times, or begin a new case."
    NothingExpected "TG0908" "A case expects nothing."
        "Whatever the gateway answered, this case would pass. Say what its requests are expected to come to."
    UnknownInProject "TG0909" "A test file names something that the project does not have."
        "An expectation about a route or policy that does not exist is a typo or was left behind; so is a script \
        for an upstream that nothing calls."
    BadInvariant "TG0910" "An invariant says nothing."
        "An invariant selects routes and says what all of them have (`have`) or none of them has (`not`)."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_sorted_and_found_by_what_is_printed() {
        assert!(Code::ALL.is_sorted_by(|a, b| a.id() < b.id()), "two codes share a number or stand out of order");
        for &code in Code::ALL {
            assert_eq!(code.id().len(), 6, "{code}");
            assert_eq!(Code::find(code.id()), Some(code));
            assert!(code.title().ends_with('.') && code.explanation().ends_with('.'), "{code}");
        }
        assert_eq!(Code::find("tg0201"), Some(Code::UnknownKey));
        assert_eq!(Code::find("TG9999"), None);
    }
}
