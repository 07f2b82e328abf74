//! The two macros that keep an enum's byte, name and text together, and a record's two views in one place.

/// Defines a one-byte enum with fixed discriminants, its kebab-case names, and a decoder that refuses undefined bytes.
macro_rules! byte_enum {
    ($(#[doc = $doc:literal])* $name:ident {
        $($(#[doc = $vdoc:literal])* $variant:ident = $byte:literal $text:literal),+ $(,)?
    }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(
            feature = "offchain",
            derive(borsh::BorshSerialize, borsh::BorshDeserialize, serde::Serialize, serde::Deserialize),
            borsh(use_discriminant = true)
        )]
        #[repr(u8)]
        pub enum $name {
            $($(#[doc = $vdoc])* #[cfg_attr(feature = "offchain", serde(rename = $text))] $variant = $byte),+
        }

        #[cfg(feature = "offchain")]
        impl $crate::layout::DescribedEnum for $name {
            const NAME: &'static str = stringify!($name);
            const ABOUT: &'static str = concat!($($doc),*);
            const VALUES: &'static [$crate::layout::ValueSpec] = &[$($crate::layout::ValueSpec {
                byte: $byte,
                name: $text,
                about: concat!($($vdoc),*),
            }),+];
        }

        impl $name {
            /// Every value, in the order of its byte's declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The value with this byte, or nothing where the byte is undefined.
            #[inline(always)]
            pub const fn from_byte(byte: u8) -> Option<Self> {
                match byte {
                    $($byte => Some($name::$variant),)+
                    _ => None,
                }
            }

            /// The byte stored on the ledger.
            #[inline(always)]
            pub const fn byte(self) -> u8 {
                self as u8
            }

            /// The name that people see: kebab case.
            pub const fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $text),+
                }
            }

            /// The value with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some($name::$variant),)+
                    _ => None,
                }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.pad(self.name())
            }
        }

        impl core::str::FromStr for $name {
            type Err = $crate::text::UnknownName;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                Self::from_name(name).ok_or($crate::text::UnknownName { expected: &[$($text),+] })
            }
        }

        impl $crate::types::Field for $name {
            type Raw = u8;
        }
    };
}

/// Defines a record's raw view (always) and its typed view (feature `offchain`), with an optional list at the end.
///
/// The raw view is `#[repr(C)]` of alignment-1 fields, so that its bytes are the borsh bytes of the typed view up to
/// the list.
macro_rules! record {
    ($(#[doc = $doc:literal])* $name:ident / $raw:ident {
        $($(#[doc = $fdoc:literal])* $field:ident : $ty:ty),* $(,)?
    } $(list $(#[doc = $ldoc:literal])* $list:ident : $entry:ty)?) => {
        #[doc = concat!("In-place view of [`", stringify!($name), "`]: same bytes, alignment 1, nothing validated.")]
        #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
        #[repr(C)]
        pub struct $raw {
            $($(#[doc = $fdoc])* pub $field: <$ty as $crate::types::Field>::Raw),*
        }

        #[cfg(feature = "offchain")]
        impl $crate::layout::Described for $raw {
            const RECORD: $crate::layout::RecordSpec = $crate::layout::RecordSpec {
                name: stringify!($name),
                about: concat!($($doc),*),
                len: $raw::LEN,
                fields: &[$($crate::layout::FieldSpec {
                    name: stringify!($field),
                    about: concat!($($fdoc),*),
                    ty: stringify!($ty),
                    offset: core::mem::offset_of!($raw, $field),
                    len: core::mem::size_of::<<$ty as $crate::types::Field>::Raw>(),
                }),*],
                list: {
                    let lists: &[$crate::layout::ListSpec] = &[$($crate::layout::ListSpec {
                        name: stringify!($list),
                        about: concat!($($ldoc),*),
                        entry: stringify!($entry),
                        entry_len: core::mem::size_of::<<$entry as $crate::types::Field>::Raw>(),
                    })?];
                    lists.first()
                },
            };
        }

        impl $raw {
            /// Bytes of the fixed part.
            pub const LEN: usize = core::mem::size_of::<$raw>();
        }

        $(#[doc = $doc])*
        #[cfg(feature = "offchain")]
        #[derive(
            Clone, Debug, PartialEq, Eq,
            borsh::BorshSerialize, borsh::BorshDeserialize, serde::Serialize, serde::Deserialize,
        )]
        pub struct $name {
            $($(#[doc = $fdoc])* pub $field: $ty,)*
            $($(#[doc = $ldoc])* pub $list: alloc::vec::Vec<$entry>,)?
        }

        #[cfg(not(feature = "offchain"))]
        #[doc = "Stands for the typed view, which needs the `offchain` feature."]
        pub enum $name {}

        impl $crate::types::Field for $name {
            type Raw = $raw;
        }
    };
}
