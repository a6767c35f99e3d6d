//! The threads that serve clients, each with an event loop of its own.
//!
//! A session runs on one thread with the server connection that it holds, so that nothing on a statement's way wakes
//! another thread. Sessions gather on as few threads as carry the load: a loop that has much to do asks the kernel
//! seldom and finds more each time. When a loop is nearly full, sessions go over to the one with the least to do,
//! between two of their transactions; when two loops' work fits one, they come together again.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

use crate::STACK_BYTES;
use crate::config::ThreadUse;

/// How often the loops' load is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// A loop that is busy for this share of the time has no room for more.
const FULL: f64 = 0.8;
/// A new client goes to the first loop that is less busy than this.
const ROOMY: f64 = 0.6;
/// Sessions go over only where the other loop is so much less busy.
const GAP: f64 = 0.3;
/// Two loops that together are no busier than this come together.
const LIGHT: f64 = 0.5;
/// Threads for what would hold a loop up: reading long texts, looking names up.
const HELPERS: usize = 4;

thread_local! {
    static HERE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// The loop of this thread; another number where it has none.
pub(crate) fn here() -> usize {
    HERE.get()
}

/// All loops.
pub(crate) struct Loops {
    all: Vec<Loop>,
    stop: CancellationToken,
    moves: AtomicU64,
}

struct Loop {
    handle: Handle,
    gauge: Arc<Gauge>,
    /// How busy it was lately, in thousandths.
    busy: AtomicUsize,
    /// So many of its sessions are to leave, for this loop.
    leaving: AtomicUsize,
    to: AtomicUsize,
}

/// What a loop says of itself.
#[derive(Default)]
struct Gauge {
    cpu_us: AtomicU64,
    sessions: AtomicUsize,
}

/// A session's seat on a loop, counted.
pub(crate) struct Seat(Arc<Gauge>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How busy a loop is, as a share of the time, and how many sessions it has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Load {
    pub(crate) busy: f64,
    pub(crate) sessions: usize,
}

/// So many sessions are to go from one loop to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Move {
    from: usize,
    to: usize,
    sessions: usize,
}

/// What would even the load out, or bring little work together where that is wanted.
pub(crate) fn plan(loads: &[Load], thread_use: ThreadUse) -> Option<Move> {
    let busy = |at: &usize| loads[*at].busy;
    let from = (0..loads.len()).max_by(|a, b| busy(a).total_cmp(&busy(b)))?;
    let to = (0..loads.len()).min_by(|a, b| busy(a).total_cmp(&busy(b)))?;
    if busy(&from) >= FULL && busy(&from) - busy(&to) >= GAP && loads[from].sessions > 1 {
        // A part at a time: what they do is not known before it is done.
        return Some(Move { from, to, sessions: (loads[from].sessions / 4).max(1) });
    }
    if thread_use == ThreadUse::Spread {
        return None;
    }
    let from = (0..loads.len()).rev().find(|at| loads[*at].sessions > 0)?;
    let to = (0..from).find(|to| busy(to) + busy(&from) <= LIGHT)?;
    Some(Move { from, to, sessions: loads[from].sessions })
}

impl Loops {
    /// Starts so many threads; 0 stands for one for each core.
    ///
    /// # Errors
    /// No more threads are to be had.
    pub(crate) fn start(threads: usize) -> io::Result<Self> {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let stop = CancellationToken::new();
        let all = (0..threads).map(|index| Loop::start(index, stop.clone())).collect::<io::Result<_>>()?;
        Ok(Self { all, stop, moves: AtomicU64::new(0) })
    }

    /// The loop for a new client.
    pub(crate) fn place(&self, thread_use: ThreadUse) -> usize {
        if thread_use == ThreadUse::Spread {
            let sessions = |at: &usize| self.all[*at].gauge.sessions.load(Ordering::Relaxed);
            return (0..self.all.len()).min_by_key(sessions).unwrap_or_default();
        }
        let busy = |at: &usize| self.all[*at].busy.load(Ordering::Relaxed);
        let roomy = (0..self.all.len()).find(|at| (busy(at) as f64) < ROOMY * 1_000.0);
        roomy.or_else(|| (0..self.all.len()).min_by_key(busy)).unwrap_or_default()
    }

    /// Runs a task on a loop.
    pub(crate) fn spawn(&self, at: usize, task: impl Future<Output = ()> + Send + 'static) {
        self.all[at].handle.spawn(task);
    }

    /// A seat on a loop.
    pub(crate) fn seat(&self, at: usize) -> Seat {
        let gauge = self.all[at].gauge.clone();
        gauge.sessions.fetch_add(1, Ordering::Relaxed);
        Seat(gauge)
    }

    /// Where a session of this thread's loop is to go, if anywhere. Asked between two transactions.
    pub(crate) fn leaves(&self) -> Option<usize> {
        let here = self.all.get(here())?;
        if here.leaving.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let one_less = |left: usize| left.checked_sub(1);
        here.leaving.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).ok()?;
        self.moves.fetch_add(1, Ordering::Relaxed);
        Some(here.to.load(Ordering::Relaxed))
    }

    /// Looks at the load and has sessions go where there is room, until the loops are stopped.
    pub(crate) async fn balance(&self, thread_use: impl Fn() -> ThreadUse) {
        if self.all.len() < 2 {
            return;
        }
        let mut before: Vec<u64> = vec![0; self.all.len()];
        let mut looked = Instant::now();
        loop {
            tokio::time::sleep(LOOK).await;
            let passed = looked.elapsed().as_micros() as f64;
            looked = Instant::now();
            let loads: Vec<Load> = self.all.iter().zip(&mut before).map(|(l, b)| l.load(b, passed)).collect();
            let planned = plan(&loads, thread_use());
            for (index, l) in self.all.iter().enumerate() {
                let planned = planned.filter(|planned| planned.from == index);
                l.to.store(planned.map_or(index, |planned| planned.to), Ordering::Relaxed);
                l.leaving.store(planned.map_or(0, |planned| planned.sessions), Ordering::Relaxed);
            }
        }
    }

    /// For each loop its CPU time in seconds and its sessions.
    pub(crate) fn figures(&self) -> impl Iterator<Item = (f64, usize)> + '_ {
        self.all.iter().map(|l| {
            let cpu = l.gauge.cpu_us.load(Ordering::Relaxed) as f64 / 1e6;
            (cpu, l.gauge.sessions.load(Ordering::Relaxed))
        })
    }

    /// Sessions that went from one loop to another.
    pub(crate) fn moves(&self) -> u64 {
        self.moves.load(Ordering::Relaxed)
    }

    /// Ends the threads. What still runs there ends.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }
}

impl Loop {
    fn start(index: usize, stop: CancellationToken) -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .thread_stack_size(STACK_BYTES)
            .max_blocking_threads(HELPERS)
            .build()?;
        let handle = runtime.handle().clone();
        let gauge = Arc::new(Gauge::default());
        let own = gauge.clone();
        let run = move || {
            HERE.set(index);
            runtime.block_on(async move {
                tokio::select! {
                    () = own.follow() => {}
                    () = stop.cancelled() => {}
                }
            });
            runtime.shutdown_background();
        };
        std::thread::Builder::new().name(format!("loop-{index}")).stack_size(STACK_BYTES).spawn(run)?;
        let (busy, leaving, to) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(index));
        Ok(Self { handle, gauge, busy, leaving, to })
    }

    /// The load since the last time; `before` is the CPU time of then, in microseconds, and of now afterwards.
    fn load(&self, before: &mut u64, passed_us: f64) -> Load {
        let now = self.gauge.cpu_us.load(Ordering::Relaxed);
        let busy = now.saturating_sub(std::mem::replace(before, now)) as f64 / passed_us;
        self.busy.store((busy * 1_000.0) as usize, Ordering::Relaxed);
        Load { busy, sessions: self.gauge.sessions.load(Ordering::Relaxed) }
    }
}

impl Gauge {
    /// Notes this thread's CPU time, for ever.
    async fn follow(&self) {
        loop {
            let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            let us = cpu.tv_sec.unsigned_abs() * 1_000_000 + cpu.tv_nsec.unsigned_abs() / 1_000;
            self.cpu_us.store(us, Ordering::Relaxed);
            tokio::time::sleep(LOOK).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_spread_when_a_loop_is_full_and_gather_when_one_is_enough() {
        for (loads, want) in [
            (&[(0.0, 0), (0.0, 0)][..], None),
            (&[(0.79, 100), (0.0, 0)], None),
            (&[(0.85, 100), (0.1, 0)], Some((0, 1, 25))),
            (&[(0.85, 1), (0.1, 0)], None),
            (&[(0.85, 3), (0.1, 0), (0.05, 0)], Some((0, 2, 1))),
            (&[(0.9, 50), (0.7, 50)], None),
            (&[(0.3, 50), (0.15, 20)], Some((1, 0, 20))),
            (&[(0.4, 50), (0.15, 20)], None),
            (&[(0.6, 50), (0.2, 20), (0.2, 7)], Some((2, 1, 7))),
            (&[(0.0, 0), (0.0, 9)], Some((1, 0, 9))),
        ] {
            let loads: Vec<Load> = loads.iter().map(|&(busy, sessions)| Load { busy, sessions }).collect();
            let want = want.map(|(from, to, sessions)| Move { from, to, sessions });
            assert_eq!(plan(&loads, ThreadUse::Gather), want, "{loads:?}");
            let spreads = want.filter(|_| loads.iter().any(|load| load.busy >= FULL));
            assert_eq!(plan(&loads, ThreadUse::Spread), spreads, "{loads:?}");
        }
    }

    #[test]
    fn tasks_run_on_the_loop_that_they_are_given_to() {
        let loops = Loops::start(3).unwrap();
        for at in 0..3 {
            let (tell, told) = std::sync::mpsc::channel();
            loops.spawn(at, async move { tell.send(here()).unwrap() });
            assert_eq!(told.recv().unwrap(), at);
        }
        let seat = loops.seat(2);
        assert_eq!(loops.figures().nth(2).unwrap().1, 1);
        drop(seat);
        assert_eq!(loops.figures().nth(2).unwrap().1, 0);
        assert_eq!(loops.leaves(), None, "this thread has no loop");
        let _first = loops.seat(0);
        assert_eq!((loops.place(ThreadUse::Gather), loops.place(ThreadUse::Spread)), (0, 1));
        loops.stop();
    }
}
