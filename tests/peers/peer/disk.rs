//! A disk that is full: registrations are refused, reading and routing go on, and writing works again
//! when there is room.

use std::process::Command;

use crate::harness::{Line, Phone, Server, phone};

/// Registers fresh users until one is refused; gives the users that got a 200 and the refusal's code.
fn fill(server: &Server) -> (Vec<String>, u16) {
    let mut line = Line::tcp(server.sip);
    let mut registered = Vec::new();
    for n in 0..20_000 {
        let user = format!("full{n}");
        let request = Phone::udp(&user).register_request(&[("User-Agent", &"x".repeat(2_000))]);
        let request = request
            .clone()
            .set("Contact", &format!("{};x=\"{}\"", request.get("Contact"), "y".repeat(2_000)));
        match line.request(&request).status() {
            200 => registered.push(user),
            refused => return (registered, refused),
        }
    }
    panic!("the disk never got full");
}

fn bound(server: &Server, user: &str) -> bool {
    let query = Phone::udp(user).register_request(&[]).without("Contact");
    Line::tcp(server.sip).request(&query).header("Contact").is_some()
}

/// Registers until it is taken again; bounded.
fn recovers(server: &Server) -> bool {
    let mut line = Line::tcp(server.sip);
    (0..200).any(|n| {
        let request = Phone::udp(&format!("again{n}")).register_request(&[]);
        let taken = line.request(&request).status() == 200;
        if !taken {
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
        taken
    })
}

fn holds_over_a_full_disk(mut server: Server, make_room: impl FnOnce(&Server)) {
    let mut john = Phone::tcp("john");
    john.register(&server, &[]);
    let (registered, refused) = fill(&server);
    assert!(matches!(refused, 500 | 503), "{refused}");
    assert!(!registered.is_empty());

    let mut sender = Line::tcp(server.sip);
    sender.send(&sender.with_via(&phone::message_to("john").body("text/plain", b"still here")).octets());
    assert_eq!(john.take().body, b"still here", "routing goes on");
    assert_eq!(sender.final_response().status(), 200);
    assert!(bound(&server, registered.last().unwrap()), "reading goes on");

    make_room(&server);
    assert!(recovers(&server), "writing works again:\n{}", server.log());
    server.crash_and_restart();
    for user in [registered.first().unwrap(), registered.last().unwrap()] {
        assert!(bound(&server, user), "{user} got a 200 and is gone");
    }
}

#[test]
fn a_file_size_limit_refuses_registrations_and_nothing_else() {
    let server = Server::start();
    // Set once it runs: at its start the store makes room for its journal in advance.
    let limit = |server: &Server, fsize: &str| {
        let pid = server.pid().to_string();
        let set =
            Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={fsize}:unlimited")]).status();
        assert!(set.unwrap().success());
    };
    limit(&server, "3000000");
    holds_over_a_full_disk(server, |server| limit(server, "unlimited"));
}

#[test]
fn a_full_tmpfs_refuses_registrations_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let mounted = Mount::tmpfs(dir.path().join("small"));
    let Some(mount) = mounted else {
        eprintln!("skipped: mounting a tmpfs needs root");
        return;
    };
    let filler = mount.0.join("filler");
    let server = Server::with(&[&format!("data_dir={}", mount.0.join("data").display())]);
    // What is left is little, so that the disk gets full in the middle of a write.
    let free = mount.free();
    std::fs::write(&filler, vec![0; free.saturating_sub(1_500_000)]).unwrap();
    holds_over_a_full_disk(server, |_| std::fs::remove_file(&filler).unwrap());
}

/// A tmpfs that is unmounted when dropped.
struct Mount(std::path::PathBuf);

impl Mount {
    fn tmpfs(at: std::path::PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let done =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=96m", "tmpfs"]).arg(&at).output().ok()?;
        done.status.success().then_some(Self(at))
    }

    fn free(&self) -> usize {
        let out = Command::new("df").args(["--output=avail", "-B1"]).arg(&self.0).output().unwrap();
        String::from_utf8(out.stdout).unwrap().lines().nth(1).unwrap().trim().parse().unwrap()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
