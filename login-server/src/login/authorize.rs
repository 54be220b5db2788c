//! What a page asks for at `/authorize` (RFC 6749 §4.1.1, RFC 7636 §4.3), parameter by parameter.

use credential::{Instance, PublicKey};
use form_urlencoded::Serializer;

use crate::http::{Fields, Origin};
use crate::proof;

/// An authorization request that may be granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authorization {
    /// Where the code goes.
    pub(super) redirect: Origin,
    pub(super) state: String,
    /// SHA-256 of the verifier, base64url.
    pub(super) challenge: String,
    pub(super) public_key: PublicKey,
    /// As it came: base64 of the SubjectPublicKeyInfo.
    pub(super) public_key_text: String,
    pub(super) instance: Instance,
    /// The name that the page thinks of.
    pub(super) hint: String,
    /// Whether the page would rather have an account made.
    pub(super) create: bool,
}

/// Which parameter can't be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AuthorizationFault {
    ResponseType,
    Client,
    Redirect,
    State,
    Challenge,
    Method,
    PublicKey,
    Instance,
    Prompt,
    Hint,
}

impl AuthorizationFault {
    /// The parameter's name.
    pub(super) fn parameter(self) -> &'static str {
        match self {
            Self::ResponseType => "response_type",
            Self::Client => "client_id",
            Self::Redirect => "redirect_uri",
            Self::State => "state",
            Self::Challenge => "code_challenge",
            Self::Method => "code_challenge_method",
            Self::PublicKey => "public_key",
            Self::Instance => "instance",
            Self::Prompt => "prompt",
            Self::Hint => "login_hint",
        }
    }

    /// One sentence for the person who sees it, and for the developer whom that person tells.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::ResponseType => "It must ask for a code: response_type=code, once.",
            Self::Client => "Its client_id must be “page”, once.",
            Self::Redirect => {
                "The site that sent you here is not a super node of this network, so nobody is signed in to it."
            }
            Self::State => "It must carry a state of 8 to 256 visible ASCII characters, once.",
            Self::Challenge => {
                "It must carry a code_challenge: a SHA-256 as 43 characters of base64url, once."
            }
            Self::Method => "Its code_challenge_method must be S256.",
            Self::PublicKey => {
                "It must carry the device's P-256 public_key as SubjectPublicKeyInfo in base64, once."
            }
            Self::Instance => "It must carry the device's instance, a UUID, once.",
            Self::Prompt => "The only prompt known here is “create”.",
            Self::Hint => "A login_hint has at most 320 characters and stands once.",
        }
    }
}

impl Authorization {
    /// Reads the parameters; the redirect must be one of `allowed`. Parameters that nobody here knows are ignored
    /// (RFC 6749 §3.1), those given twice are not.
    pub(super) fn read(fields: &Fields, allowed: &[Origin]) -> Result<Self, AuthorizationFault> {
        use AuthorizationFault as Fault;
        // first of all where the answer would go: no other fault is explained to whoever is not a member
        let redirect = one(fields, "redirect_uri", Fault::Redirect)?;
        let redirect = Origin::read(redirect)
            .filter(|origin| allowed.contains(origin))
            .ok_or(Fault::Redirect)?;
        if one(fields, "response_type", Fault::ResponseType)? != "code" {
            return Err(Fault::ResponseType);
        }
        if one(fields, "client_id", Fault::Client)? != "page" {
            return Err(Fault::Client);
        }
        let state = one(fields, "state", Fault::State)?;
        if !(8..=256).contains(&state.len()) || !state.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Fault::State);
        }
        let challenge = one(fields, "code_challenge", Fault::Challenge)?;
        if challenge.len() != 43 || !challenge.bytes().all(is_base64url) {
            return Err(Fault::Challenge);
        }
        // RFC 7636 would read its absence as "plain", which is not spoken here: only one method is left to mean
        if !matches!(
            fields.only("code_challenge_method"),
            Ok(None | Some("S256"))
        ) {
            return Err(Fault::Method);
        }
        let public_key_text = one(fields, "public_key", Fault::PublicKey)?;
        let public_key = proof::public_key(public_key_text).ok_or(Fault::PublicKey)?;
        let instance = one(fields, "instance", Fault::Instance)?
            .parse()
            .map_err(|_| Fault::Instance)?;
        let hint = fields
            .only("login_hint")
            .map_err(|_| Fault::Hint)?
            .unwrap_or_default();
        if hint.len() > 320 {
            return Err(Fault::Hint);
        }
        let create = match fields.only("prompt") {
            Ok(None) => false,
            Ok(Some("create")) => true,
            Ok(Some(_)) | Err(_) => return Err(Fault::Prompt),
        };
        Ok(Self {
            redirect,
            state: state.into(),
            challenge: challenge.into(),
            public_key,
            public_key_text: public_key_text.into(),
            instance,
            hint: hint.into(),
            create,
        })
    }

    /// The request as a query again, for a form or link that goes on with it.
    pub(super) fn query(&self) -> String {
        let mut query = Serializer::new(String::new());
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", "page")
            .append_pair("redirect_uri", &self.redirect.to_string())
            .append_pair("state", &self.state)
            .append_pair("code_challenge", &self.challenge)
            .append_pair("code_challenge_method", "S256")
            .append_pair("public_key", &self.public_key_text)
            .append_pair("instance", &self.instance.to_string());
        if !self.hint.is_empty() {
            query.append_pair("login_hint", &self.hint);
        }
        query.finish()
    }

    /// Where the browser goes with a code. In the fragment, which no server and no log sees; with the issuer, so that
    /// a page that knows several login servers isn't mixed up (RFC 9207).
    pub(super) fn granted(&self, code: &str, issuer: &Origin) -> String {
        self.answer("code", code, issuer)
    }

    /// Where the browser goes when the user would rather not.
    pub(super) fn denied(&self, issuer: &Origin) -> String {
        self.answer("error", "access_denied", issuer)
    }

    fn answer(&self, name: &str, value: &str, issuer: &Origin) -> String {
        let fragment = Serializer::new(String::new())
            .append_pair(name, value)
            .append_pair("state", &self.state)
            .append_pair("iss", &issuer.to_string())
            .finish();
        format!("{}/#{fragment}", self.redirect)
    }
}

fn one<'a>(
    fields: &'a Fields,
    name: &str,
    fault: AuthorizationFault,
) -> Result<&'a str, AuthorizationFault> {
    fields.only(name).ok().flatten().ok_or(fault)
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_".contains(&byte)
}
