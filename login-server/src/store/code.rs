use super::{Store, StoreError};

/// An authorization code's row: what the code is bound to.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Code {
    pub(crate) owner: String,
    /// Origin that the code was sent to.
    pub(crate) redirect: String,
    /// SHA-256 of the verifier, base64url.
    pub(crate) challenge: String,
    /// SubjectPublicKeyInfo, base64.
    pub(crate) public_key: String,
    /// `urn:uuid:...`.
    pub(crate) instance: String,
    pub(crate) expires: i64,
}

impl Store {
    pub(crate) async fn keep_code(
        &self,
        hash: &str,
        code: &Code,
        now: i64,
    ) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM codes WHERE expires < $1")
            .bind(now)
            .execute(&self.pool)
            .await?;
        sqlx::query(
            "INSERT INTO codes (hash, owner, redirect, challenge, public_key, instance, expires)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(hash)
        .bind(&code.owner)
        .bind(&code.redirect)
        .bind(&code.challenge)
        .bind(&code.public_key)
        .bind(&code.instance)
        .bind(code.expires)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Takes a code out: whoever comes second finds nothing.
    pub(crate) async fn take_code(&self, hash: &str) -> Result<Option<Code>, StoreError> {
        Ok(sqlx::query_as(
            "DELETE FROM codes WHERE hash = $1
             RETURNING owner, redirect, challenge, public_key, instance, expires",
        )
        .bind(hash)
        .fetch_optional(&self.pool)
        .await?)
    }
}
