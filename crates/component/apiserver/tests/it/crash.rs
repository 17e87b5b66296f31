//! A server that is killed while many write: what it has acknowledged is there when it comes back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use env::process::Child;
use env::task::Fate;
use http::Method;
use parking_lot::Mutex;
use pki::kubeconfig::Kubeconfig;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::fixture::{Connection, DEADLINE, MAPS, Protocol, connect};

const WRITERS: usize = 8;
/// Writes that must have been acknowledged before the server is killed.
const WRITES_MIN: usize = 100;

/// The example that serves, which is built with the tests.
fn program() -> PathBuf {
    let test = env::process::executable().expect("the test knows where it is");
    let target = test.parent().and_then(Path::parent).expect("tests are two folders below the target");
    target.join("examples").join("serve")
}

/// A server in a process of its own.
async fn serve(folder: &Path, port: u16) -> Child {
    let mut command = env::process::command(program());
    command.arg(folder).arg(port.to_string()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the example is built: cargo build -p apiserver --examples");
    let mut lines = BufReader::new(child.stderr.take().expect("its words are piped")).lines();
    let waiting = async {
        while let Some(line) = lines.next_line().await.expect("it speaks text") {
            if line.starts_with("serving on") {
                return;
            }
        }
        panic!("the server ended before it served");
    };
    env::time::timeout(DEADLINE, waiting).await.expect("it serves in time");
    // Nobody reads on, and a full pipe would stop it.
    env::task::spawn(Fate::Local, "words", async move { while let Ok(Some(_)) = lines.next_line().await {} });
    child
}

async fn admin(folder: &Path, port: u16) -> Connection {
    let file = Kubeconfig::load(&folder.join("admin.conf")).expect("the administrator's file");
    let (_, _, user) = file.resolve(None).expect("it has a current context");
    let pair = user.certificate().expect("it can be read").expect("it holds a certificate");
    let authority =
        pki::files::load_authority(&folder.join("pki"), "ca").expect("it can be read").expect("it is there");
    let address = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, port));
    connect(address, authority.certificate(), Protocol::Two, Some(&pair)).await
}

/// Writes until the server is gone.
async fn write(folder: PathBuf, port: u16, writer: usize, log: Arc<Mutex<BTreeSet<String>>>, done: Arc<AtomicUsize>) {
    let mut connection = admin(&folder, port).await;
    for number in 0.. {
        let name = format!("w{writer}-{number}");
        let body = format!(r#"{{"metadata":{{"name":"{name}"}},"data":{{"key":"{}"}}}}"#, "x".repeat(number % 2_000));
        let request = http::Request::builder()
            .method(Method::POST)
            .uri(format!("https://localhost{MAPS}"))
            .header("content-type", "application/json")
            .body(bytes::Bytes::from(body).into())
            .expect("a request");
        match connection.begin(request).await {
            Ok(answer) if answer.status() == 201 => {
                log.lock().insert(name);
                done.fetch_add(1, Ordering::Release);
            }
            Ok(answer) => panic!("{name} is answered {}", answer.status()),
            Err(_gone) => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = {
        let any = env::net::listen_tcp((std::net::Ipv4Addr::LOCALHOST, 0).into()).await.expect("a port is free");
        any.address().expect("it has an address").port()
    };
    let mut child = serve(folder.path(), port).await;
    let log = Arc::new(Mutex::new(BTreeSet::new()));
    let done = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let work = write(folder.path().to_owned(), port, writer, Arc::clone(&log), Arc::clone(&done));
            env::task::spawn(Fate::Local, "writer", work)
        })
        .collect();
    let enough = async {
        while done.load(Ordering::Acquire) < WRITES_MIN {
            tokio::task::yield_now().await;
        }
    };
    env::time::timeout(DEADLINE, enough).await.expect("writes are acknowledged");
    child.kill().await.expect("SIGKILL is sent");
    for writer in writers {
        env::time::timeout(DEADLINE, writer).await.expect("writers notice").expect("no write was refused");
    }
    let acknowledged = log.lock().clone();
    let mut child = serve(folder.path(), port).await;
    let mut connection = admin(folder.path(), port).await;
    let list = connection.send(Method::GET, MAPS, &[], b"").await.is(200);
    let found: BTreeSet<String> = list.names().into_iter().collect();
    let lost: Vec<&String> = acknowledged.difference(&found).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), acknowledged.len());
    let surplus = found.iter().filter(|name| name.starts_with('w') && !acknowledged.contains(*name)).count();
    assert!(surplus <= WRITERS, "at most one write each was under way: {surplus}");
    // A watch from before the crash goes on, or says that it cannot.
    let oldest =
        list.tree().list_at(&["items"]).iter().map(|item| crate::fixture::at(item, "metadata.resourceVersion")).min();
    let path = format!("{MAPS}?watch=true&timeoutSeconds=1&resourceVersion={}", oldest.expect("something was written"));
    let events = connection.send(Method::GET, &path, &[], b"").await;
    let seen = events.text().lines().filter(|line| line.contains(r#""type":"ADDED""#)).count();
    let told = events.code == 410 || events.text().contains(r#""code":410"#);
    assert!(told || seen + 1 >= acknowledged.len(), "{seen} of {} and no word: {}", acknowledged.len(), events.code);
    child.kill().await.expect("SIGKILL is sent");
}
