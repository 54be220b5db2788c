use super::{Store, StoreError, hex, random};

/// A browser or phone that holds, or held, a certificate of its owner.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Device {
    pub(crate) id: String,
    pub(crate) owner: String,
    /// `urn:uuid:...`.
    pub(crate) instance: String,
    /// What the browser said it is.
    pub(crate) label: String,
    pub(crate) created: i64,
    /// When it last got a certificate.
    pub(crate) renewed: i64,
    pub(crate) revoked: Option<i64>,
}

/// Whether a device may have a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Enlist {
    /// This is its row.
    Device(String),
    /// The owner has as many devices as an account may have.
    Full,
}

/// Devices that one account may have at a time.
const MOST: i64 = 100;

impl Store {
    /// Finds or makes the device and lifts an earlier revocation: its owner has just signed in on it. Other devices
    /// count if they got a certificate after `since`.
    pub(crate) async fn enlist(
        &self,
        owner: &str,
        instance: &str,
        label: &str,
        now: i64,
        since: i64,
    ) -> Result<Enlist, StoreError> {
        let others: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM devices
             WHERE owner = $1 AND revoked IS NULL AND renewed >= $2 AND instance <> $3",
        )
        .bind(owner)
        .bind(since)
        .bind(instance)
        .fetch_one(&self.pool)
        .await?;
        if others >= MOST {
            return Ok(Enlist::Full);
        }
        let id = sqlx::query_scalar(
            "INSERT INTO devices (id, owner, instance, label, created, renewed, stamp)
             VALUES ($1, $2, $3, $4, $5, $5, 0)
             ON CONFLICT (owner, instance) DO UPDATE SET label = $4, renewed = $5, revoked = NULL
             RETURNING id",
        )
        .bind(hex(&random::<16>()))
        .bind(owner)
        .bind(instance)
        .bind(label)
        .bind(now)
        .fetch_one(&self.pool)
        .await?;
        Ok(Enlist::Device(id))
    }

    pub(crate) async fn device(
        &self,
        owner: &str,
        instance: &str,
    ) -> Result<Option<Device>, StoreError> {
        Ok(sqlx::query_as(
            "SELECT id, owner, instance, label, created, renewed, revoked FROM devices
             WHERE owner = $1 AND instance = $2",
        )
        .bind(owner)
        .bind(instance)
        .fetch_optional(&self.pool)
        .await?)
    }

    /// The devices that got a certificate after `since`, the one that was active last first.
    pub(crate) async fn devices(&self, owner: &str, since: i64) -> Result<Vec<Device>, StoreError> {
        Ok(sqlx::query_as(
            "SELECT id, owner, instance, label, created, renewed, revoked FROM devices
             WHERE owner = $1 AND revoked IS NULL AND renewed >= $2 ORDER BY renewed DESC, id",
        )
        .bind(owner)
        .bind(since)
        .fetch_all(&self.pool)
        .await?)
    }

    /// Uses up a renewal's time stamp: false if one as late was used before.
    pub(crate) async fn stamp_device(
        &self,
        id: &str,
        stamp: i64,
        now: i64,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE devices SET stamp = $1, renewed = $2 WHERE id = $3 AND stamp < $1 AND revoked IS NULL",
        )
        .bind(stamp)
        .bind(now)
        .bind(id)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}
