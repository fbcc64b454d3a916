//! The OpenAPI document: it is valid, code generators understand it, the router and real answers agree with it, and
//! Swagger UI shows it.

use std::collections::BTreeSet;
use std::io::Read as _;

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use shardcart::http::templates;

use crate::harness::{Client, Document, Setup, Store, offer};

/// The official schema of documents, https://spec.openapis.org/oas/3.1/schema/2022-10-07 (Apache-2.0).
const OPENAPI_SCHEMA: &str = include_str!("openapi-3.1-schema.json");
/// The development key, which works on loopback while no other key is configured.
const DEVELOPMENT_KEY: &str = "secret123";

fn start() -> (Store, Client, Document) {
    let store = Setup::new(1).start();
    let mut client = store.client();
    let document = Document::of(&mut client);
    (store, client, document)
}

/// Every value in a document, with the names that lead to it.
fn each<'a>(value: &'a Value, path: &str, visit: &mut impl FnMut(&str, &'a Value)) {
    visit(path, value);
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| each(value, &format!("{path}/{name}"), visit));
        }
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(index, value)| each(value, &format!("{path}/{index}"), visit));
        }
        _ => {}
    }
}

#[test]
fn it_is_a_valid_document() {
    let (_store, _, document) = start();
    let schema = serde_json::from_str(OPENAPI_SCHEMA).expect("the official schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the official schema is one");
    let complaints: Vec<_> =
        validator.iter_errors(document.root()).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    let schemas = document.root()["components"]["schemas"].as_object().expect("schemas");
    for (name, schema) in schemas {
        assert!(jsonschema::meta::is_valid(schema), "{name} is no JSON schema");
    }
}

#[test]
fn json_and_yaml_say_the_same() {
    let (_store, mut client, document) = start();
    let yaml = client.call("GET", "/openapi.yaml").send_as_documented(&document).expect(200);
    assert_eq!(yaml.header("content-type"), Some("application/yaml"));
    let parsed: Value = serde_saphyr::from_str(&yaml.text()).expect("it is YAML");
    assert_eq!(&parsed, document.root());
    let json = client.call("GET", "/openapi.json").send_as_documented(&document).expect(200);
    assert_eq!(json.header("content-type"), Some("application/json"));
    let order = |text: &str, first: &str, then: &str| text.find(first) < text.find(then);
    assert!(order(&json.text(), "\"/kv/{key}\":", "\"/api/books\":"), "paths are in the order they are written in");
}

#[test]
fn everything_in_it_is_described_and_used() {
    let (_store, _, document) = start();
    let mut used = BTreeSet::new();
    each(document.root(), "#", &mut |_, value| {
        if value.get("$ref").is_some_and(Value::is_string) {
            document.resolve(value);
            used.insert(value["$ref"].as_str().unwrap_or_default().to_owned());
        }
    });
    for section in ["schemas", "responses", "parameters", "headers"] {
        for name in document.root()["components"][section].as_object().expect(section).keys() {
            assert!(used.contains(&format!("#/components/{section}/{name}")), "{section}: nothing uses {name}");
        }
    }
    let tags = document.root()["tags"].as_array().expect("tags").iter().map(|tag| &tag["name"]).collect::<Vec<_>>();
    let mut ids = BTreeSet::new();
    for (template, method, operation) in document.operations() {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {template}: no operationId"));
        assert!(ids.insert(id), "{id} is there twice");
        assert!(operation["summary"].is_string(), "{id}: no summary");
        assert!(operation["tags"].as_array().is_some_and(|own| own.len() == 1 && tags.contains(&&own[0])), "{id}");
        document.example_path(template);
    }
}

#[test]
fn it_has_the_version_of_the_package() {
    let (_store, _, document) = start();
    assert_eq!(document.root()["info"]["version"], env!("CARGO_PKG_VERSION"));
}

/// Checks that each operation has `security`, also when it needs no key, since linters refuse one without.
#[test]
fn every_operation_says_whether_it_needs_a_key() {
    let (_open, _, document) = start();
    let store = Setup::new(1).facade_options(&["--require-key"]).start();
    let mut client = store.client();
    for (template, method, operation) in document.operations() {
        let (expected, status) = match template {
            "/livez" | "/readyz" | "/shop" | "/assets/{file}" => (json!([]), 200),
            _ if template.starts_with("/api/") => (json!([{"apiKey": []}]), 401),
            _ => (json!([{}, {"apiKey": []}]), 401),
        };
        assert_eq!(operation["security"], expected, "{method} {template}");
        client.call(&method, &document.example_path(template)).send_as_documented(&document).expect(status);
    }
}

/// Checks that schemas have a type, without which generated clients have `unknown` or `Any`, and no default, which
/// makes an optional property of a request required in TypeScript.
#[test]
fn generators_find_a_type_and_no_default() {
    let (_store, _, document) = start();
    let mut schemas = 0;
    each(document.root(), "#", &mut |path, value| {
        let mut names = path.rsplit('/');
        let (name, parent) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        let is_member = matches!(parent, "properties" | "schemas" | "anyOf" | "oneOf" | "allOf");
        if !value.is_object() || !(is_member || matches!(name, "schema" | "items")) {
            return;
        }
        let has = |keyword: &str| value.get(keyword).is_some();
        assert!(["type", "$ref", "anyOf", "oneOf", "allOf"].into_iter().any(has), "{path}: no type");
        assert!(parent != "properties" || !has("default"), "{path}: a default");
        schemas += 1;
    });
    assert!(schemas > 200, "{schemas} schemas were found");
}

#[test]
fn examples_fit_their_schemas() {
    let (_store, _, document) = start();
    let mut checked = 0;
    each(document.root(), "#", &mut |path, value| {
        let Value::Object(members) = value else { return };
        let (schema, mut examples) = match members.get("schema") {
            Some(schema) => (schema, Vec::new()),
            None => (value, members.get("examples").and_then(Value::as_array).into_iter().flatten().collect()),
        };
        examples.extend(members.get("example").filter(|_| members.contains_key("schema")));
        for example in examples {
            let complaints = document.complaints(schema, example);
            assert!(complaints.is_empty(), "{path}: {example}: {complaints:#?}");
            checked += 1;
        }
    });
    assert!(checked > 50, "{checked} examples were found");
}

#[test]
fn it_has_the_paths_of_the_router() {
    let (_store, mut client, document) = start();
    let documented: BTreeSet<_> = document.paths().into_iter().collect();
    assert_eq!(documented, templates().into_iter().collect());
    for template in documented {
        let path = document.example_path(template);
        let answer = client.call("PROPFIND", &path).header("X-API-Key", DEVELOPMENT_KEY).send();
        let is_executed = ["/find", "/buy", "/replenish"].iter().any(|prefix| template.starts_with(prefix));
        let answer = if is_executed { answer.expect_executed_problem(405, "") } else { answer.expect_problem(405, "") };
        let allowed: BTreeSet<_> = answer.header("allow").expect("Allow").split(", ").map(str::to_owned).collect();
        let operations = document.operations().into_iter().filter(|operation| operation.0 == template);
        let mut expected: BTreeSet<_> = operations.map(|(_, method, _)| method).collect();
        if expected.contains("GET") {
            expected.insert("HEAD".into());
        }
        assert_eq!(allowed, expected, "{template}");
    }
}

#[test]
fn a_wrong_answer_is_noticed() {
    let (_store, mut client, document) = start();
    client.post("/item/alice/tea", &offer("0.07", 3)).expect(201);
    let cart = client.get("/items/alice").expect(200).json();
    let schema = json!({"$ref": "#/components/schemas/Cart"});
    assert_eq!(document.complaints(&schema, &cart), Vec::<String>::new());
    for (pointer, wrong) in [
        ("/version", json!(-1)),
        ("/version", json!("1")),
        ("/total", json!("0.21")),
        ("/updatedAt", json!("today")),
        ("/updatedAt", json!("2026-11-23T14:26:53+01:00")),
        ("/items/0/offeredPrice", json!(0.071)),
        ("/items/0/itemCount", json!(0)),
        ("/items/0/saleActive", json!(null)),
        ("/items/0/itemId", json!("")),
        ("/items/0", json!({})),
    ] {
        let mut altered = cart.clone();
        *altered.pointer_mut(pointer).expect("a member of a cart") = wrong;
        assert_ne!(document.complaints(&schema, &altered), Vec::<String>::new(), "{pointer}: {altered}");
    }
}

#[test]
fn answers_about_carts_are_as_it_says() {
    let (_store, mut client, document) = start();
    let (cart, line) = ("/items/Zo%C3%AB", "/item/Zo%C3%AB/tea");
    let sale = r#"{"offeredPrice":"9999999999.99","itemCount":7,"specialSale":true,"saleExpiration":"2030-01-01"}"#;
    client.call("GET", cart).send_as_documented(&document).expect(200);
    let keyed = |client: &mut Client, body: &str| {
        client.call("POST", line).header("Idempotency-Key", "k").json(body).send_as_documented(&document)
    };
    keyed(&mut client, &offer("12.10", 2)).expect(201);
    assert!(keyed(&mut client, &offer("12.10", 2)).expect(201).is_replayed());
    keyed(&mut client, &offer("12.10", 3)).expect(422);
    client.call("POST", line).json(sale).send_as_documented(&document).expect(200);
    let tag = client.call("GET", cart).send_as_documented(&document).expect(200).etag();
    client.call("HEAD", cart).send_as_documented(&document).expect(200);
    client.call("GET", cart).header("If-None-Match", &tag).send_as_documented(&document).expect(304);
    for (body, status) in [("{", 400), (r#"{"newCount":-1}"#, 400), (r#"{"newCount":5}"#, 200)] {
        client.call("PUT", line).json(body).send_as_documented(&document).expect(status);
    }
    client.call("PUT", line).body("1").send_as_documented(&document).expect(415);
    client.call("POST", line).json(&offer("1", 1_000_000)).send_as_documented(&document).expect(409);
    client.call("POST", line).json(&" ".repeat(70_000)).send_as_documented(&document).expect(413);
    client.call("DELETE", cart).header("If-Match", "\"1\"").send_as_documented(&document).expect(412);
    client.call("DELETE", &format!("{line}x")).send_as_documented(&document).expect(404);
    client.call("POST", "/item/a/b").json(&offer("0.07", 1)).send_as_documented(&document).expect(201);
    client.call("DELETE", "/item/a/b").send_as_documented(&document).expect(200);
    client.call("DELETE", cart).send_as_documented(&document).expect(200);
    client.call("DELETE", cart).send_as_documented(&document).expect(404);
    client.call("GET", "/items/%00").send_as_documented(&document).expect(400);
}

#[test]
fn answers_about_keys_are_as_it_says() {
    let (_store, mut client, document) = start();
    client.call("GET", "/kv/a").send_as_documented(&document).expect(404);
    client.call("PUT", "/kv/a").body("Zoë").send_as_documented(&document).expect(201);
    client.call("PUT", "/kv/a").body("").send_as_documented(&document).expect(200);
    client.call("PUT", "/kv/a").body("\u{e9}".repeat(513)).send_as_documented(&document).expect(413);
    client.call("PUT", "/kv/a").body(b"\xff").send_as_documented(&document).expect(400);
    client.call("PUT", "/kv/a").header("If-Match", "\"0\"").send_as_documented(&document).expect(412);
    for (body, status) in [("one", 200), ("one", 200), ("two", 422)] {
        let put = client.call("PUT", "/kv/a").header("Idempotency-Key", "k").body(body);
        put.send_as_documented(&document).expect(status);
    }
    let tag = client.call("GET", "/kv/a").send_as_documented(&document).expect(200).etag();
    client.call("GET", "/kv/a").header("If-None-Match", &tag).send_as_documented(&document).expect(304);
    client.call("DELETE", "/kv/a").send_as_documented(&document).expect(200);
    client.call("DELETE", "/kv/a").send_as_documented(&document).expect(404);
    client.call("GET", "/kv/a-b").send_as_documented(&document).expect(400);
}

#[test]
fn answers_for_operators_are_as_it_says() {
    let (mut store, mut client, document) = start();
    for (path, status) in [
        ("/", 200),
        ("/livez", 200),
        ("/readyz", 200),
        ("/readyz?shards=1", 200),
        ("/readyz?shards=0", 400),
        ("/metrics", 200),
        ("/status", 200),
        ("/status?history=900", 200),
        ("/status?history=0", 400),
        ("/status?history=901", 400),
        ("/status/slots", 200),
        ("/where/alice", 200),
        ("/where/%00", 400),
        ("/problems/conflict", 200),
        ("/problems/none", 404),
        ("/docs", 308),
        ("/docs/", 200),
        ("/docs/index.css", 200),
        ("/docs/swagger-ui-bundle.js", 200),
        ("/docs/favicon-16x16.png", 200),
        ("/docs/none.css", 404),
        ("/shop", 200),
        ("/shop/", 308),
        ("/assets/base.css", 200),
        ("/assets/status-page.js", 200),
        ("/assets/icon.svg", 200),
        ("/assets/status.html", 404),
        ("/assets/%ff", 400),
    ] {
        for method in ["GET", "HEAD"] {
            client.call(method, path).send_as_documented(&document).expect(status);
        }
    }
    store.shards[0].kill();
    client.call("GET", "/readyz").send_as_documented(&document).expect(503);
}

#[test]
fn what_a_browser_loads_is_compressed_for_those_who_take_it_so() {
    let (_store, mut client, _) = start();
    for path in ["/openapi.json", "/openapi.yaml", "/docs/swagger-ui-bundle.js"] {
        let plain = client.get(path).expect(200);
        assert_eq!((plain.header("content-encoding"), plain.header("vary")), (None, Some("accept-encoding")), "{path}");
        for _ in 0..2 {
            let packed = client.call("GET", path).header("Accept-Encoding", "br, gzip").send().expect(200);
            assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}");
            assert_eq!(packed.header("content-type"), plain.header("content-type"), "{path}");
            assert!(packed.body.len() < plain.body.len() / 2, "{path}: {} of {}", packed.body.len(), plain.body.len());
            let mut unpacked = Vec::new();
            GzDecoder::new(&*packed.body).read_to_end(&mut unpacked).expect("it is gzip");
            assert!(unpacked == plain.body, "{path}");
        }
    }
}

#[test]
fn each_code_is_listed_with_its_type() {
    let (_store, mut client, document) = start();
    let listed = document.root()["components"]["schemas"]["ProblemCode"]["enum"].as_array().expect("a list");
    let documented: BTreeSet<_> = listed.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api.md")).expect("docs/api.md");
    let rows = page.lines().skip_while(|line| !line.starts_with("| `type` under")).skip(2);
    let mut found = BTreeSet::new();
    for row in rows.take_while(|line| line.starts_with('|')) {
        let quoted: Vec<_> = row.split('`').skip(1).step_by(2).collect();
        let (name, codes) = quoted.split_first().expect("a type");
        let text = client.get(&format!("/problems/{name}")).expect(200).text();
        assert!(text.ends_with(&format!("code: {}\n", codes.join(", "))), "{row}: {text}");
        found.extend(codes.iter().map(ToString::to_string));
    }
    assert_eq!(found, documented);
}

#[test]
fn swagger_ui_has_all_it_needs() {
    let (_store, mut client, document) = start();
    assert_eq!(client.get("/docs").expect(308).header("location"), Some("docs/"));
    let page = client.get("/docs/").expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
    let page = page.text();
    let linked = ["href=\"", "src=\""].iter().flat_map(|mark| page.split(mark).skip(1));
    let files: BTreeSet<_> = linked.filter_map(|rest| rest.split('"').next()?.strip_prefix("./")).collect();
    assert!(files.contains("swagger-initializer.js") && files.len() > 4, "{files:?}");
    for file in files {
        let answer = client.get(&format!("/docs/{file}")).expect(200);
        let expected = match file.rsplit('.').next() {
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            _ => "image/png",
        };
        assert_eq!(answer.header("content-type"), Some(expected), "{file}");
        assert!(!answer.body.is_empty(), "{file}");
    }
    let initializer = client.get("/docs/swagger-initializer.js").text();
    assert!(initializer.contains("\"../openapi.json\""));
    assert!(initializer.contains("\"persistAuthorization\": false"), "{initializer}");
    let scheme = &document.root()["components"]["securitySchemes"]["apiKey"];
    assert_eq!((&scheme["in"], &scheme["name"]), (&"header".into(), &"X-API-Key".into()));
}
