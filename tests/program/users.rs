//! `bespoke user`: on the store while no server runs, through its socket while one does.

use std::os::unix::fs::PermissionsExt;

use crate::bespoke;
use crate::harness::Server;
use crate::harness::http::fetch;
use crate::harness::server::user;

#[test]
fn users_are_added_listed_and_removed_without_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let run = |args: &[&str], input: &str| {
        let out = user(&data, &["auth.algorithms=[\"SHA-256\", \"MD5\"]"], args, input);
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        (out.status.code(), text(&out.stdout), text(&out.stderr))
    };
    assert_eq!(run(&["list"], ""), (Some(0), String::new(), String::new()));
    assert_eq!(run(&["add", "john@Example.com"], "secret\n").1, "john@example.com: added\n");
    assert_eq!(run(&["add", "ann@example.com"], "pencil").1, "ann@example.com: added\n");
    assert_eq!(
        run(&["add", "john@example.com"], "other\r\n").1,
        "john@example.com: has another password now\n"
    );
    assert_eq!(run(&["list"], "").1, "ann@example.com  SHA-256, MD5\njohn@example.com  SHA-256, MD5\n");
    let json: serde_json::Value = serde_json::from_str(&run(&["list", "--json"], "").1).unwrap();
    assert_eq!(json["users"][1]["user"], "john@example.com");
    assert_eq!(run(&["remove", "ann@example.com"], "").1, "ann@example.com: removed\n");
    let (code, _, why) = run(&["remove", "ann@example.com"], "");
    assert_eq!(code, Some(1));
    assert!(why.starts_with("ann@example.com: no such user"), "{why}");
    for (args, input, code, why) in [
        (&["add", "ann@example.net"][..], "x", 2, "example.net is no domain of this server"),
        (&["add", "ann"], "x", 2, "write the user as USER@DOMAIN"),
        (&["add", "ann@example.com"], "", 1, "a password has 1 to 256 octets"),
    ] {
        let (exit, _, said) = run(args, input);
        assert_eq!(exit, Some(code), "{args:?}: {said}");
        assert!(said.starts_with(why), "{said}");
    }
    let mode = std::fs::metadata(data.join("store")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "what passwords are proven with is its owner's");
}

#[test]
fn while_a_server_runs_its_socket_is_open_to_its_owner_alone_and_goes_with_it() {
    let mut server = Server::start();
    let socket = server.data_dir().join("admin.sock");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    server.add_user("john@example.com", "secret");
    let list = server.user(&["list"], "");
    assert_eq!(String::from_utf8_lossy(&list.stdout), "john@example.com  SHA-256\n");
    let foreign = user(&server.data_dir(), &["domain=example.net"], &["add", "x@example.net"], "x");
    assert_eq!(foreign.status.code(), Some(1));
    let said = String::from_utf8_lossy(&foreign.stderr).into_owned();
    assert!(said.starts_with("the server says 400: example.net is not a domain of this server"), "{said}");
    server.crash_and_restart();
    assert_eq!(server.user(&["list"], "").stdout, list.stdout, "over what a crash left of the socket");
    assert_eq!(server.terminate(), Some(0));
    assert!(!socket.exists());
    assert_eq!(server.user(&["list"], "").stdout, list.stdout, "and from the store itself");
}

#[test]
fn over_http_users_are_managed_behind_a_token_only() {
    let open = Server::start();
    assert_eq!(fetch(open.admin, "GET", "/api/v1/users", &[]).status(), 404);
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "let-me-in\n").unwrap();
    let server = Server::with(&[&format!("admin.token_file={}", token.display())]);
    assert_eq!(fetch(server.admin, "GET", "/api/v1/users", &[]).status(), 401);
    let list = fetch(server.admin, "GET", "/api/v1/users", &[("Authorization", "Bearer let-me-in")]);
    assert_eq!((list.status(), &list.body[..]), (200, &b"{\"users\":[]}"[..]));
}

#[test]
fn a_password_is_not_taken_from_the_command_line() {
    assert_eq!(bespoke(&["user", "add", "john@example.com", "secret"]).code, Some(2));
    assert_eq!(bespoke(&["user"]).code, Some(2));
}
