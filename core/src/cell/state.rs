use crate::codec::{self, Decode};
use minicbor::Encode;

use super::CellError;
use super::gcra::{Level, Pace};
use super::holds::{Holds, Refund};
use super::listed::List;
use super::meter::Counted;
use super::purges::PurgeLog;
use super::recent::Recent;
use super::time::{Advance, Reading, nanos};
use crate::policy_name::PolicyName;
use crate::time::Timestamp;

/// The state of one cell.
///
/// Its owner has the only copy: two updates must never read the same state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Cell {
    /// When it was last updated, by the clocks of its writers.
    #[n(0)]
    pub(super) at_us: u64,
    /// The quotas that are not fully available.
    #[n(1)]
    pub(super) quotas: Vec<Quota>,
    #[n(2)]
    pub(super) recent: Recent,
    #[n(3)]
    pub(super) holds: Holds,
    #[n(4)]
    pub(super) purges: Option<Box<PurgeLog>>,
    /// The time of the first clock that is far behind `at_us`; absent when another one has shown that instant.
    #[n(5)]
    pub(super) behind_us: Option<u64>,
    /// The names of its list, each until its time.
    #[n(6)]
    pub(super) listed: Option<Box<List>>,
    /// The limits whose state is not one instant.
    #[n(7)]
    pub(super) counted: Option<Box<Meters>>,
}

/// Limits by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub(super) struct Meters(#[n(0)] pub(super) Vec<Metered>);

/// A limit whose state is not one instant.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Metered {
    #[n(0)]
    pub(super) name: PolicyName,
    #[n(1)]
    pub(super) state: Counted,
}

/// A quota that is not fully available.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Quota {
    #[n(0)]
    pub(super) name: PolicyName,
    #[n(1)]
    pub(super) tat_ns: u64,
    /// The pace of its charges. A reader that passes it over takes the instant as it is.
    #[n(2)]
    pub(super) pace: Option<Pace>,
}

impl Quota {
    pub(super) const fn level(&self) -> Level {
        Level { tat_ns: self.tat_ns, pace: self.pace }
    }
}

impl Cell {
    /// The newest version of the encoding. A state is written in the oldest version that can represent it, so that after a
    /// rollback only cells that use a new kind of state cannot be read: version 2 has lists, version 3 limits that are counted.
    pub const VERSION: u8 = 3;

    /// Decodes bytes of [`Cell::to_bytes`].
    ///
    /// # Errors
    /// [`CellError::NewerVersion`] and [`CellError::Damaged`]; neither may be treated as an empty cell.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CellError> {
        match bytes.split_first() {
            Some((1..=Self::VERSION, state)) => decode_all(state).ok_or(CellError::Damaged),
            Some((&found, _)) if found > Self::VERSION => Err(CellError::NewerVersion { found, known: Self::VERSION }),
            Some(_) | None => Err(CellError::Damaged),
        }
    }

    /// The state as bytes for a store: the version, then CBOR.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.push(self.least_version());
        // Writing to memory does not fail.
        let _ = minicbor::encode(self, &mut bytes);
        bytes
    }

    const fn least_version(&self) -> u8 {
        match (&self.counted, &self.listed) {
            (Some(_), _) => Self::VERSION,
            (None, Some(_)) => 2,
            (None, None) => 1,
        }
    }

    /// Whether the cell has no information, so that a store may delete it.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.quotas.is_empty()
            && self.holds.is_empty()
            && self.purges.is_none()
            && self.listed.is_none()
            && self.counted.is_none()
            && self.recent.released_until_us().is_none()
    }

    /// The instant from which the cell has no information; `None` if that does not happen by time.
    #[must_use]
    pub fn idle_at(&self) -> Option<Timestamp> {
        if self.purges.is_some() {
            return None;
        }
        let available_us = self.quotas.iter().map(|quota| quota.tat_ns.div_ceil(nanos(1)));
        let held_us = self.holds.last_until_us();
        let listed_us = self.listed.iter().flat_map(|list| &list.0).map(|listed| listed.kept_until.as_micros());
        let counted_us = self.meters().iter().map(|metered| metered.state.idle_at_us());
        Some(Timestamp::from_micros(
            available_us
                .chain(held_us)
                .chain(listed_us)
                .chain(counted_us)
                .chain(self.recent.released_until_us())
                .max()
                .unwrap_or(0),
        ))
    }

    /// Advances the cell to `now`: drops quotas that are fully available and expired entries, and refunds orphaned
    /// holds.
    ///
    /// What it records about clocks that are far behind has to be stored. All other effects can be computed from the
    /// state and the time again, so they need not be stored.
    pub(super) fn advance(&mut self, now: Timestamp) -> Advance {
        let now_us = now.as_micros();
        let before_us = (self.at_us, self.behind_us);
        let (mut behind_us, mut stands_us) = (None, 0);
        match Reading::of(self.at_us, self.behind_us, now_us) {
            Reading::Forward => self.at_us = now_us,
            Reading::Late => {}
            Reading::Behind { since_us, stands_us: us } => (behind_us, stands_us) = (Some(since_us), us),
            Reading::SetBack { by_us } => self.set_back(by_us),
        }
        self.behind_us = behind_us;
        self.expire();
        self.recent.forget(self.at_us);
        self.forget_listed();
        self.drop_available();
        Advance { changed: self.at_us < before_us.0 || behind_us != before_us.1, stands_us }
    }

    fn set_back(&mut self, by_us: u64) {
        self.at_us -= by_us;
        for quota in &mut self.quotas {
            quota.tat_ns = quota.tat_ns.saturating_sub(nanos(by_us));
        }
        for metered in self.counted.iter_mut().flat_map(|meters| &mut meters.0) {
            metered.state.set_back(by_us, self.at_us);
        }
        self.holds.set_back(by_us);
        self.recent.set_back(by_us);
    }

    fn forget_listed(&mut self) {
        let Some(list) = &mut self.listed else { return };
        list.0.retain(|listed| self.at_us < listed.kept_until.as_micros());
        if list.0.is_empty() {
            self.listed = None;
        }
    }

    fn expire(&mut self) {
        self.pay_time();
        while let Some(worth) = self.holds.expire(self.at_us) {
            self.refund(worth);
        }
    }

    /// Refunds the value of a hold.
    pub(super) fn refund(&mut self, refunds: Vec<Refund>) {
        for Refund { id, quota: name, worth, window_us } in refunds {
            match window_us {
                None => {
                    if let Some(quota) = self.quotas.iter_mut().find(|quota| quota.name == name) {
                        quota.tat_ns = quota.tat_ns.saturating_sub(worth);
                    }
                }
                Some(start_us) => {
                    let counted = self.counted.iter_mut().flat_map(|meters| &mut meters.0);
                    for metered in counted.filter(|metered| metered.name == name) {
                        metered.state.take_back(id, start_us, worth);
                    }
                }
            }
        }
    }

    /// The limits whose state is not one instant.
    pub(super) fn meters(&self) -> &[Metered] {
        self.counted.as_ref().map_or(&[], |meters| &meters.0)
    }

    /// Limits the value of holds to what is still charged.
    pub(super) fn pay_time(&mut self) {
        if self.holds.is_empty() {
            return;
        }
        let now_ns = nanos(self.at_us);
        for quota in &self.quotas {
            self.holds.charged(&quota.name, quota.tat_ns.saturating_sub(now_ns));
        }
    }

    pub(super) fn drop_available(&mut self) {
        let now_ns = nanos(self.at_us);
        self.quotas.retain(|quota| quota.tat_ns > now_ns);
        let Some(meters) = &mut self.counted else { return };
        meters.0.retain_mut(|metered| {
            metered.state.forget(self.at_us);
            metered.state.idle_at_us() > self.at_us
        });
        if meters.0.is_empty() {
            self.counted = None;
        }
    }
}

/// The value that the bytes encode, if they encode exactly one.
pub(super) fn decode_all<T: Decode>(bytes: &[u8]) -> Option<T> {
    codec::decode(bytes).ok()
}
