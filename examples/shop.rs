//! A client of the store: fills a cart, makes a change under `If-Match`, retries after a lost answer, checks out, and
//! follows the order until it is paid.
//!
//! Start a store with `cargo run --release -- launch`, then run `cargo run --release --example shop`.
//! Another store's address may follow, and its API key be in `SHARDCART_API_KEY`.

use std::env;
use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::http::{Request, Response};
use ureq::{Agent, Body};
use uuid::Uuid;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The time limit of one action of a user, retries included.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time limit of one answer; an order has 25 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause before a retry, unless the store names one.
const PAUSE: Duration = Duration::from_millis(200);
/// A card that pays with the simulated gateway.
const CARD: &str = "4242424242424242";

fn main() -> Result<()> {
    let url = env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:5000".into());
    let shop = Shop::new(url);
    let customer = format!("guest-{}", Uuid::new_v4());

    // The price comes from the catalog, never from the customer: an order costs the price that its cart offers. It is
    // sent back unchanged; a shop that computes with prices does so in hundredths.
    let books = shop.get("/search/fiction")?;
    let book = books.json.as_array().and_then(|books| books.first()).ok_or("no book is for sale")?;
    let (id, price) = (text(book, "id")?, &book["price"]);
    println!("found {} for {price}", text(book, "title")?);

    let line = format!("/item/{customer}/{id}");
    let offer = json!({"offeredPrice": price, "itemCount": 1});
    let added = shop.send("POST", &line, &offer, &new_key())?.expect(201)?;
    println!("in the cart: {}", added.json["itemTotal"]);

    let cart = shop.set_count(&customer, id, |count| count + 1)?;
    println!("changed to {}, version {}", cart.json["itemTotal"], cart.json["version"]);

    // As if the first answer were lost: the same request under the same key is applied once.
    let key = new_key();
    drop(shop.send("POST", &line, &offer, &key)?);
    let again = shop.send("POST", &line, &offer, &key)?.expect(200)?;
    println!("sent twice, applied once: {} in the cart, replayed: {}", again.json["itemTotal"], again.is_replayed);

    let payment = json!({"payment": {"card_number": CARD, "expiry": "12/30"}, "address": "1 Main St"});
    let order = shop.send("POST", &format!("/checkout/{customer}"), &payment, &new_key())?;
    if order.status == 402 || order.status == 409 {
        // Cart and stock are unchanged; `lines` names the items that cannot be sold.
        return Err(format!("not sold: {}", order.json).into());
    }
    let order = order.expect(201)?;
    println!("order {} of {}", text(&order.json, "order_id")?, order.json["total"]);

    let paid = shop.follow(text(&order.json, "order_id")?)?;
    let delivery = shop.get(&format!("/api/delivery/{}", text(&order.json, "delivery_id")?))?.expect(200)?;
    println!("payment {}, delivery {}", text(&paid, "payment_status")?, text(&delivery.json, "status")?);
    Ok(())
}

/// An idempotency key for one action of a user. All retries of the action use the same key.
fn new_key() -> String {
    Uuid::new_v4().to_string()
}

fn text<'a>(json: &'a Value, member: &str) -> Result<&'a str> {
    json[member].as_str().ok_or_else(|| format!("no {member} in {json}").into())
}

/// A client of the store that retries every request that is safe to retry.
struct Shop {
    agent: Agent,
    url: String,
    api_key: String,
}

/// An answer that is final.
struct Answer {
    status: u16,
    etag: Option<String>,
    is_replayed: bool,
    json: Value,
}

/// The result of an attempt.
enum Attempt {
    Final(Answer),
    /// Nothing was applied, or the same key makes it harmless to ask again.
    Again {
        why: String,
        pause: Duration,
    },
}

impl Shop {
    fn new(url: String) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(ANSWER_TIMEOUT));
        // The development key works on loopback while no other key is configured.
        let api_key = env::var("SHARDCART_API_KEY").unwrap_or_else(|_| "secret123".into());
        Shop { agent: config.build().into(), url, api_key }
    }

    /// Reads; repeating that is always safe.
    fn get(&self, path: &str) -> Result<Answer> {
        self.insist("GET", path, "", &[])
    }

    /// Writes under an idempotency key, which makes it safe to repeat.
    fn send(&self, method: &str, path: &str, body: &Value, key: &str) -> Result<Answer> {
        self.insist(method, path, &body.to_string(), &[("Idempotency-Key", key)])
    }

    /// Changes the count of a line, computed from the cart as it was read. If the cart was changed in between,
    /// `If-Match` refuses the change, and it is computed again.
    fn set_count(&self, customer: &str, item: &str, change: impl Fn(u64) -> u64) -> Result<Answer> {
        loop {
            let cart = self.get(&format!("/items/{customer}"))?.expect(200)?;
            let lines = cart.json["items"].as_array().ok_or("a cart has lines")?;
            let count = lines.iter().find(|line| line["itemId"] == item).and_then(|line| line["itemCount"].as_u64());
            let body = json!({"newCount": change(count.ok_or("the line is gone")?)}).to_string();
            let tag = cart.etag.ok_or("a cart has a tag")?;
            let (path, key) = (format!("/item/{customer}/{item}"), new_key());
            let answer = self.insist("PUT", &path, &body, &[("If-Match", &tag), ("Idempotency-Key", &key)])?;
            if answer.status != 412 {
                return answer.expect(200);
            }
        }
    }

    /// Waits until an order is paid, or until it is certain that it will not be.
    fn follow(&self, order: &str) -> Result<Value> {
        let started = Instant::now();
        loop {
            let order = self.get(&format!("/api/orders/{order}"))?.expect(200)?.json;
            match text(&order, "payment_status")? {
                "pending" | "authorised" if started.elapsed() < PATIENCE => thread::sleep(PAUSE),
                "captured" => return Ok(order),
                other => return Err(format!("payment {other}").into()),
            }
        }
    }

    /// Repeats a request until its answer is final.
    fn insist(&self, method: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        let started = Instant::now();
        loop {
            match self.attempt(method, path, body, headers)? {
                Attempt::Final(answer) => return Ok(answer),
                Attempt::Again { why, .. } if started.elapsed() > PATIENCE => return Err(why.into()),
                Attempt::Again { why, pause } => {
                    eprintln!("{method} {path}: {why}; again");
                    thread::sleep(pause);
                }
            }
        }
    }

    fn attempt(&self, method: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> Result<Attempt> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        request = request.header("Content-Type", "application/json").header("X-API-Key", &self.api_key);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match method {
            "GET" => self.agent.run(request.body(())?),
            _ => self.agent.run(request.body(body)?),
        };
        // Without an answer it is unknown whether the request was applied: only a read or the same key may be repeated.
        let again = |why: String| Ok(Attempt::Again { why, pause: PAUSE });
        match answer {
            Err(error) => again(error.to_string()),
            Ok(answer) => Answer::read(answer).or_else(|error| again(error.to_string())),
        }
    }
}

impl Answer {
    fn read(mut answer: Response<Body>) -> Result<Attempt> {
        let header = |name: &str| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
        let (status, etag) = (answer.status().as_u16(), header("ETag"));
        let is_replayed = header("Idempotency-Replayed").is_some();
        let seconds = header("Retry-After").and_then(|seconds| seconds.parse().ok());
        let pause = seconds.map_or(PAUSE, Duration::from_secs);
        let json: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
        let is_in_flight = status == 409 && json["type"] == "/problems/in-flight";
        // 429 and 503: nothing was applied. 504: unknown. In flight: an earlier attempt is still in progress.
        if is_in_flight || [429, 503, 504].contains(&status) {
            return Ok(Attempt::Again { why: format!("{status} {}", json["detail"]), pause });
        }
        Ok(Attempt::Final(Answer { status, etag, is_replayed, json }))
    }

    fn expect(self, status: u16) -> Result<Self> {
        if self.status == status {
            Ok(self)
        } else {
            Err(format!("{} instead of {status}: {}", self.status, self.json).into())
        }
    }
}
