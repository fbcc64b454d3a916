//! Compares output with the output in a document. Times, versions, ids and lengths may differ, white space is ignored,
//! and `…` in the document stands for any text.

/// The character that stands for any text in a document's output.
const ANYTHING: char = '…';
/// Texts after which digits may differ.
const BEFORE_NUMBERS: [&str; 4] = ["\"version\":", "etag: \"", "content-length: ", "ready after "];
/// Texts after which the rest of the line may differ.
const BEFORE_TEXT: [&str; 2] = ["date: ", "x-request-id: "];
/// A text after which the rest of the JSON string may differ.
const BEFORE_STRING: &str = "\"request_id\":\"";
const UUID_CHARS: usize = 36;
/// The lengths of hexadecimal texts that may differ: ids of API keys, API keys, SHA-256.
const HEX_CHARS: [usize; 3] = [12, 48, 64];

/// True when the output matches the document's.
pub fn is_as_shown(shown: &str, output: &str) -> bool {
    let (shown, output) = (comparable(shown), comparable(output));
    let pieces: Vec<_> = shown.split(ANYTHING).collect();
    match pieces.as_slice() {
        [first, between @ .., last] => {
            let rest = output.strip_prefix(first).and_then(|rest| rest.strip_suffix(last));
            rest.and_then(|rest| between.iter().try_fold(rest, |rest, piece| Some(rest.split_once(piece)?.1))).is_some()
        }
        _ => shown == output,
    }
}

/// The text without white space, and with placeholders for the parts that may differ.
fn comparable(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    let mut before = ' ';
    while let Some(char) = rest.chars().next() {
        let (length, placeholder) = match volatile(rest, before) {
            Some((length, placeholder)) => (length, placeholder),
            None => (char.len_utf8(), if char.is_whitespace() { "" } else { &rest[..char.len_utf8()] }),
        };
        out.push_str(placeholder);
        before = rest[..length].chars().next_back().unwrap_or(char);
        rest = &rest[length..];
    }
    out
}

/// The length of a part that may differ at the beginning of a text, and its placeholder.
fn volatile(text: &str, before: char) -> Option<(usize, &'static str)> {
    let span = |of: fn(char) -> bool| text.find(|char| !of(char)).unwrap_or(text.len());
    for prefix in BEFORE_NUMBERS {
        if let Some(rest) = text.strip_prefix(prefix) {
            let digits = rest.find(|char: char| !char.is_ascii_digit() && char != '.').unwrap_or(rest.len());
            return Some((prefix.len() + digits, "<NUMBER>"));
        }
    }
    for prefix in BEFORE_TEXT {
        if let Some(rest) = text.strip_prefix(prefix) {
            return Some((prefix.len() + rest.find(['\r', '\n']).unwrap_or(rest.len()), "<TEXT>"));
        }
    }
    if let Some(rest) = text.strip_prefix(BEFORE_STRING) {
        return Some((BEFORE_STRING.len() + rest.find('"').unwrap_or(rest.len()), "<STRING>"));
    }
    if before.is_ascii_alphanumeric() {
        return None;
    }
    if text.get(..UUID_CHARS).is_some_and(is_uuid) {
        return Some((UUID_CHARS, "<UUID>"));
    }
    let hex = span(|char| char.is_ascii_hexdigit());
    if HEX_CHARS.contains(&hex) {
        return Some((hex, "<HEX>"));
    }
    let time = span(|char| char.is_ascii_digit() || "-:.TZ".contains(char));
    (text[..time].ends_with('Z') && text.as_bytes().get(4) == Some(&b'-')).then_some((time, "<TIME>"))
}

fn is_uuid(text: &str) -> bool {
    let is_hyphen = |at| [8, 13, 18, 23].contains(&at);
    text.char_indices().all(|(at, char)| if is_hyphen(at) { char == '-' } else { char.is_ascii_hexdigit() })
}

#[test]
fn only_parts_that_may_differ_are_ignored() {
    let shown = "etag: \"4\"\r\n{\"version\":4,\n  \"at\":\"2026-11-23T17:41:02.3Z\",\"id\":\"01a2097f-3a10-8e62-b8b9-99dfe5f6eded\"}\n";
    let output = "etag: \"17\"\n{\"version\":17,\"at\":\"2027-01-01T00:00:00Z\",\"id\":\"f1a2097f-3a10-8e62-b8b9-99dfe5f6edee\"}";
    assert!(is_as_shown(shown, output));
    for (shown, output, is_same) in [
        ("{\"total\":24.20}", "{\"total\":24.21}", false),
        ("{\"total\":24.20}", "{\"total\":24.20", false),
        ("{\"a\":1,…}", "{\"a\":1,\"b\":2}", true),
        ("{\"a\":1,…}", "{\"a\":2,\"b\":2}", false),
        ("{…,\"z\":1}", "{\"a\":1,\"z\":1}", true),
        ("{…,\"z\":1}", "{\"a\":1,\"z\":1},\"z\":1}", true),
        ("{…,\"z\":1}", "{\"a\":1,\"z\":2}", false),
        ("{…,\"z\":1}", "{\"a\":1,\"z\":1}}", false),
        ("", "anything", false),
        ("4242424242424242", "4242424242424243", false),
    ] {
        assert_eq!(is_as_shown(shown, output), is_same, "{shown} beside {output}");
    }
}
