//! `data_dir/admin.sock`: where `bespoke user` and other programs of the operator talk to a running server. Who may
//! open it is what the file system says: its owner.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{settings, web};
use crate::config::Config;

/// Connections at once; further ones wait.
const CONNECTIONS: usize = 16;
/// The pause after the operating system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` there until `stop`. A socket that can't be had is no reason not to serve phones: it is logged.
pub(super) fn serve(config: &Config, router: Router, stop: CancellationToken, tasks: &TaskTracker) {
    let path = settings::console_socket(config);
    let listener = match bind(&path) {
        Ok(listener) => listener,
        Err(error) => {
            let path = path.display();
            tracing::warn!(%path, %error, "no socket for operators: `bespoke user` can't reach this server");
            return;
        }
    };
    let spawner = tasks.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = accept(&listener, &router, &stop, &spawner) => {}
            () = stop.cancelled() => {}
        }
        drop(listener);
        let _gone_already = std::fs::remove_file(&path);
    });
}

async fn accept(listener: &UnixListener, router: &Router, stop: &CancellationToken, tasks: &TaskTracker) {
    let limit = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&limit).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                tasks.spawn(web::local_connection(stream, router.clone(), stop.clone(), permit));
            }
            Err(error) => {
                tracing::warn!(%error, "no connection could be taken on admin.sock");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Binds under another name and moves the socket to its place once nobody else may open it. What an earlier run
/// left there goes: this process holds the store of the folder, so nobody else serves it.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    if let Err(error) = std::fs::remove_file(&fresh)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let listener = UnixListener::bind(&fresh)?;
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&fresh, path)?;
    Ok(listener)
}
