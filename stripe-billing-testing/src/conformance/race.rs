use std::future::Future;
use std::sync::Arc;

use stripe_billing_core::{ErrorKind, StoreError};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// Starts `count` tasks at one moment and returns what they say, in the order of their numbers.
pub(super) async fn race<T, F>(count: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(count));
    let mut tasks = JoinSet::new();
    for number in 0..count {
        let (start, task) = (Arc::clone(&start), task(number));
        tasks.spawn(async move {
            start.wait().await;
            (number, task.await)
        });
    }
    let mut results = Vec::with_capacity(count);
    while let Some(result) = tasks.join_next().await {
        match result {
            Ok(result) => results.push(result),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Asks again while another transaction is in the way, which says that nothing happened.
pub(super) async fn insist<T, F>(call: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    for _ in 0..200 {
        match call().await {
            Ok(answer) => return answer,
            Err(error) if error.kind() == ErrorKind::Conflict => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("another transaction was in the way 200 times");
}
