//! The bounds of all input from outside; each comment says where the number comes from.

/// Bytes of a request target (path and query): nginx and hyper accept 8 KiB by default, Cloudflare 16 KiB.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;

/// Segments of a path: more than any real API has, few enough that a search of the router is short.
pub const PATH_SEGMENTS_MAX: usize = 128;

/// Digits of an integer in a path: the maximum of 64 bits.
pub const INT_DIGITS_MAX: usize = 20;

/// Values of one enumerated parameter: more than there are country codes.
pub const ONE_OF_MAX: usize = 256;

/// Bytes of all request field names and values: nginx accepts 4 x 8 KiB, Cloudflare 128 KiB; ours fits both.
pub const FIELD_BYTES_MAX: usize = 32 * 1024;

/// Request field lines: hyper's own default for HTTP/1.1.
pub const FIELD_LINES_MAX: usize = 100;

/// Response field lines of an upstream: hyper's own default, and Envoy's.
pub const RESPONSE_FIELD_LINES_MAX: usize = 100;

/// Bytes of all response field names and values of an upstream: Envoy accepts 60 KiB, nginx 4 or 8 KiB.
pub const RESPONSE_FIELD_BYTES_MAX: usize = 64 * 1024;

/// Bytes of an API key: ours are 51; others in use are shorter than 256.
pub const KEY_BYTES_MAX: usize = 256;

/// Default limit of request content in bytes; Kong and nginx users set 1 to 10 MiB.
pub const CONTENT_BYTES_DEFAULT: u64 = 10 * 1024 * 1024;

/// Content of one stored response: a Spin key-value or isolate can hold a few of these; Cloudflare's cache allows 512
/// MB.
pub const STORED_CONTENT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Bytes of a request's content that are read into memory to verify its signature: messages of webhooks have some KiB, and an
/// isolate of a Worker has 128 MB for all its requests, each of which has the content up to four times meanwhile.
pub const VERIFIED_CONTENT_BYTES_MAX: u64 = 1024 * 1024;

/// Default timeout of an exchange with an upstream.
pub const TIMEOUT_MS_DEFAULT: u64 = 30_000;

/// Default timeout for connecting to an upstream.
pub const CONNECT_TIMEOUT_MS_DEFAULT: u64 = 5_000;

/// Credentials cached per isolate (about 300 bytes each): an isolate has 128 MB for everything.
pub const CREDENTIALS_CACHED_MAX: usize = 10_000;

/// Verified tokens remembered per isolate (about 400 bytes each).
pub const TOKENS_REMEMBERED_MAX: usize = 10_000;

/// Bytes of what is remembered of such tokens, of each kind: a token may say up to 24 KiB, and an isolate of a Worker has 128 MB for
/// everything.
pub const TOKENS_REMEMBERED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Keys of stored responses remembered per isolate (about 150 bytes each): a look-up needs up to three.
pub const CACHE_KEYS_REMEMBERED_MAX: usize = 2_048;

/// How long a verified token is remembered: as long as fetched keys are fresh, so that those of a key that its issuer has
/// withdrawn end soon after.
pub const TOKEN_REMEMBERED_MS: u64 = 300_000;

/// How long it is remembered that a token is not accepted: a client that repeats it causes no further question to its issuer.
pub const TOKENS_REFUSED_MS: u64 = 5_000;

/// How long an existing credential is cached; also the maximum delay of a revocation in an isolate, in addition to the
/// store's own delay (Workers KV: up to 60 s).
pub const CREDENTIAL_FRESH_MS: u64 = 30_000;

/// How long the isolate that revoked a credential remembers this, whatever its store returns: longer than Workers KV
/// may return the previous value (60 s, and 30 s for which a read is cached).
pub const REVOCATION_KEPT_MS: u64 = 120_000;

/// How long the absence of a credential is cached.
pub const CREDENTIAL_ABSENT_MS: u64 = 5_000;

/// The maximum difference between the wall clocks of a gateway's isolates: with a time server they differ by
/// milliseconds, and with a smeared leap second by one second. Entries dated further in the future are not trusted.
pub const CLOCK_SKEW_MS: u64 = 10_000;

/// How far a wall clock may be set back without a purge or a change losing its effect: more than a clock that was set to
/// another time zone by mistake.
pub const CLOCK_SET_BACK_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// How long after its request a response may be stored: ten times the default timeout. A change of its resource is
/// remembered for longer, so that a response from before the change cannot be stored after it.
pub const STORED_WITHIN_MS: u64 = 10 * TIMEOUT_MS_DEFAULT;

/// How long an isolate on Cloudflare or Spin uses its own copy of a stored response before it asks the store again. What other
/// isolates write is seen after this time.
pub const NEAR_MS: u64 = 1_000;

/// Bytes of content of which an isolate keeps such a copy: content of APIs, not downloads.
pub const NEAR_CONTENT_BYTES_MAX: u64 = 32 * 1024;

/// Bytes of all such copies of an isolate, which has 128 MB for everything.
pub const NEAR_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of the fields of a stored response: on Cloudflare they are one field of an entry, and an entry has 16 KiB of
/// fields.
pub const STORED_FIELDS_BYTES_MAX: usize = 12 * 1024;

/// Fetched answers cached per isolate: more than the services of a configuration and the tokens introspected within a
/// minute.
pub const FETCHED_ENTRIES_MAX: usize = 1_000;

/// Bytes of all fetched answers that an isolate caches: a JWK Set has about 2 KiB, and an isolate 128 MB.
pub const FETCHED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of a record that the gateway itself writes: many isolates read it, and Spin's store allows 1 MB.
pub const WRITTEN_BYTES_MAX: usize = 512 * 1024;

/// Bytes of what a provider said of a token that are kept for an outage: some claims.
pub const KNOWN_ANSWER_BYTES_MAX: usize = 16 * 1024;

/// How long an isolate uses what operators said about an outage while it matters: for a token that would be refused otherwise.
pub const OUTAGE_FRESH_MS: u64 = 5_000;

/// The age at which the configuration pointer is read again, after a reply.
pub const CONFIG_FRESH_MS: u64 = 10_000;

/// Default size of the host parts of a bundle that an isolate keeps, in bytes of their stored form: routes need ten
/// times that in memory, and a Worker's isolate has 128 MB for everything.
pub const PARTS_REMEMBERED_BYTES: usize = 4 * 1024 * 1024;

/// Hosts whose list of parts is cached; clients may request any name below a wildcard.
pub const HOSTS_REMEMBERED_MAX: usize = 4_096;

/// Bytes of one bundle part: about 200,000 routes, of which an instance decodes those that it needs. Workers KV allows 25
/// MiB for a value, and a Worker has it twice while it is read, of 128 MB.
pub const PART_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Memory for the decoded head of a part, and for one page of its routes, whatever their bytes claim: half of an isolate's
/// memory (128 MB).
pub const PART_DECODED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Entries of one list of a route or upstream (methods, scopes, limits): more than the compiler allows on three levels.
pub const ROUTE_LIST_MAX: usize = 256;

/// Plans of one policy: ten times as many as API products usually have.
pub const PLANS_MAX: usize = 256;

/// Decisions of services that an isolate remembers: each has about 50 bytes.
pub const DECISIONS_REMEMBERED_MAX: usize = 8_192;

/// Names of one list of an `access` policy: what an API gateway has of customers that are named one by one.
pub const ACCESS_NAMES_MAX: usize = 4_096;

/// Groups and roles of a caller: directories put a person into some dozens; a token of 8 KiB has room for some hundred.
pub const GROUPS_MAX: usize = 256;

/// Scopes of a token: those that are issued have some dozens.
pub const SCOPES_MAX: usize = 256;

/// Nodes of an expression: a condition of a page.
pub const EXPRESSION_NODES_MAX: usize = 512;

/// Levels of an expression: what is nested deeper, nobody reads; each level takes some hundred bytes of stack.
pub const EXPRESSION_DEPTH_MAX: usize = 32;

/// Steps of the evaluation of an expression: below a millisecond of the 10 ms that a Worker has on the free plan.
pub const EXPRESSION_STEPS_MAX: u32 = 20_000;

/// Bytes of a text that an expression makes of others: that of the longest URL.
pub const EXPRESSION_TEXT_BYTES_MAX: usize = 8_192;

/// Bytes of all claims of a token that are kept for expressions: the size of the whole header section that most servers accept.
pub const CLAIMS_BYTES_MAX: usize = 8_192;

/// Networks of one list of an `ip-filter` policy: the published lists of large cloud providers have about 10,000.
pub const NETWORKS_MAX: usize = 16_384;

/// Networks, hosts and origins to which a key may be restricted, each.
///
/// Its record is read with every request whose credential is not cached.
pub const KEY_PLACES_MAX: usize = 64;

/// Most networks of trusted proxies: each request searches them once or a few times; the largest content delivery networks
/// publish some hundred.
pub const PROXY_NETWORKS_MAX: usize = 1_024;

/// Most proxies that a request passes before the gateway, if they are trusted by their number: a balancer, a content
/// delivery network, and what a company has of its own.
pub const PROXIES_MAX: u32 = 16;

/// Bytes of a bundle's manifest: 200,000 host patterns; Workers KV allows 25 MiB for a value.
pub const MANIFEST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Memory for a manifest's decoded head; its pages are searched without decoding.
pub const MANIFEST_DECODED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Series of per-route metrics; further ones are counted in one overflow series.
pub const METRIC_SERIES_MAX: usize = 2_000;

/// Finished exchanges waiting for export; beyond that the oldest are dropped and counted.
pub const EXPORT_QUEUE_MAX: usize = 2_048;

/// Finished exchanges in one export request: OpenTelemetry's batch processor default.
pub const EXPORT_BATCH_MAX: usize = 512;

/// Batches of one export: as many as the queue holds. Otherwise the exchange that exports would continue as long as
/// others finish, and platforms limit the subrequests of one request (Workers: 50 on the free plan).
pub const EXPORT_BATCHES_MAX: usize = EXPORT_QUEUE_MAX.div_ceil(EXPORT_BATCH_MAX);

/// Attempts for one batch, including the first.
pub const EXPORT_ATTEMPTS_MAX: usize = 4;

/// Maximum number of notices of limits that one exchange sends at once: a platform allows few connections of a request at once.
pub const NOTICES_AT_ONCE_MAX: usize = 4;

/// Attempts to send a notice after one reply; with the longest timeout they end before Workers end the work after a reply.
pub const NOTICE_ATTEMPTS_MAX: u32 = 3;

/// Requests with which one exchange sends notices, attempts after failures among them: platforms limit the subrequests of one request
/// (Workers: 50 on the free plan).
pub const NOTICE_POSTS_MAX: u32 = 24;

/// Bytes of the rows of a record of usage: hundreds of rows. Beyond that another record is begun.
pub const USAGE_BATCH_BYTES_MAX: usize = 64 * 1024;

/// Records of usage that an isolate keeps while the store does not take them; then it adds to the rows that it has.
pub const USAGE_BATCHES_MAX: usize = 4;

/// Writes of records of usage after one reply, including those that are repeated.
pub const USAGE_WRITES_MAX: u32 = 8;

/// Purges in the record: the older half is replaced by one purge of everything beyond that.
pub const PURGES_MAX: usize = 1_000;

/// Bytes of a forwarded `tracestate` field: W3C Trace Context requires at least 512 (section 3.3.1.5).
pub const TRACESTATE_BYTES_MAX: usize = 4 * 1024;

/// Field names in the `Vary` of a stored response.
pub const VARY_NAMES_MAX: usize = 16;
