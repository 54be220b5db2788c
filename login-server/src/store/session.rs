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

    /// Remembers that this owner has signed in with this browser, and forgets browsers not used since `stale`.
    pub(crate) async fn know_browser(
        &self,
        hash: &str,
        owner: &str,
        now: i64,
        stale: i64,
    ) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM known_browsers WHERE used < $1")
            .bind(stale)
            .execute(&self.pool)
            .await?;
        sqlx::query(
            "INSERT INTO known_browsers (hash, owner, used) VALUES ($1, $2, $3)
             ON CONFLICT (hash) DO UPDATE SET owner = $2, used = $3",
        )
        .bind(hash)
        .bind(owner)
        .bind(now)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Whether this owner has signed in with this browser before.
    pub(crate) async fn is_known(&self, hash: &str, owner: &str) -> Result<bool, StoreError> {
        let known: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM known_browsers WHERE hash = $1 AND owner = $2",
        )
        .bind(hash)
        .bind(owner)
        .fetch_one(&self.pool)
        .await?;
        Ok(known > 0)
    }

    /// Forgets the browsers in which this owner has signed in.
    pub(crate) async fn forget_browsers(&self, owner: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM known_browsers WHERE owner = $1")
            .bind(owner)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
