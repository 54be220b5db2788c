use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::{HeaderMap, Response, StatusCode, header};

use super::Body;

/// The page as it was when this program was built; empty without `web/dist`.
const EMBEDDED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

const MISSING: &str = "This super node has no page: run `cargo xtask web` and build relay-node again, or name a directory in `page`.\n";

/// Where the files of the page come from.
#[derive(Debug, Clone)]
pub enum Page {
    /// From the program itself.
    Embedded(Arc<HashMap<&'static str, File>>),
    /// From a directory, read anew for every request.
    Directory(PathBuf),
}

/// One file and the tag by which a browser knows whether it has it.
#[derive(Debug, Clone)]
pub struct File {
    bytes: Bytes,
    tag: String,
}

impl Page {
    /// The page of a directory, or else the one that was built in.
    #[must_use]
    pub fn new(directory: Option<PathBuf>) -> Self {
        match directory {
            Some(directory) => Self::Directory(directory),
            None => Self::Embedded(Arc::new(
                EMBEDDED
                    .iter()
                    .map(|(name, bytes)| (*name, File::new(Bytes::from_static(bytes))))
                    .collect(),
            )),
        }
    }

    /// Answers a GET or HEAD for a path.
    pub(super) async fn answer(&self, path: &str, headers: &HeaderMap) -> Response<Body> {
        let Some(name) = file_name(path) else {
            return plain(StatusCode::NOT_FOUND, "There is no such file.\n");
        };
        let packed = match accepts_brotli(headers) {
            true => self.packed(name).await,
            false => None,
        };
        let (found, encoding) = match packed {
            Some(file) => (Some(file), Some("br")),
            None => (self.file(name).await, None),
        };
        let Some(file) = found else {
            let sentence = if name == "index.html" {
                return plain(StatusCode::SERVICE_UNAVAILABLE, MISSING);
            } else {
                "There is no such file.\n"
            };
            return plain(StatusCode::NOT_FOUND, sentence);
        };
        let known = headers
            .get(header::IF_NONE_MATCH)
            .and_then(|tags| tags.to_str().ok())
            .is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == file.tag));
        let mut response = if known {
            let mut response = Response::new(Body::default());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else {
            Response::new(Body::new(file.bytes))
        };
        let answer = response.headers_mut();
        answer.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static(kind(name)),
        );
        // The browser asks each time and mostly learns that nothing changed: an update is seen at once.
        answer.insert(
            header::CACHE_CONTROL,
            header::HeaderValue::from_static("no-cache"),
        );
        answer.insert(
            header::VARY,
            header::HeaderValue::from_static("accept-encoding"),
        );
        if let Ok(tag) = header::HeaderValue::from_str(&file.tag) {
            answer.insert(header::ETAG, tag);
        }
        if let Some(encoding) = encoding {
            answer.insert(
                header::CONTENT_ENCODING,
                header::HeaderValue::from_static(encoding),
            );
        }
        response
    }

    /// The packed form of a file, unless the file itself was changed since.
    async fn packed(&self, name: &str) -> Option<File> {
        let packed = format!("{name}.br");
        if let Self::Directory(directory) = self {
            let modified = async |name: &str| {
                let about = tokio::fs::metadata(directory.join(name)).await.ok()?;
                about.modified().ok()
            };
            if modified(&packed).await? < modified(name).await? {
                return None;
            }
        }
        self.file(&packed).await
    }

    async fn file(&self, name: &str) -> Option<File> {
        match self {
            Self::Embedded(files) => files.get(name).cloned(),
            Self::Directory(directory) => {
                let bytes = tokio::fs::read(directory.join(Path::new(name)))
                    .await
                    .ok()?;
                Some(File::new(bytes.into()))
            }
        }
    }
}

impl File {
    fn new(bytes: Bytes) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
        let tag = digest.as_ref()[..12]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>();
        Self {
            bytes,
            tag: format!("\"{tag}\""),
        }
    }
}

/// A short text as the whole answer.
pub(super) fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    response
}

/// The file that a path names: only plain names, nothing hidden, nothing above.
fn file_name(path: &str) -> Option<&str> {
    let name = path.strip_prefix('/')?;
    if name.is_empty() {
        return Some("index.html");
    }
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    name.split('/').all(plain).then_some(name)
}

fn accepts_brotli(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|encodings| encodings.to_str().ok())
        .is_some_and(|encodings| {
            encodings.split(',').any(|encoding| {
                let mut parts = encoding.split(';').map(str::trim);
                parts.next() == Some("br") && !parts.any(|part| part == "q=0")
            })
        })
}

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("json" | "map") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("mp3") => "audio/mpeg",
        Some("ogg") => "audio/ogg",
        Some("wav") => "audio/wav",
        Some("txt" | "ts") => "text/plain; charset=utf-8",
        Some(_) | None => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_files() {
        assert_eq!(file_name("/"), Some("index.html"));
        assert_eq!(file_name("/partyline/phone.js"), Some("partyline/phone.js"));
        for path in [
            "",
            "/../etc/passwd",
            "/a//b",
            "/.git/config",
            "/a/..",
            "/a%2e",
            "/a\\b",
            "//etc/passwd",
        ] {
            assert_eq!(file_name(path), None, "{path}");
        }
    }

    #[tokio::test]
    async fn changed_file_is_sent_and_a_known_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("peer.wasm");
        std::fs::write(&file, b"one").unwrap();
        let page = Page::new(Some(directory.path().into()));
        let first = page.answer("/peer.wasm", &HeaderMap::new()).await;
        assert_eq!(first.headers()[header::CONTENT_TYPE], "application/wasm");
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        let again = page.answer("/peer.wasm", &headers).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        std::fs::write(&file, b"two").unwrap();
        let changed = page.answer("/peer.wasm", &headers).await;
        assert_eq!(changed.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn packed_file_is_sent_to_who_takes_it() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a.js"), b"plain").unwrap();
        std::fs::write(directory.path().join("a.js.br"), b"packed").unwrap();
        let page = Page::new(Some(directory.path().into()));
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, "gzip, br".parse().unwrap());
        let packed = page.answer("/a.js", &headers).await;
        assert_eq!(packed.headers()[header::CONTENT_ENCODING], "br");
        assert_eq!(
            packed.headers()[header::CONTENT_TYPE],
            "text/javascript; charset=utf-8"
        );
        std::fs::File::options()
            .append(true)
            .open(directory.path().join("a.js"))
            .unwrap()
            .set_modified(
                std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1 << 33),
            )
            .unwrap();
        let edited = page.answer("/a.js", &headers).await;
        assert!(
            !edited.headers().contains_key(header::CONTENT_ENCODING),
            "a packed file of before"
        );
        let plain = page.answer("/a.js", &HeaderMap::new()).await;
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
    }
}
