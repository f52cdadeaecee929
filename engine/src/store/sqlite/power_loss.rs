//! A power loss at any moment: what was acknowledged is there afterwards, and the database is sound.
//!
//! The tests run the store on a disk that is recorded below SQLite, in a VFS: SQLite's table of functions for files. A
//! write lasts once its file has been synced; until then, a power loss may lose any part of it and keep any other.

use crate::store::{Store, mint, now, projects};
use domain::{id::ProjectId, key::ProjectKey};
use libsqlite3_sys::{
    SQLITE_OK, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs, sqlite3_vfs_find,
    sqlite3_vfs_register,
};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use sqlx::{
    Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteSynchronous},
};
use std::{
    collections::{BTreeSet, HashMap},
    ffi::{CStr, c_char, c_int, c_void},
    fs,
    path::{Path, PathBuf},
    ptr, slice,
    sync::{Arc, LazyLock, Mutex, MutexGuard, Once},
};

const VFS: &CStr = c"recorded";
/// The unit in which a disk writes.
const SECTOR: usize = 512;

#[derive(Default)]
struct Disk {
    files: HashMap<PathBuf, Recorded>,
    /// The files that SQLite has opened, by address.
    open: HashMap<usize, OpenFile>,
    /// The functions of each kind of file, by the address of SQLite's own.
    functions: HashMap<usize, &'static sqlite3_io_methods>,
}

#[derive(Clone)]
struct OpenFile {
    path: PathBuf,
    /// SQLite's own functions for the file.
    own: &'static sqlite3_io_methods,
}

#[derive(Clone, Default)]
struct Recorded {
    /// The content at the last sync.
    synced: Vec<u8>,
    /// How many changes it has.
    lasting: usize,
    /// What has been done since, in order.
    since: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write(at, bytes) => {
                content.resize(content.len().max(at + bytes.len()), 0);
                content[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            Self::Truncate(size) => content.truncate(*size),
        }
    }

    /// The parts that reach the disk independently of each other.
    fn sectors(&self) -> Vec<Self> {
        match self {
            Self::Write(at, bytes) => {
                let first = SECTOR - at % SECTOR;
                let (head, rest) = bytes.split_at(first.min(bytes.len()));
                let parts = std::iter::once(head).chain(rest.chunks(SECTOR));
                let mut at = *at;
                parts
                    .map(|part| {
                        let write = Self::Write(at, part.to_vec());
                        at += part.len();
                        write
                    })
                    .collect()
            }
            Self::Truncate(size) => vec![Self::Truncate(*size)],
        }
    }
}

impl Recorded {
    /// The number of changes so far.
    fn changes(&self) -> usize {
        self.lasting + self.since.len()
    }

    /// The first `changes` changes last. Another connection may have synced them meanwhile.
    fn sync(&mut self, changes: usize) {
        let more = changes.saturating_sub(self.lasting);
        for change in self.since.drain(..more) {
            change.apply(&mut self.synced);
        }
        self.lasting += more;
    }

    /// The content after a power loss.
    fn after_power_loss(&self, dice: &mut impl Rng) -> Vec<u8> {
        let mut content = self.synced.clone();
        let share = dice.random_range(0.0..=1.0);
        for part in self.since.iter().flat_map(Change::sectors) {
            if dice.random_bool(share) {
                part.apply(&mut content);
            }
        }
        content
    }
}

static DISK: LazyLock<Mutex<Disk>> = LazyLock::new(Mutex::default);

fn disk() -> MutexGuard<'static, Disk> {
    DISK.lock().unwrap()
}

fn own(file: *mut sqlite3_file) -> &'static sqlite3_io_methods {
    disk().open[&file.addr()].own
}

/// Registers the VFS.
fn vfs() -> &'static str {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the default VFS exists and lives as long as the process, as does the leaked copy. Its functions take the
        // copy, because only `xOpen` uses the VFS that it is given.
        unsafe {
            let mut vfs = *sqlite3_vfs_find(ptr::null());
            vfs.zName = VFS.as_ptr();
            vfs.pNext = ptr::null_mut();
            vfs.xOpen = Some(open);
            assert_eq!(sqlite3_vfs_register(Box::leak(Box::new(vfs)), 0), SQLITE_OK);
        }
    });
    VFS.to_str().unwrap()
}

/// Opens the file as SQLite does, and replaces its functions.
unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    given: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes a name (or null) and room for a file of the default VFS.
    unsafe {
        let own = sqlite3_vfs_find(ptr::null());
        let code = (*own).xOpen.unwrap()(own, name, file, flags, given);
        if code == SQLITE_OK && !name.is_null() {
            let path = PathBuf::from(CStr::from_ptr(name).to_str().unwrap());
            let own = &*(*file).pMethods;
            let mut disk = disk();
            // SQLite has other functions for files that it does not lock.
            (*file).pMethods = *disk.functions.entry((*file).pMethods.addr()).or_insert_with(|| {
                Box::leak(Box::new(sqlite3_io_methods {
                    xWrite: Some(write),
                    xTruncate: Some(truncate),
                    xSync: Some(sync),
                    xClose: Some(close),
                    ..*own
                }))
            });
            disk.files.entry(path.clone()).or_default();
            disk.open.insert(file.addr(), OpenFile { path, own });
        }
        code
    }
}

/// Does what was done to the file to its recording.
fn record(file: *mut sqlite3_file, code: c_int, done: impl FnOnce(&mut Recorded)) -> c_int {
    if code == SQLITE_OK {
        let mut disk = disk();
        let OpenFile { path, .. } = disk.open[&file.addr()].clone();
        done(disk.files.get_mut(&path).unwrap());
    }
    code
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    bytes: *const c_void,
    length: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: the arguments are SQLite's, and so is the file.
    let (code, bytes) = unsafe {
        let code = own(file).xWrite.unwrap()(file, bytes, length, at);
        (code, slice::from_raw_parts(bytes.cast::<u8>(), length as usize))
    };
    record(file, code, |recorded| recorded.since.push(Change::Write(at as usize, bytes.to_vec())))
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: as above.
    let code = unsafe { own(file).xTruncate.unwrap()(file, size) };
    record(file, code, |recorded| recorded.since.push(Change::Truncate(size as usize)))
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // What another connection writes during the sync is not a part of it.
    let changes = {
        let disk = disk();
        disk.files[&disk.open[&file.addr()].path].changes()
    };
    // SAFETY: as above.
    let code = unsafe { own(file).xSync.unwrap()(file, flags) };
    record(file, code, |recorded| recorded.sync(changes))
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let own = own(file);
    disk().open.remove(&file.addr());
    // SAFETY: as above.
    unsafe { own.xClose.unwrap()(file) }
}

/// The files of the folder after a power loss, in a folder of their own.
fn lose_power(data: &Path, dice: &mut impl Rng) -> tempfile::TempDir {
    let lost = tempfile::tempdir().unwrap();
    // All files at the same moment.
    let files: Vec<(PathBuf, Recorded)> = {
        let disk = disk();
        let here = disk.files.iter().filter(|(path, _)| path.parent() == Some(data) && path.exists());
        here.map(|(path, recorded)| (path.clone(), recorded.clone())).collect()
    };
    for (path, recorded) in files {
        fs::write(lost.path().join(path.file_name().unwrap()), recorded.after_power_loss(dice)).unwrap();
    }
    lost
}

async fn create(store: &Store, number: u32) {
    let write = store.write(move |tx| {
        Box::pin(async move {
            let key = ProjectKey::parse(&format!("p{number}")).unwrap();
            projects::insert(tx, ProjectId(mint()), &key, "A project", now()).await
        })
    });
    write.await.unwrap();
}

/// Loses the power `losses` times while projects are created. Returns how often something acknowledged was missing, or
/// the database was damaged.
async fn losses_with(synchronous: SqliteSynchronous, losses: u32, seed: u64) -> u32 {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().canonicalize().unwrap();
    let change = move |options: SqliteConnectOptions| options.vfs(vfs()).synchronous(synchronous);
    let store = Arc::new(Store::open_with(&data, change).await.unwrap());
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let writers: Vec<_> = (0..4_u32)
        .map(|writer| {
            let (store, acknowledged) = (store.clone(), acknowledged.clone());
            tokio::spawn(async move {
                for number in 0.. {
                    let number = 4 * number + writer;
                    create(&store, number).await;
                    acknowledged.lock().unwrap().insert(format!("p{number}"));
                }
            })
        })
        .collect();
    let options = SqliteConnectOptions::new().filename(data.join("troupe.db")).vfs(vfs());
    let mut other = SqliteConnection::connect_with(&options).await.unwrap();
    let (mut dice, mut damaged) = (StdRng::seed_from_u64(seed), 0);
    for loss in 0..losses {
        tokio::time::sleep(std::time::Duration::from_micros(dice.random_range(0..5_000))).await;
        let expected = acknowledged.lock().unwrap().clone();
        let lost = lose_power(&data, &mut dice);
        if let Err(why) = check(lost.path(), &expected).await {
            eprintln!("seed {seed}, loss {loss}: {why}");
            damaged += 1;
        }
        // The database's own file is written, too.
        if loss % 10 == 9 {
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut other).await.unwrap();
        }
    }
    writers.iter().for_each(tokio::task::JoinHandle::abort);
    assert!(acknowledged.lock().unwrap().len() > losses as usize, "hardly anything was written");
    other.close().await.unwrap();
    store.close().await;
    damaged
}

async fn check(data: &Path, expected: &BTreeSet<String>) -> Result<(), String> {
    let store = Store::open(data).await.map_err(|error| format!("it does not open: {error}"))?;
    let checked = async {
        let sound: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(store.read()).await?;
        let keys: Vec<String> = sqlx::query_scalar("SELECT key FROM project").fetch_all(store.read()).await?;
        Ok::<_, sqlx::Error>((sound, keys.into_iter().collect::<BTreeSet<_>>()))
    };
    let checked = checked.await;
    store.close().await;
    let (sound, keys) = checked.map_err(|error| format!("it cannot be read: {error}"))?;
    let missing = expected.difference(&keys).count();
    match (sound.as_str(), missing) {
        ("ok", 0) => Ok(()),
        (sound, missing) => Err(format!("{missing} of {} are missing; integrity: {sound}", expected.len())),
    }
}

/// `SEED` repeats a failed test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_power_loss() {
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    assert_eq!(losses_with(SqliteSynchronous::Full, 60, seed).await, 0);
}

/// The test above would notice commits that are acknowledged too early.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_syncs_a_power_loss_is_noticed() {
    assert!(losses_with(SqliteSynchronous::Off, 20, 1).await > 0);
}
