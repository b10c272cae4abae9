//! A bucket of an S3 server (`s3://bucket/prefix?endpoint=..&region=..`).
//!
//! An object of S3 is there whole or not at all, and durable when its PUT is answered. A prefix belongs to one server:
//! its object `owner` names it, since whoever opens the store takes away what no link of its own names. Credentials
//! come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, or what the machine's role gives).

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt,
    RetryConfig,
};
use tokio::io::AsyncReadExt;

use super::{Doing, Parcel, Pieces, Room, Shelf};
use crate::breaker::Breaker;
use crate::content::{hex, unhex};
use crate::error::ShelfError;
use crate::place::Bucket as Address;
use crate::token::Sum;

/// Octets that are sent in one request; a longer file goes in parts of so many.
const PART: usize = 8 << 20;

/// How long a connection to the server may take, and how long it may be silent.
const CONNECT: Duration = Duration::from_secs(2);
const SILENT: Duration = Duration::from_secs(10);

/// How long one request may take, and how long it is tried again.
const REQUEST: Duration = Duration::from_secs(60);
const RETRIES: Duration = Duration::from_secs(3);

/// After so many requests that failed one after the other, none is made for a while: a message that waits for a
/// link must not wait for a server that is dead.
const FAILURES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(5);

/// Objects below a prefix.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    store: Arc<AmazonS3>,
    prefix: Arc<str>,
    breaker: Arc<Breaker>,
}

impl Bucket {
    /// Takes the prefix for who names itself `owner`.
    pub(crate) async fn open(address: &Address, owner: &Sum) -> Result<Bucket, ShelfError> {
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(&address.bucket);
        if let Some(region) = &address.region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = &address.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        let client = ClientOptions::new()
            .with_allow_http(address.endpoint.as_ref().is_some_and(|url| url.starts_with("http://")))
            .with_connect_timeout(CONNECT)
            .with_read_timeout(SILENT)
            .with_timeout(REQUEST);
        let retry = RetryConfig { backoff: BackoffConfig::default(), max_retries: 2, retry_timeout: RETRIES };
        let store = builder.with_client_options(client).with_retry(retry).build().map_err(unreachable)?;
        let breaker = Arc::new(Breaker::new(FAILURES, PAUSE));
        let bucket = Bucket { store: Arc::new(store), prefix: address.prefix.as_str().into(), breaker };
        bucket.take(owner).await?;
        Ok(bucket)
    }

    async fn take(&self, owner: &Sum) -> Result<(), ShelfError> {
        let (path, own) = (self.path("owner"), hex(owner));
        let found = match self.store.get(&path).await {
            Ok(found) => found.bytes().await.map_err(unreachable)?,
            Err(object_store::Error::NotFound { .. }) => {
                let octets = Bytes::from(own.clone());
                self.store.put(&path, octets.into()).await.map_err(unreachable)?;
                return Ok(());
            }
            Err(error) => return Err(unreachable(error)),
        };
        if found == own.as_bytes() { Ok(()) } else { Err(ShelfError::Taken) }
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.prefix))
    }

    fn object(&self, room: Room, name: &Sum) -> Path {
        self.path(&format!("{}/{}", room.name(), hex(name)))
    }

    /// Does what asks the server, unless it was dead a moment ago.
    async fn ask<T>(&self, asking: impl Future<Output = object_store::Result<T>>) -> Result<T, ShelfError> {
        if !self.breaker.may() {
            return Err(ShelfError::Unreachable("it did not answer a moment ago".to_owned()));
        }
        let answer = asking.await;
        let is_alive = matches!(answer, Ok(_) | Err(object_store::Error::NotFound { .. }));
        self.breaker.note(is_alive);
        answer.map_err(|error| match error {
            object_store::Error::NotFound { .. } => ShelfError::Missing,
            other => unreachable(other),
        })
    }

    async fn put(&self, path: &Path, parcel: Parcel) -> Result<(), ShelfError> {
        let (aside, octets) = match parcel {
            Parcel::Octets(octets) => {
                self.ask(self.store.put(path, octets.into())).await?;
                return Ok(());
            }
            Parcel::File(aside, octets) => (aside, octets),
        };
        let mut file = tokio::fs::File::open(&aside.path).await?;
        if octets <= PART as u64 {
            let part = part(&mut file).await?;
            self.ask(self.store.put(path, part.into())).await?;
            return Ok(());
        }
        let mut upload = self.ask(self.store.put_multipart(path)).await?;
        let sent = self.send(&mut *upload, file).await;
        if sent.is_err() {
            // What is left of it the server's own rules take away, if this does not.
            let _ = upload.abort().await;
        }
        sent
    }

    async fn send(
        &self,
        upload: &mut dyn MultipartUpload,
        mut file: tokio::fs::File,
    ) -> Result<(), ShelfError> {
        loop {
            let part = part(&mut file).await?;
            if part.is_empty() {
                break;
            }
            self.ask(upload.put_part(part.into())).await?;
        }
        self.ask(upload.complete()).await?;
        Ok(())
    }

    async fn names(&self, room: Room) -> Result<Vec<(Sum, u64)>, ShelfError> {
        let listed = self.store.list(Some(&self.path(room.name()))).map_err(unreachable);
        let named = listed.try_filter_map(|object| async move {
            Ok(object.location.filename().and_then(unhex).map(|name| (name, object.size)))
        });
        named.try_collect().await
    }
}

impl Shelf for Bucket {
    fn write(&self, room: Room, name: Sum, parcel: Parcel) -> Doing<'_, ()> {
        let path = self.object(room, &name);
        Box::pin(async move { self.put(&path, parcel).await })
    }

    fn read(&self, room: Room, name: Sum, range: Range<u64>) -> Doing<'_, Pieces> {
        let path = self.object(room, &name);
        Box::pin(async move {
            if range.is_empty() {
                let nothing: Pieces = Box::pin(futures_util::stream::empty());
                return Ok(nothing);
            }
            let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
            let found = self.ask(self.store.get_opts(&path, options)).await?;
            let pieces: Pieces = Box::pin(found.into_stream().map(|piece| piece.map_err(unreachable)));
            Ok(pieces)
        })
    }

    fn remove(&self, room: Room, name: Sum) -> Doing<'_, ()> {
        let path = self.object(room, &name);
        Box::pin(async move {
            match self.ask(self.store.delete(&path)).await {
                Err(ShelfError::Missing) => Ok(()),
                other => other,
            }
        })
    }

    fn list(&self, room: Room) -> Doing<'_, Vec<(Sum, u64)>> {
        Box::pin(self.names(room))
    }
}

/// The next part of a file; empty at its end.
async fn part(file: &mut tokio::fs::File) -> Result<Bytes, ShelfError> {
    let mut part = BytesMut::new();
    let mut limited = file.take(PART as u64);
    while limited.read_buf(&mut part).await? > 0 {}
    Ok(part.freeze())
}

fn unreachable(error: object_store::Error) -> ShelfError {
    ShelfError::Unreachable(error.to_string())
}
