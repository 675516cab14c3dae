//! Passwords, users and TLS.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tollgate_core::secret::Secret;
use tollgate_edge::ports::CounterFault;
use tollgate_native::SecretSource;
use tollgate_tests::redis::Redis;

use crate::{gateway, gateway_with, granted, one};

fn secrets(value: &str) -> SecretSource {
    SecretSource::Given([("REDIS".to_owned(), Secret::new(value.to_owned()))].into())
}

#[tokio::test]
async fn a_password_is_read_from_a_secret_and_a_wrong_one_is_told_without_it() {
    let redis = Redis::start(&["--requirepass", "correct-horse"]).unwrap();
    let right = gateway_with(&redis.url(":${secret.REDIS}@"), &secrets("correct-horse"), None);
    assert_eq!(granted(&right, &one("c=a", 1)).await, Ok(true));
    for wrong in [
        gateway_with(&redis.url(":${secret.REDIS}@"), &secrets("battery-staple"), None),
        gateway(&redis.url(":battery-staple@")),
        gateway(&redis.url("")),
    ] {
        let Err(CounterFault::Unavailable(reason) | CounterFault::NotAsked(reason)) =
            granted(&wrong, &one("c=a", 1)).await
        else {
            panic!("it was let in");
        };
        assert!(reason.0.contains("user and the password"), "{reason}");
        assert!(!reason.0.contains("staple") && !format!("{wrong:?}").contains("staple"), "{reason}");
    }
    let absent = gateway(&redis.url(":${secret.ABSENT}@"));
    let fault = granted(&absent, &one("c=a", 1)).await;
    assert!(matches!(&fault, Err(CounterFault::NotAsked(reason)) if reason.0.contains("ABSENT")), "{fault:?}");
}

/// The rules of docs/redis.md.
#[tokio::test]
async fn a_user_needs_only_the_script_and_the_keys_of_the_gateway() {
    let redis = Redis::start(&[]).unwrap();
    let rules = [
        "ACL",
        "SETUSER",
        "tollgate",
        "on",
        ">pw",
        "~g:cell:*",
        "+evalsha",
        "+eval",
        "+mget",
        "+set",
        "+getrange",
        "+setrange",
    ];
    redis.command(&rules).unwrap();
    let counters = gateway(&redis.url("tollgate:pw@"));
    for n in 0..3 {
        assert_eq!(granted(&counters, &one("c=acl", 2)).await, Ok(n < 2));
    }
    redis.command(&["ACL", "SETUSER", "tollgate", "resetkeys", "~other:*"]).unwrap();
    let fault = granted(&counters, &one("c=acl", 2)).await;
    assert!(matches!(&fault, Err(CounterFault::Unavailable(reason)) if reason.0.contains("EVALSHA")), "{fault:?}");
}

#[tokio::test]
async fn tls_needs_a_trusted_certificate() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let redis = Redis::start_tls(&cert.pem(), &signing_key.serialize_pem()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authorities = folder.path().join("ca.pem");
    std::fs::write(&authorities, cert.pem()).unwrap();
    let url = redis.tls_url().unwrap();
    let trusted = gateway_with(&url, &SecretSource::Environment, Some(authorities));
    assert_eq!(granted(&trusted, &one("c=tls", 1)).await, Ok(true));
    assert_eq!(granted(&trusted, &one("c=tls", 1)).await, Ok(false));
    let fault = granted(&gateway(&url), &one("c=tls", 1)).await;
    assert!(matches!(&fault, Err(CounterFault::NotAsked(reason)) if reason.0.contains("certificate")), "{fault:?}");
}
