//! The operator endpoint from the command line: how tokens are bound, found and refused, and what `serve` says of it.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use tollgate_kv_schemas::{Purges, decode};
use tollgate_native::RecordStore;

use support::{Project, Ran, Running, quickstart, run, tollgate};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A project folder with a store that the quickstart is published to.
fn published() -> (Project, String) {
    let project = Project::new();
    let store = project.file("shop.db").display().to_string();
    let ran = run(&["publish", &quickstart(), "--to", "native", "--store", &store]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    (project, store)
}

/// `tollgate serve` of the store, with more words.
fn serve(store: &str, more: &[&str]) -> std::process::Command {
    let words = ["serve", "--store", store, "--gateway", "quickstart", "--listen", "127.0.0.1:0"];
    tollgate(&[&words[..], more].concat())
}

fn ended(mut command: std::process::Command) -> Ran {
    Ran::of(command.output().expect("the program starts"))
}

#[test]
fn the_endpoint_is_reached_over_tls_with_an_authority_of_ones_own() {
    let (project, store) = published();
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let file = |name: &str, content: &str| {
        std::fs::write(project.file(name), content).expect("a file");
        project.file(name).display().to_string()
    };
    let (certificate, key) =
        (file("cert.pem", &signed.cert.pem()), file("key.pem", &signed.signing_key.serialize_pem()));
    let token = file("token", TOKEN);
    let mut serving = serve(&store, &["--tls-cert", &certificate, "--tls-key", &key, "--operator-path", "/.tollgate"]);
    serving.env("TOLLGATE_OPERATOR_READ", TOKEN);
    let serving = Running::start(serving);
    let address = serving.word_after("listening on ");
    let at = format!("https://localhost:{}", address.rsplit(':').next().expect("a port"));
    let ask = |more: &[&str]| run(&[&["metrics", "--at", &at, "--token-file", &token][..], more].concat());
    let ran = ask(&["--ca", &certificate, "--output", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.json()["scope"], "process");
    let ran = ask(&[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("no gateway answers") && ran.err.contains("certificate"), "{ran:?}");
}

#[test]
fn serve_says_which_requests_the_endpoint_takes_from_clients() {
    let (_project, store) = published();
    for (words, expected) in [
        (["--operator-path", "/ops"], "below /ops at every host name"),
        (["--operator-host", "ops.example.com"], "at the host ops.example.com"),
    ] {
        let mut serving = serve(&store, &words);
        serving.env("TOLLGATE_OPERATOR_READ", TOKEN);
        let serving = Running::start(serving);
        serving.wait_for(expected, || serving.err().contains(expected).then_some(()));
    }
    let ran = ended(serve(&store, &["--operator-path", "/ops"]));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("need a bound token"), "{ran:?}");
    let ran = ended(serve(&store, &["--operator-host", "https://ops"]));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("this is a URL; give the host name alone"), "{ran:?}");
}

#[test]
fn beside_a_folder_of_secrets_the_environment_is_not_read_and_serve_says_so() {
    let (project, store) = published();
    let folder = project.file("secrets");
    std::fs::create_dir(&folder).expect("a folder");
    let mut serving = serve(&store, &["--admin", "0.0.0.0:0", "--secrets", &folder.display().to_string()]);
    serving.env("TOLLGATE_OPERATOR_READ", TOKEN);
    let ran = ended(serving);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("TOLLGATE_OPERATOR_READ in the environment is not read"), "{ran:?}");
    assert!(ran.err.contains("as a file in the folder of --secrets"), "{ran:?}");
}

#[test]
fn a_running_gateway_makes_no_key_for_a_plan_that_it_does_not_have() {
    let project = Project::new();
    project.edit("format: 1\n", "format: 1\nplans: {gold: {limits: {gentle: {rate: 50/s}}}, free: {}}\n");
    let store = project.file("shop.db").display().to_string();
    let ran = run(&["publish", &project.path(), "--to", "native", "--store", &store]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let mut serving = serve(&store, &["--operator-path", "/.tollgate"]);
    serving.env("TOLLGATE_OPERATOR_OPERATE", TOKEN);
    let serving = Running::start(serving);
    let at = format!("http://{}", serving.word_after("listening on "));
    let new = |plan: &str| {
        let mut asked = tollgate(&["key", "new", "--consumer", "acme", "--plan", plan, "--at", &at]);
        asked.env("TOLLGATE_OPERATOR_TOKEN", TOKEN);
        ended(asked)
    };
    let ran = new("goldd");
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.err.contains("Gateway quickstart has no plan goldd (it has free, gold)"), "{ran:?}");
    assert_eq!((new("gold").code, new("free").code), (Some(0), Some(0)));
}

#[test]
fn a_token_is_bound_once() {
    let (_project, store) = published();
    let mut serving = serve(&store, &[]);
    serving.env("TOLLGATE_OPERATOR_READ", TOKEN).env("TOLLGATE_OPERATOR_OPERATE", format!("ci:{TOKEN}"));
    let ran = ended(serving);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let expected = "TOLLGATE_OPERATOR_OPERATE: token 1 is also bound by TOLLGATE_OPERATOR_READ";
    assert!(ran.err.contains(expected) && !ran.err.contains(TOKEN), "{ran:?}");
}

#[test]
fn a_token_that_is_given_with_its_name_is_not_sent() {
    let project = Project::new();
    let file = project.file("token");
    std::fs::write(&file, format!("ci:{TOKEN}\n")).expect("a file");
    let ran = run(&["metrics", "--token-file", &file.display().to_string()]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("remove the name and the colon") && !ran.err.contains(TOKEN), "{ran:?}");
    let mut asked = tollgate(&["metrics"]);
    asked.env("TOLLGATE_OPERATOR_TOKEN", format!("ci:{TOKEN}"));
    let ran = ended(asked);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("TOLLGATE_OPERATOR_TOKEN holds a name and a token"), "{ran:?}");
}

#[test]
fn purges_that_two_processes_acknowledge_are_all_recorded() {
    const PURGES: usize = 40;
    let (_project, store) = published();
    let servers = [0, 1].map(|n| {
        // Each process has counters of its own.
        let mut serving = serve(&store, &["--operator-path", "/.tollgate", "--counters", &format!("{store}.{n}")]);
        serving.env("TOLLGATE_OPERATOR_PURGE", TOKEN);
        Running::start(serving)
    });
    let addresses = servers.each_ref().map(|serving| serving.word_after("listening on "));
    let purge = |address: &str, n: usize| {
        let content = format!("{{\"key\":\"{n:064x}\"}}");
        let length = content.len();
        let head = format!(
            "POST /.tollgate/v1/purges HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {TOKEN}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{content}"
        );
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.write_all(head.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    };
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let address = addresses[worker % 2].trim_start_matches("http://");
            scope.spawn(move || (0..PURGES / 4).for_each(|n| purge(address, worker * 100 + n)));
        }
    });
    let record = RecordStore::open(Path::new(&store)).expect("the store").read("quickstart:purges").expect("a read");
    let kept: Purges = decode(&record.expect("a record")).expect("purges");
    assert_eq!(kept.as_slice().len(), PURGES);
}
