//! `/api/v1/users`: the users who have a password. GET lists them, PUT on one sets its password, DELETE takes it
//! away. A password comes in and never goes out.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use registrar::digest::Algorithm;
use registrar::{Registrar, UserError, UserName};
use serde::{Deserialize, Serialize};

use crate::app::problem;

/// Octets of a request's body, at most: a password and the JSON round it.
const BODY: usize = 4096;

/// Where users are added and removed while the server runs.
#[derive(Clone)]
pub(crate) struct Desk {
    registrar: Arc<Registrar>,
    algorithms: Arc<RwLock<Vec<Algorithm>>>,
}

/// The list as GET gives it.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Listed {
    /// By name.
    pub(crate) users: Vec<ListedUser>,
}

/// One user of the list.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct ListedUser {
    /// `john@example.com`
    pub(crate) user: String,
    /// Those the password can be proven with.
    pub(crate) algorithms: Vec<String>,
    /// When the password was set, Unix seconds.
    pub(crate) since: u64,
}

/// What PUT takes.
#[derive(Deserialize, Serialize)]
pub(crate) struct Password {
    /// In clear; its hash alone is kept.
    pub(crate) password: String,
}

/// What PUT gives back.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Set {
    /// `john@example.com`
    pub(crate) user: String,
    /// Whether there was no such user before.
    pub(crate) new: bool,
}

impl Desk {
    pub(crate) fn new(registrar: Arc<Registrar>, algorithms: Vec<Algorithm>) -> Self {
        Self { registrar, algorithms: Arc::new(RwLock::new(algorithms)) }
    }

    /// Keeps passwords for other algorithms from now on.
    pub(crate) fn reconfigure(&self, algorithms: Vec<Algorithm>) {
        *self.algorithms.write().unwrap_or_else(PoisonError::into_inner) = algorithms;
    }

    /// The name of a user that may have a password here, or why it is none.
    fn name(&self, text: &str) -> Result<UserName, String> {
        let name = UserName::parse(text).map_err(|error| error.to_string())?;
        let is_ours = name.aor().parse().is_ok_and(|aor| self.registrar.is_ours(&aor));
        if is_ours { Ok(name) } else { Err(format!("{} is not a domain of this server", name.domain())) }
    }
}

pub(super) fn router(desk: Desk) -> Router {
    Router::new()
        .route("/api/v1/users", get(list))
        .route("/api/v1/users/{user}", axum::routing::put(set).delete(remove))
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(desk)
}

/// The users of a store in the form of the list.
pub(crate) fn listed(users: &registrar::Users) -> Listed {
    let one = |user: registrar::User| ListedUser {
        user: user.name.as_str().to_owned(),
        algorithms: user.algorithms.iter().map(|algorithm| algorithm.name().to_owned()).collect(),
        since: user.since,
    };
    Listed { users: users.list().into_iter().map(one).collect() }
}

async fn list(State(desk): State<Desk>) -> Response {
    json(StatusCode::OK, &listed(desk.registrar.users()))
}

async fn set(State(desk): State<Desk>, Path(user): Path<String>, body: Bytes) -> Response {
    let name = match desk.name(&user) {
        Ok(name) => name,
        Err(why) => return problem(StatusCode::BAD_REQUEST, &why),
    };
    let Ok(Password { password }) = serde_json::from_slice(&body) else {
        return problem(StatusCode::BAD_REQUEST, "send JSON: {\"password\": \"...\"}");
    };
    let algorithms = desk.algorithms.read().unwrap_or_else(PoisonError::into_inner).clone();
    match desk.registrar.users().set(&name, password.as_bytes(), &algorithms, SystemTime::now()).await {
        Ok(new) => {
            let status = if new { StatusCode::CREATED } else { StatusCode::OK };
            json(status, &Set { user: name.as_str().to_owned(), new })
        }
        Err(error) => refused(&error),
    }
}

async fn remove(State(desk): State<Desk>, Path(user): Path<String>) -> Response {
    let name = match UserName::parse(&user) {
        Ok(name) => name,
        Err(error) => return refused(&error),
    };
    match desk.registrar.users().remove(&name).await {
        Ok(true) => StatusCode::NO_CONTENT.into_response(),
        Ok(false) => problem(StatusCode::NOT_FOUND, "no such user"),
        Err(error) => refused(&error),
    }
}

fn refused(error: &UserError) -> Response {
    let status = match error {
        UserError::Name | UserError::Password => StatusCode::BAD_REQUEST,
        UserError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    problem(status, &error.to_string())
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(body) => (status, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}
