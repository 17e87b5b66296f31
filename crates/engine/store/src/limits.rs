//! The bounds of the store, the same for every engine so that moving between engines refuses nothing new.

/// The longest key. Upstream's longest legal key, a custom resource with all names at their limits, has about 1,000.
pub const KEY_BYTES_MAX: usize = 4_096;

/// The largest transaction, keys and values together: etcd's default for `--max-request-bytes`, less room for framing.
pub const TXN_BYTES_MAX: usize = 1_572_864 - 4_096;

/// The most operations, and the most comparisons, of one transaction: etcd's default for `--max-txn-ops`.
pub const TXN_OPS_MAX: usize = 128;

/// The most watchers at a time (in-process engines).
pub const WATCHERS_MAX: usize = 16_384;

/// The most live leases at a time (in-process engines).
pub const LEASES_MAX: usize = 100_000;

/// The longest lease: etcd's `MaxLeaseTTL`.
pub const LEASE_TTL_SECONDS_MAX: u64 = 9_000_000_000;

/// The most bytes of superseded values that in-process engines keep, unless their options say otherwise.
///
/// Beyond it the oldest history is compacted without being asked.
pub const HISTORY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The most events in one batch of a watch, unless a single transaction has more.
pub const BATCH_EVENTS_MAX: usize = 1_024;

/// The most bytes of values in one batch of a watch, unless a single transaction has more.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// The most requests waiting for the embedded engine's committer; more wait outside, in order.
pub const COMMANDS_WAITING_MAX: usize = 4_096;

/// The most requests that share one sync of the embedded engine.
pub const GROUP_COMMANDS_MAX: usize = 2_048;

/// The most bytes of transactions that share one sync of the embedded engine (one more transaction may exceed it).
pub const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The most bytes of one of the two files of the embedded engine's log, unless its options say otherwise.
pub const LOG_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// The largest answer accepted from etcd: the bound that etcd's own client has.
pub const RESPONSE_BYTES_MAX: usize = i32::MAX as usize;

/// How long one request to etcd may take.
pub const ETCD_REQUEST_SECONDS_MAX: u64 = 60;

/// How long connecting to one etcd endpoint may take, TLS included.
pub const ETCD_CONNECT_SECONDS_MAX: u64 = 5;
