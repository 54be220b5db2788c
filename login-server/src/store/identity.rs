use super::{Store, StoreError};

/// A user or a guest.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Identity {
    pub(crate) name: String,
    /// argon2id in PHC form; a guest has none.
    pub(crate) password: Option<String>,
    /// 1 for a guest: SQL's truth values differ between databases.
    pub(crate) guest: i64,
    /// When a guest's last certificate ends at the latest; far away for a user.
    pub(crate) ends: i64,
}

/// Somebody has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NameTaken;

impl Store {
    pub(crate) async fn create_user(
        &self,
        name: &str,
        password: &str,
        now: i64,
    ) -> Result<Result<(), NameTaken>, StoreError> {
        self.create_identity(name, Some(password), now, i64::MAX)
            .await
    }

    pub(crate) async fn create_guest(
        &self,
        name: &str,
        now: i64,
        ends: i64,
    ) -> Result<Result<(), NameTaken>, StoreError> {
        self.create_identity(name, None, now, ends).await
    }

    async fn create_identity(
        &self,
        name: &str,
        password: Option<&str>,
        now: i64,
        ends: i64,
    ) -> Result<Result<(), NameTaken>, StoreError> {
        let made = sqlx::query(
            "INSERT INTO identities (name, password, guest, created, ends) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (name) DO NOTHING",
        )
        .bind(name)
        .bind(password)
        .bind(i64::from(password.is_none()))
        .bind(now)
        .bind(ends)
        .execute(&self.pool)
        .await?;
        Ok(if made.rows_affected() == 1 {
            Ok(())
        } else {
            Err(NameTaken)
        })
    }

    pub(crate) async fn identity(&self, name: &str) -> Result<Option<Identity>, StoreError> {
        Ok(
            sqlx::query_as("SELECT name, password, guest, ends FROM identities WHERE name = $1")
                .bind(name)
                .fetch_optional(&self.pool)
                .await?,
        )
    }

    pub(crate) async fn set_password(&self, name: &str, password: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE identities SET password = $1 WHERE name = $2")
            .bind(password)
            .bind(name)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Forgets guests whose time was over before `before`, with their devices and certificates.
    pub(crate) async fn forget_guests(&self, before: i64) -> Result<u64, StoreError> {
        let mut change = self.pool.begin().await?;
        sqlx::query(
            "DELETE FROM certificates WHERE holder IN (SELECT devices.id FROM devices
             JOIN identities ON identities.name = devices.owner WHERE guest = 1 AND ends < $1)",
        )
        .bind(before)
        .execute(&mut *change)
        .await?;
        sqlx::query(
            "DELETE FROM devices WHERE owner IN (SELECT name FROM identities WHERE guest = 1 AND ends < $1)",
        )
        .bind(before)
        .execute(&mut *change)
        .await?;
        let gone = sqlx::query("DELETE FROM identities WHERE guest = 1 AND ends < $1")
            .bind(before)
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        Ok(gone.rows_affected())
    }
}
