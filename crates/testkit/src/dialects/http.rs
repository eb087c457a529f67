//! As much HTTP/1.1 as a scripted server needs: requests read whole, answers written piece by piece,
//! also in ways that no proper server would (RFC 9112).

use std::{io, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// More than any test sends.
const MAX_BODY: usize = 64 << 20;

#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }
}

pub struct Reply {
    /// `None`: not even a status line.
    pub head: Option<(u16, Vec<(String, String)>)>,
    pub acts: Vec<Act>,
}

/// What happens in the body of an answer, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// In one chunk.
    Bytes(Vec<u8>),
    Pause(Duration),
    /// So many bytes without a line's end.
    Flood(usize),
    /// Less than announced, then the end.
    HalfChunk(Vec<u8>),
    /// Silence until the client goes.
    Stall,
    Reset,
}

/// `None`: the client came and went.
pub async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers = read_headers(stream).await?;
    let mut request = Request { method, target, headers, body: Vec::new() };
    request.body = read_body(stream, &request).await?;
    Ok(Some(request))
}

async fn read_headers(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else { return Ok(headers) };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

async fn read_body(stream: &mut BufReader<TcpStream>, request: &Request) -> io::Result<Vec<u8>> {
    if request.header("transfer-encoding").is_some_and(|it| it.contains("chunked")) {
        return read_chunks(stream).await;
    }
    let length = request.header("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
    let mut body = vec![0; capped(length)?];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

async fn read_chunks(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let size = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        let from = body.len();
        body.resize(capped(from + size)?, 0);
        stream.read_exact(&mut body[from..]).await?;
        stream.read_line(&mut String::new()).await?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn capped(length: usize) -> io::Result<usize> {
    if length <= MAX_BODY { Ok(length) } else { Err(io::Error::other("a body of over 64 MB")) }
}

/// Writes the answer and ends the connection.
pub async fn write(stream: BufReader<TcpStream>, reply: Reply) -> io::Result<()> {
    let mut stream = stream.into_inner();
    stream.set_nodelay(true)?;
    if let Some((status, headers)) = &reply.head {
        stream.write_all(head(*status, headers).as_bytes()).await?;
    }
    for act in reply.acts {
        match act {
            Act::Bytes(bytes) => chunk(&mut stream, &bytes).await?,
            Act::Pause(pause) => tokio::time::sleep(pause).await,
            Act::Flood(size) => flood(&mut stream, size).await?,
            Act::HalfChunk(bytes) => {
                let announced = format!("{:x}\r\n", bytes.len() * 2 + 100);
                stream.write_all(announced.as_bytes()).await?;
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
            Act::Stall => return until_gone(&mut stream).await,
            Act::Reset => {
                // What was said before has to be on its way first.
                tokio::time::sleep(Duration::from_millis(50)).await;
                return stream.set_zero_linger();
            }
        }
    }
    if reply.head.is_some() {
        stream.write_all(b"0\r\n\r\n").await?;
    }
    stream.shutdown().await
}

fn head(status: u16, headers: &[(String, String)]) -> String {
    let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("transfer-encoding: chunked\r\nconnection: close\r\n\r\n");
    head
}

async fn chunk(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
    framed.extend_from_slice(bytes);
    framed.extend_from_slice(b"\r\n");
    stream.write_all(&framed).await
}

async fn flood(stream: &mut TcpStream, size: usize) -> io::Result<()> {
    let block = vec![b'x'; 64 << 10];
    let mut left = size;
    while left > 0 {
        let now = left.min(block.len());
        chunk(stream, &block[..now]).await?;
        left -= now;
    }
    Ok(())
}

async fn until_gone(stream: &mut TcpStream) -> io::Result<()> {
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
