//! Where the replies of one session wait to be sent once their commit is durable.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};

use tokio::sync::oneshot;

use crate::protocol::proto;

/// The replies of one session that may leave; filled by the committer, emptied by the session.
#[derive(Default)]
pub struct Outbox {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    replies: Vec<proto::Reply>,
    session: Option<Waker>,
}

impl Outbox {
    /// Moves the replies to `into`, and has the session woken when there are more.
    pub fn drain(&self, into: &mut Vec<proto::Reply>, context: &Context<'_>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        into.append(&mut inner.replies);
        match &mut inner.session {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
    }

    fn push(&self, reply: proto::Reply) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = inner.replies.is_empty();
        inner.replies.push(reply);
        if was_empty && let Some(session) = &inner.session {
            session.wake_by_ref();
        }
    }
}

/// Something that waits for a commit.
pub enum Waiting {
    /// A reply, and the session that it goes to.
    Reply {
        /// Where it goes.
        outbox: Arc<Outbox>,
        /// What it says.
        reply: proto::Reply,
    },
    /// An order that goes on when its step is durable.
    Step(oneshot::Sender<()>),
}

impl Waiting {
    /// Lets it go on.
    pub fn deliver(self) {
        match self {
            Waiting::Reply { outbox, reply } => outbox.push(reply),
            // Whoever waited may have gone away.
            Waiting::Step(step) => _ = step.send(()),
        }
    }
}
