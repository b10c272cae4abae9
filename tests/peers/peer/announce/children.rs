//! The children that turn announcements: one for each stream, gone with the call it is for.

use super::*;

/// Sends a signal to a process.
fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

/// A folder with a video that takes a child some time.
fn film() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc=size=640x480:rate=25:duration=8",
            "-c:v",
            "mpeg4",
        ])
        .arg(folder.path().join("film.avi"))
        .status()
        .unwrap();
    assert!(made.success());
    folder
}

#[test]
fn a_caller_who_gives_up_takes_the_child_along_and_others_wait_for_their_turn() {
    let film = film();
    let folder = format!("annc.folder={}", film.path().display());
    let server = started(&[&folder, "annc.transcodes=1"]);
    let params = ";play=file:///film.avi";
    let body = offer(&[VP8], &[pair()]);
    let mut caller = Caller::new(&server, params, &body);
    let invite = caller.line.with_via(&caller.invite);
    caller.line.send(&invite.octets());
    // The first child looks, the second one works: what is stopped never ends by itself.
    let mut stopped = 0;
    eventually("a child at work", || {
        for pid in server.children() {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&line).contains("libvpx\0-b:v") {
                signal("-STOP", pid);
                stopped = pid;
            }
        }
        stopped > 0
    });
    let mut other = Caller::new(&server, params, &body);
    let second = other.line.with_via(&other.invite);
    other.line.send(&second.octets());
    let cancel = Message { start: invite.start.replace("INVITE", "CANCEL"), body: Vec::new(), ..invite };
    let cancel = cancel.set("CSeq", "1 CANCEL").without("Content-Type").without("Contact");
    caller.line.send(&cancel.octets());
    let statuses = [caller.line.final_response().status(), caller.line.final_response().status()];
    assert!(statuses.contains(&200) && statuses.contains(&487), "{statuses:?}");
    eventually("the child's end", || !std::path::Path::new(&format!("/proc/{stopped}")).exists());
    assert_eq!(other.line.final_response().status(), 200, "it has its turn");
    assert!(server.metric("annc_transcodes_total{result=\"made\"}") >= 1);
}
