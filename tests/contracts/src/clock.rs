//! What [`Clock`] and [`Entropy`] promise.

use tollgate_edge::ports::{Clock, Entropy, Host};

use crate::stage::Order;
use crate::{Outcome, Subject};

/// Waiting takes the time it says, or somewhat longer, on both clocks; the monotonic one does not run back meanwhile.
pub(crate) async fn waits_as_long_as_asked<S: Subject>(subject: &S) -> Outcome {
    let clock = subject.host().clock();
    let (before, since) = (clock.now(), clock.instant());
    clock.sleep(50).await;
    let after = clock.instant();
    let passed = [clock.now().millis_since(before), after.millis_since(since)];
    ensure!(passed.iter().all(|ms| (45..5_000).contains(ms)), "{passed:?} ms passed instead of 50");
    clock.sleep(0).await;
    ensure!(clock.instant() >= after, "the monotonic clock ran back");
    Ok(())
}

/// The time is that of the world: within ten minutes of the suite's.
pub(crate) async fn tells_the_time_of_day<S: Subject>(subject: &S) -> Outcome {
    let world = subject.order(&Order::Time).await?.now_ms;
    let told = subject.host().clock().now().as_millis();
    ensure!(told.abs_diff(world) < 600_000, "{told} instead of {world}");
    Ok(())
}

/// Bytes differ from call to call and fill the whole buffer, whatever its length.
pub(crate) async fn fills_with_unpredictable_bytes<S: Subject>(subject: &S) -> Outcome {
    let entropy = subject.host().entropy();
    let (mut one, mut two, mut long) = ([0; 32], [0; 32], vec![0; 5_000]);
    entropy.fill(&mut one);
    entropy.fill(&mut two);
    ensure!(one != two, "two calls gave the same bytes");
    ensure!(one[16..] != [0; 16], "the end is not filled");
    entropy.fill(&mut long);
    ensure!(long[4_900..].iter().any(|byte| *byte != 0), "the end of a long buffer is not filled");
    entropy.fill(&mut []);
    Ok(())
}
