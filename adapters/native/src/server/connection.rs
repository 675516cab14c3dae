//! One connection from a client: TLS, what is said over it, its end.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tollgate_edge::Client;

use super::activity::Activity;
use super::conversation::{End, Speaker};
use super::isolate::Serving;
use super::socket::OverTcp;
use super::stream::ClientStream;
use super::tls::{Peer, Tls};

/// Serves the connection until it closes.
pub(super) async fn serve_connection(
    serving: &Rc<Serving>,
    activity: &Rc<Activity>,
    stream: TcpStream,
    client: Client,
    tls: Option<Arc<Tls>>,
) {
    match tls {
        None => converse(serving, activity, stream, client).await,
        // Boxed, because it is larger, and connections without it would be as large.
        Some(tls) => Box::pin(serve_tls(serving, activity, stream, client, tls)).await,
    }
}

async fn serve_tls(serving: &Rc<Serving>, activity: &Rc<Activity>, stream: TcpStream, client: Client, tls: Arc<Tls>) {
    let generation = tls.generation();
    let handshake = async {
        stream.readable().await?;
        activity.heard();
        TlsAcceptor::from(tls.config()).accept(stream).await
    };
    let handshake = tokio::time::timeout(HANDSHAKE_MAX, handshake);
    let shaken = tokio::select! {
        () = activity.standing.closing() => return,
        shaken = handshake => shaken,
    };
    match shaken {
        Ok(Ok(stream)) => {
            activity.presents(Peer::of(stream.get_ref().1, &tls));
            // The connections that were open then have been verified again before.
            if tls.generation() != generation {
                activity.verify_again();
            }
            converse(serving, activity, stream, client).await;
        }
        Ok(Err(error)) => {
            if let Some(reason) = refused_certificate(&error) {
                serving.complain("client-certificate-refused", &reason);
            }
        }
        Err(_) => {}
    }
}

/// Why the certificate of a client was refused. Other handshakes that failed are not reported: they are errors of clients, or
/// probes of scanners.
fn refused_certificate(error: &std::io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::InvalidCertificate(reason) => Some(reason.to_string()),
        error @ rustls::Error::NoCertificatesPresented => Some(error.to_string()),
        _ => None,
    }
}

async fn converse<S>(serving: &Rc<Serving>, activity: &Rc<Activity>, stream: S, client: Client)
where
    S: AsyncRead + AsyncWrite + OverTcp + Unpin + 'static,
{
    let mut stream = ClientStream::new(stream).heard_by(activity);
    let end = speak(&Speaker { serving, activity, client }, &mut stream).await;
    if activity.resets.get() {
        return stream.reset();
    }
    let lingers = match end {
        End::Closed | End::Asleep(_) => false,
        End::Failed => true,
        End::Complete => activity.receiving.is_open() || stream.has_unread().await,
    };
    if lingers {
        tokio::select! {
            () = activity.standing.closing() => {}
            // Boxed, because it is rare.
            () = Box::pin(stream.linger()) => {}
        }
    }
}

/// Speaks HTTP with the client until the connection ends.
///
/// The state of a conversation is some kilobytes, with buffers of 16 KiB that hyper keeps between requests. So it is dropped
/// while an HTTP/1.1 client sends nothing, and begun again when it does.
async fn speak<S>(speaker: &Speaker<'_>, stream: &mut ClientStream<S>) -> End
where
    S: AsyncRead + AsyncWrite + OverTcp + Unpin + 'static,
{
    let begins = tokio::select! {
        biased;
        begins = stream.begins_http2() => begins,
        () = speaker.ended() => return End::Closed,
    };
    let mut ahead = match begins {
        Err(_) => return End::Failed,
        Ok((true, ahead)) => return Box::pin(speaker.http2(stream.handle(ahead))).await,
        Ok((false, ahead)) => ahead,
    };
    loop {
        match Box::pin(speaker.http1(stream.handle(ahead))).await {
            // Empty lines before a request mean nothing (RFC 9112, section 2.2).
            End::Asleep(unread) if unread.iter().all(|byte| b"\r\n".contains(byte)) => {
                ahead = Bytes::new();
                tokio::select! {
                    biased;
                    () = std::future::poll_fn(|cx| stream.poll_readable(cx)) => {}
                    () = speaker.ended() => return End::Closed,
                }
                speaker.activity.wakes(false);
            }
            End::Asleep(unread) => {
                speaker.activity.wakes(true);
                ahead = unread;
            }
            end => return end,
        }
    }
}

/// How long a client may take for a TLS handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
