//! Folding keeps every row and few batches.
