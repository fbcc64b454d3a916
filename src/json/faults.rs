//! All faults of a body together, so that a client can mend them at once instead of one after the other.

use crate::error::{Invalid, Result};

/// The faults of a body, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    first: Invalid,
    others: Vec<Invalid>,
}

impl Faults {
    /// The faults, in the order in which the members were read.
    pub fn into_vec(self) -> Vec<Invalid> {
        let mut all = self.others;
        all.insert(0, self.first);
        all
    }

    /// The first fault alone, for callers that report one.
    pub fn into_first(self) -> Invalid {
        self.first
    }

    /// Adds a fault to those that were found before.
    fn after(found: Option<Self>, fault: Invalid) -> Self {
        match found {
            None => Faults::from(fault),
            Some(mut faults) => {
                faults.others.push(fault);
                faults
            }
        }
    }
}

impl From<Invalid> for Faults {
    fn from(first: Invalid) -> Self {
        Faults { first, others: Vec::new() }
    }
}

/// Several members that were read.
pub trait AllOf {
    /// Their values.
    type Values;

    /// The values of all, or the faults of all that have one.
    ///
    /// # Errors
    /// The faults.
    fn all(self) -> Result<Self::Values, Faults>;
}

macro_rules! all_of {
    ($($type:ident $value:ident),+) => {
        impl<$($type),+> AllOf for ($(Result<$type, Invalid>,)+) {
            type Values = ($($type,)+);

            fn all(self) -> Result<Self::Values, Faults> {
                match self {
                    ($(Ok($value),)+) => Ok(($($value,)+)),
                    ($($value,)+) => {
                        let faults = [$($value.err()),+].into_iter().flatten();
                        let found = faults.fold(None, |found, fault| Some(Faults::after(found, fault)));
                        Err(found.unwrap_or_else(|| unreachable!("one of them is a fault")))
                    }
                }
            }
        }
    };
}

all_of!(A a, B b);
all_of!(A a, B b, C c);
all_of!(A a, B b, C c, D d);
all_of!(A a, B b, C c, D d, E e, F f);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_values_or_all_faults() {
        let fault = |field: &'static str| Err::<u8, _>(Invalid::new(field, "is wrong"));
        assert_eq!((Ok(1), Ok("b")).all(), Ok((1, "b")));
        let faults = (fault("a"), Ok(2), fault("c")).all().unwrap_err();
        assert_eq!(faults.clone().into_first(), Invalid::new("a", "is wrong"));
        let names: Vec<_> = faults.into_vec().iter().map(|fault| fault.field().unwrap().to_owned()).collect();
        assert_eq!(names, ["a", "c"]);
    }
}
