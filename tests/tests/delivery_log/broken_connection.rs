//! Proxy that breaks a connection between a command and its answer.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Starts a proxy to the server at `port` that breaks the first connection that
/// carries `word`: the server gets the command, and its answer is lost. Returns the
/// proxy's port.
pub(crate) fn breaking_once_after(word: &'static str, port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own_port = listener.local_addr().unwrap().port();
    let broken = Arc::new(AtomicBool::new(false));
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut &from, &mut &to));
            let broken = Arc::clone(&broken);
            thread::spawn(move || forward(client, server, word.as_bytes(), &broken));
        }
    });
    own_port
}

/// Forwards the client's bytes. An error is a closed connection and ends the thread.
fn forward(
    mut client: TcpStream,
    mut server: TcpStream,
    word: &[u8],
    broken: &AtomicBool,
) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        let length = client.read(&mut buffer)?;
        if length == 0 {
            return server.shutdown(Shutdown::Both);
        }
        let carries_word = buffer[..length]
            .windows(word.len())
            .any(|part| part == word);
        if carries_word && !broken.swap(true, Ordering::SeqCst) {
            client.shutdown(Shutdown::Both)?;
            return server.write_all(&buffer[..length]);
        }
        server.write_all(&buffer[..length])?;
    }
}
