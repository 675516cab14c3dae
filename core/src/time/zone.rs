use minicbor::Encode;
use serde::{Deserialize, Serialize};

use crate::codec::{self, Decode};

/// How far the clocks of a time zone are ahead of UTC. Compilers know the zones by name; a bundle has their changes, because
/// hosts have no table of zones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct Zone {
    /// Minutes ahead of UTC before the first change.
    #[n(0)]
    pub minutes: i16,
    /// The changes, in order. After the last one, nothing changes.
    #[serde(default)]
    #[cbor(n(1), skip_if = "codec::is_default")]
    pub changes: Vec<OffsetChange>,
}

/// An instant from which the clocks of a zone are ahead of UTC by another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
pub struct OffsetChange {
    /// The second, since 1970.
    #[n(0)]
    pub at_s: i64,
    /// Minutes ahead of UTC from then on.
    #[n(1)]
    pub minutes: i16,
}

impl Zone {
    /// The minutes that its clocks are ahead of UTC in a second since 1970.
    #[must_use]
    pub fn minutes_at(&self, second: i64) -> i16 {
        let passed = self.changes.partition_point(|change| change.at_s <= second);
        passed.checked_sub(1).and_then(|last| self.changes.get(last)).map_or(self.minutes, |change| change.minutes)
    }

    /// The first second since 1970 at which its clocks show this time, or have passed over it.
    #[must_use]
    pub fn first_at(&self, local_s: i64) -> i64 {
        // Clocks are less than two days from UTC: changes before have no part in it.
        let passed = self.changes.partition_point(|change| change.at_s <= local_s.saturating_sub(2 * DAY_S));
        let mut from = passed.checked_sub(1).and_then(|last| self.changes.get(last)).copied();
        let later = self.changes.get(passed..).unwrap_or_default();
        for next in later.iter().map(Some).chain([None]) {
            let begins_s = from.map_or(i64::MIN, |change| change.at_s);
            let minutes = from.map_or(self.minutes, |change| change.minutes);
            let shown_s = local_s.saturating_sub(i64::from(minutes) * 60).max(begins_s);
            match next {
                Some(next) if shown_s >= next.at_s => from = Some(*next),
                Some(_) | None => return shown_s,
            }
        }
        local_s
    }
}

const DAY_S: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn the_last_change_before_a_second_counts() {
        let changes = [(100, 120), (200, 60)].map(|(at_s, minutes)| OffsetChange { at_s, minutes });
        let zone = Zone { minutes: 60, changes: changes.into() };
        let at = [-1, 99, 100, 199, 200, i64::MAX].map(|second| zone.minutes_at(second));
        assert_eq!(at, [60, 60, 120, 120, 60, 60]);
        assert_eq!(Zone { minutes: -210, changes: vec![] }.minutes_at(5), -210);
        let stored = minicbor::to_vec(&zone).unwrap();
        assert_eq!(codec::decode::<Zone>(&stored).unwrap(), zone);
    }
}
