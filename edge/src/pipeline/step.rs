//! The result of a step: continue, answer, or refuse.

use tollgate_core::problem::Problem;

use super::exchange::Answer;
use crate::ports::Content;

/// The result of a step: what the next one needs, or the end of the exchange.
pub(super) type Step<T, C> = Result<T, End<C>>;

/// How a step ends an exchange.
pub(super) enum End<C: Content> {
    /// With an answer: a stored response, or to OPTIONS.
    Answer(Box<Answer<C>>),
    /// With a problem, from which the response is made.
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
