//! What evenkeel does.
