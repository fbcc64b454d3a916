//! Enums whose variants stand in records as numbers: one list gives the enum and both directions, so that a
//! variant without a number does not compile.

/// Defines an enum with a fixed number for each variant, and `TryFrom<u8>`. A number is never changed or
/// given again: records on disk have it.
macro_rules! numbered {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $number:literal,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name { $($(#[$variant_meta])* $variant = $number,)+ }

        impl TryFrom<u8> for $name {
            type Error = ();

            /// The variant of a number; an error for a number that no variant has.
            fn try_from(number: u8) -> std::result::Result<Self, ()> {
                match number {
                    $($number => Ok($name::$variant),)+
                    _ => Err(()),
                }
            }
        }
    };
}

pub(super) use numbered;
