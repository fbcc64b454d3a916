//! Enums whose variants are numbers in records. One list defines the enum and both conversions, so that a
//! variant without a number does not compile.

/// Defines an enum with a fixed number for each variant, and `TryFrom<u8>`. Records on disk hold the numbers, so
/// a number never changes and is never reused.
macro_rules! numbered {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $number:literal,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name { $($(#[$variant_meta])* $variant = $number,)+ }

        impl $name {
            /// Every variant, in the order of the numbers.
            pub const ALL: &[Self] = &[$($name::$variant),+];
        }

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
