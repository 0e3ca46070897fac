//! What the system lets this process have, said before it is missed.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::exit::{Exit, ExitError};

/// Descriptors without which none of the long-running commands begins: some 48 are open at rest (threads' queues and
/// wake-ups, the outbox for each who reads or writes it), some more with Redis, and eight connections are always answered.
const DESCRIPTORS_LEAST: u64 = 64;

/// Raises the limit of open files to what the system allows, and sees whether that is enough to begin.
///
/// # Errors
/// It is not.
pub(super) fn enough_descriptors() -> Result<(), ExitError> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    match if raised { maximum } else { current } {
        Some(files) if files < DESCRIPTORS_LEAST => Err(ExitError {
            exit: Exit::Failure,
            message: format!(
                "this process may have {files} files open (`ulimit -n`): it needs {DESCRIPTORS_LEAST} to begin, and one for \
                 each connection; 1024 serve a page and a client"
            ),
        }),
        _ => Ok(()),
    }
}

/// How large a file of this process may be, where that is limited.
pub(super) fn file_size() -> Option<String> {
    let bytes = getrlimit(Resource::Fsize).current?;
    Some(format!("a file of this process may have {bytes} bytes, `ulimit -f`"))
}
