use credential::{RevocationList, Serial};

use super::{Store, StoreError};
use crate::authority::Authority;

/// Whose certificates are taken back.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Revoke<'a> {
    /// One device of an owner.
    Device { owner: &'a str, id: &'a str },
    /// Every device of an owner.
    Everything { owner: &'a str },
    /// A super node.
    SuperNode { node: &'a str },
}

impl Store {
    /// Writes down a certificate before it is handed out.
    pub(crate) async fn keep_certificate(
        &self,
        serial: Serial,
        holder: &str,
        issued: i64,
        not_after: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO certificates (serial, holder, issued, not_after) VALUES ($1, $2, $3, $4)",
        )
        .bind(serial.to_string())
        .bind(holder)
        .bind(issued)
        .bind(not_after)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Whether a certificate was issued here and not taken back since.
    pub(crate) async fn is_good(&self, serial: Serial) -> Result<bool, StoreError> {
        let good: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM certificates WHERE serial = $1 AND revoked IS NULL",
        )
        .bind(serial.to_string())
        .fetch_one(&self.pool)
        .await?;
        Ok(good == 1)
    }

    /// Takes back certificates that are still in force, and puts the new list in force in the same transaction.
    /// Returns how many devices or super nodes it was.
    pub(crate) async fn revoke(
        &self,
        whose: Revoke<'_>,
        authority: &Authority,
        now: i64,
    ) -> Result<u64, StoreError> {
        // one writer from the start, so that two revocations can't both read the same number
        let mut change = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let holders = match whose {
            Revoke::Device { owner, id } => sqlx::query(
                "UPDATE devices SET revoked = $1 WHERE owner = $2 AND id = $3 AND revoked IS NULL",
            )
            .bind(now)
            .bind(owner)
            .bind(id),
            Revoke::Everything { owner } => {
                sqlx::query("UPDATE devices SET revoked = $1 WHERE owner = $2 AND revoked IS NULL")
                    .bind(now)
                    .bind(owner)
            }
            Revoke::SuperNode { node } => sqlx::query(
                "UPDATE super_nodes SET revoked = $1 WHERE node = $2 AND revoked IS NULL",
            )
            .bind(now)
            .bind(node),
        }
        .execute(&mut *change)
        .await?
        .rows_affected();
        if holders == 0 {
            return Ok(0);
        }
        sqlx::query(
            "UPDATE certificates SET revoked = $1 WHERE revoked IS NULL AND not_after >= $1 AND holder IN
             (SELECT id FROM devices WHERE revoked = $1 UNION SELECT node FROM super_nodes WHERE revoked = $1)",
        )
        .bind(now)
        .execute(&mut *change)
        .await?;
        let serials: Vec<String> = sqlx::query_scalar(
            "SELECT serial FROM certificates WHERE revoked IS NOT NULL AND not_after >= $1
             ORDER BY not_after DESC LIMIT $2",
        )
        .bind(now)
        .bind(RevocationList::MAXIMUM as i64)
        .fetch_all(&mut *change)
        .await?;
        if serials.len() == RevocationList::MAXIMUM {
            tracing::warn!("the revocation list is full: what ends first may be missing from it");
        }
        let number: i64 =
            sqlx::query_scalar("SELECT coalesce(max(number), 0) + 1 FROM revocation_list")
                .fetch_one(&mut *change)
                .await?;
        let serials = serials
            .iter()
            .filter_map(|serial| serial.parse().ok())
            .collect();
        let list = authority.revocations(number as u64, now as u64, serials);
        sqlx::query(
            "INSERT INTO revocation_list (id, number, list) VALUES (1, $1, $2)
             ON CONFLICT (id) DO UPDATE SET number = $1, list = $2",
        )
        .bind(number)
        .bind(super::hex(&list.to_bytes()))
        .execute(&mut *change)
        .await?;
        change.commit().await?;
        Ok(holders)
    }

    /// The list in force, if anything was ever revoked.
    pub(crate) async fn revocations(&self) -> Result<Option<RevocationList>, StoreError> {
        let list: Option<String> =
            sqlx::query_scalar("SELECT list FROM revocation_list WHERE id = 1")
                .fetch_optional(&self.pool)
                .await?;
        Ok(list.and_then(|list| RevocationList::read(&super::unhex(&list)?)))
    }
}
