//! The shop's paths as templates: one list that names the routes in metrics and that the OpenAPI
//! document is held against.

/// Every path of the shop, hot ones first. A request's path belongs to the first that fits.
pub const PATHS: &[&str] = &[
    "/items/{customerId}",
    "/item/{customerId}/{itemId}",
    "/checkout/{customerId}",
    "/find/{id}",
    "/buy",
    "/replenish",
    "/search/{topic}",
    "/info/{bookId}",
    "/purchase/{bookId}",
    "/catalog/books",
    "/catalog/books/{id}",
    "/api/books",
    "/api/books/{isbn}",
    "/api/orders",
    "/api/orders/{order_id}",
    "/api/delivery",
    "/api/delivery/{id}",
    "/kv/{key}",
    "/livez",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/openapi.yaml",
    "/docs",
    "/docs/{file}",
];

/// Which of [`PATHS`] a request's path is of.
pub fn position(path: &str) -> Option<usize> {
    let path = path.strip_suffix('/').unwrap_or(path);
    PATHS.iter().position(|template| fits(template, path))
}

fn fits(template: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    let every_one_fits =
        template.split('/').all(|part| segments.next().is_some_and(|segment| part == segment || part.starts_with('{')));
    every_one_fits && segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_of_the_template_that_it_fits() {
        for (path, template) in [
            ("/items/alice", Some("/items/{customerId}")),
            ("/items/alice/", Some("/items/{customerId}")),
            ("/item/alice/a%2Fb", Some("/item/{customerId}/{itemId}")),
            ("/livez", Some("/livez")),
            ("/docs/", Some("/docs")),
            ("/docs/index.css", Some("/docs/{file}")),
            ("/items", None),
            ("/items/alice/tea", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(position(path).map(|position| PATHS[position]), template, "{path}");
        }
    }
}
