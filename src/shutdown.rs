//! placeholder
use std::io;
use tokio::sync::watch;
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);
impl Shutdown {
    pub fn on_signals(_parent_pipe: bool) -> io::Result<Self> {
        let (tx, rx) = watch::channel(false);
        std::mem::forget(tx);
        Ok(Shutdown(rx))
    }
    pub fn requested(&self) -> bool {
        *self.0.borrow()
    }
    pub async fn wait(&mut self) {
        let _ = self.0.wait_for(|r| *r).await;
    }
}
