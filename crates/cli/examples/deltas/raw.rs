//! The stream read by a thread that does nothing else.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::TcpStream,
    thread::{self, JoinHandle},
};

use chrono::Utc;

use super::{
    sent_at,
    server::{Pace, Server, Speech},
};

/// Nanoseconds from each write to its reading, sorted.
pub fn listen(pace: Pace) -> io::Result<JoinHandle<Vec<u64>>> {
    let server = Server::start(Speech::Words(pace))?;
    let mut client = TcpStream::connect(server.address)?;
    client.write_all(b"POST / HTTP/1.1\r\n\r\n")?;
    Ok(thread::spawn(move || {
        let lines = BufReader::new(client).lines().map_while(Result::ok);
        let late = lines.filter_map(|line| {
            let now = Utc::now().timestamp_nanos_opt()?;
            let sent = sent_at(&line[line.find("sent:")?..])?;
            u64::try_from(now - sent).ok()
        });
        let mut late: Vec<u64> = late.collect();
        late.sort_unstable();
        late
    }))
}
