//! What [`Content`] promises, whatever reads it.

use bytes::Bytes;
use tollgate_edge::ports::{Content, Delivery};

use crate::breach::same_bytes;
use crate::stage::Server;
use crate::upstream::stream;
use crate::{ContentOf, Outcome, Subject};

/// Content reads as what it was made of; an empty one is known to be empty.
pub(crate) async fn is_what_it_was_made_of<S: Subject>(subject: &S) -> Outcome {
    ensure!(ContentOf::<S>::empty().is_empty(), "empty content is not known to be empty");
    same_bytes(&subject.read(ContentOf::<S>::empty()).await?, b"", "empty content")?;
    ensure!(!hello::<S>().is_empty(), "content passes for empty");
    same_bytes(&subject.read(hello::<S>()).await?, b"hello", "content")?;
    same_bytes(&subject.read(hello::<S>().limited(5)).await?, b"hello", "content within its limit")
}

/// Bytes past a limit make reading fail.
pub(crate) async fn bytes_fail_past_a_limit<S: Subject>(subject: &S) -> Outcome {
    ensure!(subject.read(hello::<S>().limited(4)).await.is_err(), "five bytes passed a limit of four");
    Ok(())
}

/// A stream is read whole within its limit and fails past it.
pub(crate) async fn a_stream_fails_past_a_limit<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let whole = subject.read(stream(subject, &server, "chunks=4").await?).await?;
    let length = whole.len() as u64;
    ensure!(length > 4, "the upstream sent {length} bytes");
    let within = stream(subject, &server, "chunks=4").await?.limited(length);
    same_bytes(&subject.read(within).await?, &whole, "a stream within its limit")?;
    let past = stream(subject, &server, "chunks=4").await?.limited(length - 1);
    ensure!(subject.read(past).await.is_err(), "{length} bytes passed a limit of one less");
    Ok(())
}

/// Watching tells when all was delivered, and how much.
pub(crate) async fn watched_tells_the_delivery<S: Subject>(subject: &S) -> Outcome {
    let (content, delivery) = hello::<S>().watched();
    same_bytes(&subject.read(content).await?, b"hello", "watched content")?;
    ensure_eq!(delivery.await, Delivery::Complete { bytes: 5 }, "the delivery");
    Ok(())
}

/// Watching changes nothing, and never claims more than it saw.
pub(crate) async fn watched_hands_on_the_same<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let whole = subject.read(stream(subject, &server, "chunks=3").await?).await?;
    let (content, delivery) = stream(subject, &server, "chunks=3").await?.watched();
    same_bytes(&subject.read(content).await?, &whole, "a watched stream")?;
    let complete = Delivery::Complete { bytes: whole.len() as u64 };
    let told = delivery.await;
    ensure!(told == complete || told == Delivery::Unobserved, "{told:?} instead of {complete:?}");
    Ok(())
}

fn hello<S: Subject>() -> ContentOf<S> {
    ContentOf::<S>::from_bytes(Bytes::from_static(b"hello"))
}
