//! One attempt to change a bucket, as a state machine that requests one call of the store at a time.
//!
//! Spin's compare-and-swap compares only if a value was read; a swap of an absent key overwrites whatever was stored
//! since. So a bucket is only changed while it has a value. The difficulty is to create the first value: its creator
//! may fail in between, or be slow and then overwrite later changes of others.
//!
//! - The attempt that draws the first ticket creates the first generation of the bucket. Others wait. An attempt that
//!   has waited too long takes over, which is counted, and creates the next generation, under a key that only it
//!   creates.
//! - A creator first ensures that no earlier generation can become usable: it seals those that are claimed. Then it
//!   claims its own generation, checks that there was no takeover since, and only then makes it usable, comparing with
//!   its claim.
//! - Only a usable generation is read or changed, always with a comparison.
//!
//! So at most one generation becomes usable: if an earlier creator is about to make its generation usable, it has
//! checked for takeovers before this takeover was counted. It has therefore claimed its generation before, and this
//! attempt would have sealed that claim. The tests run all interleavings of several attempts.

use tollgate_core::cell::CellError;

/// A call to the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Call {
    /// Reads a generation, and starts a compare-and-swap of it.
    Read(u64),
    /// Completes the compare-and-swap that the last read started.
    Swap(Vec<u8>),
    /// Increments the number of tickets.
    DrawTicket,
    /// Adds to the number of takeovers; adding 0 reads it.
    Takeovers(i64),
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Value(Option<Vec<u8>>),
    /// Whether the swap took place.
    Swapped(bool),
    /// The number after the addition.
    Number(i64),
}

/// The next step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step<T> {
    Ask(Attempt<T>, Call),
    /// The change was applied, or there was nothing to change.
    Done(T),
    /// There was a conflict with others, or the bucket has no usable generation yet.
    Again,
}

/// The result of `change` for the usable value of a bucket: an answer, and the new value if there is one.
pub(super) type Changed<T> = Result<(T, Option<Vec<u8>>), CellError>;

/// An attempt that waits for the result of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Attempt<T> {
    /// Whether it has waited long enough for others, so that it takes over.
    takes_over: bool,
    awaits: Awaits<T>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Awaits<T> {
    /// The value of a generation, in the search for the usable one; `last` is the last possible one, if known.
    Value {
        generation: u64,
        last: Option<u64>,
    },
    /// Whether the swap succeeded.
    Changed(T),
    /// The number of takeovers, after reading that the first generation is not usable.
    Takeovers,
    Ticket,
    /// The number of its own takeover.
    Takeover,
    /// The value of an earlier generation.
    Earlier {
        own: u64,
        generation: u64,
    },
    /// Whether the earlier generation was sealed.
    Sealed {
        own: u64,
        generation: u64,
    },
    /// The value of its own generation before the claim.
    Unclaimed {
        own: u64,
    },
    Claimed {
        own: u64,
    },
    /// The number of takeovers, after its claim.
    Contest {
        own: u64,
    },
    /// The value of its own claim.
    Claim,
}

impl<T> Attempt<T> {
    /// Starts an attempt; `takes_over` says that earlier attempts have waited too long for a creator.
    pub(super) fn begin(takes_over: bool) -> (Self, Call) {
        let awaits = Awaits::Value { generation: FIRST, last: None };
        (Self { takes_over, awaits }, Call::Read(FIRST))
    }

    /// Continues with the result of the last call.
    pub(super) fn go_on(
        self,
        answer: Answer,
        change: impl FnOnce(Option<&[u8]>) -> Changed<T>,
    ) -> Result<Step<T>, CellError> {
        let takes_over = self.takes_over;
        let ask = |awaits, call| Ok(Step::Ask(Self { takes_over, awaits }, call));
        match (self.awaits, answer) {
            (Awaits::Value { generation, last }, Answer::Value(value)) => match Bucket::read(value.as_deref())? {
                Bucket::Usable(table) => Self::change(takes_over, table, change),
                Bucket::None | Bucket::Claimed | Bucket::Sealed => match last {
                    None => ask(Awaits::Takeovers, Call::Takeovers(0)),
                    Some(last) if generation < last => {
                        let generation = generation + 1;
                        ask(Awaits::Value { generation, last: Some(last) }, Call::Read(generation))
                    }
                    Some(_) if takes_over => ask(Awaits::Takeover, Call::Takeovers(1)),
                    Some(_) => Ok(Step::Again),
                },
            },
            (Awaits::Changed(answer), Answer::Swapped(swapped)) => {
                Ok(if swapped { Step::Done(answer) } else { Step::Again })
            }
            (Awaits::Takeovers, Answer::Number(takeovers)) => match last_of(takeovers) {
                FIRST => ask(Awaits::Ticket, Call::DrawTicket),
                last => ask(Awaits::Value { generation: FIRST + 1, last: Some(last) }, Call::Read(FIRST + 1)),
            },
            (Awaits::Ticket, Answer::Number(ticket)) => match ticket {
                1 => ask(Awaits::Unclaimed { own: FIRST }, Call::Read(FIRST)),
                _ if takes_over => ask(Awaits::Takeover, Call::Takeovers(1)),
                _ => Ok(Step::Again),
            },
            (Awaits::Takeover, Answer::Number(takeovers)) => {
                ask(Awaits::Earlier { own: last_of(takeovers), generation: FIRST }, Call::Read(FIRST))
            }
            (Awaits::Earlier { own, generation }, Answer::Value(value)) => match Bucket::read(value.as_deref())? {
                Bucket::Usable(table) => Self::change(takes_over, table, change),
                Bucket::Claimed => ask(Awaits::Sealed { own, generation }, Call::Swap(vec![SEALED])),
                Bucket::None | Bucket::Sealed => {
                    let next = generation + 1;
                    let awaits =
                        if next < own { Awaits::Earlier { own, generation: next } } else { Awaits::Unclaimed { own } };
                    ask(awaits, Call::Read(next))
                }
            },
            // Sealed or not: it is read again, because it has become usable if it could not be sealed.
            (Awaits::Sealed { own, generation }, Answer::Swapped(_)) => {
                ask(Awaits::Earlier { own, generation }, Call::Read(generation))
            }
            (Awaits::Unclaimed { own }, Answer::Value(_)) => ask(Awaits::Claimed { own }, Call::Swap(vec![CLAIMED])),
            (Awaits::Claimed { own }, Answer::Swapped(_)) => ask(Awaits::Contest { own }, Call::Takeovers(0)),
            (Awaits::Contest { own }, Answer::Number(takeovers)) => {
                if last_of(takeovers) == own {
                    ask(Awaits::Claim, Call::Read(own))
                } else {
                    Ok(Step::Again)
                }
            }
            (Awaits::Claim, Answer::Value(value)) => match Bucket::read(value.as_deref())? {
                Bucket::Claimed => {
                    let (answer, table) = change(None)?;
                    ask(Awaits::Changed(answer), Call::Swap(usable(table.as_deref())))
                }
                Bucket::None | Bucket::Sealed | Bucket::Usable(_) => Ok(Step::Again),
            },
            // The driver returns the result of the requested call.
            (_, Answer::Value(_) | Answer::Swapped(_) | Answer::Number(_)) => Ok(Step::Again),
        }
    }

    fn change(
        takes_over: bool,
        table: Option<&[u8]>,
        change: impl FnOnce(Option<&[u8]>) -> Changed<T>,
    ) -> Result<Step<T>, CellError> {
        let (answer, new) = change(table)?;
        Ok(match new {
            None => Step::Done(answer),
            Some(new) => {
                Step::Ask(Self { takes_over, awaits: Awaits::Changed(answer) }, Call::Swap(usable(Some(&new))))
            }
        })
    }
}

/// The value of a generation of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bucket<'v> {
    None,
    /// Its creator has claimed it.
    Claimed,
    /// There was a takeover: it is never used.
    Sealed,
    /// The table of cells, if there is one yet.
    Usable(Option<&'v [u8]>),
}

impl<'v> Bucket<'v> {
    fn read(value: Option<&'v [u8]>) -> Result<Self, CellError> {
        match value {
            None => Ok(Self::None),
            Some([CLAIMED]) => Ok(Self::Claimed),
            Some([SEALED]) => Ok(Self::Sealed),
            Some([USABLE]) => Ok(Self::Usable(None)),
            Some([USABLE, table @ ..]) => Ok(Self::Usable(Some(table))),
            Some([] | [_, ..]) => Err(CellError::Damaged),
        }
    }
}

fn usable(table: Option<&[u8]>) -> Vec<u8> {
    [&[USABLE], table.unwrap_or_default()].concat()
}

/// The generation that the takeover with this number creates.
fn last_of(takeovers: i64) -> u64 {
    FIRST.saturating_add(u64::try_from(takeovers).unwrap_or(0))
}

/// The first generation of a bucket.
const FIRST: u64 = 1;

const CLAIMED: u8 = 0;
const SEALED: u8 = 1;
const USABLE: u8 = 2;

#[cfg(test)]
mod tests;
