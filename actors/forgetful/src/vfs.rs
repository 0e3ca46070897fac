//! The VFS: SQLite's own one, but for what files hold, whether they are there, and when they are gone.

#![allow(non_snake_case, reason = "methods have the names that SQLite gives them")]

use std::{
    collections::BTreeMap,
    ffi::{CStr, CString, c_char, c_int, c_void},
    mem::size_of,
    ptr::null_mut,
    slice,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_io_methods, sqlite3_vfs};

use crate::{
    Disk,
    contents::{Code, Contents, Real, SHORT},
};

/// A VFS could not be installed.
#[derive(Debug, PartialEq, Eq)]
pub struct InstallError(&'static str);

impl std::fmt::Display for InstallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the forgetful disk cannot be used: {}", self.0)
    }
}

impl std::error::Error for InstallError {}

static INSTALLED: OnceLock<Installed> = OnceLock::new();

struct Installed {
    disk: Disk,
    /// SQLite's own.
    own: &'static sqlite3_vfs,
    files: Mutex<Files>,
}

// SAFETY: `own` is a registered VFS, which SQLite itself uses from any thread, and which is never changed.
unsafe impl Send for Installed {}
// SAFETY: as above.
unsafe impl Sync for Installed {}

/// By full path.
type Files = BTreeMap<Vec<u8>, File>;

#[derive(Default)]
struct File {
    contents: Arc<Mutex<Contents>>,
    /// It is gone, and still on the disk.
    deleted: bool,
}

/// From now on every connection of this process that names no VFS writes to `disk`.
///
/// # Errors
/// There is one already, or SQLite takes none.
pub fn install(disk: Disk) -> Result<(), InstallError> {
    // SAFETY: a null name asks for the default VFS; what is registered is never freed here.
    let own = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()).as_ref() };
    let own = own.ok_or(InstallError("SQLite has no VFS of its own"))?;
    let installed = Installed { disk, own, files: Mutex::default() };
    INSTALLED.set(installed).map_err(|_| InstallError("it is in use already"))?;
    let vfs = sqlite3_vfs {
        szOsFile: size_of::<Handle>() as c_int + own.szOsFile,
        zName: c"forgetful".as_ptr(),
        pNext: null_mut(),
        xOpen: Some(xOpen),
        xDelete: Some(xDelete),
        xAccess: Some(xAccess),
        // What is left is called with this one in place of SQLite's own, and looks at nothing that differs.
        ..*own
    };
    // SAFETY: it lives as long as the process, because SQLite keeps it.
    let code = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 1) };
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(InstallError("SQLite does not take it")) }
}

fn installed() -> &'static Installed {
    INSTALLED.get().expect("SQLite calls what has been installed")
}

fn files() -> MutexGuard<'static, Files> {
    installed().files.lock().unwrap_or_else(PoisonError::into_inner)
}

/// SQLite's own VFS, as its functions want it.
fn own() -> *mut sqlite3_vfs {
    std::ptr::from_ref(installed().own).cast_mut()
}

/// An open file, as SQLite has it; the file of SQLite's own VFS stands behind it.
#[repr(C)]
struct Handle {
    methods: *const sqlite3_io_methods,
    contents: *const Mutex<Contents>,
}

/// The file of SQLite's own VFS.
///
/// # Safety
/// `file` was opened by [`xOpen`], or is being opened by it.
unsafe fn real(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: `szOsFile` has room for both.
    unsafe { file.cast::<Handle>().add(1).cast() }
}

struct RealFile(*mut sqlite3_file);

impl RealFile {
    fn methods(&self) -> &sqlite3_io_methods {
        // SAFETY: it is open as long as the handle is that it stands behind.
        unsafe { &*(*self.0).pMethods }
    }
}

fn checked(code: Code) -> Result<(), Code> {
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(code) }
}

fn coded(result: Result<(), Code>) -> Code {
    result.err().unwrap_or(ffi::SQLITE_OK)
}

const THERE: &str = "SQLite's own VFS has every method of version 1";

impl Real for RealFile {
    fn size(&mut self) -> Result<u64, Code> {
        let mut size = 0;
        // SAFETY: the file is open, and `size` outlives the call.
        checked(unsafe { self.methods().xFileSize.expect(THERE)(self.0, &raw mut size) })?;
        Ok(size.cast_unsigned())
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), Code> {
        let (to, length) = (into.as_mut_ptr().cast(), into.len() as c_int);
        // SAFETY: the file is open, and there is room for `length` bytes.
        match unsafe { self.methods().xRead.expect(THERE)(self.0, to, length, at.cast_signed()) } {
            ffi::SQLITE_OK | SHORT => Ok(()),
            code => Err(code),
        }
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Code> {
        let (from, length) = (bytes.as_ptr().cast(), bytes.len() as c_int);
        // SAFETY: the file is open, and there are `length` bytes.
        checked(unsafe { self.methods().xWrite.expect(THERE)(self.0, from, length, at.cast_signed()) })
    }

    fn cut(&mut self, size: u64) -> Result<(), Code> {
        // SAFETY: the file is open.
        checked(unsafe { self.methods().xTruncate.expect(THERE)(self.0, size.cast_signed()) })
    }

    fn sync(&mut self) -> Result<(), Code> {
        // SAFETY: the file is open.
        checked(unsafe { self.methods().xSync.expect(THERE)(self.0, ffi::SQLITE_SYNC_NORMAL) })
    }
}

/// Does `what` to a file's contents.
///
/// # Safety
/// `file` was opened by [`xOpen`].
unsafe fn with<T>(
    file: *mut sqlite3_file,
    what: impl FnOnce(&mut Contents, &mut RealFile) -> Result<T, Code>,
) -> Result<T, Code> {
    // SAFETY: what `xOpen` has put there is valid until `xClose`.
    let contents = unsafe { &*(*file.cast::<Handle>()).contents };
    let mut contents = contents.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: as above.
    what(&mut contents, &mut RealFile(unsafe { real(file) }))
}

/// # Safety
/// `name` is a text of C's.
unsafe fn path(name: *const c_char) -> Vec<u8> {
    // SAFETY: see above.
    unsafe { CStr::from_ptr(name) }.to_bytes().to_vec()
}

unsafe extern "C" fn xOpen(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let open = installed().own.xOpen.expect(THERE);
    if name.is_null() || flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0 {
        // SAFETY: what SQLite gives is passed on; there is room for more than SQLite's own file.
        return unsafe { open(own(), name, file, flags, out_flags) };
    }
    // SAFETY: SQLite names files so.
    let path = unsafe { path(name) };
    let mut files = files();
    if files.get(&path).is_some_and(|file| file.deleted) {
        if flags & ffi::SQLITE_OPEN_CREATE == 0 {
            // SAFETY: SQLite looks at it, whatever comes of opening.
            unsafe { (*file).pMethods = std::ptr::null() };
            return ffi::SQLITE_CANTOPEN;
        }
        files.remove(&path);
        if let Err(code) = delete(&path, false) {
            // SAFETY: as above.
            unsafe { (*file).pMethods = std::ptr::null() };
            return code;
        }
    }
    // SAFETY: what SQLite gives is passed on; behind the handle there is room for SQLite's own file.
    let code = unsafe { open(own(), name, real(file), flags, out_flags) };
    let methods = if code == ffi::SQLITE_OK { &raw const METHODS } else { std::ptr::null() };
    let contents = if code == ffi::SQLITE_OK {
        Arc::into_raw(Arc::clone(&files.entry(path).or_default().contents))
    } else {
        std::ptr::null()
    };
    // SAFETY: there is room for a handle.
    unsafe { file.cast::<Handle>().write(Handle { methods, contents }) };
    code
}

/// Deletes what is on the disk.
fn delete(path: &[u8], sync_folder: bool) -> Result<(), Code> {
    let name = CString::new(path).map_err(|_| ffi::SQLITE_IOERR_DELETE)?;
    // SAFETY: the name outlives the call.
    let code =
        unsafe { installed().own.xDelete.expect(THERE)(own(), name.as_ptr(), c_int::from(sync_folder)) };
    checked(code)
}

/// A sync of anything makes durable what was deleted before.
fn delete_for_good() -> Result<(), Code> {
    let mut files = files();
    let gone: Vec<_> = files.iter().filter(|(_, file)| file.deleted).map(|(path, _)| path.clone()).collect();
    for path in gone {
        delete(&path, false)?;
        files.remove(&path);
    }
    Ok(())
}

unsafe extern "C" fn xDelete(_: *mut sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    // SAFETY: SQLite names files so.
    let path = unsafe { path(name) };
    let mut files = files();
    if files.get(&path).is_some_and(|file| file.deleted) {
        return ffi::SQLITE_IOERR_DELETE_NOENT;
    }
    // Of a file that was never opened here nothing is known that could come back.
    let Some(file) = files.get_mut(&path).filter(|_| sync_folder == 0) else {
        files.remove(&path);
        return coded(delete(&path, sync_folder != 0));
    };
    file.contents.lock().unwrap_or_else(PoisonError::into_inner).forget();
    file.deleted = true;
    ffi::SQLITE_OK
}

unsafe extern "C" fn xAccess(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite names files so.
    let path = unsafe { path(name) };
    let files = files();
    let known = files.get(&path);
    let deleted = known.is_some_and(|file| file.deleted);
    let size =
        known.and_then(|file| file.contents.lock().unwrap_or_else(PoisonError::into_inner).unsynced_size());
    match (flags, size) {
        _ if deleted => {
            // SAFETY: SQLite waits for an answer there.
            unsafe { *out = 0 };
            ffi::SQLITE_OK
        }
        // An empty file is none: SQLite's own VFS says so, too.
        (ffi::SQLITE_ACCESS_EXISTS, Some(size)) => {
            // SAFETY: as above.
            unsafe { *out = c_int::from(size > 0) };
            ffi::SQLITE_OK
        }
        // SAFETY: what SQLite gives is passed on.
        _ => unsafe { installed().own.xAccess.expect(THERE)(own(), name, flags, out) },
    }
}

unsafe extern "C" fn xClose(file: *mut sqlite3_file) -> c_int {
    // SAFETY: `xOpen` has put it there, and SQLite closes once.
    let contents = unsafe { Arc::from_raw((*file.cast::<Handle>()).contents) };
    drop(contents);
    // SAFETY: as above.
    unsafe {
        let real = real(file);
        (*(*real).pMethods).xClose.expect(THERE)(real)
    }
}

unsafe extern "C" fn xRead(file: *mut sqlite3_file, to: *mut c_void, length: c_int, at: i64) -> c_int {
    // SAFETY: SQLite has room for so many bytes there.
    let into = unsafe { slice::from_raw_parts_mut(to.cast::<u8>(), length as usize) };
    // SAFETY: SQLite reads from what is open.
    match unsafe { with(file, |contents, real| contents.read(real, at.cast_unsigned(), into)) } {
        Ok(true) => ffi::SQLITE_OK,
        Ok(false) => SHORT,
        Err(code) => code,
    }
}

unsafe extern "C" fn xWrite(file: *mut sqlite3_file, from: *const c_void, length: c_int, at: i64) -> c_int {
    // SAFETY: SQLite has so many bytes there.
    let bytes = unsafe { slice::from_raw_parts(from.cast::<u8>(), length as usize) };
    let disk = installed().disk;
    // SAFETY: SQLite writes to what is open.
    coded(unsafe { with(file, |contents, real| contents.write(real, at.cast_unsigned(), bytes, disk)) })
}

unsafe extern "C" fn xTruncate(file: *mut sqlite3_file, size: i64) -> c_int {
    // SAFETY: SQLite cuts what is open.
    coded(unsafe { with(file, |contents, real| contents.truncate(real, size.cast_unsigned())) })
}

unsafe extern "C" fn xSync(file: *mut sqlite3_file, _: c_int) -> c_int {
    if installed().disk == Disk::Lies {
        return ffi::SQLITE_OK;
    }
    // SAFETY: SQLite syncs what is open.
    coded(delete_for_good().and_then(|()| unsafe { with(file, |contents, real| contents.sync(real)) }))
}

unsafe extern "C" fn xFileSize(file: *mut sqlite3_file, size: *mut i64) -> c_int {
    // SAFETY: SQLite asks of what is open, and waits for an answer there.
    coded(unsafe {
        with(file, |contents, real| {
            *size = contents.size(real)?.cast_signed();
            Ok(())
        })
    })
}

unsafe extern "C" fn xFileControl(file: *mut sqlite3_file, what: c_int, with: *mut c_void) -> c_int {
    match what {
        // It would lengthen the file on the disk.
        ffi::SQLITE_FCNTL_SIZE_HINT | ffi::SQLITE_FCNTL_CHUNK_SIZE => ffi::SQLITE_OK,
        // What is read must come through here.
        ffi::SQLITE_FCNTL_MMAP_SIZE => ffi::SQLITE_NOTFOUND,
        // SAFETY: what SQLite gives is passed on.
        _ => unsafe {
            let real = real(file);
            (*(*real).pMethods).xFileControl.expect(THERE)(real, what, with)
        },
    }
}

/// Methods that SQLite's own file has.
macro_rules! passed_on {
    ($($name:ident($($argument:ident: $kind:ty),*) $(-> $answer:ty)?;)*) => {$(
        unsafe extern "C" fn $name(file: *mut sqlite3_file, $($argument: $kind),*) $(-> $answer)? {
            // SAFETY: what SQLite gives is passed on.
            unsafe {
                let real = real(file);
                (*(*real).pMethods).$name.expect("SQLite's own VFS has every method of version 2")(real, $($argument),*)
            }
        }
    )*};
}
passed_on! {
    xLock(level: c_int) -> c_int;
    xUnlock(level: c_int) -> c_int;
    xCheckReservedLock(out: *mut c_int) -> c_int;
    xSectorSize() -> c_int;
    xDeviceCharacteristics() -> c_int;
    xShmMap(page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) -> c_int;
    xShmLock(offset: c_int, count: c_int, flags: c_int) -> c_int;
    xShmBarrier();
    xShmUnmap(delete: c_int) -> c_int;
}

/// Without the third version's, which map files into memory.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(xClose),
    xRead: Some(xRead),
    xWrite: Some(xWrite),
    xTruncate: Some(xTruncate),
    xSync: Some(xSync),
    xFileSize: Some(xFileSize),
    xLock: Some(xLock),
    xUnlock: Some(xUnlock),
    xCheckReservedLock: Some(xCheckReservedLock),
    xFileControl: Some(xFileControl),
    xSectorSize: Some(xSectorSize),
    xDeviceCharacteristics: Some(xDeviceCharacteristics),
    xShmMap: Some(xShmMap),
    xShmLock: Some(xShmLock),
    xShmBarrier: Some(xShmBarrier),
    xShmUnmap: Some(xShmUnmap),
    xFetch: None,
    xUnfetch: None,
};
