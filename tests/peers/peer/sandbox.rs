//! `bespoke sandbox-exec` around Python, which tries what an intruder in a decoder would.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

const SIGSYS: i32 = 31;
const SIGKILL: i32 = 9;

/// What comes of a Python program in the cage.
fn caged(limits: &[&str], program: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bespoke"));
    command.arg("sandbox-exec").args(limits).args(["--", "/usr/bin/python3", "-I", "-S", "-c", program]);
    command.output().unwrap()
}

/// It must have died of a system call, and not come past it.
fn dies(attempt: &str) {
    let program =
        format!("import os, socket\nprint('begun', flush=True)\n{attempt}\nprint('done', flush=True)");
    let out = caged(&[], &program);
    assert_eq!(String::from_utf8_lossy(&out.stdout), "begun\n", "{attempt}: {out:?}");
    assert_eq!(out.status.signal(), Some(SIGSYS), "{attempt}: {out:?}");
}

#[test]
fn a_program_that_computes_and_reads_its_input_runs() {
    let out = caged(
        &[],
        "import sys, threading\nt = threading.Thread(target=lambda: print(6 * 7)); t.start(); t.join()",
    );
    assert_eq!((out.status.code(), &*out.stdout), (Some(0), &b"42\n"[..]), "{out:?}");
}

#[test]
fn a_socket_of_any_kind_is_the_end() {
    for family in ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"] {
        dies(&format!("socket.socket(socket.{family}, socket.SOCK_DGRAM)"));
    }
    dies("socket.socketpair()");
}

#[test]
fn another_program_is_the_end() {
    dies("os.execv('/bin/true', ['true'])");
    // By the very road by which it was started itself: the number of its file is out of reach.
    let out = caged(
        &[],
        "import os\nfor fd in (4, 511, 512, 513):\n try: os.execve(fd, ['true'], {})\n except OSError as e: print(e.errno)",
    );
    assert!(!out.status.success() || String::from_utf8_lossy(&out.stdout).lines().count() == 4, "{out:?}");
}

#[test]
fn a_process_of_its_own_it_does_not_get() {
    let out = caged(&[], "import os\ntry: os.fork()\nexcept OSError as e: print('no', e.errno)");
    let died = out.status.signal() == Some(SIGSYS);
    assert!(died || out.stdout.starts_with(b"no"), "{out:?}");
}

#[test]
fn writing_to_any_file_is_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    dies(&format!("open('{}', 'w')", file.display()));
    assert!(!file.exists());
    std::fs::write(&file, "kept").unwrap();
    dies(&format!("open('{}', 'r+')", file.display()));
    assert_eq!(std::fs::read(&file).unwrap(), b"kept");
}

/// Landlock's version, by the call that asks for it (`landlock_create_ruleset`); 0 or less: this kernel has none.
fn landlock() -> i32 {
    let ask = "import ctypes\nprint(ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1))";
    let out = Command::new("/usr/bin/python3").args(["-c", ask]).output().unwrap();
    String::from_utf8_lossy(&out.stdout).trim().parse().unwrap()
}

#[test]
fn files_that_are_no_part_of_a_program_are_not_read() {
    if landlock() < 1 {
        return eprintln!(
            "skipped: this kernel has no Landlock, so that a caged program reads what its user may"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "secret").unwrap();
    let attempt = format!(
        "for name in ('/etc/passwd', '{}', '/proc/self/environ'):\n try: print(open(name).read())\n except PermissionError: print('no')",
        file.display()
    );
    let out = caged(&[], &attempt);
    assert_eq!(String::from_utf8_lossy(&out.stdout), "no\nno\nno\n", "{out:?}");
    let listed = "import os\ntry: print(os.listdir('/etc'))\nexcept PermissionError: print('no')";
    assert_eq!(caged(&[], listed).stdout, b"no\n");
    let own = "print(len(open('/usr/bin/python3', 'rb').read(4)))";
    assert_eq!(caged(&[], own).stdout, b"4\n", "what programs are made of is read");
}

#[test]
fn nobody_elses_memory_nor_end() {
    dies("os.kill(os.getppid(), 0)");
    dies("os.pidfd_open(os.getppid())");
}

#[test]
fn time_memory_and_files_come_to_an_end() {
    let out = caged(&["--cpu", "1"], "while True: pass");
    assert_eq!(out.status.signal(), Some(SIGKILL), "{out:?}");
    let out = caged(&["--memory", "268435456"], "try: bytearray(1 << 29)\nexcept MemoryError: print('no')");
    assert_eq!(out.stdout, b"no\n", "{out:?}");
    let many = "fds = []\ntry:\n while len(fds) < 99: fds.append(open('/usr/bin/python3', 'rb'))\nexcept OSError: print('no')";
    assert_eq!(caged(&["--files", "16"], many).stdout, b"no\n");
}

#[test]
fn it_stands_back_where_others_want_the_processor() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bespoke"));
    command.args([
        "sandbox-exec",
        "--",
        "/usr/bin/python3",
        "-I",
        "-S",
        "-c",
        "print(1, flush=True); input()",
    ]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 2]).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    drop(child.stdin.take());
    child.wait().unwrap();
    // The nineteenth field, of which the second is in brackets.
    let nice = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap().to_owned();
    let own = std::fs::read_to_string("/proc/self/stat").unwrap();
    let own: i32 = own.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap().parse().unwrap();
    assert_eq!(nice, (own + 5).min(19).to_string());
}

#[test]
fn what_is_no_program_is_said_and_exits_1() {
    let out = Command::new(env!("CARGO_BIN_EXE_bespoke"))
        .args(["sandbox-exec", "--", "/nowhere/ffmpeg"])
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("/nowhere/ffmpeg"), "{out:?}");
}
