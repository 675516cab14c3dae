//! TLS with certificates of clients: who is authenticated, and what happens when files change.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tollgate_core::jose::SigningKey;
use tollgate_core::x509::Fingerprint;
use tollgate_native::{ClientAuthorities, TlsFiles};

use crate::running::{ISSUER, ISSUER_KEY, Running, TIMEOUT, plain_upstream};

/// An authority, whose certificates servers and clients have.
struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// The certificate of a server, in PEM, and its key.
    fn server(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["gateway.test".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A client with a certificate of this name and number.
    fn client(&self, name: &str, number: u64, server: &Authority) -> Client {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.serial_number = Some(SerialNumber::from(number));
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Client::new(server, Some((certificate.der().clone(), key.serialize_der())))
    }

    /// The list of revoked certificates, in PEM.
    fn revoked(&self, numbers: &[u64]) -> String {
        let revoked = |number: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*number),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2124, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: numbers.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// A client, which resumes its sessions.
#[derive(Clone)]
struct Client(Arc<ClientConfig>, Option<CertificateDer<'static>>);

impl Client {
    fn new(server: &Authority, own: Option<(CertificateDer<'static>, Vec<u8>)>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(server.certificate.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let certificate = own.as_ref().map(|(certificate, _)| certificate.clone());
        let config = match own {
            Some((certificate, key)) => {
                config.with_client_auth_cert(vec![certificate], PrivatePkcs8KeyDer::from(key).into()).unwrap()
            }
            None => config.with_no_client_auth(),
        };
        Self(Arc::new(config), certificate)
    }

    async fn connect(&self, server: &Running) -> std::io::Result<TlsStream<TcpStream>> {
        TlsConnector::from(Arc::clone(&self.0))
            .connect("gateway.test".try_into().unwrap(), server.connect().await)
            .await
    }

    /// The status of an answer on a new connection; `None` if there is none.
    async fn status(&self, server: &Running) -> Option<u16> {
        status(&mut self.connect(server).await.ok()?).await
    }
}

/// The status of an answer; `None` if the connection has ended.
async fn status(stream: &mut TlsStream<TcpStream>) -> Option<u16> {
    status_with(stream, "").await
}

/// The same for a request with further lines of fields.
async fn status_with(stream: &mut TlsStream<TcpStream>, fields: &str) -> Option<u16> {
    stream.write_all(format!("GET /api/x HTTP/1.1\r\nhost: h\r\n{fields}\r\n").as_bytes()).await.ok()?;
    let mut got = Vec::new();
    let reading = async {
        while !got.windows(4).any(|end| end == b"\r\n\r\n") {
            if stream.read_buf(&mut got).await.ok()? == 0 {
                return None;
            }
        }
        // The problem of a refusal follows at once.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let _ = tokio::time::timeout(Duration::from_millis(50), stream.read_buf(&mut got)).await;
        String::from_utf8_lossy(&got).split(' ').nth(1)?.parse().ok()
    };
    tokio::time::timeout(TIMEOUT, reading).await.expect("an answer or an end in time")
}

/// The files of a server, in a folder.
struct Folder(TempDir);

impl Folder {
    fn of(server: &Authority, clients: &Authority) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let (certificate, key) = server.server();
        folder.write("cert.pem", &certificate);
        folder.write("key.pem", &key);
        folder.write("clients.pem", &clients.certificate.pem());
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Replaces a file as a whole, as Kubernetes and ACME clients do.
    fn write(&self, name: &str, text: &str) {
        let new = self.path("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    fn files(&self, revocations: &[&str], required: bool) -> TlsFiles {
        let clients = ClientAuthorities {
            authorities: self.path("clients.pem"),
            revocations: revocations.iter().map(|name| self.path(name)).collect(),
            required,
        };
        TlsFiles { certificate: self.path("cert.pem"), key: self.path("key.pem"), clients: Some(clients) }
    }
}

/// A server whose route is for clients with certificates.
async fn serving(files: TlsFiles) -> Running {
    let server = Running::with(|settings| settings.listen[0].tls = Some(files)).await;
    server.publish(&plain_upstream().await, json!({"authn": [[0]]}));
    server
}

/// Waits until a condition holds.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(TIMEOUT, waiting).await.is_ok(), "{what} in time");
}

#[tokio::test]
async fn a_client_is_the_one_whom_its_certificate_names() {
    let (own, devices, others) = (Authority::new("own"), Authority::new("devices"), Authority::new("others"));
    let server = serving(Folder::of(&own, &devices).files(&[], false)).await;
    assert_eq!(devices.client("d7", 7, &own).status(&server).await, Some(200));
    assert_eq!(Client::new(&own, None).status(&server).await, Some(401));
    let lines = server.log.wait_for(2).await.join("\n");
    assert!(lines.contains(r#""consumer":"devices:d7""#), "{lines}");
    assert!(lines.contains(r#""problem":"credential-missing""#), "{lines}");
    // That of another authority is refused in the handshake, and the operator is told.
    assert_eq!(others.client("d7", 7, &own).status(&server).await, None);
    let line = server.log.wait_for(3).await.pop().unwrap();
    assert!(line.contains("client-certificate-refused") && line.contains("UnknownIssuer"), "{line}");
}

#[tokio::test]
async fn a_session_that_is_resumed_has_the_certificate_that_it_began_with() {
    let (own, devices) = (Authority::new("own"), Authority::new("devices"));
    let server = serving(Folder::of(&own, &devices).files(&[], false)).await;
    let client = devices.client("d7", 7, &own);
    assert_eq!(client.status(&server).await, Some(200));
    let mut resumed = client.connect(&server).await.unwrap();
    assert_eq!(resumed.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
    assert_eq!(status(&mut resumed).await, Some(200));
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused_in_the_handshake_if_one_is_required() {
    let (own, devices) = (Authority::new("own"), Authority::new("devices"));
    let server = serving(Folder::of(&own, &devices).files(&[], true)).await;
    assert_eq!(Client::new(&own, None).status(&server).await, None);
    assert_eq!(devices.client("d7", 7, &own).status(&server).await, Some(200));
    let lines = server.log.all().join("\n");
    assert!(lines.contains("client-certificate-refused"), "{lines}");
}

#[tokio::test]
async fn a_new_list_of_revoked_certificates_ends_their_connections_and_no_others() {
    let (own, devices) = (Authority::new("own"), Authority::new("devices"));
    let folder = Folder::of(&own, &devices);
    folder.write("crl.pem", &devices.revoked(&[9]));
    let server = serving(folder.files(&["crl.pem"], false)).await;
    let (lost, kept) = (devices.client("lost", 7, &own), devices.client("kept", 8, &own));
    assert_eq!(devices.client("before", 9, &own).status(&server).await, None);
    let (mut of_lost, mut of_kept) = (lost.connect(&server).await.unwrap(), kept.connect(&server).await.unwrap());
    let mut anonymous = Client::new(&own, None).connect(&server).await.unwrap();
    assert_eq!((status(&mut of_lost).await, status(&mut of_kept).await), (Some(200), Some(200)));
    assert_eq!(status(&mut anonymous).await, Some(401));

    folder.write("crl.pem", &devices.revoked(&[9, 7]));
    let ended = async { of_lost.read_u8().await.is_err() };
    assert!(tokio::time::timeout(TIMEOUT, ended).await.expect("the connection ends in time"));
    // Nor is its session resumed.
    assert_eq!(lost.status(&server).await, None);
    assert_eq!((status(&mut of_kept).await, status(&mut anonymous).await), (Some(200), Some(401)));
    assert_eq!(kept.status(&server).await, Some(200));
}

#[tokio::test]
async fn a_new_certificate_is_used_for_new_connections_and_open_ones_go_on() {
    let (old, new, devices) = (Authority::new("old"), Authority::new("new"), Authority::new("devices"));
    let folder = Folder::of(&old, &devices);
    let server = serving(folder.files(&[], false)).await;
    let mut open = devices.client("d7", 7, &old).connect(&server).await.unwrap();
    assert_eq!(status(&mut open).await, Some(200));
    let (certificate, key) = new.server();
    folder.write("cert.pem", &certificate);
    // Half of a change is not used, and does not harm.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(devices.client("d8", 8, &old).status(&server).await, Some(200));
    folder.write("key.pem", &key);
    let trusting_new = devices.client("d8", 8, &new);
    eventually("the new certificate", async || trusting_new.status(&server).await == Some(200)).await;
    assert_eq!(status(&mut open).await, Some(200));
    assert_eq!(devices.client("d9", 9, &old).status(&server).await, None);
}

#[tokio::test]
async fn clients_of_an_authority_that_is_no_longer_trusted_are_disconnected() {
    let (own, devices, newer) = (Authority::new("own"), Authority::new("devices"), Authority::new("newer"));
    let folder = Folder::of(&own, &devices);
    let server = serving(folder.files(&[], false)).await;
    let mut open = devices.client("d7", 7, &own).connect(&server).await.unwrap();
    assert_eq!(status(&mut open).await, Some(200));
    folder.write("clients.pem", &newer.certificate.pem());
    let ended = async { open.read_u8().await.is_err() };
    assert!(tokio::time::timeout(TIMEOUT, ended).await.expect("the connection ends in time"));
    assert_eq!(newer.client("d7", 7, &own).status(&server).await, Some(200));
}

#[tokio::test]
async fn rfc_8705_3_a_bound_token_is_accepted_from_who_has_its_certificate() {
    let (own, devices) = (Authority::new("own"), Authority::new("devices"));
    let folder = Folder::of(&own, &devices);
    let server = Running::with(|settings| settings.listen[0].tls = Some(folder.files(&[], false))).await;
    server.publish(&plain_upstream().await, json!({"authn": [[1]]}));
    let (holder, thief) = (devices.client("d7", 7, &own), devices.client("d8", 8, &own));
    let token = bound_token(holder.1.as_ref().unwrap());
    let field = format!("authorization: Bearer {token}\r\n");
    for (client, expected) in [(&holder, 200), (&thief, 401), (&Client::new(&own, None), 401), (&holder, 200)] {
        let mut stream = client.connect(&server).await.unwrap();
        assert_eq!(status_with(&mut stream, &field).await, Some(expected));
    }
    let lines = server.log.wait_for(4).await.join("\n");
    assert!(lines.contains(r#""problem":"credential-not-accepted""#) && !lines.contains(&token), "{lines}");
}

/// A token that is bound to a certificate (RFC 8705, section 3.1).
fn bound_token(certificate: &CertificateDer<'_>) -> String {
    let part = |text: String| Base64UrlUnpadded::encode_string(text.as_bytes());
    let claims = json!({
        "iss": ISSUER, "aud": "pets", "sub": "ada", "exp": 4_000_000_000_u64,
        "cnf": {"x5t#S256": Fingerprint::of(certificate).to_base64url()},
    });
    let signed = format!("{}.{}", part(json!({"alg": "EdDSA"}).to_string()), part(claims.to_string()));
    let key = SigningKey::parse(ISSUER_KEY.as_bytes()).unwrap();
    let signature = tollgate_signatures::sign(&key, signed.as_bytes()).unwrap();
    format!("{signed}.{}", Base64UrlUnpadded::encode_string(&signature))
}
