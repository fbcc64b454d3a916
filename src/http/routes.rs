//! The list of all endpoints, the most used first.

use std::sync::Arc;

use warp::Filter;

use super::api::{carts, deliveries, lists, operations, orders, pages, playground, products, status, values};
use super::endpoint::{Endpoints, Route, answer, any_of};
use super::problem::Problem;
use super::request::HttpRequest;
use super::shop::Shop;
use crate::protocol::RequestClass;

/// The groups of the shop's ports. A path belongs to the first endpoint whose template fits.
const GROUPS: [&Endpoints; 10] = [
    &carts::ENDPOINTS,
    &values::ENDPOINTS,
    &orders::ENDPOINTS,
    &products::ENDPOINTS,
    &lists::ENDPOINTS,
    &deliveries::ENDPOINTS,
    &operations::ENDPOINTS,
    &pages::ENDPOINTS,
    &status::ENDPOINTS,
    &playground::ENDPOINTS,
];
/// The number of groups, from the first on, that are what the store is for. The others are about the store itself.
const SHOP_GROUPS: usize = 6;

/// The paths on which a write places an order or changes one.
const ORDER_ROUTES: [&str; 5] =
    ["/purchase/{bookId}", "/buy", "/api/orders", "/checkout/{customerId}", "/api/orders/{order_id}/cancel"];

/// Every path of the shop as a template, such as `/items/{customerId}`.
pub fn templates() -> Vec<&'static str> {
    GROUPS.iter().flat_map(|group| group.templates).copied().collect()
}

/// The class of a request to a path, which is a template or the text for paths without one; `None` for paths that are about
/// the store itself, such as probes and metrics.
pub fn class_of(template: &str, method: &str) -> Option<RequestClass> {
    if GROUPS[SHOP_GROUPS..].iter().any(|group| group.templates.contains(&template)) {
        return None;
    }
    Some(match method {
        "GET" | "HEAD" => RequestClass::Read,
        _ if ORDER_ROUTES.contains(&template) => RequestClass::Order,
        _ => RequestClass::Write,
    })
}

/// The template that fits a path.
pub fn find(path: &str) -> Option<&'static str> {
    let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
    GROUPS.iter().flat_map(|group| group.templates).copied().find(|template| fits(template, path))
}

fn fits(template: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    let every_one_fits =
        template.split('/').all(|part| segments.next().is_some_and(|segment| part == segment || part.starts_with('{')));
    every_one_fits && segments.next().is_none()
}

/// The routes of the shop's ports.
pub fn shop(shop: &Arc<Shop>) -> Route {
    let [carts, values, orders, products, lists, deliveries, operations, pages, status, playground] =
        GROUPS.map(|group| (group.route)(shop));
    // `or` clones its second filter for every request: one filter for all others costs one clone.
    let others =
        any_of!(values, orders, products, lists, deliveries, operations, pages, status, playground, no_such_path(shop));
    any_of!(carts, others)
}

/// The routes of the key-value port.
pub fn key_value(shop: &Arc<Shop>) -> Route {
    any_of!((values::PORT.route)(shop), no_such_path(shop))
}

fn no_such_path(shop: &Arc<Shop>) -> Route {
    let shop = shop.clone();
    let refuse = move |request: Arc<HttpRequest>| answer(&shop, &request, Err(Problem::no_such_path()));
    warp::ext::get::<Arc<HttpRequest>>().map(refuse).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_classes_unless_they_are_about_the_store() {
        for route in ORDER_ROUTES {
            assert!(templates().contains(&route), "{route}");
            assert_eq!(class_of(route, "POST"), Some(RequestClass::Order), "{route}");
        }
        for (route, method, class) in [
            ("/items/{customerId}", "GET", Some(RequestClass::Read)),
            ("/items/{customerId}", "DELETE", Some(RequestClass::Write)),
            ("/api/orders", "GET", Some(RequestClass::Read)),
            ("other", "PUT", Some(RequestClass::Write)),
            ("/", "GET", None),
            ("/livez", "GET", None),
            ("/metrics", "HEAD", None),
            ("/status/stream", "POST", None),
        ] {
            assert_eq!(class_of(route, method), class, "{method} {route}");
        }
    }

    #[test]
    fn a_path_has_the_template_that_fits() {
        for (path, template) in [
            ("/items/alice", Some("/items/{customerId}")),
            ("/items/alice/", Some("/items/{customerId}")),
            ("/item/alice/a%2Fb", Some("/item/{customerId}/{itemId}")),
            ("/livez", Some("/livez")),
            ("/docs/", Some("/docs")),
            ("/docs/index.css", Some("/docs/{file}")),
            ("/items", None),
            ("/items/alice/tea", None),
            ("/", Some("/")),
            ("", None),
        ] {
            assert_eq!(find(path), template, "{path}");
        }
    }
}
