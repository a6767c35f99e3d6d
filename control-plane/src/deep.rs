//! Work that needs a deep stack: reading SQL recurses as deep as a statement nests.

/// Stack of a reading thread, in bytes. Virtual memory: touched only as far as a text nests.
const STACK_BYTES: usize = 64 << 20;

/// Runs the work on a thread with a deep stack. `None` where no thread could be had or the work panicked.
pub(crate) async fn deep<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("sql-reader".into())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            // The caller may have gone away.
            let _ = done.send(work());
        })
        .ok()?;
    result.await.ok()
}
