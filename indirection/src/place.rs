//! Where a store keeps its octets, as a config says it.

use std::str::FromStr;

/// A folder or a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// The store's own folder.
    #[default]
    Disk,
    /// An S3 server; the folder then holds what is on its way there, and adapted contents.
    Bucket(Bucket),
}

/// A prefix in a bucket of an S3 server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The bucket, which must be there.
    pub bucket: String,
    /// What the names of all objects begin with; it belongs to this one server.
    pub prefix: String,
    /// The server, unless it is Amazon's.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
}

/// What is wrong with a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Neither a disk nor a bucket.
    #[error("`{0}` is no place for contents: write \"disk\" or \"s3://bucket/prefix?endpoint=..&region=..\"")]
    Unknown(String),
    /// A bucket without a name or a prefix.
    #[error("`{0}` needs a bucket and a prefix, which no other server uses: \"s3://bucket/prefix\"")]
    Incomplete(String),
    /// A key of its query.
    #[error("`{0}` is not known here: endpoint and region are")]
    Key(String),
    /// An endpoint.
    #[error("`{0}` is no address of a server: it begins with http:// or https://")]
    Endpoint(String),
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Place, PlaceError> {
        if text == "disk" {
            return Ok(Place::Disk);
        }
        let rest = text.strip_prefix("s3://").ok_or_else(|| PlaceError::Unknown(text.to_owned()))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        let prefix = prefix.trim_matches('/');
        if bucket.is_empty() || prefix.is_empty() {
            return Err(PlaceError::Incomplete(text.to_owned()));
        }
        let mut place =
            Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned(), endpoint: None, region: None };
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match key {
                "endpoint" if value.starts_with("http://") || value.starts_with("https://") => {
                    place.endpoint = Some(value.to_owned());
                }
                "endpoint" => return Err(PlaceError::Endpoint(value.to_owned())),
                "region" => place.region = Some(value.to_owned()),
                other => return Err(PlaceError::Key(other.to_owned())),
            }
        }
        Ok(Place::Bucket(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_disk_or_a_bucket_with_a_prefix() {
        assert_eq!("disk".parse(), Ok(Place::Disk));
        let bucket = Bucket {
            bucket: "b".into(),
            prefix: "p/q".into(),
            endpoint: Some("http://127.0.0.1:9000".into()),
            region: Some("eu".into()),
        };
        let written = "s3://b/p/q/?endpoint=http://127.0.0.1:9000&region=eu";
        assert_eq!(written.parse(), Ok(Place::Bucket(bucket)));
        for wrong in ["", "s3://", "s3://b", "s3:///p", "ftp://a/b", "s3://b/p?key=x", "s3://b/p?endpoint=h"]
        {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
