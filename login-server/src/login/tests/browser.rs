use std::collections::BTreeMap;
use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use crate::http::Fields;
use crate::wire::Fault;

/// As much of a browser as the server can tell: cookies, forms, fetch.
pub(crate) struct Browser {
    address: SocketAddr,
    pub(crate) cookies: BTreeMap<String, String>,
    /// Headers of every request.
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// What the server said.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
    pub(crate) text: String,
}

impl Browser {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let agent =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/150.0.0.0 Safari/537.36";
        let headers = vec![("host", address.to_string()), ("user-agent", agent.into())];
        Self {
            address,
            cookies: BTreeMap::new(),
            headers,
        }
    }

    /// Opens an address.
    pub(crate) async fn get(&mut self, address: &str) -> Answer {
        self.send(Method::GET, address, &[], "").await
    }

    /// Sends the form that `page` holds, its hidden fields first.
    pub(crate) async fn submit(
        &mut self,
        address: &str,
        page: &Answer,
        fields: &[(&str, &str)],
    ) -> Answer {
        let request = page.hidden("request");
        let hidden = [("token", page.hidden("token")), ("request", request)];
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(
            hidden
                .iter()
                .filter_map(|(name, value)| Some((name, value.as_ref()?))),
        );
        form.extend_pairs(fields);
        self.submit_text(address, &form.finish()).await
    }

    /// Sends a form as it is.
    pub(crate) async fn submit_text(&mut self, address: &str, form: &str) -> Answer {
        let origin = format!("http://{}", self.address);
        let headers = [
            (header::CONTENT_TYPE, "application/x-www-form-urlencoded"),
            (header::ORIGIN, &*origin),
        ];
        self.send(Method::POST, address, &headers, form).await
    }

    /// What a script of a page at `origin` does, or a program if there is no origin.
    pub(crate) async fn post(
        &mut self,
        address: &str,
        origin: Option<&str>,
        document: &impl serde::Serialize,
    ) -> Answer {
        let mut headers = vec![(header::CONTENT_TYPE, "application/json")];
        headers.extend(origin.map(|origin| (header::ORIGIN, origin)));
        let document = serde_json::to_string(document).unwrap();
        self.send(Method::POST, address, &headers, &document).await
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        address: &str,
        headers: &[(header::HeaderName, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(address);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        let request = request
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        for cookie in head.headers.get_all(header::SET_COOKIE) {
            let (pair, _) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.into(), value.into());
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            bytes,
            text,
        }
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn location(&self) -> &str {
        self.header("location")
    }

    /// The value of a hidden field.
    pub(crate) fn hidden(&self, name: &str) -> Option<String> {
        let start = format!("<input type=\"hidden\" name=\"{name}\" value=\"");
        let (_, rest) = self.text.split_once(&start)?;
        Some(
            rest.split_once('"')?
                .0
                .replace("&amp;", "&")
                .replace("&quot;", "\""),
        )
    }

    /// The parameters in the fragment that the browser is sent on with.
    pub(crate) fn fragment(&self) -> Fields {
        let (_, fragment) = self
            .location()
            .split_once('#')
            .unwrap_or_else(|| panic!("{}", self.text));
        Fields::read(fragment.as_bytes())
    }

    /// The authorization code that the browser is sent on with.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.status, 303, "{}", self.text);
        self.fragment().first("code").into()
    }

    pub(crate) fn document<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Status and code of a refusal.
    pub(crate) fn refusal(&self) -> (u16, String) {
        let Fault { error, sentence } = self.document();
        assert!(
            sentence.ends_with('.') && sentence.len() > 10,
            "no sentence: {sentence}"
        );
        (self.status, error)
    }
}
