use super::{Store, StoreError};

/// A super node's row.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Member {
    pub(crate) node: String,
    /// Page origins, separated by spaces.
    pub(crate) names: String,
    pub(crate) quic: String,
    pub(crate) not_after: i64,
}

impl Store {
    pub(crate) async fn keep_token(
        &self,
        hash: &str,
        uses: i64,
        expires: i64,
        now: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO enrolment_tokens (hash, uses, expires, created) VALUES ($1, $2, $3, $4)",
        )
        .bind(hash)
        .bind(uses)
        .bind(expires)
        .bind(now)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Uses a token once: false if it is unknown, used up or over.
    pub(crate) async fn use_token(&self, hash: &str, now: i64) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE enrolment_tokens SET uses = uses - 1 WHERE hash = $1 AND uses > 0 AND expires >= $2",
        )
        .bind(hash)
        .bind(now)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    pub(crate) async fn enrol(&self, member: &Member, now: i64) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO super_nodes (node, names, quic, enrolled, stamp, not_after)
             VALUES ($1, $2, $3, $4, 0, $5)",
        )
        .bind(&member.node)
        .bind(&member.names)
        .bind(&member.quic)
        .bind(now)
        .bind(member.not_after)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Uses up a renewal's time stamp and writes down what the super node says of itself: false if a stamp as late
    /// was used before, or the node was taken out.
    pub(crate) async fn stamp_member(
        &self,
        member: &Member,
        stamp: i64,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE super_nodes SET stamp = $1, names = $2, quic = $3, not_after = $4
             WHERE node = $5 AND stamp < $1 AND revoked IS NULL",
        )
        .bind(stamp)
        .bind(&member.names)
        .bind(&member.quic)
        .bind(member.not_after)
        .bind(&member.node)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The super nodes whose certificates are in force.
    pub(crate) async fn members(&self, now: i64) -> Result<Vec<Member>, StoreError> {
        Ok(sqlx::query_as(
            "SELECT node, names, quic, not_after FROM super_nodes WHERE not_after >= $1 AND revoked IS NULL",
        )
        .bind(now)
        .fetch_all(&self.pool)
        .await?)
    }
}
