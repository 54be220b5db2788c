//! The store over a restart: `records.redb` in the data directory.
//!
//! The machine keeps its records in memory and says what shall outlast it. That is written behind its back by a thread of
//! its own, many changes in one transaction. What is not on the disk when the power fails is on the other replicas;
//! so a disk that is full, or a file that is damaged, is told of and costs nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use p2psip::SlotId;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

const FILE: &str = "records.redb";
const TABLE: TableDefinition<[u8; 20], &[u8]> = TableDefinition::new("records");
/// How long changes are gathered before they are written.
const GATHERING: Duration = Duration::from_secs(1);
/// How long to wait before a disk that took nothing is tried again.
const REST: Duration = Duration::from_secs(10);
/// Changes in one transaction.
const BATCH: usize = 4_096;
/// Memory that the database may use for itself.
const CACHE: usize = 8 << 20;

/// What the file holds.
type Kept = Vec<(SlotId, Vec<u8>)>;

/// What to write for each slot, `None` to write nothing for it any more. At most one change a slot waits, so what waits
/// is never more than the machine's own store.
type Changes = BTreeMap<SlotId, Option<Vec<u8>>>;

/// The end of the shelf that its owner holds. Dropping it writes what waits.
#[derive(Debug)]
pub(crate) struct Shelf {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    woken: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    changes: Changes,
    closed: bool,
}

/// Why something was not read or written.
#[derive(Debug)]
enum Failure {
    /// What the file holds is of no use.
    Damaged(String),
    /// The system does not let the file be used; what it holds may be as good as ever.
    Unusable(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(why) | Self::Unusable(why) => f.write_str(why),
        }
    }
}

impl Shelf {
    /// Opens the file, or makes it, and reads what it holds. A damaged one is set aside; one that can't be used now is left
    /// as it is and tried again.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn open(directory: &Path) -> std::io::Result<(Self, Kept)> {
        let path = directory.join(FILE);
        let (database, kept) = match open_or_set_aside(&path) {
            Ok((database, kept)) => (Some(database), kept),
            Err(failure) => {
                tracing::error!(
                    "{} can't be used: {failure}. The node starts without it; its records come back from the other \
                     replicas, and outlast no restart until it can",
                    path.display()
                );
                (None, Vec::new())
            }
        };
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            shared: shared.clone(),
            path,
            failing: database.is_none(),
            database,
        };
        let writer = std::thread::Builder::new()
            .name("shelf".to_owned())
            .spawn(move || writer.run())?;
        let shelf = Self {
            shared,
            writer: Some(writer),
        };
        Ok((shelf, kept))
    }

    /// Takes over what shall be kept and what no longer, and returns at once.
    pub(crate) fn keep(&self, keep: Vec<(SlotId, Vec<u8>)>, forget: Vec<SlotId>) {
        let mut waiting = self.shared.lock();
        let kept = keep.into_iter().map(|(slot, bytes)| (slot, Some(bytes)));
        waiting.changes.extend(kept);
        let forgotten = forget.into_iter().map(|slot| (slot, None));
        waiting.changes.extend(forgotten);
        self.shared.woken.notify_one();
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.woken.notify_one();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the end, so long at most.
    fn rest(&self, length: Duration) {
        let waiting = self.lock();
        let waited = self
            .woken
            .wait_timeout_while(waiting, length, |waiting| !waiting.closed);
        drop(waited);
    }

    /// Waits for changes and takes some; `None` at the end.
    fn take(&self) -> Option<Changes> {
        let waiting = self.lock();
        let mut waiting = self
            .woken
            .wait_while(waiting, |waiting| {
                waiting.changes.is_empty() && !waiting.closed
            })
            .unwrap_or_else(PoisonError::into_inner);
        if waiting.changes.is_empty() {
            return None;
        }
        let rest = match waiting.changes.keys().nth(BATCH).copied() {
            Some(first) => waiting.changes.split_off(&first),
            None => Changes::new(),
        };
        Some(std::mem::replace(&mut waiting.changes, rest))
    }

    /// Puts back what could not be written, but for slots that changed again meanwhile.
    fn put_back(&self, changes: Changes) {
        let mut waiting = self.lock();
        for (slot, change) in changes {
            waiting.changes.entry(slot).or_insert(change);
        }
    }

    fn is_closed(&self) -> bool {
        self.lock().closed
    }
}

struct Writer {
    shared: Arc<Shared>,
    path: PathBuf,
    database: Option<Database>,
    failing: bool,
}

impl Writer {
    fn run(mut self) {
        while let Some(changes) = self.shared.take() {
            match self.write(&changes) {
                Ok(()) => {
                    if std::mem::take(&mut self.failing) {
                        tracing::info!("{}: records outlast a restart again", self.path.display());
                    }
                    self.shared.rest(GATHERING);
                }
                Err(failure) => {
                    // After a failure the database takes nothing more until it is opened anew.
                    self.database = None;
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::error!(
                            "{} can't be written: {failure}. The node goes on; its records are in memory and on the \
                             other replicas, and outlast no restart until there is room again",
                            self.path.display()
                        );
                    }
                    if self.shared.is_closed() {
                        return;
                    }
                    self.shared.put_back(changes);
                    self.shared.rest(REST);
                }
            }
        }
    }

    fn write(&mut self, changes: &Changes) -> Result<(), Failure> {
        if self.database.is_none() {
            self.database = Some(open_or_set_aside(&self.path)?.0);
        }
        let Some(database) = &self.database else {
            return Ok(());
        };
        guarded(|| {
            let transaction = database.begin_write().map_err(failure)?;
            {
                let mut table = transaction.open_table(TABLE).map_err(failure)?;
                for (slot, change) in changes {
                    match change {
                        Some(bytes) => {
                            drop(table.insert(slot.0, bytes.as_slice()).map_err(failure)?)
                        }
                        None => drop(table.remove(slot.0).map_err(failure)?),
                    }
                }
            }
            transaction.commit().map_err(failure)
        })
    }
}

/// Opens the file. A damaged one is set aside, and another one made.
fn open_or_set_aside(path: &Path) -> Result<(Database, Kept), Failure> {
    let fresh = !path.exists();
    let damage = match open(path) {
        Err(Failure::Damaged(damage)) => damage,
        Err(Failure::Unusable(why)) => {
            if fresh {
                // Half of a new file is no damage.
                let _ = std::fs::remove_file(path);
            }
            return Err(Failure::Unusable(why));
        }
        opened @ Ok(_) => return opened,
    };
    let aside = path.with_extension("damaged");
    std::fs::rename(path, &aside).map_err(failure)?;
    tracing::error!(
        "{} can't be read ({damage}): it is now {}, and the records come back from the other replicas",
        path.display(),
        aside.display()
    );
    open(path)
}

/// Opens the file and reads all of it.
fn open(path: &Path) -> Result<(Database, Kept), Failure> {
    guarded(|| {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE);
        let database = builder.create(path).map_err(failure)?;
        // Makes the table of a new file.
        let transaction = database.begin_write().map_err(failure)?;
        transaction.open_table(TABLE).map_err(failure)?;
        transaction.commit().map_err(failure)?;
        let transaction = database.begin_read().map_err(failure)?;
        let table = transaction.open_table(TABLE).map_err(failure)?;
        let mut kept = Vec::new();
        for entry in table.iter().map_err(failure)? {
            let (slot, bytes) = entry.map_err(failure)?;
            kept.push((SlotId(slot.value()), bytes.value().to_vec()));
        }
        drop((table, transaction));
        Ok((database, kept))
    })
}

/// A damaged file is no reason to end, even if the database thinks so.
fn guarded<T>(act: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(act))
        .unwrap_or_else(|_| Err(Failure::Damaged("it is damaged".to_owned())))
}

fn failure(error: impl Into<redb::Error>) -> Failure {
    let error = error.into();
    let words = error.to_string();
    match error {
        redb::Error::Io(error)
            if !matches!(
                error.kind(),
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof
            ) =>
        {
            Failure::Unusable(words)
        }
        redb::Error::PreviousIo | redb::Error::DatabaseAlreadyOpen => Failure::Unusable(words),
        _ => Failure::Damaged(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(number: u8) -> SlotId {
        SlotId([number; 20])
    }

    fn read(directory: &Path) -> Vec<(SlotId, Vec<u8>)> {
        Shelf::open(directory).unwrap().1
    }

    #[test]
    fn r130_what_was_kept_is_there_after_a_restart_and_what_was_forgotten_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let (shelf, kept) = Shelf::open(directory.path()).unwrap();
        assert!(kept.is_empty());
        for number in 0..200 {
            shelf.keep(vec![(slot(number), vec![number; 900])], Vec::new());
        }
        shelf.keep(vec![(slot(7), b"newer".to_vec())], vec![slot(8)]);
        drop(shelf);
        let kept = read(directory.path());
        assert_eq!(kept.len(), 199);
        assert_eq!(kept[7], (slot(7), b"newer".to_vec()));
        assert!(kept.iter().all(|(other, _)| *other != slot(8)));
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_the_shelf_works() {
        for damage in [0..64_usize, 4_096..12_288] {
            let directory = tempfile::tempdir().unwrap();
            let (shelf, _) = Shelf::open(directory.path()).unwrap();
            for number in 0..200 {
                shelf.keep(vec![(slot(number), vec![number; 900])], Vec::new());
            }
            drop(shelf);
            let path = directory.path().join(FILE);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[damage].fill(0xa5);
            std::fs::write(&path, bytes).unwrap();

            let (shelf, kept) = Shelf::open(directory.path()).unwrap();
            assert!(kept.is_empty());
            assert!(path.with_extension("damaged").exists());
            shelf.keep(vec![(slot(1), b"again".to_vec())], Vec::new());
            drop(shelf);
            assert_eq!(read(directory.path()), [(slot(1), b"again".to_vec())]);
        }
    }

    #[test]
    fn a_disk_that_takes_nothing_keeps_nobody_from_starting() {
        let directory = tempfile::tempdir().unwrap();
        // A directory of the file's name can be neither read nor moved onto.
        let path = directory.path().join(FILE);
        std::fs::create_dir(&path).unwrap();
        std::fs::create_dir(path.join("full")).unwrap();
        std::fs::write(path.with_extension("damaged"), "in the way").unwrap();
        let (shelf, kept) = Shelf::open(directory.path()).unwrap();
        assert!(kept.is_empty());
        shelf.keep(vec![(slot(1), b"one".to_vec())], Vec::new());
        drop(shelf);
        assert!(path.is_dir());
    }
}
