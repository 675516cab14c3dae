//! Upstreams that require a certificate of the gateway: which one they see, on which connections, and what refusals are called.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tempfile::TempDir;
use tollgate_core::forward::OwnCertificate;

use super::*;

/// An authority of upstreams and of the gateway's certificates, and the folder with its secrets.
struct Stage {
    authority: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        let (authority, issuer) = authority();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        Self { authority, issuer, folder }
    }

    /// Binds a certificate with this common name, and its key.
    fn bind(&self, secret: &str, name: &str) {
        self.bind_of(&self.issuer, secret, name);
    }

    fn bind_of(&self, issuer: &Issuer<'static, KeyPair>, secret: &str, name: &str) {
        let (certificate, key) = signed(issuer, name);
        fs::write(self.folder.path().join(secret), format!("{}{}", certificate.pem(), key.serialize_pem())).unwrap();
    }

    fn port(&self) -> NativeUpstream {
        let tls = client_config(Some(&self.folder.path().join("ca.pem"))).unwrap();
        NativeUpstream::new(tls, SecretSource::Folder(self.folder.path().to_owned()), UsableCertificates::default())
    }

    /// An upstream that requires a certificate of the authority; it answers with the number of the connection and the common
    /// name of the certificate. Answers its URL.
    async fn upstream(&self, protocol: &'static str, version: &'static SupportedProtocolVersion) -> String {
        let (certificate, key) = signed(&self.issuer, "localhost");
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        config.alpn_protocols = vec![protocol.into()];
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        tokio::task::spawn_local(async move {
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::task::spawn_local(serve(number, stream, acceptor.clone()));
            }
        });
        url
    }
}

fn authority() -> (rcgen::Certificate, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate, Issuer::new(params, key))
}

/// A certificate with this common name and host name, and its key.
fn signed(issuer: &Issuer<'static, KeyPair>, name: &str) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.signed_by(&key, issuer).unwrap(), key)
}

async fn serve(number: usize, stream: TcpStream, acceptor: tokio_rustls::TlsAcceptor) {
    let stream = match acceptor.accept(stream).into_fallible().await {
        Ok(stream) => stream,
        Err((_, mut stream)) => {
            // What the client sends meanwhile is read: otherwise the system would reset the connection, and drop the alert.
            let _ = stream.shutdown().await;
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            return;
        }
    };
    let presented = &stream.get_ref().1.peer_certificates().unwrap()[0];
    let name = tollgate_core::x509::Certificate::parse(presented).unwrap().common_name.unwrap_or_default();
    let service = hyper::service::service_fn(move |_: Request<Incoming>| {
        let told = format!("{number} {name}");
        async { Ok::<_, std::convert::Infallible>(Response::new(http_body_util::Full::new(Bytes::from(told)))) }
    });
    let http = hyper_util::server::conn::auto::Builder::new(crate::local::LocalExecutor);
    let _ = http.serve_connection(hyper_util::rt::TokioIo::new(stream), service).await;
}

async fn call(port: &NativeUpstream, url: &str, secret: Option<&str>) -> Result<String, UpstreamError> {
    let own = secret.map(|name| OwnCertificate { name: name.to_owned(), key: None });
    let response = port.exchange(get(url), &UpstreamCall { certificate: own.as_ref(), ..CALL }).await?;
    Ok(text(response).await)
}

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];

#[test]
fn each_certificate_has_connections_of_its_own() {
    run(async || {
        let stage = Stage::new();
        stage.bind("A", "gateway-a");
        stage.bind("B", "gateway-b");
        for (protocol, version) in [("h2", VERSIONS[0]), ("http/1.1", VERSIONS[0]), ("http/1.1", VERSIONS[1])] {
            let (port, url) = (stage.port(), stage.upstream(protocol, version).await);
            for _ in 0..3 {
                assert_eq!(call(&port, &url, Some("A")).await.unwrap(), "0 gateway-a", "{protocol}");
                assert_eq!(call(&port, &url, Some("B")).await.unwrap(), "1 gateway-b");
            }
        }
    });
}

#[test]
fn an_upstream_that_refuses_the_certificate_or_its_absence_is_named() {
    run(async || {
        let stage = Stage::new();
        stage.bind_of(&authority().1, "FOREIGN", "gateway");
        for (protocol, version) in [("h2", VERSIONS[0]), ("http/1.1", VERSIONS[0]), ("http/1.1", VERSIONS[1])] {
            let (port, url) = (stage.port(), stage.upstream(protocol, version).await);
            for secret in [None, Some("FOREIGN"), None] {
                let refused = call(&port, &url, secret).await;
                assert_eq!(refused, Err(UpstreamError::TlsAlertReceived), "{protocol} {version:?} {secret:?}");
            }
            assert_eq!(call(&port, &url, Some("NOWHERE")).await, Err(UpstreamError::OwnCertificateMissing));
        }
    });
}

#[test]
fn a_renewed_certificate_is_presented_and_open_exchanges_go_on() {
    run(async || {
        let stage = Stage::new();
        stage.bind("A", "before");
        let (port, url) = (stage.port(), stage.upstream("http/1.1", VERSIONS[0]).await);
        let own = OwnCertificate { name: "A".into(), key: None };
        let with = UpstreamCall { certificate: Some(&own), ..CALL };
        let open = port.exchange(get(&url), &with).await.unwrap();
        stage.bind("A", "after");
        port.renew_certificates();
        assert_eq!(call(&port, &url, Some("A")).await.unwrap(), "1 after");
        assert_eq!(text(open).await, "0 before");
        fs::write(stage.folder.path().join("A"), "half of a cha").unwrap();
        port.renew_certificates();
        assert_eq!(call(&port, &url, Some("A")).await.unwrap(), "1 after", "what worked stays in use");
        assert_eq!(port.take_news().len(), 1);
    });
}
