//! The project's change feed, which lists subscribe to.
//!
//! Invariant: a reader gets every change after its cursor, or learns that some of them have been pruned.

use super::wakes;
use crate::{Error, Result};
use domain::{
    id::ProjectId,
    view::{Change, Subject},
};
use sqlx::{SqliteConnection, SqlitePool};
use uuid::Uuid;

/// How many changes are read at once.
pub const BATCH: u32 = 200;
/// How many changes a project keeps; a tab that slept longer reloads its lists.
const KEPT: u32 = 5_000;
/// How many changes one commit deletes. Other writes wait for that commit.
const AT_ONCE: u32 = 500;

/// Records a change in a project, in the transaction that made it.
pub async fn insert(tx: &mut SqliteConnection, project: ProjectId, subject: &Subject) -> Result<()> {
    let body = serde_json::to_string(subject).map_err(Error::internal)?;
    sqlx::query("INSERT INTO change (project_id, body) VALUES ($1, $2)")
        .bind(project.0)
        .bind(body)
        .execute(tx)
        .await?;
    wakes::note(project);
    Ok(())
}

/// The projects that have more changes than are kept, each with the newest change to delete.
pub async fn overdue(db: &SqlitePool) -> Result<Vec<(ProjectId, u64)>> {
    let rows: Vec<(Uuid, Option<i64>)> = sqlx::query_as(
        "SELECT p.id, (SELECT c.seq FROM change c WHERE c.project_id = p.id ORDER BY c.seq DESC LIMIT 1 OFFSET $1) \
         FROM project p",
    )
    .bind(KEPT)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().filter_map(|(id, seq)| Some((ProjectId(id), seq? as u64))).collect())
}

/// Deletes the project's oldest changes up to `last`, at most one commit's worth. Returns whether more remain.
pub async fn prune(tx: &mut SqliteConnection, project: ProjectId, last: u64) -> Result<bool> {
    let cut: Option<i64> = sqlx::query_scalar(
        "SELECT seq FROM change WHERE project_id = $1 AND seq <= $2 ORDER BY seq LIMIT 1 OFFSET $3",
    )
    .bind(project.0)
    .bind(last as i64)
    .bind(AT_ONCE - 1)
    .fetch_optional(&mut *tx)
    .await?;
    let until = cut.unwrap_or(last as i64);
    sqlx::query("UPDATE project SET changes_from = $2 WHERE id = $1 AND changes_from < $2")
        .bind(project.0)
        .bind(until)
        .execute(&mut *tx)
        .await?;
    sqlx::query("DELETE FROM change WHERE project_id = $1 AND seq <= $2")
        .bind(project.0)
        .bind(until)
        .execute(tx)
        .await?;
    Ok(cut.is_some_and(|cut| cut < last as i64))
}

/// The number after which the project's changes are kept, its newest number, and one change's number and body.
type KeptAndNext = (i64, Option<i64>, Option<i64>, Option<String>);

/// The changes after number `after`, at most [`BATCH`]. If some of them have been pruned, or if the cursor comes from
/// another database, the result is a single change of subject `Everything`: the reader reloads all lists.
pub async fn after(db: &SqlitePool, project: ProjectId, after: u64) -> Result<Vec<Change>> {
    // One statement sees one database state, so no pruning happens between the range check and the read.
    let rows: Vec<KeptAndNext> = sqlx::query_as(
        "SELECT p.changes_from, (SELECT max(l.seq) FROM change l WHERE l.project_id = p.id), n.seq, n.body \
         FROM project p LEFT JOIN (SELECT c.seq, c.body FROM change c WHERE c.project_id = $1 AND c.seq > $2 \
         ORDER BY c.seq LIMIT $3) n ON true WHERE p.id = $1 ORDER BY n.seq",
    )
    .bind(project.0)
    .bind(i64::try_from(after).unwrap_or(i64::MAX))
    .bind(BATCH)
    .fetch_all(db)
    .await?;
    let Some(&(from, newest, ..)) = rows.first() else { return Ok(Vec::new()) };
    let newest = newest.unwrap_or(from) as u64;
    if after < from as u64 || after > newest {
        return Ok(vec![Change { seq: newest, subject: Subject::Everything }]);
    }
    rows.into_iter()
        .filter_map(|(_, _, seq, body)| Some((seq?, body?)))
        .map(|(seq, body)| {
            let subject = serde_json::from_str(&body).map_err(Error::internal)?;
            Ok(Change { seq: seq as u64, subject })
        })
        .collect()
}

pub async fn newest(db: &SqlitePool, project: ProjectId) -> Result<u64> {
    let newest: Option<i64> = sqlx::query_scalar("SELECT max(seq) FROM change WHERE project_id = $1")
        .bind(project.0)
        .fetch_one(db)
        .await?;
    Ok(newest.unwrap_or(0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, mint, now, projects};
    use domain::{id::TaskId, key::ProjectKey};

    async fn project(store: &Store, key: &str) -> ProjectId {
        let (id, key) = (ProjectId(mint()), ProjectKey::parse(key).unwrap());
        let insert = store
            .write(move |tx| Box::pin(async move { projects::insert(tx, id, &key, "Lab", now()).await }));
        insert.await.unwrap();
        id
    }

    async fn change(store: &Store, project: ProjectId, times: u32) {
        let task = Subject::Task { id: TaskId(mint()) };
        let insert = store.write(move |tx| {
            Box::pin(async move {
                for _ in 0..times {
                    insert(tx, project, &task).await?;
                }
                Ok(())
            })
        });
        insert.await.unwrap();
    }

    async fn prune_all(store: &Store) {
        for (project, last) in overdue(store.read()).await.unwrap() {
            while store.write(move |tx| Box::pin(prune(tx, project, last))).await.unwrap() {}
        }
    }

    #[tokio::test]
    async fn a_reader_gets_every_change_or_hears_that_some_are_gone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let (quiet, busy) = (project(&store, "quiet").await, project(&store, "busy").await);
        change(&store, quiet, 1).await;
        change(&store, busy, KEPT + 2 * AT_ONCE + 7).await;
        prune_all(&store).await;
        let db = store.read();
        let heard = after(db, quiet, 0).await.unwrap();
        assert!(matches!(&heard[..], [Change { seq: 1, subject: Subject::Task { .. } }]), "{heard:?}");
        let newest = newest(db, busy).await.unwrap();
        let oldest = newest - u64::from(KEPT);
        for gone in [0, 1, oldest - 1] {
            let everything = Change { seq: newest, subject: Subject::Everything };
            assert_eq!(after(db, busy, gone).await.unwrap(), [everything], "after {gone}");
        }
        let kept: Vec<_> = after(db, busy, oldest).await.unwrap().iter().map(|change| change.seq).collect();
        assert_eq!(kept, (oldest + 1..=oldest + u64::from(BATCH)).collect::<Vec<_>>());
        assert_eq!(after(db, busy, newest).await.unwrap(), []);
        // The cursor of a database that has since been restored from an older copy.
        let everything = Change { seq: newest, subject: Subject::Everything };
        assert_eq!(after(db, busy, newest + 1).await.unwrap(), [everything]);
        assert_eq!(overdue(db).await.unwrap(), []);
        store.close().await;
    }

    #[tokio::test]
    async fn a_project_s_changes_wake_those_who_follow_it_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let (one, other) = (project(&store, "one").await, project(&store, "other").await);
        let (mut of_one, mut of_other) = (store.changes_of(one), store.changes_of(other));
        change(&store, one, 2).await;
        assert!(of_one.has_changed().unwrap() && !of_other.has_changed().unwrap());
        of_one.mark_unchanged();
        let undone: Result<()> = store
            .write(move |tx| {
                Box::pin(async move {
                    insert(tx, one, &Subject::Everything).await?;
                    Err(Error::Conflict("after all, no".to_owned()))
                })
            })
            .await;
        undone.unwrap_err();
        change(&store, other, 1).await;
        assert!(!of_one.has_changed().unwrap() && of_other.has_changed().unwrap());
        of_other.mark_unchanged();
        drop(of_other);
        change(&store, other, 1).await;
        assert!(!of_one.has_changed().unwrap());
        store.close().await;
    }
}
