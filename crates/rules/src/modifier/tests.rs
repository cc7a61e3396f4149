//! Modifiers do what the Sigma specification says.
