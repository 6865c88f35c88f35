//! A disk that is really full: the engine on a file system of a few megabytes says 507, loses nothing that it
//! acknowledged, and goes on when there is space.

use crate::program::{Running, wait_for};
use crate::wire::Wire;
use serde_json::{Value, json};
use std::ffi::CString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A small file system in memory, unmounted when it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Self {
        std::fs::create_dir(at).unwrap();
        let target = CString::new(at.to_str().unwrap()).unwrap();
        // SAFETY: all arguments are C strings that outlive the call.
        let code = unsafe {
            libc::mount(c"tmpfs".as_ptr(), target.as_ptr(), c"tmpfs".as_ptr(), 0, c"size=4m".as_ptr().cast())
        };
        assert_eq!(code, 0, "mount: {}", std::io::Error::last_os_error());
        Self(at.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let target = CString::new(self.0.to_str().unwrap()).unwrap();
        // SAFETY: as above; a lazy unmount also works while something is still open.
        unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    }
}

fn engine(folder: &Path, disk: &Path) -> (Running, SocketAddr) {
    let store = format!("sqlite:{}", disk.join("engine.db").display());
    let mut engine = Running::start(folder, &["engine", "--listen", "127.0.0.1:0", "--store", &store]);
    let line = engine.first_line();
    let address = line.strip_prefix("listening on http://").unwrap().parse().unwrap();
    (engine, address)
}

#[test]
#[ignore = "needs root: it mounts a small file system"]
fn a_full_disk_refuses_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(&folder.path().join("disk"));
    let ballast = disk.0.join("ballast");
    std::fs::write(&ballast, vec![0; 2 << 20]).unwrap();
    let (running, address) = engine(folder.path(), &disk.0);
    let mut wire = Wire::to(address);
    let def = json!({"name": "w", "tasks": [{"name": "a", "taskReferenceName": "t1"}]});
    assert_eq!(wire.ask("POST", "/api/metadata/workflow", &def).unwrap().0, 200);

    let start = json!({"name": "w", "input": {"padding": "x".repeat(4000)}});
    let mut acknowledged = Vec::new();
    let message =
        wait_for("the disk to be full", || match wire.ask("POST", "/api/workflow", &start).unwrap() {
            (200, id) => {
                acknowledged.push(id);
                None
            }
            (507, body) => Some(body),
            other => panic!("neither done nor refused: {other:?}"),
        });
    assert!(message.contains("disk is full"), "{message}");
    assert_eq!(wire.ask("GET", "/health", &Value::Null).unwrap().0, 503);
    assert!(acknowledged.len() > 50, "only {} starts fitted", acknowledged.len());

    std::fs::remove_file(&ballast).unwrap();
    wait_for("a start after there is space", || {
        (wire.ask("POST", "/api/workflow", &start).unwrap().0 == 200).then_some(())
    });
    assert_eq!(wire.ask("GET", "/health", &Value::Null).unwrap().0, 200);

    running.signal(libc::SIGKILL);
    drop(running.end());
    let (_running, address) = engine(folder.path(), &disk.0);
    let mut wire = Wire::to(address);
    for id in acknowledged {
        let (status, _) = wire.ask("GET", &format!("/api/workflow/{id}/status"), &Value::Null).unwrap();
        assert_eq!(status, 200, "an acknowledged start is lost: {id}");
    }
}
