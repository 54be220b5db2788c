use super::{Store, StoreError};

impl Store {
    /// Remembers that the browser with this cookie is signed in, and forgets sessions not used since `stale`.
    pub(crate) async fn open_session(
        &self,
        hash: &str,
        owner: &str,
        now: i64,
        stale: i64,
    ) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM sessions WHERE used < $1")
            .bind(stale)
            .execute(&self.pool)
            .await?;
        sqlx::query("INSERT INTO sessions (hash, owner, created, used) VALUES ($1, $2, $3, $3)")
            .bind(hash)
            .bind(owner)
            .bind(now)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Who is signed in with this cookie; counts as use.
    pub(crate) async fn session(
        &self,
        hash: &str,
        now: i64,
        stale: i64,
    ) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "UPDATE sessions SET used = $1 WHERE hash = $2 AND used >= $3 RETURNING owner",
        )
        .bind(now)
        .bind(hash)
        .bind(stale)
        .fetch_optional(&self.pool)
        .await?)
    }

    pub(crate) async fn close_session(&self, hash: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM sessions WHERE hash = $1")
            .bind(hash)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Ends every session of the owner, but not the one with the hash `except`.
    pub(crate) async fn close_sessions(&self, owner: &str, except: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM sessions WHERE owner = $1 AND hash <> $2")
            .bind(owner)
            .bind(except)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
