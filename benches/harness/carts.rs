//! The carts of the benchmarks, and the requests that create, read and change them. A cart has five lines unless a
//! benchmark says otherwise, every other one in a special sale, and takes about 170 bytes as a record.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinSet;

use super::Result;
use super::connection::Connection;

/// The number of lines in a cart.
pub const LINES: u64 = 5;
/// The most lines of a cart.
pub const MAX_LINES: u64 = 1_000;

/// `GET /items/{customer}`.
pub fn read_request(customer: u64) -> Vec<u8> {
    format!("GET /items/{} HTTP/1.1\r\nHost: localhost\r\n\r\n", customer_id(customer)).into_bytes()
}

/// `POST /item/{customer}/{item}`: adds one to the count of a line, or creates the line.
pub fn add_request(customer: u64, line: u64) -> Vec<u8> {
    let body = offer(line);
    format!(
        "POST /item/{}/{} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        customer_id(customer),
        item_id(customer, line),
        body.len(),
    )
    .into_bytes()
}

/// Creates the carts of the customers `0..customers`, of so many lines, over `connections` connections.
///
/// # Errors
/// When a request fails, since a missing line would make every later figure wrong.
pub async fn fill(address: SocketAddr, customers: u64, lines: u64, connections: usize) -> Result<()> {
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks: JoinSet<Result<()>> = JoinSet::new();
    for _ in 0..connections {
        let next = Arc::clone(&next);
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            loop {
                let customer = next.fetch_add(1, Ordering::Relaxed);
                if customer >= customers {
                    return Ok(());
                }
                make_cart(&mut connection, customer, lines).await?;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

async fn make_cart(connection: &mut Connection, customer: u64, lines: u64) -> Result<()> {
    for line in 0..lines {
        let answer = connection.exchange(&add_request(customer, line)).await?;
        if !answer.is_success() {
            return Err(format!("a line could not be added: {}", answer.describe()).into());
        }
    }
    Ok(())
}

fn customer_id(customer: u64) -> String {
    format!("customer-{customer:07}")
}

fn item_id(customer: u64, line: u64) -> String {
    format!("item-{:016}", customer * MAX_LINES + line)
}

/// The body of an addition; every other line is on special sale.
fn offer(line: u64) -> String {
    let price = format!("{}.{:02}", 10 + line * 7, 99 - line * 13 % 90);
    if line % 2 == 1 {
        let sale = r#""specialSale":true,"saleExpiration":"2099-12-31T23:59:59Z""#;
        format!(r#"{{"offeredPrice":{price},"itemCount":1,{sale}}}"#)
    } else {
        format!(r#"{{"offeredPrice":{price},"itemCount":1}}"#)
    }
}
