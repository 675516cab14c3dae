//! One attempt to change a bucket, as a machine that asks for one call of the store at a time.
//!
//! Spin's compare-and-swap compares only where a value was read; a swap of an absent key writes whatever is there by then.
//! So a bucket is only ever changed while it has a value, and how it gets its first one is the difficulty: its creator may
//! die on the way, or be slow and then write over what others have done since.
//!
//! - Whoever draws the first ticket creates the first generation of the bucket. Others wait; one that has waited in vain takes
//!   over, which is counted, and creates the next generation, under a key that only it creates.
//! - A creator first sees that no earlier generation can come into use: it seals those that are claimed. Then it claims its
//!   own, looks whether somebody has taken over since, and only then makes it usable, comparing with its claim.
//! - Only a usable generation is ever read or changed, always comparing.
//!
//! So at most one generation becomes usable: were an earlier creator about to make its own usable, it would have looked for
//! takeovers before this one was counted, hence have claimed before, and this one would have sealed that claim. The tests
//! walk through every order in which several attempts can meet.

use tollgate_core::cell::CellError;

/// A call to the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Call {
    /// Reads a generation, and begins a compare-and-swap of it.
    Read(u64),
    /// Ends the compare-and-swap that the last reading began.
    Swap(Vec<u8>),
    /// Adds one to the tickets drawn.
    DrawTicket,
    /// Adds to the takeovers: 0 reads how many there are.
    Takeovers(i64),
}

/// The store's answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Value(Option<Vec<u8>>),
    /// Whether the swap took place.
    Swapped(bool),
    /// The number after the addition.
    Number(i64),
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step<T> {
    Ask(Attempt<T>, Call),
    /// The change was made, or there was nothing to change.
    Done(T),
    /// Others were faster, or the bucket has no usable generation yet.
    Again,
}

/// What `change` makes of the usable value of a bucket: an answer, and the new value if there is one.
pub(super) type Changed<T> = Result<(T, Option<Vec<u8>>), CellError>;

/// An attempt that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Attempt<T> {
    /// Whether it has waited long enough for others.
    takes_over: bool,
    awaits: Awaits<T>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Awaits<T> {
    /// A generation's value, on the way to the usable one; `last` is the last there may be, where that is known.
    Value {
        generation: u64,
        last: Option<u64>,
    },
    /// Whether the change took place.
    Changed(T),
    /// How often the bucket was taken over, having seen no usable first generation.
    Takeovers,
    Ticket,
    /// The takeover of its own.
    Takeover,
    /// The value of a generation before the one that it creates.
    Earlier {
        own: u64,
        generation: u64,
    },
    /// Whether that was sealed.
    Sealed {
        own: u64,
        generation: u64,
    },
    /// The reading of its own generation before it is claimed.
    Unclaimed {
        own: u64,
    },
    Claimed {
        own: u64,
    },
    /// How often the bucket was taken over, having claimed.
    Contest {
        own: u64,
    },
    /// The reading of its own claim.
    Claim,
}

impl<T> Attempt<T> {
    /// Begins; `takes_over` says that earlier attempts have waited for a creator in vain.
    pub(super) fn begin(takes_over: bool) -> (Self, Call) {
        let awaits = Awaits::Value { generation: FIRST, last: None };
        (Self { takes_over, awaits }, Call::Read(FIRST))
    }

    /// Goes on with the answer to the last call.
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
            // Sealed or not: read again, it has become usable where it could not be sealed.
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
            // The driver answers what was asked.
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

/// What a generation of a bucket holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bucket<'v> {
    None,
    /// Its creator is at work.
    Claimed,
    /// Somebody has taken over from its creator: it is never used.
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

/// The generation that the last of so many takeovers creates.
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
