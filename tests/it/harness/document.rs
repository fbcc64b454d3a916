//! The OpenAPI document as a store serves it, and the check of real responses against it.

use serde_json::{Map, Value, json};

use super::{Answer, Client};

/// The methods of operations, as a document writes them.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// An OpenAPI document.
pub struct Document(Value);

impl Document {
    /// Fetches the document of a store.
    pub fn of(client: &mut Client) -> Self {
        Document(client.get("/openapi.json").expect(200).json())
    }

    /// The whole document.
    pub fn root(&self) -> &Value {
        &self.0
    }

    /// Every path's template.
    pub fn paths(&self) -> Vec<&str> {
        object(&self.0["paths"]).keys().map(String::as_str).collect()
    }

    /// Every operation: its path's template, its method, and its description.
    pub fn operations(&self) -> Vec<(&str, String, &Value)> {
        let paths = object(&self.0["paths"]).iter();
        paths
            .flat_map(|(template, item)| {
                let operations = object(item).iter().filter(|(name, _)| METHODS.contains(&name.as_str()));
                operations.map(|(name, operation)| (template.as_str(), name.to_uppercase(), operation))
            })
            .collect()
    }

    /// The parameters of an operation, including those of its path.
    pub fn parameters<'a>(&'a self, template: &str, operation: &'a Value) -> Vec<&'a Value> {
        let of = |value: &'a Value| value["parameters"].as_array().into_iter().flatten();
        of(&self.0["paths"][template]).chain(of(operation)).map(|parameter| self.resolve(parameter)).collect()
    }

    /// A path whose parameters have the values of the document's examples.
    pub fn example_path(&self, template: &str) -> String {
        let (_, _, operation) =
            self.operations().into_iter().find(|operation| operation.0 == template).expect("a path of the document");
        let mut path = template.to_owned();
        for parameter in self.parameters(template, operation).iter().filter(|parameter| parameter["in"] == "path") {
            let (name, example) = (text(&parameter["name"]), text(&parameter["example"]));
            path = path.replace(&format!("{{{name}}}"), &example.replace(' ', "%20"));
        }
        assert!(!path.contains('{'), "{template}: a parameter has no example");
        path
    }

    /// Resolves a reference within the document. Any other value is returned unchanged.
    pub fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return value };
        let pointer = reference.strip_prefix('#').expect("references stay within the document");
        self.0.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }

    /// Validates a value against a schema of this document. Returns the errors; empty for a valid value.
    pub fn complaints(&self, schema: &Value, value: &Value) -> Vec<String> {
        let whole = json!({"components": self.0["components"], "allOf": [schema]});
        let options = jsonschema::options().should_validate_formats(true);
        let validator = options.build(&whole).unwrap_or_else(|error| panic!("{schema} is no schema: {error}"));
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
    }

    /// Asserts that an answer is as the document describes it: status, headers, media type and body. The path is the
    /// one that was sent. A 405 belongs to no operation and cannot be checked.
    #[track_caller]
    pub fn check(&self, method: &str, path: &str, answer: &Answer) {
        let what = format!("{method} {path} -> {}", answer.status);
        let described = if method == "HEAD" { "GET" } else { method };
        let found = self.operations().into_iter().find(|(template, name, _)| name == described && fits(template, path));
        let (_, _, operation) = found.unwrap_or_else(|| panic!("{what}: not in the document"));
        let response = &operation["responses"][answer.status.to_string()];
        assert!(!response.is_null(), "{what}: the status is not in the document\n{}", answer.text());
        let response = self.resolve(response);
        self.check_headers(&what, response, answer);
        if response["content"].is_null() {
            assert!(answer.body.is_empty(), "{what}: a body that is not in the document\n{}", answer.text());
            return;
        }
        let content_type = answer.header("content-type").unwrap_or_else(|| panic!("{what}: no Content-Type"));
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let content = &response["content"][media_type];
        assert!(!content.is_null(), "{what}: {media_type} is not in the document");
        if method != "HEAD" && !content["schema"].is_null() {
            let body = match media_type.rsplit(['/', '+']).next() {
                Some("json") => answer.json(),
                _ => answer.text().into(),
            };
            let complaints = self.complaints(&content["schema"], &body);
            assert!(complaints.is_empty(), "{what}: {complaints:#?}\n{body:#}");
        }
    }

    #[track_caller]
    fn check_headers(&self, what: &str, response: &Value, answer: &Answer) {
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            let header = self.resolve(header);
            let Some(value) = answer.header(&name.to_lowercase()) else {
                assert_ne!(header["required"], true, "{what}: no {name}");
                continue;
            };
            let is_number = header["schema"]["type"] == "integer";
            let value = if is_number { serde_json::from_str(value).expect("a number") } else { Value::from(value) };
            let complaints = self.complaints(&header["schema"], &value);
            assert!(complaints.is_empty(), "{what}: {name}: {complaints:#?}");
        }
    }
}

/// True when a path that was sent matches a template.
fn fits(template: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
    let (parts, segments): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    parts.len() == segments.len()
        && parts.iter().zip(segments).all(|(part, segment)| *part == segment || part.starts_with('{'))
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("not an object: {value}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}"))
}
