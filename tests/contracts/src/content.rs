//! The contract of [`Content`], for any reader.

use bytes::Bytes;
use tollgate_edge::ports::{Content, ContentFault, Delivery, Gathered};

use crate::breach::same_bytes;
use crate::stage::Server;
use crate::upstream::stream;
use crate::{Breach, ContentOf, Outcome, Subject};

/// Content reads as the bytes it was created from; empty content is known to be empty.
pub(crate) async fn reads_as_created<S: Subject>(subject: &S) -> Outcome {
    ensure!(ContentOf::<S>::empty().is_empty(), "empty content is not known to be empty");
    same_bytes(&subject.read(ContentOf::<S>::empty()).await?, b"", "empty content")?;
    ensure!(!hello::<S>().is_empty(), "content is reported as empty");
    same_bytes(&subject.read(hello::<S>()).await?, b"hello", "content")?;
    same_bytes(&subject.read(hello::<S>().limited(5)).await?, b"hello", "content within its limit")
}

/// Bytes past a limit make reading fail.
pub(crate) async fn bytes_fail_past_a_limit<S: Subject>(subject: &S) -> Outcome {
    ensure!(subject.read(hello::<S>().limited(4)).await.is_err(), "five bytes passed a limit of four");
    Ok(())
}

/// A stream is read completely within its limit and fails beyond it.
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

/// Watching reports when all content was delivered, and how much.
pub(crate) async fn watched_reports_the_delivery<S: Subject>(subject: &S) -> Outcome {
    let (content, delivery) = hello::<S>().watched(true);
    same_bytes(&subject.read(content).await?, b"hello", "watched content")?;
    ensure_eq!(delivery.await, Delivery::Complete { bytes: 5 }, "the delivery");
    Ok(())
}

/// Counting the bytes does not change the content, and no platform leaves it out.
pub(crate) async fn watched_content_is_unchanged<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let whole = subject.read(stream(subject, &server, "chunks=3").await?).await?;
    let (content, delivery) = stream(subject, &server, "chunks=3").await?.watched(true);
    same_bytes(&subject.read(content).await?, &whole, "a watched stream")?;
    let complete = Delivery::Complete { bytes: whole.len() as u64 };
    ensure_eq!(delivery.await, complete, "the delivery of a stream");
    Ok(())
}

/// Content that fits is gathered, and reads the same every time it is replayed.
pub(crate) async fn gathers_what_fits<S: Subject>(subject: &S) -> Outcome {
    for (content, expected) in [(hello::<S>(), &b"hello"[..]), (ContentOf::<S>::empty(), b"")] {
        let Gathered::Complete(whole) = content.gather(5).await? else { return Err(too_large()) };
        same_bytes(&whole.bytes, expected, "what was gathered")?;
        for _ in 0..2 {
            same_bytes(&subject.read(ContentOf::<S>::replay(&whole)).await?, expected, "what is replayed")?;
        }
    }
    let Gathered::TooLarge(content) = hello::<S>().gather(4).await? else { return Err(passed()) };
    same_bytes(&subject.read(content).await?, b"hello", "what is too large")
}

/// A stream is gathered, too.
pub(crate) async fn a_stream_is_gathered<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    for query in ["chunks=4&every_ms=10", "size=200000"] {
        let whole = subject.read(stream(subject, &server, query).await?).await?;
        let content = stream(subject, &server, query).await?;
        let Gathered::Complete(gathered) = content.gather(whole.len() as u64).await? else { return Err(too_large()) };
        same_bytes(&gathered.bytes, &whole, query)?;
    }
    Ok(())
}

/// Nothing of a stream beyond the bound is lost.
pub(crate) async fn too_large_content_still_streams<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    for (query, max) in [("chunks=6&every_ms=10", 5), ("size=200000", 100_000), ("size=200000", 199_999)] {
        let whole = subject.read(stream(subject, &server, query).await?).await?;
        let content = stream(subject, &server, query).await?;
        let Gathered::TooLarge(content) = content.gather(max).await? else { return Err(passed()) };
        same_bytes(&subject.read(content).await?, &whole, query)?;
    }
    Ok(())
}

/// A limit on the content is distinguished from an early end.
pub(crate) async fn a_limit_holds_while_gathering<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let content = stream(subject, &server, "size=100000").await?.limited(50_000);
    let fault = content.gather(1 << 20).await.err();
    ensure_eq!(fault, Some(ContentFault::LimitExceeded), "the fault");
    Ok(())
}

/// Interrupted content is not treated as complete.
pub(crate) async fn interrupted_content_is_not_gathered<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    for query in ["size=100000&break=body", "chunks=9&break=body"] {
        let fault = stream(subject, &server, query).await?.gather(1 << 20).await.err();
        ensure_eq!(fault, Some(ContentFault::Interrupted), "{query}");
    }
    Ok(())
}

fn too_large() -> Breach {
    Breach("content that fits was reported as too large".to_owned())
}

fn passed() -> Breach {
    Breach("more was gathered than requested".to_owned())
}

fn hello<S: Subject>() -> ContentOf<S> {
    ContentOf::<S>::from_bytes(Bytes::from_static(b"hello"))
}
