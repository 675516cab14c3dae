//! A certificate: who it names, when it is valid, and its fingerprint.

use std::fmt;
use std::net::IpAddr;

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::der::{self, Der, NotDer};
use super::name;
use crate::hex;
use crate::time::Timestamp;

/// What is read of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// The subject's name (RFC 4514); empty if only alternative names say who it is.
    pub subject: String,
    /// The common name in the subject, if there is exactly one.
    pub common_name: Option<String>,
    /// The issuer's name (RFC 4514).
    pub issuer: String,
    /// The start of its validity.
    pub not_before: Timestamp,
    /// The last second of its validity.
    pub not_after: Timestamp,
    /// The subject's alternative names (RFC 5280, section 4.2.1.6).
    pub names: AlternativeNames,
}

/// The alternative names of kinds that identify callers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlternativeNames {
    /// Host names, in lower case.
    pub dns: Vec<String>,
    /// URIs, such as SPIFFE ids.
    pub uris: Vec<String>,
    /// Addresses of mail.
    pub emails: Vec<String>,
    /// Addresses of hosts.
    pub addresses: Vec<IpAddr>,
}

/// The SHA-256 of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// Why some bytes are not a certificate that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// It is not DER, or not a certificate.
    #[error("it is not an X.509 certificate")]
    Form,
    /// It is longer than 16 KiB.
    #[error("it is longer than 16 KiB")]
    TooLong,
    /// It has more than 100 alternative names.
    #[error("it has more than 100 alternative names")]
    Names,
}

impl Certificate {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// If it is not one, or exceeds a bound.
    pub fn parse(bytes: &[u8]) -> Result<Self, CertificateError> {
        if bytes.len() > BYTES_MAX {
            return Err(CertificateError::TooLong);
        }
        let certificate = read(bytes).map_err(|NotDer| CertificateError::Form)?;
        let AlternativeNames { dns, uris, emails, addresses } = &certificate.names;
        if dns.len() + uris.len() + emails.len() + addresses.len() > NAMES_MAX {
            return Err(CertificateError::Names);
        }
        Ok(certificate)
    }

    /// Reads a certificate as a byte sequence of a structured field: base64 between colons (RFC 9440, section 2.1).
    ///
    /// # Errors
    /// If it is not one, or exceeds a bound.
    pub fn parse_field(text: &str) -> Result<Self, CertificateError> {
        let bytes = text.strip_prefix(':').and_then(|text| text.strip_suffix(':')).ok_or(CertificateError::Form)?;
        if bytes.len() > BYTES_MAX.div_ceil(3) * 4 {
            return Err(CertificateError::TooLong);
        }
        Self::parse(&Base64::decode_vec(bytes).map_err(|_| CertificateError::Form)?)
    }
}

impl CertificateError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::TooLong => "too-long",
            Self::Names => "names",
        }
    }
}

impl Fingerprint {
    /// A digest.
    #[must_use]
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Of a certificate in DER.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads 64 hexadecimal digits in any case, with colons between the bytes or without (as `openssl x509 -fingerprint` and
    /// other tools write them).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut digits = text.to_ascii_lowercase();
        if digits.len() == 95 {
            let is_divided = digits.bytes().skip(2).step_by(3).all(|byte| byte == b':');
            digits.retain(|digit| digit != ':');
            if !is_divided {
                return None;
            }
        }
        let mut digest = [0; 32];
        hex::read(digits.as_bytes(), &mut digest).then_some(Self(digest))
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Base64url without padding, as tokens that are bound to a certificate have it (RFC 8705, section 3.1).
    #[must_use]
    pub fn to_base64url(&self) -> String {
        Base64UrlUnpadded::encode_string(&self.0)
    }
}

/// 64 lower-case hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

/// RFC 5280, section 4.1.
fn read(bytes: &[u8]) -> Result<Certificate, NotDer> {
    let mut outer = Der::new(bytes);
    let mut signed = outer.within(der::SEQUENCE)?;
    outer.end()?;
    let mut body = signed.within(der::SEQUENCE)?;
    signed.expect(der::SEQUENCE)?;
    signed.expect(der::BIT_STRING)?;
    signed.end()?;
    body.optional(der::constructed(0))?;
    body.expect(der::INTEGER)?;
    body.expect(der::SEQUENCE)?;
    let issuer = name::read(body.within(der::SEQUENCE)?)?;
    let mut validity = body.within(der::SEQUENCE)?;
    let (not_before, not_after) = (time(&mut validity)?, time(&mut validity)?);
    validity.end()?;
    let subject = name::read(body.within(der::SEQUENCE)?)?;
    body.expect(der::SEQUENCE)?;
    body.optional(der::primitive(1))?;
    body.optional(der::primitive(2))?;
    let extensions = body.optional(der::constructed(3))?;
    body.end()?;
    let names = extensions.map(|element| alternative_names(Der::new(element.content))).transpose()?;
    Ok(Certificate {
        fingerprint: Fingerprint::of(bytes),
        subject: subject.text,
        common_name: subject.common_name,
        issuer: issuer.text,
        not_before,
        not_after,
        names: names.unwrap_or_default(),
    })
}

/// `YYMMDDHHMMSSZ`, whose years are 1950 to 2049, or `YYYYMMDDHHMMSSZ` (section 4.1.2.5).
fn time(from: &mut Der<'_>) -> Result<Timestamp, NotDer> {
    let element = from.next()?;
    let text = std::str::from_utf8(element.content).map_err(|_| NotDer)?;
    let text = match (element.tag, text.len()) {
        (der::UTC_TIME, 13) if text < "5" => format!("20{text}"),
        (der::UTC_TIME, 13) => format!("19{text}"),
        (der::GENERALIZED_TIME, 15) => text.to_owned(),
        _ => return Err(NotDer),
    };
    if !text.is_ascii() || !text.ends_with('Z') {
        return Err(NotDer);
    }
    let part = |at: usize| &text[at..at + 2];
    let [month, day, hour, minute, second] = [4, 6, 8, 10, 12].map(part);
    let written = format!("{}-{month}-{day}T{hour}:{minute}:{second}Z", &text[..4]);
    if written.as_str() < "1970" && Timestamp::from_rfc3339(&format!("2000{}", &written[4..])).is_some() {
        // Before the first instant that there is.
        return Ok(Timestamp::default());
    }
    Timestamp::from_rfc3339(&written).ok_or(NotDer)
}

/// The extension with alternative names, if there is one; an extension occurs once (section 4.2).
fn alternative_names(mut outer: Der<'_>) -> Result<AlternativeNames, NotDer> {
    let mut extensions = outer.within(der::SEQUENCE)?;
    outer.end()?;
    let mut found = None;
    while !extensions.is_empty() {
        let mut extension = extensions.within(der::SEQUENCE)?;
        let kind = extension.expect(der::OBJECT_IDENTIFIER)?;
        extension.optional(der::BOOLEAN)?;
        let value = extension.expect(der::OCTET_STRING)?;
        extension.end()?;
        if kind.content == SUBJECT_ALTERNATIVE_NAMES && found.replace(value.content).is_some() {
            return Err(NotDer);
        }
    }
    found.map_or(Ok(AlternativeNames::default()), general_names)
}

fn general_names(bytes: &[u8]) -> Result<AlternativeNames, NotDer> {
    const EMAIL: u8 = der::primitive(1);
    const DNS: u8 = der::primitive(2);
    const URI: u8 = der::primitive(6);
    const ADDRESS: u8 = der::primitive(7);
    let mut outer = Der::new(bytes);
    let mut all = outer.within(der::SEQUENCE)?;
    outer.end()?;
    let mut names = AlternativeNames::default();
    while !all.is_empty() {
        let name = all.next()?;
        match name.tag {
            EMAIL => names.emails.push(ascii(name.content)?.to_owned()),
            DNS => names.dns.push(ascii(name.content)?.to_ascii_lowercase()),
            URI => names.uris.push(ascii(name.content)?.to_owned()),
            ADDRESS => names.addresses.push(address(name.content)?),
            // Names of other kinds identify no callers.
            _ => {}
        }
    }
    Ok(names)
}

/// Visible characters: a name with others looks like another name.
fn ascii(bytes: &[u8]) -> Result<&str, NotDer> {
    let is_visible = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(bytes).ok().filter(|_| is_visible).ok_or(NotDer)
}

fn address(bytes: &[u8]) -> Result<IpAddr, NotDer> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).map_err(|_| NotDer)
}

const SUBJECT_ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// Certificates of clients have one or two KiB; a field of a request may have 16.
const BYTES_MAX: usize = 16 * 1024;

/// Certificates of clients have one or two; those of content delivery networks have up to 100.
const NAMES_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    /// A certificate that OpenSSL made, with every kind of alternative name.
    const FULL: &str = "MIICejCCAiCgAwIBAgIIEjRWeJCrze8wCgYIKoZIzj0EAwIwTDELMAkGA1UEBhMCREUxGDAWBgNVBAoMD03DvGxsZXIsIFPDtmhuZTEQMA4GA1UECwwHRGV2aWNlczERMA8GA1UEAwwIZGV2aWNlLTcwIBcNMjYxMTI4MDYxNTQ1WhgPMjEyNjExMDQwNjE1NDVaMEwxCzAJBgNVBAYTAkRFMRgwFgYDVQQKDA9Nw7xsbGVyLCBTw7ZobmUxEDAOBgNVBAsMB0RldmljZXMxETAPBgNVBAMMCGRldmljZS03MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEn88DrDSfHyuZf0aSVzsjEoJqxRMymzEPck3lRxCSesVZVtmRfWJxSpR6rgV+DD3gAradUOYfQEAovXvNpuLNRqOB6TCB5jAMBgNVHRMBAf8EAjAAMAsGA1UdDwQEAwIHgDATBgNVHSUEDDAKBggrBgEFBQcDAjCBlAYDVR0RBIGMMIGJghREZXZpY2UtNy5FeGFtcGxlLmNvbYIOZDcuZXhhbXBsZS5jb22GHXNwaWZmZTovL2V4YW1wbGUub3JnL2RldmljZS83gQ9vcHNAZXhhbXBsZS5jb22HBMAAAgeHECABDbgAAAAAAAAAAAAAAAegCQYCKgOgAwwBeKQOMAwxCjAIBgNVBAMMAWQwHQYDVR0OBBYEFLHb/ONzuT/ldZkBy9NbyiZBEacQMAoGCCqGSM49BAMCA0gAMEUCIC7swJa8KOpakQoAEX0U9BWMotqwxL1voa3KlFNY6RBRAiEAzzLnLqIcV6Mjt6HcGAQddxCxKf7t5tknxMERyI22ZiI=";

    /// A certificate of the first version, without extensions and names.
    const BARE: &str = "MIH6MIGhAhQn62o32J6bZsSdJgd8rARHS0VKszAKBggqhkjOPQQDAjAAMB4XDTI2MTEyODA2MTU0NVoXDTM2MTEyNTA2MTU0NVowADBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJ/PA6w0nx8rmX9Gklc7IxKCasUTMpsxD3JN5UcQknrFWVbZkX1icUqUeq4Ffgw94AK2nVDmH0BAKL17zabizUYwCgYIKoZIzj0EAwIDSAAwRQIhAI4dtXaYKvXNugBeoUcV7triRvuvcQRF6LkD1NjFB/vsAiBKvoAl0Gc/K9DRc15jKxz4XluUoZnWR6Yoy2dvQMTDXQ==";

    fn full() -> Vec<u8> {
        Base64::decode_vec(FULL).unwrap()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn everything_that_names_the_subject_is_read() {
        let read = Certificate::parse(&full()).unwrap();
        // As `openssl x509 -nameopt RFC2253,-esc_msb -fingerprint -sha256 -dates` writes it.
        let name = "CN=device-7,OU=Devices,O=M\u{fc}ller\\, S\u{f6}hne,C=DE";
        assert_eq!((read.subject.as_str(), read.issuer.as_str()), (name, name));
        assert_eq!(read.common_name.as_deref(), Some("device-7"));
        let fingerprint =
            "B7:B5:B7:1A:98:2B:2C:65:84:A6:8C:44:56:65:1D:A8:8F:76:4D:51:59:3A:46:EA:6F:C4:A2:2F:24:62:1D:B0";
        assert_eq!(Some(read.fingerprint), Fingerprint::parse(fingerprint));
        let at = |text| Timestamp::from_rfc3339(text).unwrap();
        assert_eq!(read.not_before, at("2026-11-28T06:15:45Z"));
        assert_eq!(read.not_after, at("2126-11-04T06:15:45Z"));
        let names = AlternativeNames {
            dns: vec!["device-7.example.com".into(), "d7.example.com".into()],
            uris: vec!["spiffe://example.org/device/7".into()],
            emails: vec!["ops@example.com".into()],
            addresses: vec!["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()],
        };
        assert_eq!(read.names, names);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_certificate_without_names_is_read() {
        let read = Certificate::parse(&Base64::decode_vec(BARE).unwrap()).unwrap();
        assert_eq!((read.subject.as_str(), read.common_name, read.names), ("", None, AlternativeNames::default()));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_field_contains_base64_between_colons() {
        assert_eq!(Certificate::parse_field(&format!(":{FULL}:")), Certificate::parse(&full()));
        let form = Err(CertificateError::Form);
        for text in ["", ":", "::", FULL, &format!(":{FULL}"), &format!(" :{FULL}:"), &format!(":{FULL}:;a=1"), ":MII:"]
        {
            assert_eq!(Certificate::parse_field(text), form, "{text}");
        }
        assert_eq!(Certificate::parse_field(&format!(":{}:", "A".repeat(30_000))), Err(CertificateError::TooLong));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_follows_a_certificate_is_refused() {
        let whole = full();
        assert_eq!(Certificate::parse(&[whole.as_slice(), &[0]].concat()), Err(CertificateError::Form));
        assert_eq!(Certificate::parse(&whole[..whole.len() - 1]), Err(CertificateError::Form));
        assert_eq!(Certificate::parse(&vec![0x30; BYTES_MAX + 1]), Err(CertificateError::TooLong));
    }

    #[track_caller]
    fn check_time(tag: u8, text: &str, want: Option<&str>) {
        let bytes = [&[tag, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        let want = want.map(|text| Timestamp::from_rfc3339(text).unwrap());
        assert_eq!(time(&mut Der::new(&bytes)).ok(), want, "{text}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn times_are_read_as_in_rfc_5280_section_4_1_2_5() {
        check_time(der::UTC_TIME, "491231235959Z", Some("2049-12-31T23:59:59Z"));
        check_time(der::UTC_TIME, "700101000000Z", Some("1970-01-01T00:00:00Z"));
        check_time(der::UTC_TIME, "500101000000Z", Some("1970-01-01T00:00:00Z"));
        check_time(der::GENERALIZED_TIME, "99991231235959Z", Some("9999-12-31T23:59:59Z"));
        for (tag, text) in [
            (der::UTC_TIME, "4912312359Z"),
            (der::UTC_TIME, "491231235959+0000"),
            (der::UTC_TIME, "491331235959Z"),
            (der::UTC_TIME, "-91231235959Z"),
            (der::UTC_TIME, "4912312359\u{e9}Z"),
            (der::GENERALIZED_TIME, "20491231235959.5Z"),
            (der::GENERALIZED_TIME, "19691331235959Z"),
            (der::UTF8_STRING, "491231235959Z"),
        ] {
            check_time(tag, text, None);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_fingerprint_is_read_as_tools_write_it() {
        let plain = Fingerprint([0xab; 32]);
        assert_eq!(Fingerprint::parse(&"ab".repeat(32)), Some(plain));
        assert_eq!(Fingerprint::parse(&["AB"; 32].join(":")), Some(plain));
        for other in ["", "ab", &"ab".repeat(31), &["AB"; 32].join("-"), &format!("{}:", "ab".repeat(32))] {
            assert_eq!(Fingerprint::parse(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_cause_a_panic(place in 0..638_usize, byte in any::<u8>(), cut in 0..638_usize) {
            let mut bytes = full();
            bytes[place] = byte;
            let _ = Certificate::parse(&bytes);
            let _ = Certificate::parse(&bytes[cut..]);
            let _ = Certificate::parse(&bytes[..cut]);
        }
    }
}
