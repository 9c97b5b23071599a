//! A network that breaks off at the worst moment.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Passes everything on to the server at `port`, but breaks the first connection
/// that carries `word` right behind it: the server gets the command, and its
/// answer is lost. Returns the port to connect to.
pub(crate) fn that_breaks_once_behind(word: &'static str, port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own_port = listener.local_addr().unwrap().port();
    let broken = Arc::new(AtomicBool::new(false));
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut &from, &mut &to));
            let broken = Arc::clone(&broken);
            thread::spawn(move || pass_on(client, server, word.as_bytes(), &broken));
        }
    });
    own_port
}

/// An error here is a closed connection, and it ends the thread.
fn pass_on(
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
