//! The paths: each filter matches one, takes every method, and ends in `then`, so that no error is
//! ever a rejection. Hot paths come first.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Response};
use warp::filters::BoxedFilter;
use warp::path::{FullPath, Tail};
use warp::{Filter, Reply, path};

use super::call::{Call, Segment};
use super::metrics::Metrics;
use super::problem::Problem;
use super::{carts, deliveries, kv, lists, openapi, ops, orders, products};
use crate::client::Client;

/// What the handlers of one worker share.
#[derive(Clone)]
pub struct Shop {
    /// The shards.
    pub client: Arc<Client>,
    /// What is counted.
    pub metrics: Metrics,
}

type Handled = Result<Response<Bytes>, Problem>;

fn reply(handled: Handled) -> Response<Bytes> {
    handled.unwrap_or_else(Problem::enclosed)
}

/// The complete request; `http::service` has put it there.
fn call() -> impl Filter<Extract = (Arc<Call>,), Error = warp::Rejection> + Copy {
    warp::ext::get::<Arc<Call>>()
}

fn with<T: Clone + Send>(value: &T) -> impl Filter<Extract = (T,), Error = Infallible> + Clone + use<T> {
    let value = value.clone();
    warp::any().map(move || value.clone())
}

/// The shop's paths.
pub fn shop(shop: &Shop) -> BoxedFilter<(impl Reply + use<>,)> {
    let items =
        path!("items" / Segment).and(with(shop)).and(call()).then(|customer, shop: Shop, call: Arc<Call>| async move {
            reply(carts::items(&shop.client, &call, customer).await)
        });
    let item = path!("item" / Segment / Segment).and(with(shop)).and(call()).then(
        |customer, item, shop: Shop, call: Arc<Call>| async move {
            reply(carts::item(&shop.client, &call, customer, item).await)
        },
    );
    items.or(item).unify().or(store(shop)).unify().or(api(shop)).unify().or(others(shop)).unify().boxed()
}

/// A path with one segment that a handler takes.
macro_rules! one {
    ($shop:expr, $path:expr, $handler:path) => {
        $path.and(with($shop)).and(call()).then(|segment: Segment, shop: Shop, call: Arc<Call>| async move {
            reply($handler(&shop.client, &call, segment).await)
        })
    };
}

/// A path without any.
macro_rules! none {
    ($shop:expr, $path:expr, $handler:path) => {
        $path
            .and(with($shop))
            .and(call())
            .then(|shop: Shop, call: Arc<Call>| async move { reply($handler(&shop.client, &call).await) })
    };
}

fn store(shop: &Shop) -> BoxedFilter<(Response<Bytes>,)> {
    let checkout = one!(shop, path!("checkout" / Segment), orders::checkout);
    let find = one!(shop, path!("find" / Segment), products::find);
    let buy = none!(shop, path!("buy"), products::buy);
    let replenish = none!(shop, path!("replenish"), products::replenish);
    let search = one!(shop, path!("search" / Segment), lists::search);
    let info = one!(shop, path!("info" / Segment), products::info);
    let purchase = one!(shop, path!("purchase" / Segment), orders::purchase);
    let catalog = none!(shop, path!("catalog" / "books"), catalog);
    let entry = one!(shop, path!("catalog" / "books" / Segment), products::entry);
    let orders = checkout.or(find).unify().or(buy).unify().or(replenish).unify().or(search).unify();
    orders.or(info).unify().or(purchase).unify().or(catalog).unify().or(entry).unify().boxed()
}

fn api(shop: &Shop) -> BoxedFilter<(Response<Bytes>,)> {
    let books = none!(shop, path!("api" / "books"), lists::books);
    let book = one!(shop, path!("api" / "books" / Segment), lists::book);
    let orders = none!(shop, path!("api" / "orders"), orders::create);
    let order = one!(shop, path!("api" / "orders" / Segment), orders::get);
    let deliveries = none!(shop, path!("api" / "delivery"), deliveries::create);
    let delivery = one!(shop, path!("api" / "delivery" / Segment), deliveries::one);
    let read = books.or(book).unify().or(orders).unify().or(order).unify();
    read.or(deliveries).unify().or(delivery).unify().boxed()
}

async fn catalog(client: &Client, call: &Call) -> Handled {
    match call.method {
        Method::GET | Method::HEAD => lists::catalog(client, call).await,
        Method::POST => products::create(client, call).await,
        _ => Err(Problem::method_not_allowed("GET, HEAD, POST")),
    }
}

fn others(shop: &Shop) -> BoxedFilter<(Response<Bytes>,)> {
    let kv = path!("kv" / Segment)
        .and(with(shop))
        .and(call())
        .then(|key, shop: Shop, call: Arc<Call>| async move { reply(kv::value(&shop.client, &call, key).await) });
    kv.or(operations(shop)).unify().or(nothing()).unify().boxed()
}

fn operations(shop: &Shop) -> BoxedFilter<(Response<Bytes>,)> {
    let livez = path!("livez").and(call()).then(|call: Arc<Call>| async move { reply(ops::livez(&call)) });
    let readyz = path!("readyz").and(with(shop)).and(call()).and(query()).then(
        |shop: Shop, call: Arc<Call>, query: Option<String>| async move {
            reply(ops::readyz(&shop.client, &call, query.as_deref()).await)
        },
    );
    let metrics = path!("metrics").and(with(shop)).and(call()).then(|shop: Shop, call: Arc<Call>| async move {
        reply(ops::metrics(&shop.client, &call, &shop.metrics).await)
    });
    livez.or(readyz).unify().or(metrics).unify().or(description()).unify().boxed()
}

fn description() -> BoxedFilter<(Response<Bytes>,)> {
    let json = path!("openapi.json").and(call()).then(|call: Arc<Call>| async move { reply(openapi::json(&call)) });
    let yaml = path!("openapi.yaml").and(call()).then(|call: Arc<Call>| async move { reply(openapi::yaml(&call)) });
    let docs = path("docs").and(path::tail()).and(path::full()).and(call()).then(
        |file: Tail, path: FullPath, call: Arc<Call>| async move {
            reply(openapi::docs(&call, path.as_str(), file.as_str()))
        },
    );
    json.or(yaml).unify().or(docs).unify().boxed()
}

fn query() -> impl Filter<Extract = (Option<String>,), Error = Infallible> + Copy {
    warp::query::raw().map(Some).or(warp::any().map(|| None)).unify()
}

fn nothing() -> impl Filter<Extract = (Response<Bytes>,), Error = Infallible> + Copy {
    path::full().map(|_: FullPath| Problem::no_such_path().enclosed())
}

/// The paths of the key-value port.
pub fn key_value(shop: &Shop) -> BoxedFilter<(impl Reply + use<>,)> {
    let value = path!(Segment)
        .and(with(shop))
        .and(call())
        .then(|key, shop: Shop, call: Arc<Call>| async move { reply(kv::value(&shop.client, &call, key).await) });
    value.or(nothing()).unify().boxed()
}
