//! What [`Content`] promises, whatever reads it.

use bytes::Bytes;
use tollgate_edge::ports::{Content, ContentFault, Delivery, Gathered};

use crate::breach::same_bytes;
use crate::stage::Server;
use crate::upstream::stream;
use crate::{Breach, ContentOf, Outcome, Subject};

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

/// Content that fits is gathered, and reads the same as often as it is replayed.
pub(crate) async fn gathers_what_fits<S: Subject>(subject: &S) -> Outcome {
    for (content, expected) in [(hello::<S>(), &b"hello"[..]), (ContentOf::<S>::empty(), b"")] {
        let Gathered::Whole(whole) = content.gather(5).await? else { return Err(too_large()) };
        same_bytes(&whole.bytes, expected, "what was gathered")?;
        for _ in 0..2 {
            same_bytes(&subject.read(ContentOf::<S>::replay(&whole)).await?, expected, "what is replayed")?;
        }
    }
    let Gathered::TooLarge(content) = hello::<S>().gather(4).await? else { return Err(passed()) };
    same_bytes(&subject.read(content).await?, b"hello", "what is too large")
}

/// So is a stream.
pub(crate) async fn a_stream_is_gathered<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    for query in ["chunks=4&every_ms=10", "size=200000"] {
        let whole = subject.read(stream(subject, &server, query).await?).await?;
        let content = stream(subject, &server, query).await?;
        let Gathered::Whole(gathered) = content.gather(whole.len() as u64).await? else { return Err(too_large()) };
        same_bytes(&gathered.bytes, &whole, query)?;
    }
    Ok(())
}

/// Of a stream past the bound nothing is lost.
pub(crate) async fn what_is_too_large_still_streams<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    for (query, max) in [("chunks=6&every_ms=10", 5), ("size=200000", 100_000), ("size=200000", 199_999)] {
        let whole = subject.read(stream(subject, &server, query).await?).await?;
        let content = stream(subject, &server, query).await?;
        let Gathered::TooLarge(content) = content.gather(max).await? else { return Err(passed()) };
        same_bytes(&subject.read(content).await?, &whole, query)?;
    }
    Ok(())
}

/// A limit on the content is told from an end that came too early.
pub(crate) async fn a_limit_holds_while_gathering<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let content = stream(subject, &server, "size=100000").await?.limited(50_000);
    let fault = content.gather(1 << 20).await.err();
    ensure_eq!(fault, Some(ContentFault::PassedLimit), "the fault");
    Ok(())
}

/// What breaks off is not taken for whole.
pub(crate) async fn what_breaks_off_is_not_gathered<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    for query in ["size=100000&break=body", "chunks=9&break=body"] {
        let fault = stream(subject, &server, query).await?.gather(1 << 20).await.err();
        ensure_eq!(fault, Some(ContentFault::Broken), "{query}");
    }
    Ok(())
}

fn too_large() -> Breach {
    Breach("what fits was too large".to_owned())
}

fn passed() -> Breach {
    Breach("more was gathered than asked for".to_owned())
}

fn hello<S: Subject>() -> ContentOf<S> {
    ContentOf::<S>::from_bytes(Bytes::from_static(b"hello"))
}
