//! JSON as sources write it: read without losing a digit, a name or a character.
//!
//! - [`readable`] returns a message's text without what no parser accepts: a byte order mark, half of a surrogate pair
//! - [`Object`] finds a member by its name, in any spelling, and returns its value as it is written
//! - [`Kind`], [`text_of`], [`string`] and [`read`] interpret one value

mod object;
pub(crate) mod surrogates;
mod text;
mod value;

pub use object::{Object, is_same_name};
pub use text::{MAX_VALUES, as_written, readable};
pub use value::{Kind, read, string, text_of};
