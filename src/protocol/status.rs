//! Errors of the calls that are not part of a session.

use crate::error::Error;

/// The same errors as gRPC status codes, for the calls that are not part of a session.
pub fn status_of(error: &Error) -> tonic::Status {
    let code = match error {
        Error::Invalid(_) => tonic::Code::InvalidArgument,
        Error::NotFound(_) => tonic::Code::NotFound,
        Error::PaymentRefused(_)
        | Error::Refused(_)
        | Error::LinesAtFault(_)
        | Error::InFlight(_)
        | Error::Precondition(_)
        | Error::KeyReused(_)
        | Error::WrongSlot(_) => tonic::Code::FailedPrecondition,
        Error::Exhausted(_) => tonic::Code::ResourceExhausted,
        Error::Unavailable(_) => tonic::Code::Unavailable,
        Error::Indeterminate(_) => tonic::Code::DeadlineExceeded,
        Error::Fault(_) => tonic::Code::Internal,
    };
    tonic::Status::new(code, error.detail())
}
