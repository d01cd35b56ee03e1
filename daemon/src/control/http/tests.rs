use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use super::*;

/// Answers with what it understood.
struct Echo;

impl Handler for Echo {
    fn answer(&self, request: Request) -> Response {
        assert_ne!(request.path, "/panic", "a panic, as the test wants");
        if request.path == "/stream" {
            let stream = |output: &mut dyn Write| (0..3).try_for_each(|number| writeln!(output, "line {number}"));
            let body = Body::Stream(Box::new(stream));
            return Response { body, ..Response::new(200, "text/plain", "") };
        }
        let Request { method, path, query, body, authorization, .. } = request;
        let body = String::from_utf8_lossy(&body).into_owned();
        let authorization = authorization.unwrap_or_default();
        Response::new(200, "text/plain", format!("{} {path} {query} [{body}] {authorization}", method.as_str()))
    }

    fn refuse(&self, refusal: &Refusal) -> Response {
        Response::new(400, "text/plain", format!("{refusal:?}"))
    }

    fn panicked(&self) -> Response {
        Response::new(500, "text/plain", "panicked")
    }
}

fn limits() -> Limits {
    let times = Duration::from_millis(300);
    Limits { request_time: times, answer_time: times, idle_time: times, body_bytes: 1000, ..Limits::default() }
}

fn start(limits: Limits) -> (Server, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::start(vec![Listener::Tcp(listener)], Box::new(Echo), limits).unwrap();
    let address = server.address().unwrap();
    (server, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// All that comes back until the server closes the connection.
fn exchange(address: SocketAddr, sent: &[u8]) -> String {
    let mut stream = connect(address);
    let _ = stream.write_all(sent);
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received);
    String::from_utf8_lossy(&received).into_owned()
}

#[test]
fn requests_are_understood_and_connections_kept() {
    let (_server, address) = start(limits());
    let cases = [
        ("GET /a?b=c HTTP/1.1\r\nConnection: close\r\n\r\n", "GET /a b=c [] "),
        ("GET http://host/a%2Fb HTTP/1.1\r\nConnection: close\r\n\r\n", "GET /a%2Fb  [] "),
        ("POST / HTTP/1.0\r\ncontent-length: 3\r\nAuthorization: Bearer x\r\n\r\nabc", "POST /  [abc] Bearer x"),
        ("PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "PUT /  [] "),
        ("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nConnection: close\r\n\r\n", "GET /2  [] "),
        ("GET /panic HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nConnection: close\r\n\r\n", "GET /2  [] "),
        ("GET /stream HTTP/1.1\r\n\r\n", "line 0\nline 1\nline 2\n"),
        ("HEAD /a HTTP/1.1\r\nConnection: close\r\n\r\n", "Content-Length: 11"),
    ];
    for (sent, expected) in cases {
        let received = exchange(address, sent.as_bytes());
        assert!(received.contains(expected), "{sent:?} was answered with {received:?}");
    }
    assert!(exchange(address, b"GET /panic HTTP/1.0\r\n\r\n").contains("panicked"));
    assert!(!exchange(address, b"HEAD /a HTTP/1.0\r\n\r\n").contains("GET"));
}

#[test]
fn the_body_may_wait_for_the_servers_word() {
    let (_server, address) = start(limits());
    let mut stream = connect(address);
    stream.write_all(b"POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n").unwrap();
    let mut word = [0; 25];
    stream.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"ok").unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("[ok]"), "{rest}");
}

#[test]
fn what_is_no_request_is_refused_and_hurts_nobody() {
    let (_server, address) = start(limits());
    let long_header = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20 << 10));
    let many_headers = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(100));
    let endless = "x".repeat(100 << 10);
    let cases: [(&[u8], &str); 14] = [
        (b"\x00\x01\x02\x03\r\n\r\n", "Malformed"),
        (b"GET\r\n\r\n", "Malformed"),
        (b"GET / HTTP/3.0\r\n\r\n", "Malformed"),
        (b"GET * HTTP/1.1\r\n\r\n", "Malformed"),
        (b"BREW / HTTP/1.1\r\n\r\n", "UnknownMethod"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "Malformed"),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "Malformed"),
        (b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\na", "Malformed"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", "TooLarge"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", "TooLarge"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Malformed"),
        (long_header.as_bytes(), "TooLarge"),
        (many_headers.as_bytes(), "TooLarge"),
        (endless.as_bytes(), "TooLarge"),
    ];
    for (sent, expected) in cases {
        let received = exchange(address, sent);
        let shown = String::from_utf8_lossy(&sent[..sent.len().min(60)]);
        assert!(received.starts_with("HTTP/1.1 400 ") && received.contains(expected), "{shown:?}: {received:?}");
    }
    // TLS, where plain HTTP is spoken, is garbage too.
    exchange(address, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    assert!(exchange(address, b"GET / HTTP/1.0\r\n\r\n").contains("GET /"));
}

#[test]
fn the_slow_and_the_quiet_are_let_go() {
    let (_server, address) = start(limits());
    assert!(exchange(address, b"GET / HTTP/1.1\r\nX").contains("TooSlow"));
    assert!(exchange(address, b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc").contains("TooSlow"));
    assert_eq!(exchange(address, b""), "");
    // A byte now and then does not keep a request alive for ever.
    let mut stream = connect(address);
    let start = Instant::now();
    while stream.write_all(b"X").is_ok() && start.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(20));
    }
    assert!(start.elapsed() < Duration::from_secs(10), "it took {:?}", start.elapsed());
}

#[test]
fn connections_are_bounded_and_end_with_the_server() {
    let (mut server, address) = start(Limits { connections: 3, idle_time: Duration::from_secs(60), ..limits() });
    let mut held: Vec<TcpStream> = (0..3).map(|_| connect(address)).collect();
    for stream in &mut held {
        // An answer shows that it has been taken on.
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        assert_ne!(stream.read(&mut [0; 512]).unwrap(), 0);
    }
    assert_eq!(exchange(address, b"GET / HTTP/1.0\r\n\r\n"), "");
    let (stopped, is_stopped) = channel();
    let stopping = thread::spawn(move || {
        server.stop();
        stopped.send(()).unwrap();
    });
    is_stopped.recv_timeout(Duration::from_secs(4)).expect("quiet connections do not hold the server up");
    stopping.join().unwrap();
    assert!(held.iter_mut().all(|stream| stream.read(&mut [0; 8]).is_ok_and(|count| count == 0)));
    assert!(TcpStream::connect(address).is_err());
}
