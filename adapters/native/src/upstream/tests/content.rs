//! Content and deadlines.

use super::*;

#[test]
fn a_reader_that_stops_after_the_trailers_has_read_everything() {
    run(async || {
        let base = listen(async |number, mut stream| {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n";
            let all = format!("{head}{number}\r\n0\r\nx-sum: 1\r\n\r\n");
            while answer(&mut stream, &all).await.is_some() {}
        })
        .await;
        let upstream = upstream();
        for _ in 0..2 {
            let response = upstream.exchange(get(&base), &CALL).await.unwrap();
            let (content, copy) = response.into_body().tee(10);
            let (mut content, delivery) = content.watched(false);
            assert_eq!(content.frame().await.unwrap().unwrap().into_data().unwrap(), "0");
            assert!(content.frame().await.unwrap().unwrap().is_trailers());
            drop(content);
            assert_eq!(delivery.await, tollgate_edge::ports::Delivery::Complete { bytes: 1 });
            assert_eq!(copy.complete().await.unwrap(), "0");
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn interrupted_content_is_an_error_and_not_an_end() {
    run(async || {
        let base = listen(async |_, mut stream| {
            answer(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
        })
        .await;
        let response = upstream().exchange(get(&base), &CALL).await.unwrap();
        let (content, delivery) = response.into_body().watched(false);
        assert!(content.collect().await.is_err());
        let broken =
            tollgate_edge::ports::Delivery::Aborted { bytes: 4, by: tollgate_core::telemetry::AbortedBy::Upstream };
        assert_eq!(delivery.await, broken);
    });
}

#[test]
fn content_is_aborted_at_the_timeout_of_the_exchange() {
    run(async || {
        let base = listen(async |_, mut stream| {
            answer(&mut stream, "HTTP/1.1 200 OK\r\n\r\n").await;
            loop {
                if stream.write_all(b"again and again ").await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        let call = UpstreamCall { timeout_ms: Some(100), ..CALL };
        let response = upstream().exchange(get(&base), &call).await.unwrap();
        let error = response.into_body().collect().await.unwrap_err();
        assert!(matches!(error, crate::ContentError::Deadline), "{error}");
    });
}

#[test]
fn content_beyond_its_limit_is_the_requests_error() {
    run(async || {
        let base = listen(async |_, mut stream| {
            answer(&mut stream, "").await;
            tokio::time::sleep(Duration::from_secs(5)).await;
        })
        .await;
        let request = request(Method::POST, &base, "too long").map(|content| content.limited(3));
        let answer = upstream().exchange(request, &CALL).await;
        assert_eq!(answer.map(drop), Err(UpstreamError::RequestContentTooLarge));
    });
}

#[test]
fn a_response_whose_stream_is_reset_without_an_error_is_not_complete() {
    run(async || {
        let (base, upstream) = listen_http2(|number, stream| serve_http2(number, stream, |_| Reaction::CutOff)).await;
        let response = upstream.exchange(get(&base), &CALL).await.unwrap();
        let error = response.into_body().collect().await.unwrap_err();
        assert!(matches!(error, crate::ContentError::Upstream(crate::BrokenOff::Reset)), "{error}");
    });
}

#[test]
fn an_upstream_that_answers_no_ping_ends_even_a_call_without_a_timeout() {
    run(async || {
        let (base, upstream) =
            listen_http2(|number, stream| serve_http2(number, stream, |_| Reaction::FallSilent)).await;
        let mut pool = Pool::to(AddressRule::Any);
        pool.pings.interval = Duration::from_millis(100);
        pool.pings.timeout = Duration::from_millis(100);
        let upstream = NativeUpstream { pool: Rc::new(pool), ..upstream };
        let stream = UpstreamCall { timeout_ms: None, ..CALL };
        let answer = tokio::time::timeout(Duration::from_secs(5), upstream.exchange(get(&base), &stream)).await;
        assert_eq!(answer.unwrap().map(drop), Err(UpstreamError::HttpResponseTimeout));
    });
}

#[test]
fn the_request_of_a_client_that_is_gone_is_not_sent_and_its_call_ends() {
    run(async || {
        let base = listen(async |_, mut stream| {
            answer(&mut stream, "").await;
            tokio::time::sleep(Duration::from_secs(60)).await;
        })
        .await;
        let upstream = upstream();
        let state = RequestState::default();
        let mut request = get(&base);
        *request.body_mut() = NativeContent::of_request(state.clone());
        let leaving = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            drop(state.waiting(&Rc::default()));
        };
        let call = UpstreamCall { timeout_ms: None, ..CALL };
        // The work of a request is polled when its client has left.
        let ((), ended) = futures_util::future::join(leaving, upstream.exchange(request, &call)).await;
        assert_eq!(ended.map(drop), Err(UpstreamError::ClientGone));
        // Nothing listens there: it was not even tried.
        let mut request = get("http://127.0.0.1:1/");
        *request.body_mut() = NativeContent::of_request(state.clone());
        assert_eq!(upstream.exchange(request, &call).await.map(drop), Err(UpstreamError::ClientGone));
    });
}

#[test]
fn nothing_behind_trailers_with_a_bare_lf_answers_another_request() {
    run(async || {
        let fake = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfake";
        for behind in [String::new(), fake.to_owned(), format!("{fake}{fake}")] {
            let base = listen(move |number, mut stream| {
                let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n";
                let all = format!("{head}{number}\r\n0\r\nx-sum: 1\n\r\n{behind}");
                async move { while answer(&mut stream, &all).await.is_some() {} }
            })
            .await;
            let upstream = upstream();
            let call = UpstreamCall { timeout_ms: Some(200), ..CALL };
            for number in 0..3 {
                let mut content = upstream.exchange(get(&base), &call).await.unwrap().into_body();
                let first = content.frame().await.unwrap().unwrap().into_data().unwrap();
                assert_eq!(first, number.to_string(), "on a new connection");
                let _ = content.collect().await;
            }
        }
    });
}
