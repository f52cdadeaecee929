//! Peers that send half of a request, or read half of an answer: the others do not notice.

use crate::process::{Troupe, furnish};
use scripted::Server;
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::Command,
    time::{Duration, Instant},
};
use tokio::net::TcpSocket;

const HALF_HEADER: &[u8] = b"GET /sign-in HTTP/1.1\r\nHost: troupe\r\nX-Half: ";
/// How long a header may take, with room for a busy machine.
const HEADER_LIMIT: Duration = Duration::from_secs(20);

/// A data folder with an admin.
async fn furnished() -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    furnish(data.path(), &Server::start().await, &[]).await;
    data
}

/// Peers of these addresses that have sent half of a header.
async fn half_open(server: SocketAddr, from: impl Iterator<Item = Ipv4Addr>) -> Vec<TcpStream> {
    let mut peers = Vec::new();
    for address in from {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((address, 0).into()).unwrap();
        let peer = socket.connect(server).await.unwrap().into_std().unwrap();
        // A connection that is refused at once may be gone already.
        drop(peer.set_nonblocking(false));
        drop((&peer).write_all(HALF_HEADER));
        peers.push(peer);
    }
    peers
}

fn address(troupe: &Troupe) -> SocketAddr {
    troupe.url.trim_start_matches("http://").parse().unwrap()
}

/// The time until the server closes the connection.
fn closed_after(peer: &TcpStream, most: Duration) -> Option<Duration> {
    let began = Instant::now();
    peer.set_read_timeout(Some(most)).unwrap();
    match (&mut &*peer).read_to_end(&mut Vec::new()) {
        Ok(_) => Some(began.elapsed()),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Some(began.elapsed()),
        Err(_) => None,
    }
}

/// The time that a page takes over a new connection.
async fn page(troupe: &Troupe) -> Duration {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
    let began = Instant::now();
    let answer = client.get(format!("{}/sign-in", troupe.url)).send().await.expect("the page comes");
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap();
    began.elapsed()
}

async fn best_page(troupe: &Troupe) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        best = best.min(page(troupe).await);
    }
    best
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn thousands_of_half_sent_requests_harm_nobody() {
    let data = furnished().await;
    let troupe = Troupe::start(data.path());
    best_page(&troupe).await;
    let before = troupe.memory("VmRSS");
    let many = (0..2_000_u32).map(|peer| Ipv4Addr::new(127, 0, 1 + (peer % 20) as u8, 1));
    let peers = half_open(address(&troupe), many).await;
    let (took, after) = (best_page(&troupe).await, troupe.memory("VmRSS"));
    eprintln!("2,000 half-open peers: a page took {took:?}, memory grew by {} MB", after - before);
    assert!(took < Duration::from_millis(100), "{took:?}");
    assert!(after - before < 50, "{before} MB, then {after} MB");
    for peer in [&peers[0], &peers[1_999]] {
        assert!(closed_after(peer, HEADER_LIMIT).is_some(), "half a header is not waited for");
    }
}

/// The time limits of a header and of a body.
#[tokio::test]
async fn half_a_header_and_half_a_body_are_not_waited_for() {
    let data = furnished().await;
    let troupe = Troupe::start(data.path());
    let connect = |sent: &str| {
        let mut peer = TcpStream::connect(address(&troupe)).unwrap();
        peer.write_all(sent.as_bytes()).unwrap();
        peer
    };
    let silent = connect("");
    let header = connect("GET / HTTP/1.1\r\nHost: x\r\n");
    let path = crate::stage::function("sign_in");
    let mut body = connect(&format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 100\r\n\r\nhalf"
    ));
    let drips = std::thread::spawn({
        let mut peer = header.try_clone().unwrap();
        // Single bytes do not lengthen the time of a header.
        move || {
            while peer.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(500));
            }
        }
    });
    for peer in [&silent, &header] {
        assert!(closed_after(peer, HEADER_LIMIT).is_some());
    }
    drips.join().unwrap();
    body.set_read_timeout(Some(HEADER_LIMIT)).unwrap();
    let mut answer = String::new();
    body.read_to_string(&mut answer).expect("the connection is closed");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
}

/// Headers are kept in memory until they end, so their size is bounded.
#[tokio::test]
async fn a_header_has_a_largest_size() {
    let data = furnished().await;
    let troupe = Troupe::start(data.path());
    let mut peer = TcpStream::connect(address(&troupe)).unwrap();
    peer.set_read_timeout(Some(HEADER_LIMIT)).unwrap();
    peer.write_all(HALF_HEADER).unwrap();
    // The server may answer and close before all of it is written.
    drop(peer.write_all(&[b'x'; 40 * 1024]));
    let mut answer = [0; 12];
    peer.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431");
}

/// A stranger who takes all file handles shuts nobody out, and the server does not spin.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn few_file_handles_are_enough_to_refuse() {
    let data = furnished().await;
    let troupe = Troupe::start_after("ulimit -n 256", data.path());
    let one = std::iter::repeat_n(Ipv4Addr::LOCALHOST, 400);
    let _peers = half_open(address(&troupe), one).await;
    let before = troupe.processor_time();
    let took = best_page(&troupe).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let spent = troupe.processor_time() - before;
    assert!(spent < Duration::from_secs(1), "{spent:?} of processor time in two seconds");
}

/// The soft limit of file handles is raised to the hard one.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_server_takes_the_file_handles_that_it_may_have() {
    let data = furnished().await;
    let troupe = Troupe::start_after("ulimit -S -n 256", data.path());
    let limits = troupe.proc("limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<_> = line.split_whitespace().filter_map(|word| word.parse::<u64>().ok()).collect();
    assert_eq!(numbers[0], numbers[1], "{line}");
}

/// SIGTERM ends the server in time whoever is connected, and the next one starts on the folder at once.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn peers_that_hang_do_not_delay_the_end() {
    let data = tempfile::tempdir().unwrap();
    let models = Server::start().await;
    let (_, token) = furnish(data.path(), &models, &[]).await;
    let mut troupe = Troupe::start(data.path());
    let peers = half_open(address(&troupe), std::iter::repeat_n(Ipv4Addr::LOCALHOST, 50)).await;
    let mut hanging = Vec::new();
    for sent in [
        "POST /api/v1/projects HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nContent-Type: application/json\r\n",
        "GET /api/v1/projects HTTP/1.1\r\nHost: x\r\n",
    ] {
        let mut peer = TcpStream::connect(address(&troupe)).unwrap();
        write!(peer, "{sent}Authorization: Bearer {token}\r\n\r\n").unwrap();
        hanging.push(peer);
    }
    // The second one is idle after its answer.
    assert!(hanging[1].read(&mut [0; 1024]).unwrap() > 0);
    let pid = troupe.id().to_string();
    let began = Instant::now();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(troupe.ended_within(Duration::from_secs(11)), "it still runs after {:?}", began.elapsed());
    eprintln!("the end took {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let again = Troupe::start(data.path());
    page(&again).await;
    drop((peers, hanging));
}
