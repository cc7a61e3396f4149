//! A look into the memory of the rule engine, from outside its task.

use std::time::Duration;

use model::TenantId;
use rules::explain::RuleState;
use runtime::ErrorKind;
use tokio::sync::{mpsc, oneshot};

/// Questions that wait for the engine; it answers between batches. More are refused.
const WAITING: usize = 16;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum PeekError {
    /// Too many ask at once.
    #[error("{WAITING} questions to the rule engine wait already; try again later")]
    Busy,
    /// The engine did not come to it in time.
    #[error("the rule engine did not answer within {} s", PATIENCE.as_secs())]
    Slow,
    /// The engine does not run, or stopped while it was asked.
    #[error("the rule engine does not run")]
    Stopped,
}

impl PeekError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Busy => ErrorKind::Overloaded,
            Self::Slow => ErrorKind::Timeout,
            Self::Stopped => ErrorKind::Unavailable,
        }
    }
}

/// What is asked.
#[derive(Debug)]
pub(crate) struct Question {
    pub tenant: TenantId,
    pub rule: String,
    pub group: Vec<(String, String)>,
    pub limit: usize,
    pub answer: oneshot::Sender<Option<RuleState>>,
}

/// The end that asks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Peek(mpsc::Sender<Question>);

/// The end that the engine answers at.
#[derive(Debug)]
pub struct Questions(mpsc::Receiver<Question>);

/// Both ends.
pub fn channel() -> (Peek, Questions) {
    let (ask, asked) = mpsc::channel(WAITING);
    (Peek(ask), Questions(asked))
}

impl Peek {
    /// What the engine remembers for a rule of a tenant: at most `limit` of the groups that have all of these values.
    /// `None` when the rule is not in force or looks at single events.
    ///
    /// # Errors
    /// [`PeekError::Busy`] ([`ErrorKind::Overloaded`]), [`PeekError::Slow`] ([`ErrorKind::Timeout`]),
    /// [`PeekError::Stopped`] ([`ErrorKind::Unavailable`]).
    pub async fn state(
        &self,
        tenant: &TenantId,
        rule: &str,
        group: Vec<(String, String)>,
        limit: usize,
    ) -> Result<Option<RuleState>, PeekError> {
        let (answer, answered) = oneshot::channel();
        let question = Question { tenant: tenant.clone(), rule: rule.to_owned(), group, limit, answer };
        self.0.try_send(question).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => PeekError::Busy,
            mpsc::error::TrySendError::Closed(_) => PeekError::Stopped,
        })?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(answer) => answer.map_err(|_| PeekError::Stopped),
            Err(_) => Err(PeekError::Slow),
        }
    }
}

impl Questions {
    /// The next question; never ends once nobody can ask any more.
    pub(crate) async fn next(&mut self) -> Question {
        match self.0.recv().await {
            Some(question) => question,
            None => std::future::pending().await,
        }
    }
}
