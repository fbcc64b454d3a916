//! Special sales: the accepted forms of an expiration, and the changes when a sale ends.

use std::time::Duration;

use crate::harness::{Client, Setup, eventually};

/// The duration of a sale: long enough for the requests before its end on a busy machine. The test waits for the end.
const SALE: Duration = Duration::from_secs(3);

fn add_sale(client: &mut Client, path: &str, expiration: &str) -> crate::harness::Answer {
    let body = format!(r#"{{"offeredPrice":1,"itemCount":1,"specialSale":true,"saleExpiration":"{expiration}"}}"#);
    client.post(path, &body)
}

#[test]
fn an_expiration_is_taken_in_several_forms_and_written_in_one() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    for (given, written, active) in [
        ("2099-12-31", "2099-12-31T00:00:00Z", true),
        ("2099-12-31T10:20:30", "2099-12-31T10:20:30Z", true),
        ("2099-12-31T10:20:30Z", "2099-12-31T10:20:30Z", true),
        ("2099-12-31T10:20:30.25+02:00", "2099-12-31T08:20:30.25Z", true),
        ("2099-12-31t10:20:30-00:30", "2099-12-31T10:50:30Z", true),
        ("2001-01-01", "2001-01-01T00:00:00Z", false),
        ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z", false),
    ] {
        let cart = add_sale(&mut client, "/item/alice/tea", given).json();
        let line = &cart["items"][0];
        assert_eq!(
            (line["saleExpiration"].as_str(), line["saleActive"].as_bool()),
            (Some(written), Some(active)),
            "{given}"
        );
    }
}

#[test]
fn only_a_special_sale_is_ever_active() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    let plain = r#"{"offeredPrice":1,"itemCount":1,"saleExpiration":"2099-01-01"}"#;
    let line = client.post("/item/alice/plain", plain).expect(201).json()["items"][0].clone();
    assert_eq!((&line["specialSale"], &line["saleActive"]), (&false.into(), &false.into()));
    let endless = r#"{"offeredPrice":1,"itemCount":1,"specialSale":true}"#;
    let line = client.post("/item/bob/endless", endless).expect(201).json()["items"][0].clone();
    assert_eq!((&line["saleExpiration"], &line["saleActive"]), (&serde_json::Value::Null, &true.into()));
}

#[test]
fn the_tag_changes_when_a_sale_ends() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    let expiration = jiff::Timestamp::now() + SALE;
    let during = add_sale(&mut client, "/item/alice/tea", &expiration.to_string()).expect(201);
    assert_eq!(during.json()["items"][0]["saleActive"], true);
    let after = eventually("the sale ends", || {
        let cart = client.get("/items/alice").expect(200);
        (cart.json()["items"][0]["saleActive"] == false).then_some(cart)
    });
    assert!(jiff::Timestamp::now() >= expiration);
    assert_eq!(after.version(), during.version(), "nothing was written");
    assert_ne!(after.etag(), during.etag());
    let unchanged = |tag: &str| store.client().call("GET", "/items/alice").header("If-None-Match", tag).send().status;
    assert_eq!((unchanged(&during.etag()), unchanged(&after.etag())), (200, 304));
    let stale = client.call("DELETE", "/item/alice/tea").header("If-Match", &during.etag()).send();
    stale.expect_problem(412, "If-Match");
    client.call("DELETE", "/item/alice/tea").header("If-Match", &after.etag()).send().expect(200);
}
