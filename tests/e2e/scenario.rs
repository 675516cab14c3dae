//! Scenarios, and how one runs so that its failure does not end the others.

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use tollgate_tests::hosts::Kind;

use crate::world::World;

/// The result of a scenario; the error says what failed. Scenarios may also assert.
pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

type Run = fn(Rc<World>) -> Pin<Box<dyn Future<Output = Outcome>>>;

/// A statement that must be true on every host.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    /// `phase: the sentence it proves`.
    pub(crate) phase: &'static str,
    pub(crate) name: &'static str,
    /// Hosts where it cannot pass, and why not.
    pub(crate) except: &'static [(Kind, &'static str)],
    pub(crate) run: Run,
}

impl Scenario {
    pub(crate) fn title(&self) -> String {
        format!("{}: {}", self.phase, self.name.replace('_', " "))
    }

    pub(crate) fn cannot_hold_on(&self, kind: Kind) -> Option<&'static str> {
        self.except.iter().find(|(host, _)| *host == kind).map(|(_, why)| *why)
    }
}

/// Defines the list of a file's scenarios: functions of the world, with the hosts where they cannot pass.
macro_rules! scenarios {
    ($phase:literal; $($name:ident $(except $(($kind:ident, $why:literal))+)?),* $(,)?) => {
        pub(crate) const ALL: &[$crate::scenario::Scenario] = &[$(
            $crate::scenario::Scenario {
                phase: $phase,
                name: stringify!($name),
                except: &[$($((tollgate_tests::hosts::Kind::$kind, $why)),+)?],
                run: |world| Box::pin($name(world)),
            }
        ),*];
    };
}
pub(crate) use scenarios;

/// The result on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Held,
    Failed(String),
    NotApplicable(&'static str),
}

/// The timeout of a scenario.
const SCENARIO_PATIENCE: Duration = Duration::from_secs(90);

/// Runs one in a separate task: a panic is a failure.
pub(crate) async fn run(scenario: &Scenario, world: Rc<World>) -> Verdict {
    let task = tokio::task::spawn_local((scenario.run)(world));
    let id = task.id();
    match tokio::time::timeout(SCENARIO_PATIENCE, task).await {
        Err(_) => Verdict::Failed("it did not end in time".to_owned()),
        Ok(Ok(Ok(()))) => Verdict::Held,
        Ok(Ok(Err(error))) => Verdict::Failed(error.to_string()),
        Ok(Err(_)) => {
            let noted = PANICS.with_borrow_mut(|panics| panics.remove(&id));
            Verdict::Failed(noted.unwrap_or_else(|| "it panicked".to_owned()))
        }
    }
}

thread_local! {
    static PANICS: RefCell<HashMap<tokio::task::Id, String>> = RefCell::new(HashMap::new());
}

/// Collects panics of scenarios by task, instead of printing them between other output.
pub(crate) fn note_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| match tokio::task::try_id() {
        Some(id) => {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let what = info.payload_as_str().unwrap_or("a panic");
            PANICS.with_borrow_mut(|panics| panics.insert(id, format!("{place}: {what}")));
        }
        None => usual(info),
    }));
}
