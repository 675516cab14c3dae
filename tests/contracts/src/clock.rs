//! The contracts of [`Clock`] and [`Entropy`].

use tollgate_edge::ports::{Clock, Entropy, Host};

use crate::stage::Command;
use crate::{Outcome, Subject};

/// Waiting takes at least the requested time on both clocks, and not much longer; the monotonic one does not step back.
pub(crate) async fn waits_as_long_as_asked<S: Subject>(subject: &S) -> Outcome {
    let clock = subject.host().clock();
    let (before, since) = (clock.now(), clock.instant());
    clock.sleep(50).await;
    let after = clock.instant();
    let passed = [clock.now().millis_since(before), after.millis_since(since)];
    ensure!(passed.iter().all(|ms| (45..5_000).contains(ms)), "{passed:?} ms passed instead of 50");
    clock.sleep(0).await;
    ensure!(clock.instant() >= after, "the monotonic clock stepped back");
    Ok(())
}

/// The time is correct: within ten minutes of the suite's clock.
pub(crate) async fn returns_the_time_of_day<S: Subject>(subject: &S) -> Outcome {
    let world = subject.command(&Command::Time).await?.now_ms;
    let now_ms = subject.host().clock().now().as_millis();
    ensure!(now_ms.abs_diff(world) < 600_000, "{now_ms} instead of {world}");
    Ok(())
}

/// Bytes differ between calls and fill the whole buffer, of any length.
pub(crate) async fn fills_with_unpredictable_bytes<S: Subject>(subject: &S) -> Outcome {
    let entropy = subject.host().entropy();
    let (mut one, mut two, mut long) = ([0; 32], [0; 32], vec![0; 5_000]);
    entropy.fill(&mut one);
    entropy.fill(&mut two);
    ensure!(one != two, "two calls returned the same bytes");
    ensure!(one[16..] != [0; 16], "the end is not filled");
    entropy.fill(&mut long);
    ensure!(long[4_900..].iter().any(|byte| *byte != 0), "the end of a long buffer is not filled");
    entropy.fill(&mut []);
    Ok(())
}
