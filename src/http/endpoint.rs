//! Endpoints: one declaration for a path, its methods and their handlers. A group's table of them generates the warp
//! filter, the templates for metrics and the OpenAPI document, and the 405 responses with `Allow`.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use warp::filters::BoxedFilter;

use super::problem::HttpResult;
use super::request::HttpRequest;
use super::shop::Shop;

/// A filter that answers every method on its paths, so that a matching path never ends in a warp rejection.
pub type Route = BoxedFilter<(Response<Bytes>,)>;

/// The endpoints of a group, which [`endpoints!`] declares.
pub struct Endpoints {
    /// The paths as templates, such as `/items/{customerId}`.
    pub templates: &'static [&'static str],
    /// Builds a worker's filter.
    pub route: fn(&Arc<Shop>) -> Route,
}

/// Declares a group, such as `pub CARTS: "items" / {customerId} => { GET | HEAD => show, DELETE => take }`. A handler
/// gets the shop, the request, and a [`super::request::PathSegment`] for each name in its path. Without segments the
/// path is `/`.
macro_rules! endpoints {
    (
        $(#[$doc:meta])*
        $visibility:vis $name:ident:
        $( $( $($text:literal)? $({ $segment:ident })? )/+ => { $($methods:tt)+ } )+
    ) => {
        $(#[$doc])*
        #[allow(non_snake_case, reason = "segments have the names that the template shows")]
        $visibility const $name: $crate::http::endpoint::Endpoints = $crate::http::endpoint::Endpoints {
            templates: &[$( concat!($( "/", $($text,)? $("{", stringify!($segment), "}",)? )+) ),+],
            route: |shop| $crate::http::endpoint::any_of!($({
                use std::sync::Arc;
                use $crate::http::request::HttpRequest;

                let shop = shop.clone();
                let label = shop.metrics.label(concat!($( "/", $($text,)? $("{", stringify!($segment), "}",)? )+));
                warp::any()
                    $(
                        $( .and(warp::path($text)) )?
                        $( .and($crate::http::request::path_segment(stringify!($segment))) )?
                    )+
                    .and(warp::path::end())
                    .and(warp::ext::get::<Arc<HttpRequest>>())
                    .then(move |$( $( $segment, )? )+ request: Arc<HttpRequest>| {
                        let shop = shop.clone();
                        async move {
                            request.matched(label);
                            let result = $crate::http::endpoint::dispatch!(
                                request.method, (&shop, &request $( $( , $segment )? )+), $($methods)+
                            );
                            $crate::http::endpoint::answer(&shop, &request, result)
                        }
                    })
            }),+),
        };
    };
}

/// Calls the handler of the request's method; 405 for a method without one.
macro_rules! dispatch {
    ($actual:expr, $arguments:tt, $( $($method:ident)|+ => $handler:path ),+ $(,)?) => {
        match $actual {
            $( $( http::Method::$method )|+ => $handler $arguments.await, )+
            _ => {
                const ALLOW: &str = concat!($($( ", ", stringify!($method) ),+),+).split_at(2).1;
                Err($crate::http::problem::Problem::method_not_allowed(ALLOW))
            }
        }
    };
}

/// Tries filters in order; the first that matches answers.
macro_rules! any_of {
    ($first:expr $(, $other:expr)*) => {{
        use warp::Filter as _;
        $first$(.or($other).unify())*.boxed()
    }};
}

pub(super) use {any_of, dispatch, endpoints};

/// The response to a request. A problem carries an execution id where the path's other responses do.
pub fn answer(shop: &Shop, request: &HttpRequest, result: HttpResult) -> Response<Bytes> {
    result.unwrap_or_else(|problem| {
        problem.into_response(request.id(), request.execution_id(&shop.executions).as_deref())
    })
}
