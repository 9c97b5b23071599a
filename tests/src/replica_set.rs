//! Replica set of private MongoDB servers, each of which a test can kill and freeze.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures_util::future::{join_all, try_join_all};
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use tokio::time::{sleep, timeout};

use crate::mongod::{Mongod, SET, admin, is_primary};
use crate::or_fail;

const MEMBERS: usize = 3;
/// Time without a primary after which the others elect one.
const ELECTION_AFTER: Duration = Duration::from_secs(2);
const HEARTBEAT: Duration = Duration::from_millis(500);
/// Time for which a primary that has stepped down is not elected.
const NOT_ELECTED_FOR: Duration = Duration::from_secs(5);
/// A restarted member gets the entries that it has missed.
const CHANGED_WITHIN: Duration = Duration::from_secs(120);
/// A frozen member does not answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(100);

/// Running replica set of three.
#[derive(Debug)]
pub struct ReplicaSet {
    members: Vec<Mongod>,
    /// For commands to each member.
    admins: Vec<Database>,
}

impl ReplicaSet {
    /// Starts empty servers; fails the test if they do not form a set.
    pub async fn start() -> Self {
        or_fail("the replica set", Self::try_start().await)
    }

    pub async fn try_start() -> anyhow::Result<Self> {
        let members = try_join_all((0..MEMBERS).map(|_| Mongod::try_start_member())).await?;
        let admins = try_join_all(members.iter().map(|member| admin(member.port()))).await?;
        let set = Self { members, admins };
        set.initiate().await?;
        set.try_wait_whole().await?;
        Ok(set)
    }

    /// URI with all members.
    pub fn uri(&self) -> String {
        format!("mongodb://{}/?replicaSet={SET}", self.hosts().join(","))
    }

    pub fn members(&self) -> &[Mongod] {
        &self.members
    }

    pub fn member(&self, index: usize) -> anyhow::Result<&Mongod> {
        self.members.get(index).context("no such member")
    }

    /// Returns the primary; fails the test if there is none in time.
    pub async fn primary(&self) -> usize {
        or_fail("the primary", self.try_primary_other_than(None).await)
    }

    /// Returns the primary after `old`; fails the test if there is none in time.
    pub async fn primary_after(&self, old: usize) -> usize {
        let primary = self.try_primary_other_than(Some(old)).await;
        or_fail("another primary", primary)
    }

    /// Waits for a primary, which is another one than `old`.
    pub async fn try_primary_other_than(&self, old: Option<usize>) -> anyhow::Result<usize> {
        let end = Instant::now() + CHANGED_WITHIN;
        loop {
            let answers = self.admins.iter().map(|admin| async {
                timeout(ANSWERS_WITHIN, is_primary(admin)).await == Ok(true)
            });
            let answers = join_all(answers).await.into_iter().enumerate();
            let mut primaries =
                answers.filter(|(index, is_primary)| *is_primary && Some(*index) != old);
            if let Some((index, _)) = primaries.next() {
                return Ok(index);
            }
            ensure!(Instant::now() < end, "no primary within {CHANGED_WITHIN:?}");
            sleep(PAUSE).await;
        }
    }

    /// Makes the primary give its office to another member, in order. Returns the primary.
    pub async fn step_down(&self) -> usize {
        or_fail("the step-down", self.try_step_down().await)
    }

    pub async fn try_step_down(&self) -> anyhow::Result<usize> {
        let seconds = i64::try_from(NOT_ELECTED_FOR.as_secs())?;
        let command =
            doc! { "replSetStepDown": seconds, "secondaryCatchUpPeriodSecs": seconds - 1 };
        let end = Instant::now() + CHANGED_WITHIN;
        loop {
            let primary = self.try_primary_other_than(None).await?;
            let admin = self.admins.get(primary).context("no such member")?;
            // Refused while the others are behind, and by a member that is no primary any more.
            match admin.run_command(command.clone()).await {
                Ok(_) => return Ok(primary),
                Err(error) if Instant::now() > end => return Err(error.into()),
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Waits until all members follow one primary; fails the test if they do not in time.
    pub async fn wait_whole(&self) {
        or_fail("the replica set", self.try_wait_whole().await);
    }

    pub async fn try_wait_whole(&self) -> anyhow::Result<()> {
        let end = Instant::now() + CHANGED_WITHIN;
        loop {
            let states = join_all(self.admins.iter().map(states)).await;
            if states
                .iter()
                .all(|seen| seen.as_deref().is_some_and(is_whole))
            {
                return Ok(());
            }
            if Instant::now() > end {
                bail!("not whole within {CHANGED_WITHIN:?}: {states:?}");
            }
            sleep(PAUSE).await;
        }
    }

    fn hosts(&self) -> Vec<String> {
        let members = self.members.iter();
        members
            .map(|member| format!("127.0.0.1:{}", member.port()))
            .collect()
    }

    async fn initiate(&self) -> anyhow::Result<()> {
        let members = (0_i32..).zip(self.hosts());
        let members: Vec<_> = members
            .map(|(id, host)| Bson::from(doc! { "_id": id, "host": host }))
            .collect();
        let settings = doc! {
            "electionTimeoutMillis": i64::try_from(ELECTION_AFTER.as_millis())?,
            "heartbeatIntervalMillis": i64::try_from(HEARTBEAT.as_millis())?,
        };
        let set = doc! { "_id": SET, "members": members, "settings": settings };
        let admin = self.admins.first().context("a set has members")?;
        admin.run_command(doc! { "replSetInitiate": set }).await?;
        Ok(())
    }
}

fn is_whole(states: &[String]) -> bool {
    let count = |wanted: &str| states.iter().filter(|state| *state == wanted).count();
    (count("PRIMARY"), count("SECONDARY")) == (1, MEMBERS - 1)
}

/// Returns the states of all members as one of them sees them; `None` without an answer.
async fn states(admin: &Database) -> Option<Vec<String>> {
    let status = admin.run_command(doc! { "replSetGetStatus": 1 });
    let status: Document = timeout(ANSWERS_WITHIN, status).await.ok()?.ok()?;
    let members = status.get_array("members").ok()?.iter();
    members
        .map(|member| Some(member.as_document()?.get_str("stateStr").ok()?.to_owned()))
        .collect()
}
