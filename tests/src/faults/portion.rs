//! Some of a crowd's ordinary nodes, told by lines what to do: in a process of their own, for a process may have 20,000
//! files open on some systems, and each node needs two.
//!
//! | line | answer |
//! |---|---|
//! | | `ready` once all have their certificates |
//! | `come` | `here` once each is associated and has its record placed, a few at a time |
//! | `restart` | all vanish and come back at the same moment; `standing N TWICE DIALS MILLISECONDS` again and again: how many are registered, how many by two super nodes, how often all have dialled since, and the processors' time of the process |

use super::start_some;
use crate::process::processors_time;
use crate::{Crowd, Ordinary};
use login_server::OfflineAuthority;
use relay_node::{Clock, files};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, Lines, duplex, split,
};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// How many come at a time at first.
const AT_ONCE: usize = 64;
/// How often it says who is back.
const LOOK: Duration = Duration::from_millis(100);
/// How many files each node may have open while it looks for its super nodes, and how many others there are.
const FILES: (u64, u64) = (5, 1_024);
/// Bytes of lines that wait between two ends in one process.
const WAITING: usize = 4_096;

/// Which ordinary nodes, and of what network.
#[derive(Debug, Clone)]
pub struct Part {
    /// Where the authority has its files.
    pub authority: PathBuf,
    /// The certificate of super nodes that are reached by TLS.
    pub trust: Option<PathBuf>,
    /// The numbers of the users.
    pub users: Range<usize>,
    /// The super nodes.
    pub urls: Vec<String>,
}

/// How those of a portion are doing since they came back.
#[derive(Debug, Clone, Copy, Default)]
pub struct Count {
    /// How many are registered: they have an association, and their record is placed.
    pub back: usize,
    /// How many of them have both associations.
    pub twice: usize,
    /// How often all of them have dialled.
    pub dials: u32,
    /// The processors' time of their process.
    pub used: Duration,
}

/// One portion, wherever it runs; it ends with this.
pub struct Portion {
    orders: Box<dyn AsyncWrite + Send + Unpin>,
    answers: watch::Receiver<Answer>,
    _reader: JoinHandle<()>,
    _process: Option<Child>,
}

impl fmt::Debug for Portion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer = *self.answers.borrow();
        f.debug_tuple("Portion").field(&answer).finish()
    }
}

/// What was said last.
#[derive(Debug, Clone, Copy, Default)]
enum Answer {
    #[default]
    Nothing,
    Ready,
    Here,
    Standing(Count),
}

impl Portion {
    /// Starts one in this process.
    pub fn here(part: Part) -> Self {
        let (near, far) = duplex(WAITING);
        let (answers, orders) = split(far);
        tokio::spawn(async move {
            let (from, to) = split(near);
            serve(part, from, to).await
        });
        Self::of(answers, orders, None)
    }

    /// Starts one in a process of its own, of the program that calls [`serve_lines`] when its first argument is `portion`.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn apart(program: &Path, part: &Part) -> Self {
        let mut command = Command::new(program);
        command.arg("portion").args(part.arguments());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.kill_on_drop(true).spawn().expect("it starts");
        let orders = process.stdin.take().expect("it was asked for");
        let answers = process.stdout.take().expect("it was asked for");
        Self::of(answers, orders, Some(process))
    }

    fn of(
        answers: impl AsyncRead + Send + Unpin + 'static,
        orders: impl AsyncWrite + Send + Unpin + 'static,
        process: Option<Child>,
    ) -> Self {
        let (say, said) = watch::channel(Answer::Nothing);
        let mut lines = BufReader::new(answers).lines();
        let reader = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                say.send_replace(
                    Answer::read(&line).unwrap_or_else(|| panic!("an answer: {line}")),
                );
            }
        });
        Self {
            orders: Box::new(orders),
            answers: said,
            _reader: reader,
            _process: process,
        }
    }

    /// Waits until all have their certificates.
    ///
    /// # Panics
    ///
    /// When the portion ends.
    pub async fn ready(&mut self) {
        self.answer(|answer| matches!(answer, Answer::Ready)).await;
    }

    /// Lets them come one after the other.
    ///
    /// # Panics
    ///
    /// When the portion ends.
    pub async fn come(&mut self) {
        self.order("come\n").await;
        self.answer(|answer| matches!(answer, Answer::Here)).await;
    }

    /// Lets them vanish and come back at once.
    ///
    /// # Panics
    ///
    /// When the portion has ended.
    pub async fn restart(&mut self) {
        self.order("restart\n").await;
    }

    /// How they were doing when they were counted last.
    pub fn count(&self) -> Count {
        match *self.answers.borrow() {
            Answer::Standing(count) => count,
            Answer::Nothing | Answer::Ready | Answer::Here => Count::default(),
        }
    }

    async fn order(&mut self, line: &str) {
        let written = self.orders.write_all(line.as_bytes()).await;
        written.expect("the portion runs");
    }

    async fn answer(&mut self, is: impl Fn(&Answer) -> bool) {
        let answered = self.answers.wait_for(is).await;
        answered.expect("the portion runs");
    }
}

impl Answer {
    fn read(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["ready"] => Some(Self::Ready),
            ["here"] => Some(Self::Here),
            ["standing", back, twice, dials, used] => Some(Self::Standing(Count {
                back: back.parse().ok()?,
                twice: twice.parse().ok()?,
                dials: dials.parse().ok()?,
                used: Duration::from_millis(used.parse().ok()?),
            })),
            _ => None,
        }
    }
}

impl Part {
    fn arguments(&self) -> Vec<OsString> {
        let trust = self.trust.as_deref().unwrap_or(Path::new(""));
        let mut arguments: Vec<OsString> = vec![self.authority.clone().into(), trust.into()];
        arguments.push(self.users.start.to_string().into());
        arguments.push(self.users.end.to_string().into());
        arguments.extend(self.urls.iter().map(OsString::from));
        arguments
    }

    fn read(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let authority = words.next()?.into();
        let trust = words.next().filter(|trust| !trust.is_empty());
        let users = words.next()?.parse().ok()?..words.next()?.parse().ok()?;
        Some(Self {
            authority,
            trust: trust.map(PathBuf::from),
            users,
            urls: words.collect(),
        })
    }
}

/// Serves the portion that the arguments describe by standard input and output, until the input ends.
///
/// # Panics
///
/// When the arguments are not those of [`Portion::apart`], or the system does not allow as many files.
pub async fn serve_lines(arguments: impl Iterator<Item = String>) {
    let part = Part::read(arguments).expect("the arguments of a portion");
    let files = FILES.0 * part.users.len() as u64 + FILES.1;
    files::raise(files).unwrap_or_else(|error| panic!("{files} open files are needed: {error}"));
    let _ = serve(part, tokio::io::stdin(), tokio::io::stdout()).await;
}

async fn serve(
    part: Part,
    from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let authority = OfflineAuthority::open(&part.authority, Clock::start().wall());
    let authority = authority.expect("the files of an authority");
    let mut crowd = Crowd::of(&authority, part.users.clone());
    if let Some(trust) = &part.trust {
        crowd.trust(trust);
    }
    let users: Vec<usize> = (0..part.users.len()).collect();
    let mut orders = BufReader::new(from).lines();
    say(&mut to, "ready").await?;

    if !ordered(&mut orders, "come").await? {
        return Ok(());
    }
    // They have been there before, and did not come all at once: each has a record.
    let mut nodes = Vec::new();
    for some in users.chunks(AT_ONCE) {
        let mut some = start_some(&crowd, &part.urls, some);
        for node in &mut some {
            node.stands(1, true).await;
        }
        nodes.extend(some);
    }
    say(&mut to, "here").await?;

    if !ordered(&mut orders, "restart").await? {
        return Ok(());
    }
    drop(nodes);
    let before = processors_time("self");
    let nodes = start_some(&crowd, &part.urls, &users);
    loop {
        let with = |associations| {
            let registered = nodes
                .iter()
                .filter(|node| is_registered(node, associations));
            registered.count()
        };
        let (back, twice) = (with(1), with(2));
        let dials: u32 = nodes.iter().map(|node| node.standing.borrow().dials).sum();
        let used = (processors_time("self") - before).as_millis();
        say(&mut to, &format!("standing {back} {twice} {dials} {used}")).await?;
        tokio::select! {
            _ = orders.next_line() => return Ok(()),
            () = sleep(LOOK) => {}
        }
    }
}

fn is_registered(node: &Ordinary, associations: usize) -> bool {
    let standing = node.standing.borrow();
    standing.associations >= associations && standing.placed.is_some()
}

async fn ordered(
    orders: &mut Lines<BufReader<impl AsyncRead + Unpin>>,
    order: &str,
) -> io::Result<bool> {
    let line = orders.next_line().await?;
    Ok(line.as_deref() == Some(order))
}

async fn say(to: &mut (impl AsyncWrite + Unpin), line: &str) -> io::Result<()> {
    to.write_all(line.as_bytes()).await?;
    to.write_all(b"\n").await?;
    to.flush().await
}
