//! Polls tasks in an order drawn from a seed. Time is paused while any task can run, and advances to the next timer
//! when none can.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

pub(crate) type Task = Pin<Box<dyn Future<Output = ()>>>;

/// The tasks, each of a process that can be killed, or of none.
#[derive(Default)]
pub(crate) struct Executor {
    tasks: Vec<(Option<usize>, Task, Arc<Flag>)>,
    sleeper: Arc<Mutex<Option<Waker>>>,
}

/// Whether a task can run.
struct Flag {
    up: AtomicBool,
    sleeper: Arc<Mutex<Option<Waker>>>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.up.store(true, Ordering::Relaxed);
        let sleeper = self.sleeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }
}

impl Executor {
    pub(crate) fn spawn(&mut self, process: Option<usize>, task: Task) {
        let flag = Flag {
            up: AtomicBool::new(true),
            sleeper: self.sleeper.clone(),
        };
        self.tasks.push((process, task, Arc::new(flag)));
    }

    /// Drops all tasks of a process, wherever they are suspended.
    pub(crate) fn kill(&mut self, process: usize) {
        self.tasks.retain(|(of, ..)| *of != Some(process));
    }

    /// Polls one runnable task once; pending while there is none.
    pub(crate) fn poll_one(&mut self, context: &mut Context<'_>, random: &mut fastrand::Rng) -> Poll<()> {
        let can_go_on =
            |(at, (_, _, flag)): (usize, &(_, _, Arc<Flag>))| flag.up.load(Ordering::Relaxed).then_some(at);
        let ready: Vec<usize> = self.tasks.iter().enumerate().filter_map(can_go_on).collect();
        if ready.is_empty() {
            *self.sleeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
            return Poll::Pending;
        }
        let at = ready[random.usize(..ready.len())];
        let (_, task, flag) = &mut self.tasks[at];
        flag.up.store(false, Ordering::Relaxed);
        let waker = Waker::from(flag.clone());
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            drop(self.tasks.swap_remove(at));
        }
        Poll::Ready(())
    }
}
