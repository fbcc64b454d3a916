//! The types of problems: what `type` and `code` of a problem document may be, and the text about each type that its
//! path `/problems/{name}` answers with.

/// A type of problem. Names and codes are stable: programs compare them.
#[derive(Debug, PartialEq, Eq)]
pub struct ProblemType {
    /// The last segment of its path.
    pub name: &'static str,
    /// What `code` may be, the usual one first.
    pub codes: &'static [&'static str],
    /// What it means, and what a client can do.
    pub text: &'static str,
}

macro_rules! problem_types {
    ($( $constant:ident = $name:literal [$($code:literal),+] $text:literal; )+) => {
        impl ProblemType {
            $(
                #[doc = $text]
                pub const $constant: &'static ProblemType =
                    &ProblemType { name: $name, codes: &[$($code),+], text: $text };
            )+

            /// Every type, in the order of statuses.
            pub const ALL: &'static [&'static ProblemType] = &[$(Self::$constant),+];
        }
    };
}

problem_types! {
    INVALID = "invalid" ["invalid", "missing"]
        "A part of the request is malformed, missing or out of its range: `field` names it, or `errors` when there are \
         several. Nothing was applied. Change the request.";
    UNREADABLE = "unreadable" ["unreadable"]
        "The request is no valid HTTP/1.1, or its head is too long, or its `Transfer-Encoding` does not end with `chunked`. \
         Nothing was applied, and the connection is closed.";
    UNAUTHORIZED = "unauthorized" ["unauthorized"]
        "The path needs an API key in the header `X-API-Key`, and the request has none, several, or one that is not \
         known. Nothing was applied.";
    PAYMENT_REQUIRED = "payment-required" ["card_declined", "card_missing"]
        "The payment gateway refused the payment (`card_declined`), or no card was given where one is needed \
         (`card_missing`). Stock, cart and payment are as they were.";
    FORBIDDEN = "forbidden" ["forbidden", "host_not_allowed", "cross_site"]
        "The API key is known, and its role does not allow this (`forbidden`); or the store has no configured keys and serves \
         only `localhost` and loopback addresses, and `Host` names another (`host_not_allowed`); or a web page of another \
         origin sent a write, and `--cors-origin` does not name it (`cross_site`). Nothing was applied.";
    NOT_FOUND = "not-found" ["not_found", "no_such_path"]
        "There is no such record, or no such path (`no_such_path`). Nothing was applied.";
    METHOD_NOT_ALLOWED = "method-not-allowed" ["method_not_allowed"]
        "The path exists, but not with this method: the header `Allow` lists those that it has.";
    TIMEOUT = "timeout" ["timeout"]
        "The request's body did not arrive in time. Nothing was applied; send it again.";
    CONFLICT = "conflict" [
        "conflict", "out_of_stock", "unknown_product", "sale_expired", "id_exists", "cart_full", "count_limit",
        "stock_limit", "order_not_created", "order_dispatched", "delivery_exists", "wrong_state"
    ]
        "The request is well-formed, but the state of a record forbids it, as `code` says: too few copies are in stock \
         (`out_of_stock`), a product of the cart is not in the catalog (`unknown_product`), a sale has ended at another \
         price (`sale_expired`), the id is taken (`id_exists`), a cart, a count or a stock would pass its limit \
         (`cart_full`, `count_limit`, `stock_limit`), the order is not created (`order_not_created`) or its goods \
         have been dispatched (`order_dispatched`), another delivery of them is under way (`delivery_exists`), a record \
         does not go from its state to that one (`wrong_state`). `lines` names each line of an order that cannot be sold. \
         Nothing was applied.";
    IN_FLIGHT = "in-flight" ["in_flight"]
        "An earlier request with this `Idempotency-Key`, a checkout of this cart, or this order, is being worked on. Nothing was \
         applied by this one; send it again after `Retry-After` seconds.";
    STOCK_HELD = "stock-held" ["stock_held"]
        "Orders that are not decided yet hold the copies that are missing. Nothing was applied; send the request again \
         after `Retry-After` seconds.";
    PRECONDITION_FAILED = "precondition-failed" ["precondition_failed"]
        "The condition of `If-Match` or `If-None-Match` is not met: the record has changed. Nothing was applied. Read it \
         again.";
    TOO_LARGE = "too-large" ["too_large"]
        "The body is longer than it may be. Nothing was applied.";
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type" ["unsupported_media_type"]
        "The body is not declared as `application/json` where JSON is required, or is a JSON patch (RFC 6902), or it has a \
         `Content-Encoding`. Nothing was applied.";
    KEY_REUSED = "idempotency-key-reused" ["idempotency_key_reused"]
        "The `Idempotency-Key` was used before, with another request. Nothing was applied. Take a new key for each new \
         request.";
    TOO_MANY = "too-many" ["too_many"]
        "A limit on stored records is reached. Nothing was applied; send the request again after `Retry-After` seconds.";
    OUT_OF_MEMORY = "out-of-memory" ["out_of_memory"]
        "The part of the store that the request needs is at its memory limit. Nothing was applied. Reads, removals and \
         checkouts go on; what grows is taken again once there is room.";
    INTERNAL = "internal" ["internal"]
        "The server failed; its log has the cause under the `request_id`. A change may have been applied: repeat it with \
         the same `Idempotency-Key` only.";
    NOT_IMPLEMENTED = "not-implemented" ["not_implemented"]
        "The request has another `Transfer-Encoding` before `chunked`. Nothing was applied.";
    UNAVAILABLE = "unavailable" ["unavailable"]
        "The part of the store that the request needs cannot take it now: it is starting, away, overloaded, or out of \
         disk space. Nothing was applied; send the request again after `Retry-After` seconds.";
    OUTCOME_UNKNOWN = "outcome-unknown" ["outcome_unknown"]
        "No answer came in time: a change may have been applied or not. Repeat it with the same `Idempotency-Key` only.";
}

impl ProblemType {
    /// The type with a name.
    pub fn of_name(name: &str) -> Option<&'static ProblemType> {
        Self::ALL.iter().copied().find(|known| known.name == name)
    }

    /// The usual code.
    pub fn code(&self) -> &'static str {
        self.codes[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use crate::error::{ConflictCode, LineProblem};

    #[test]
    fn names_and_codes_are_unique_and_fit_their_places() {
        let names: BTreeSet<_> = ProblemType::ALL.iter().map(|known| known.name).collect();
        let codes: Vec<_> = ProblemType::ALL.iter().flat_map(|known| known.codes).collect();
        assert_eq!(names.len(), ProblemType::ALL.len());
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
        assert!(codes.iter().all(|code| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
    }

    #[test]
    fn every_code_of_a_conflict_is_listed() {
        for code in ConflictCode::ALL {
            assert!(ProblemType::CONFLICT.codes.contains(&code.name()), "{code:?}");
        }
        for problem in [
            LineProblem::UnknownProduct,
            LineProblem::OutOfStock { available: 0 },
            LineProblem::SaleExpired { old_price: 1, new_price: 2 },
        ] {
            assert!(ProblemType::CONFLICT.codes.contains(&problem.code()), "{problem:?}");
        }
        assert_eq!(LineProblem::StockHeld { available: 0 }.code(), ProblemType::STOCK_HELD.code());
    }
}
