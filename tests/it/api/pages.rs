//! The pages for people as files: what a browser gets, may keep, and may load. What they do is in `browser/`.

use std::collections::BTreeSet;

use crate::harness::{Answer, Client, Setup};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// What a browser sends when somebody opens a page.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

fn open(client: &mut Client, path: &str) -> Answer {
    client.call("GET", path).header("Accept", BROWSER).send()
}

/// The files that a text names in quotes after one of these marks.
fn named(text: &str, marks: &[&str], ending: &str) -> BTreeSet<String> {
    let after = marks.iter().flat_map(|mark| text.split(mark).skip(1));
    after.filter_map(|rest| rest.split('"').next()).filter(|name| name.ends_with(ending)).map(str::to_owned).collect()
}

#[test]
fn a_browser_gets_the_page_and_a_program_the_index() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    let page = open(&mut client, "/").expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("vary"), Some("accept"));
    assert!(page.text().starts_with("<!doctype html>"));
    for accept in ["*/*", "application/json", "text/html;q=0, */*", "text/htmlx"] {
        let index = client.call("GET", "/").header("Accept", accept).send().expect(200);
        assert_eq!(index.header("vary"), Some("accept"), "{accept}");
        assert_eq!(index.json()["links"]["shop"], "/shop", "{accept}");
    }
    assert_eq!(client.get("/").expect(200).json()["name"], "shardcart");
    let shop = client.get("/shop").expect(200);
    assert_eq!(shop.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(client.get("/shop/").expect(308).header("location"), Some("../shop"));
}

#[test]
fn every_file_has_the_policy_and_is_kept_until_it_changes() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    for path in ["/", "/shop", "/assets/base.css", "/assets/status-page.js", "/assets/icon.svg"] {
        let answer = open(&mut client, path).expect(200);
        assert_eq!(answer.header("content-security-policy"), Some(POLICY), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "{path}");
        let tag = answer.etag();
        let again = client.call("GET", path).header("Accept", BROWSER).header("If-None-Match", &tag).send().expect(304);
        assert_eq!((again.etag(), again.header("content-security-policy")), (tag, Some(POLICY)), "{path}");
        let other = client.call("GET", path).header("Accept", BROWSER).header("If-None-Match", "\"1\"").send();
        assert_eq!(other.expect(200).body, answer.body, "{path}");
        client.call("GET", path).header("Accept", BROWSER).header("If-None-Match", "x").send().expect(400);
    }
}

/// Follows every link and import from both pages: they lead to files of the store only, and reach all of them.
#[test]
fn the_pages_have_all_they_need_and_nothing_from_elsewhere() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    let mut waiting = Vec::new();
    for path in ["/", "/shop"] {
        let page = open(&mut client, path).expect(200).text();
        assert!(
            !page.contains("style=\"") && !page.contains("<style") && page.matches("<script").count() == 1,
            "{path}"
        );
        let files = named(&page, &["src=\"", "href=\""], "");
        waiting.extend(files.iter().filter_map(|file| file.strip_prefix("assets/")).map(str::to_owned));
        assert!(files.iter().all(|file| !file.contains("//")), "{path}: {files:?}");
    }
    let mut seen = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let answer = client.get(&format!("/assets/{name}")).expect(200);
        let expected = match name.rsplit('.').next() {
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(answer.header("content-type"), Some(expected), "{name}");
        let text = answer.text();
        assert!(expected.starts_with("image") || !text.contains("https://"), "{name}");
        let imports = named(&text, &["from \"", "import \""], ".js");
        waiting.extend(imports.iter().map(|import| import.strip_prefix("./").expect("a file beside it").to_owned()));
    }
    assert!(seen.len() > 30, "{seen:?}");
}

#[test]
fn the_pages_need_no_key_where_all_else_does() {
    let store = Setup::new(1).facade_options(&["--require-key"]).start();
    let mut client = store.client();
    for path in ["/", "/shop", "/assets/base.css"] {
        assert_eq!(open(&mut client, path).expect(200).header("cache-control"), Some("no-cache"), "{path}");
        client.call("POST", path).header("Accept", BROWSER).send().expect_problem(401, "");
    }
    client.get("/").expect_problem(401, "");
    open(&mut client, "/items/alice").expect_problem(401, "");
    client.get("/assets/none.js").expect_problem(404, "");
}
