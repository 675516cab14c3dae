//! The bounds of everything that comes from outside; each says where its number comes from.

/// Bytes of a request target (path and query): nginx and hyper accept 8 KiB by default, Cloudflare 16 KiB.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;

/// Segments of a path: more than any real API has, few enough that a walk of the router is short.
pub const PATH_SEGMENTS_MAX: usize = 128;

/// Digits of an integer in a path: the most that 64 bits have.
pub const INT_DIGITS_MAX: usize = 20;

/// Values of one parameter that takes one of a few: more than there are country codes.
pub const ONE_OF_MAX: usize = 256;

/// Bytes of all request field names and values: nginx accepts 4 x 8 KiB, Cloudflare 128 KiB; ours fits both.
pub const FIELD_BYTES_MAX: usize = 32 * 1024;

/// Request field lines: hyper's own default for HTTP/1.1.
pub const FIELD_LINES_MAX: usize = 100;

/// Bytes of an API key: ours are 51; others in use are shorter than 256.
pub const KEY_BYTES_MAX: usize = 256;

/// Request content in bytes where the configuration says nothing; Kong and nginx users set 1 to 10 MiB.
pub const CONTENT_BYTES_DEFAULT: u64 = 10 * 1024 * 1024;

/// Content of one stored response: a Spin key-value or isolate can hold a few of these; Cloudflare's cache takes 512 MB.
pub const STORED_CONTENT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Time of an exchange with an upstream where the configuration says nothing.
pub const TIMEOUT_MS_DEFAULT: u64 = 30_000;

/// Time for a connection to an upstream where the configuration says nothing.
pub const CONNECT_TIMEOUT_MS_DEFAULT: u64 = 5_000;

/// Credentials remembered per isolate (about 300 bytes each): 128 MB isolates have other uses too.
pub const CREDENTIALS_CACHED_MAX: usize = 10_000;

/// How long a credential that exists is believed without asking again; also the longest a revocation takes to be
/// seen by an isolate, on top of the store's own delay (Workers KV: up to 60 s).
pub const CREDENTIAL_FRESH_MS: u64 = 30_000;

/// How long the isolate that revoked a credential goes by that, whatever its store answers: longer than Workers KV may answer
/// what was true before (60 s, and 30 s in which a read is cached).
pub const REVOCATION_KEPT_MS: u64 = 120_000;

/// How long a credential that does not exist is believed not to.
pub const CREDENTIAL_ABSENT_MS: u64 = 5_000;

/// How far the wall clocks of a gateway's isolates may differ: those of machines that ask a time server differ by
/// milliseconds, and a smeared leap second by one second. What claims to be from further in the future is not believed.
pub const CLOCK_SKEW_MS: u64 = 10_000;

/// Fetched answers remembered per isolate: more than a configuration names services, and tokens asked about within a minute.
pub const FETCHED_ENTRIES_MAX: usize = 1_000;

/// Bytes of all fetched answers that an isolate remembers: a JWK Set has some 2 KiB, and an isolate 128 MB.
pub const FETCHED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of a record that the gateway itself writes: many isolates read it, and Spin's store takes 1 MB.
pub const WRITTEN_BYTES_MAX: usize = 512 * 1024;

/// How old the configuration pointer gets before it is read again behind a reply.
pub const CONFIG_FRESH_MS: u64 = 10_000;

/// Host parts of a bundle remembered per isolate, as bytes of their stored form, where the host says no other: routes take
/// ten times that in memory, and a Worker's isolate has 128 MB for all it does.
pub const PARTS_REMEMBERED_BYTES: usize = 4 * 1024 * 1024;

/// Hosts whose parts are remembered together; clients may ask for any name below a wildcard.
pub const HOSTS_REMEMBERED_MAX: usize = 4_096;

/// Bytes of one bundle part: some 40,000 routes, which take an instance a tenth of a second to load.
pub const PART_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Memory that may be made of one part, whatever its bytes say: half of what an isolate has (128 MB).
pub const PART_DECODED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Entries of one list of a route or upstream (methods, scopes, limits): three levels of what the compiler takes, and more.
pub const ROUTE_LIST_MAX: usize = 256;

/// Plans that one policy has numbers for: ten times what API products offer.
pub const PLANS_MAX: usize = 256;

/// Networks of one list of an `ip-filter` policy: the published lists of large cloud providers have some 10,000.
pub const NETWORKS_MAX: usize = 16_384;

/// Bytes of a bundle's manifest: 200,000 host patterns; Workers KV takes 25 MiB a value.
pub const MANIFEST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Memory that may be made of a manifest's head; its pages are searched where they lie.
pub const MANIFEST_DECODED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Series of per-route metrics; what comes after is counted under one overflow series.
pub const METRIC_SERIES_MAX: usize = 2_000;

/// Finished exchanges waiting for export; the oldest are dropped and counted past it.
pub const EXPORT_QUEUE_MAX: usize = 2_048;

/// Finished exchanges in one export request: OpenTelemetry's batch processor default.
pub const EXPORT_BATCH_MAX: usize = 512;

/// Batches of one export: as many as the queue holds. An exchange that is the one to export would otherwise go on for as
/// long as others finish meanwhile, and platforms count what one request sends (Workers: 50 on the free plan).
pub const EXPORT_BATCHES_MAX: usize = EXPORT_QUEUE_MAX.div_ceil(EXPORT_BATCH_MAX);

/// Tries of one batch, the first included.
pub const EXPORT_ATTEMPTS_MAX: usize = 4;

/// Purges that an edge remembers: the oldest are dropped by the publisher once entries from before them are gone.
pub const PURGES_MAX: usize = 1_000;

/// Bytes of a `tracestate` field passed on: W3C Trace Context asks for 512 at least (section 3.3.1.5).
pub const TRACESTATE_BYTES_MAX: usize = 4 * 1024;

/// Field names of a `Vary` that a response may be stored with.
pub const VARY_NAMES_MAX: usize = 16;
