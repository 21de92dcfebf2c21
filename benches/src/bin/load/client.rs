//! A client that costs little: requests are written beforehand, and each connection sends one after
//! the other.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::{Outcome, events};

/// Whole requests, one list for each connection.
pub(crate) struct Requests(Vec<Vec<Vec<u8>>>);

impl Requests {
    /// Signs bodies as of now, and deals them out.
    pub(crate) fn post(bodies: &[Bytes], connections: usize) -> Outcome<Self> {
        let secret = events::secret()?;
        let mut lists: Vec<Vec<Vec<u8>>> = vec![Vec::new(); connections];
        for (index, body) in bodies.iter().enumerate() {
            let head = format!(
                "POST /webhook HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\
                 User-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\n\
                 Content-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\
                 Stripe-Signature: {}\r\n\r\n",
                body.len(),
                events::signature(body, &secret),
            );
            let mut request = head.into_bytes();
            request.extend_from_slice(body);
            lists[index % connections].push(request);
        }
        Ok(Self(lists))
    }
}

/// How it went.
pub(crate) struct Sent {
    pub(crate) elapsed: Duration,
    /// Of each request, the least first.
    pub(crate) latencies: Vec<Duration>,
}

impl Sent {
    /// The latency that so large a share of the requests stayed within.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        self.latencies.get(index).copied().unwrap_or_default()
    }
}

/// Sends everything and waits for every answer; all have to be 200.
pub(crate) async fn send(address: &str, requests: Requests) -> Outcome<Sent> {
    let mut streams = Vec::new();
    for list in requests.0 {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        streams.push((stream, list));
    }
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for (stream, list) in streams {
        tasks.spawn(one_by_one(stream, list));
    }
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    let elapsed = started.elapsed();
    latencies.sort_unstable();
    Ok(Sent { elapsed, latencies })
}

async fn one_by_one(mut stream: TcpStream, list: Vec<Vec<u8>>) -> Outcome<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(list.len());
    let mut buffer = Vec::with_capacity(4096);
    for request in list {
        let started = Instant::now();
        stream.write_all(&request).await?;
        buffer.clear();
        while !is_whole(&buffer)? {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err("the server hung up".into());
            }
        }
        latencies.push(started.elapsed());
        if !buffer.starts_with(b"HTTP/1.1 200 ") {
            return Err(format!("refused: {}", String::from_utf8_lossy(&buffer)).into());
        }
    }
    Ok(latencies)
}

/// Whether an answer has come to its end.
fn is_whole(answer: &[u8]) -> Outcome<bool> {
    const END: &[u8] = b"\r\n\r\n";
    let Some(head) = answer.windows(END.len()).position(|window| window == END) else {
        return Ok(false);
    };
    let length = std::str::from_utf8(&answer[..head])?
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .ok_or("an answer without a length")?
        .1
        .trim()
        .parse::<usize>()?;
    Ok(answer.len() >= head + END.len() + length)
}
