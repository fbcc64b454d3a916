//! What one answer, or its absence, means for a request.

use reqwest::StatusCode;

use super::outcome::Outcome;

/// The meaning of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was carried out.
    Done,
    /// It was not, and asking again gives the same.
    Final(Outcome),
    /// It was not applied, and may be later.
    NotApplied,
    /// It may have been applied; asking again may tell.
    Unknown,
    /// It may have been applied, and the server failed at it.
    Broken,
}

/// Judges an answer. `code` is that of a store's problem; without one, a proxy may have answered in the store's place.
pub(super) fn judge(status: StatusCode, code: Option<&str>) -> Verdict {
    match (status.as_u16(), code) {
        (200..300, _) => Verdict::Done,
        (401 | 403, _) => Verdict::Final(Outcome::Denied),
        (404, _) => Verdict::Final(Outcome::NotFound),
        (409, Some("in_flight" | "stock_held")) | (408 | 429, _) | (503, Some(_)) => Verdict::NotApplied,
        (409 | 412, _) => Verdict::Final(Outcome::Conflict),
        (500, _) => Verdict::Broken,
        (501 | 507, _) => Verdict::Final(Outcome::Refused),
        // A proxy says 502 and 504, and some say 503, when a store did not answer: it may have applied the request.
        (500.., _) => Verdict::Unknown,
        _ => Verdict::Final(Outcome::Refused),
    }
}

/// True for a final answer to a request under an idempotency key that an earlier, unanswered attempt could not have got
/// differently: the store looks for a stored answer before it gives these.
pub(super) fn settles(status: StatusCode) -> bool {
    matches!(status.as_u16(), 402 | 404 | 409 | 412 | 422)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_the_outcome_that_is_documented() {
        let refused = Verdict::Final(Outcome::Refused);
        for (status, code, verdict) in [
            (200, None, Verdict::Done),
            (201, None, Verdict::Done),
            (307, None, refused),
            (400, Some("invalid"), refused),
            (401, Some("unauthorized"), Verdict::Final(Outcome::Denied)),
            (402, Some("card_declined"), refused),
            (403, Some("forbidden"), Verdict::Final(Outcome::Denied)),
            (404, Some("not_found"), Verdict::Final(Outcome::NotFound)),
            (405, Some("method_not_allowed"), refused),
            (408, Some("timeout"), Verdict::NotApplied),
            (409, Some("out_of_stock"), Verdict::Final(Outcome::Conflict)),
            (409, None, Verdict::Final(Outcome::Conflict)),
            (409, Some("in_flight"), Verdict::NotApplied),
            (409, Some("stock_held"), Verdict::NotApplied),
            (412, Some("precondition_failed"), Verdict::Final(Outcome::Conflict)),
            (413, Some("too_large"), refused),
            (415, Some("unsupported_media_type"), refused),
            (422, Some("idempotency_key_reused"), refused),
            (429, None, Verdict::NotApplied),
            (431, Some("unreadable"), refused),
            (500, Some("internal"), Verdict::Broken),
            (501, Some("not_implemented"), refused),
            (502, None, Verdict::Unknown),
            (503, Some("unavailable"), Verdict::NotApplied),
            (503, None, Verdict::Unknown),
            (504, Some("outcome_unknown"), Verdict::Unknown),
            (507, Some("out_of_memory"), refused),
        ] {
            assert_eq!(judge(StatusCode::from_u16(status).unwrap(), code), verdict, "{status} {code:?}");
        }
    }
}
