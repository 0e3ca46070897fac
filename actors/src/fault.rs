//! Named points at which a kill test ends the process. Without the cargo feature `faults` they are
//! nothing, and the binary holds none of their names.

/// Dies here when `EVENKEEL_FAULT` says so: `after-outbox-write=1/50`, several separated by commas.
macro_rules! point {
    ($name:literal) => {
        #[cfg(feature = "faults")]
        $crate::fault::reached($name);
    };
}
pub(crate) use point;
