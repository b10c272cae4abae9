//! A 200 to REGISTER is durable, and so is a 202 for a message that is kept: over `kill -9`, and, as strace sees it, on the disk.

use std::collections::HashMap;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::offline::known_and_gone;
use crate::harness::{Line, Message, Phone, Server, phone};

fn registration(user: &str) -> Message {
    let phone = Phone::udp(user);
    phone.register_request(&[("Accept", "text/plain, image/jpeg;media-pix-x=max+160")])
}

/// Whether the server has a binding for the user.
fn is_bound(line: &mut Line, user: &str) -> bool {
    let query = registration(user).without("Contact").without("Accept");
    let answer = line.request(&query);
    assert_eq!(answer.status(), 200, "{answer}");
    answer.header("Contact").is_some()
}

#[test]
fn every_binding_that_got_its_200_outlives_kill_9_in_the_middle_of_10_000_registers() {
    const ALL: usize = 10_000;
    const CRASH_AFTER: usize = 6_000;
    let mut server = Server::start();
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let count = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..20)
        .map(|client| {
            let (acknowledged, count, addr) = (acknowledged.clone(), count.clone(), server.sip);
            std::thread::spawn(move || {
                let mut line = Line::tcp(addr);
                for n in 0..ALL / 20 {
                    let user = format!("u{client}x{n}");
                    let request = line.with_via(&registration(&user));
                    // After the crash the connection is gone; what had no answer by then proves nothing.
                    let Some(answer) = line.try_request(&request) else { return };
                    assert_eq!(answer.status(), 200, "{answer}");
                    acknowledged.lock().unwrap().push(user);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    while count.load(Ordering::Relaxed) < CRASH_AFTER
        && !clients.iter().all(std::thread::JoinHandle::is_finished)
    {
        std::thread::yield_now();
    }
    server.crash_and_restart();
    for client in clients {
        client.join().unwrap();
    }

    let acknowledged = acknowledged.lock().unwrap();
    assert!(acknowledged.len() >= CRASH_AFTER, "{} were acknowledged", acknowledged.len());
    let mut line = Line::tcp(server.sip);
    let lost: Vec<_> = acknowledged.iter().filter(|user| !is_bound(&mut line, user)).collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged bindings are gone: {:?}",
        lost.len(),
        acknowledged.len(),
        lost.first()
    );
}

/// What the server called of the system while `act` went on.
fn traced(act: impl FnOnce(&Server)) -> Vec<Call> {
    const CALLS: &str = "trace=fsync,fdatasync,write,writev,pwrite64,pwritev,sendto,sendmsg,sendmmsg";
    let trace = tempfile::NamedTempFile::new().unwrap();
    let path = trace.path().to_owned();
    let server = Server::wrapped(
        |inner| {
            let mut strace = Command::new("strace");
            strace
                .args(["-f", "-y", "-ttt", "-s", "4000", "-e", CALLS, "-o"])
                .arg(&path)
                .arg(inner.get_program());
            strace.args(inner.get_args()).current_dir(inner.get_current_dir().unwrap());
            strace
        },
        &[],
    );
    act(&server);
    drop(server);
    calls(&std::fs::read_to_string(trace.path()).unwrap())
}

/// For each name: what is written of it is on the disk before an answer of that status with it leaves.
fn assert_synced(calls: &[Call], status: u16, names: &[String]) {
    for name in names {
        let name = name.as_str();
        let answered = calls
            .iter()
            .find(|c| {
                c.name.starts_with("send")
                    && c.text.contains(&format!("SIP/2.0 {status}"))
                    && c.text.contains(name)
            })
            .unwrap_or_else(|| panic!("no {status} for {name} in the trace"));
        let written = calls
            .iter()
            .find(|c| c.name.contains("write") && c.text.contains("/data/") && c.text.contains(name))
            .unwrap_or_else(|| panic!("no record of {name} in the trace"));
        let synced = calls.iter().any(|c| {
            matches!(c.name.as_str(), "fdatasync" | "fsync")
                && c.text.contains("/data/")
                && c.began >= written.ended
                && c.ended <= answered.began
                && c.ok
        });
        assert!(synced, "the {status} for {name} left before its record was on the disk");
    }
}

#[test]
fn no_200_leaves_before_an_fdatasync_that_began_after_its_record_was_written() {
    let users: Vec<String> = (0..20).map(|n| format!("traced{n}z{}", phone::serial())).collect();
    let calls = traced(|server| {
        let mut line = Line::udp(server.sip);
        for user in &users {
            let request = line.with_via(&registration(user));
            assert_eq!(line.try_request(&request).unwrap().status(), 200);
        }
    });
    assert_synced(&calls, 200, &users);
}

#[test]
fn no_202_leaves_before_an_fdatasync_that_began_after_the_message_was_written() {
    let mut ids = Vec::new();
    let calls = traced(|server| {
        known_and_gone(server, "john");
        let mut line = Line::udp(server.sip);
        for _ in 0..20 {
            let message = phone::message_to("john").body("text/plain", b"Watson, come here.");
            ids.push(message.get("Call-ID").to_owned());
            assert_eq!(line.request(&message).status(), 202);
        }
    });
    assert_synced(&calls, 202, &ids);
}

/// A system call with when it began and ended, in microseconds.
struct Call {
    name: String,
    text: String,
    began: u64,
    ended: u64,
    ok: bool,
}

/// Reads strace's `-f -ttt` form, where a call that another thread interrupts stands on two lines.
fn calls(trace: &str) -> Vec<Call> {
    let mut open: HashMap<&str, (u64, String)> = HashMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let Some((time, rest)) = rest.trim_start().split_once(' ') else { continue };
        let Ok(time) = time.replace('.', "").parse::<u64>() else { continue };
        let (began, text) = if let Some(start) = rest.strip_suffix(" <unfinished ...>") {
            open.insert(pid, (time, start.to_owned()));
            continue;
        } else if rest.starts_with("<... ") {
            let Some((began, start)) = open.remove(pid) else { continue };
            (began, format!("{start}{}", rest.split_once("resumed>").map_or("", |(_, tail)| tail)))
        } else {
            (time, rest.to_owned())
        };
        let Some((name, _)) = text.split_once('(') else { continue };
        let ok = text.rsplit_once(" = ").is_some_and(|(_, result)| !result.starts_with('-'));
        calls.push(Call { name: name.to_owned(), began, ended: time, ok, text });
    }
    calls
}
