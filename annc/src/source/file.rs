//! Files of one folder: `file:` URLs, and `/provisioned/` names in the language that is asked for.

use std::path::{Component, Path, PathBuf};

use super::{Content, SourceError, Sources};
use crate::order::Order;

/// Endings of provisioned announcements, in the order they are looked for.
const ENDINGS: [&str; 8] = ["wav", "au", "mp3", "opus", "ogg", "m4a", "mp4", "webm"];

impl Sources {
    pub(super) async fn file(&self, order: &Order) -> Result<Content, SourceError> {
        let url = reqwest::Url::parse(&order.play).map_err(|error| SourceError::Url(error.to_string()))?;
        if !matches!(url.host_str(), None | Some("" | "localhost")) {
            return Err(SourceError::NotAllowed);
        }
        let path = url.to_file_path().map_err(|()| SourceError::Url("it names no file".to_owned()))?;
        self.read(vec![relative(&path)?], order).await
    }

    /// The announcement of that name: in the language and country asked for, in the language, in one of another
    /// country, or else the one that has no language (RFC 4240 §3, `locale`).
    pub(super) async fn provisioned(&self, order: &Order) -> Result<Content, SourceError> {
        let name = order.play.strip_prefix("/provisioned/").unwrap_or_default();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(SourceError::Url("an announcement is named by letters and digits".to_owned()));
        }
        let folder = self.settings.folder.as_deref().ok_or(SourceError::NotAllowed)?.join("provisioned");
        let is_word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        let locale = order.locale.as_deref().filter(|locale| locale.bytes().all(is_word)).unwrap_or_default();
        let mut places: Vec<PathBuf> = locales(&folder, locale).await;
        places.push(PathBuf::new());
        let files = places.iter().flat_map(|place| {
            let name = |ending: &&str| Path::new("provisioned").join(place).join(format!("{name}.{ending}"));
            ENDINGS.iter().map(name).collect::<Vec<_>>()
        });
        self.read(files.collect(), order).await
    }

    /// The first of these files that is there.
    async fn read(&self, files: Vec<PathBuf>, order: &Order) -> Result<Content, SourceError> {
        let folder = self.settings.folder.clone().ok_or(SourceError::NotAllowed)?;
        let most = self.settings.octets;
        let read = tokio::task::spawn_blocking(move || first_of(&folder, &files, most)).await;
        let (octets, path) =
            read.map_err(|_| SourceError::NotRetrieved("no file could be read".to_owned()))??;
        let media_type = order.content_type.clone().unwrap_or_else(|| by_ending(&path).to_owned());
        Ok(Content { octets: octets.into(), media_type })
    }
}

/// A path below the folder, without a step up.
fn relative(path: &Path) -> Result<PathBuf, SourceError> {
    let mut relative = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => relative.push(part),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(SourceError::NotAllowed),
        }
    }
    Ok(relative)
}

/// Folders of languages that fit, best first.
async fn locales(folder: &Path, locale: &str) -> Vec<PathBuf> {
    let language = locale.split(['_', '-']).next().unwrap_or_default();
    if language.is_empty() {
        return Vec::new();
    }
    let mut places = vec![PathBuf::from(locale), PathBuf::from(language)];
    if let Ok(mut entries) = tokio::fs::read_dir(folder).await {
        let mut others = Vec::new();
        while let Ok(Some(entry)) = entries.next_entry().await {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.split(['_', '-']).next() == Some(language) {
                others.push(PathBuf::from(name));
            }
        }
        others.sort();
        places.extend(others);
    }
    places
}

fn first_of(folder: &Path, files: &[PathBuf], most: usize) -> Result<(Vec<u8>, PathBuf), SourceError> {
    let not_there = || SourceError::NotFound("the file is not there".to_owned());
    let folder = folder.canonicalize().map_err(|_| not_there())?;
    for file in files {
        // Links that lead out of the folder are followed no more than `..`.
        let Ok(path) = folder.join(file).canonicalize() else { continue };
        if !path.starts_with(&folder) {
            return Err(SourceError::NotAllowed);
        }
        let Ok(found) = path.metadata() else { continue };
        if !found.is_file() {
            continue;
        }
        if found.len() > most as u64 {
            return Err(SourceError::TooLarge(most));
        }
        let octets = std::fs::read(&path);
        return octets
            .map(|octets| (octets, path))
            .map_err(|_| SourceError::NotRetrieved("the file can't be read".to_owned()));
    }
    Err(not_there())
}

/// What has no head says by its name what it is (RFC 4240 §3).
fn by_ending(path: &Path) -> &'static str {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "ul" | "ulaw" | "g711" | "mulaw" => "audio/basic",
        "al" | "alaw" => "audio/PCMA",
        "amr" => "audio/AMR",
        _ => "",
    }
}
