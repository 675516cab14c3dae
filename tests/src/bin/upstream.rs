//! The upstream of the e2e suite, for people: `cargo run -p tollgate-tests --bin upstream -- [PORT] [--tls]`.

use tokio::net::TcpListener;
use tollgate_tests::upstream::{self, Upstream};

fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let port = words.iter().find_map(|word| word.parse::<u16>().ok()).unwrap_or(9000);
    let tls = words.iter().any(|word| word == "--tls");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let acceptor = tls.then(upstream::self_signed).transpose()?;
        let upstream = Upstream::listen(listener, acceptor)?;
        println!("upstream on {}", upstream.url());
        println!("ask by query: status=N field=NAME:VALUE head_ms=N body_ms=N every_ms=N etag=V");
        println!("  echo | size=N | chunks=N | events=N   unread   break=head|body|garbage|length");
        upstream.run().await;
        Ok(())
    })
}
