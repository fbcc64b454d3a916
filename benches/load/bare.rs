//! The bare server, to which shardcart is compared: a warp server in a process of its own that returns the same bytes
//! and does nothing else.
//!
//! It is written as warp's README suggests: `warp::serve` on tokio's default multi-thread runtime, paths as typed
//! filters, bodies collected and dropped. Head and body of its answers are those of a real cart of the store.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::thread;

use bytes::Bytes;
use tokio::net::TcpListener;
use warp::Filter;
use warp::http::header::{CONTENT_TYPE, ETAG, HeaderValue};
use warp::http::{Response, StatusCode};

use crate::harness::Result;
use crate::harness::connection::Answer;
use crate::role::RoleProcess;

/// The first argument of the process that is the bare server.
const ROLE_ARGUMENT: &str = "bare-server";
/// About the length of a cart of five lines.
const PLACEHOLDER_BYTES: usize = 700;

/// The answer of the bare server.
#[derive(Debug, Clone)]
pub struct Sample {
    content_type: String,
    tag: String,
    body: Vec<u8>,
}

impl Sample {
    /// Takes the answer of a store for the bare server.
    ///
    /// # Errors
    /// When the answer is not a cart.
    pub fn of(answer: &Answer<'_>) -> Result<Self> {
        if !answer.is_success() {
            return Err(format!("no cart to compare with: {}", answer.describe()).into());
        }
        let header = |name| answer.header(name).map(str::to_owned).ok_or(format!("an answer without {name}"));
        Ok(Sample { content_type: header("content-type")?, tag: header("etag")?, body: answer.body.to_vec() })
    }

    /// Checks that another server shows the same cart. Versions and times may differ, as each server has its own, and
    /// members may come in another order.
    ///
    /// # Errors
    /// When it is not.
    pub fn expect_same_cart(&self, other: &Sample) -> Result<()> {
        let cart = |sample: &Sample| -> Result<serde_json::Value> {
            let mut cart: serde_json::Value = serde_json::from_slice(&sample.body)?;
            for own in ["version", "updatedAt"] {
                let members = cart.as_object_mut().ok_or("a cart that is not an object")?;
                members.remove(own).ok_or_else(|| format!("a cart without {own}"))?;
            }
            Ok(cart)
        };
        let (mine, theirs) = (cart(self)?, cart(other)?);
        if self.content_type != other.content_type || mine != theirs {
            return Err(format!("one cart as two servers show it:\n{mine}\n{theirs}").into());
        }
        Ok(())
    }

    /// An answer of a cart's length, for a test of the generator alone.
    pub fn placeholder() -> Self {
        let body = vec![b' '; PLACEHOLDER_BYTES];
        Sample { content_type: "application/json".to_owned(), tag: "\"1\"".to_owned(), body }
    }
}

/// A running bare server. It ends when this is dropped or when this process ends.
pub struct Bare {
    process: RoleProcess,
    address: SocketAddr,
}

impl Bare {
    /// Starts a bare server. The sample's bytes are written to `directory`.
    ///
    /// # Errors
    /// When the process cannot be started or does not print its address.
    pub fn start(sample: &Sample, directory: &Path) -> Result<Self> {
        let body = directory.join("sample");
        std::fs::write(&body, &sample.body)?;
        let arguments = [ROLE_ARGUMENT.as_ref(), sample.content_type.as_ref(), sample.tag.as_ref(), body.as_os_str()];
        let (process, line) = RoleProcess::start(arguments)?;
        let address = line.parse().map_err(|_| format!("the bare server said `{line}`"))?;
        Ok(Bare { process, address })
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The id of its process.
    pub fn process(&self) -> u32 {
        self.process.id()
    }
}

/// This process as the bare server.
pub struct Role {
    sample: Sample,
}

impl Role {
    /// The role of this process, if the arguments say that it is the bare server.
    pub fn of(arguments: &[String]) -> Option<Self> {
        let [_, role, content_type, tag, body] = arguments else { return None };
        if role != ROLE_ARGUMENT {
            return None;
        }
        let body = std::fs::read(body).ok()?;
        Some(Role { sample: Sample { content_type: content_type.clone(), tag: tag.clone(), body } })
    }

    /// Serves until standard input ends.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn run(self) -> Result<()> {
        thread::spawn(|| {
            // The end of the pipe, or an error, means that the parent is gone.
            let _ = io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(0);
        });
        tokio::runtime::Runtime::new()?.block_on(serve(self.sample))
    }
}

async fn serve(sample: Sample) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let content_type = HeaderValue::from_str(&sample.content_type)?;
    let tag = HeaderValue::from_str(&sample.tag)?;
    let body = Bytes::from(sample.body);
    let answer = move || {
        let mut response = Response::new(body.clone());
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().insert(CONTENT_TYPE, content_type.clone());
        response.headers_mut().insert(ETAG, tag.clone());
        response
    };
    let read = {
        let answer = answer.clone();
        warp::path!("items" / String).and(warp::get()).map(move |_customer| answer())
    };
    let add = warp::path!("item" / String / String)
        .and(warp::post())
        .and(warp::body::bytes())
        .map(move |_customer, _item, _body: Bytes| answer());
    warp::serve(read.or(add)).incoming(listener).run().await;
    Ok(())
}
