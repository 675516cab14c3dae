//! What a step says: go on, answer, or refuse.

use tollgate_core::problem::Problem;

use super::exchange::Answer;
use crate::ports::Content;

/// What a step comes to: what the next one needs, or the end of the exchange.
pub(super) type Step<T, C> = Result<T, End<C>>;

/// How a step ends an exchange.
pub(super) enum End<C: Content> {
    /// With an answer: from store, or to OPTIONS.
    Answer(Box<Answer<C>>),
    /// With a problem, which carries the response that it owes.
    Refuse(Problem),
}

impl<C: Content> From<Problem> for End<C> {
    fn from(problem: Problem) -> Self {
        Self::Refuse(problem)
    }
}

impl<C: Content> From<Answer<C>> for End<C> {
    fn from(answer: Answer<C>) -> Self {
        Self::Answer(Box::new(answer))
    }
}
