//! All faults of a body or of a query together, so that a client can mend them at once instead of one after the other.

use crate::error::{Invalid, Result};

/// The faults of a body or of a query, at least one.
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

    /// These faults and those that were found after them.
    fn and(mut self, more: Faults) -> Self {
        self.others.extend(more.into_vec());
        self
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
    ($($type:ident $fault:ident $value:ident),+) => {
        impl<$($type, $fault: Into<Faults>),+> AllOf for ($(Result<$type, $fault>,)+) {
            type Values = ($($type,)+);

            fn all(self) -> Result<Self::Values, Faults> {
                match self {
                    ($(Ok($value),)+) => Ok(($($value,)+)),
                    ($($value,)+) => {
                        let faults = [$($value.err().map(Into::into)),+].into_iter().flatten();
                        Err(faults.reduce(Faults::and).unwrap_or_else(|| unreachable!("one of them is a fault")))
                    }
                }
            }
        }
    };
}

all_of!(A FA a, B FB b);
all_of!(A FA a, B FB b, C FC c);
all_of!(A FA a, B FB b, C FC c, D FD d);
all_of!(A FA a, B FB b, C FC c, D FD d, E FE e);
all_of!(A FA a, B FB b, C FC c, D FD d, E FE e, F FF f);
all_of!(A FA a, B FB b, C FC c, D FD d, E FE e, F FF f, G FG g);

/// The elements of an array.
impl<T, F: Into<Faults>> AllOf for Vec<Result<T, F>> {
    type Values = Vec<T>;

    fn all(self) -> Result<Vec<T>, Faults> {
        let mut faults = None;
        let values = self.into_iter().filter_map(|element| match element {
            Ok(value) => Some(value),
            Err(fault) => {
                let fault = fault.into();
                faults = Some(match faults.take() {
                    None => fault,
                    Some(found) => Faults::and(found, fault),
                });
                None
            }
        });
        let values = values.collect();
        faults.map_or(Ok(values), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_values_or_all_faults() {
        let fault = |field: &'static str| Err::<u8, _>(Invalid::new(field, "is wrong"));
        assert_eq!((Ok::<_, Invalid>(1), Ok::<_, Invalid>("b")).all(), Ok((1, "b")));
        let faults = (fault("a"), Ok::<_, Invalid>(2), fault("c")).all().unwrap_err();
        assert_eq!(faults.clone().into_first(), Invalid::new("a", "is wrong"));
        let names: Vec<_> = faults.into_vec().iter().map(|fault| fault.field().unwrap().to_owned()).collect();
        assert_eq!(names, ["a", "c"]);
    }

    #[test]
    fn faults_of_elements_are_among_those_of_the_body() {
        let fault = |field: String| Err::<u8, _>(Invalid::new(field, "is wrong"));
        let elements = || vec![Ok(0), fault("lines[1].count".into()), Ok(2), fault("lines[3].count".into())];
        let faults = (fault("name".into()), elements().all()).all().unwrap_err();
        let names: Vec<_> = faults.into_vec().iter().map(|fault| fault.field().unwrap().to_owned()).collect();
        assert_eq!(names, ["name", "lines[1].count", "lines[3].count"]);
        assert_eq!(vec![Ok::<_, Invalid>(1), Ok(2)].all(), Ok(vec![1, 2]));
    }
}
