//! Checks of the store of jobs.

use wahook_domain::UnixMillis;
use wahook_operator_state::{
    EndState, Hold, Job, JobEnd, JobReport, JobStore, MOST_ENDED_JOBS, MOST_RUNNING_JOBS, NewJob,
    Next, Progress,
};

use crate::logs::Readable;

fn new_job(number: u32, items: &[&str]) -> NewJob {
    NewJob {
        job: Job {
            id: format!("job-{number:03}"),
            kind: "redelivery".to_owned(),
            who: "$ann".to_owned(),
            count: 5,
            created_at: UnixMillis::new(number.into()),
            progress: Progress::default(),
            is_cancelled: false,
            end: None,
        },
        order: r#"{"rate":50}"#.to_owned(),
        items: items.iter().map(|item| (*item).to_owned()).collect(),
    }
}

fn report(job: &str, claim: &str, done: u64, next: Next) -> JobReport {
    JobReport {
        job: job.to_owned(),
        claim: claim.to_owned(),
        progress: Progress {
            done,
            failed: 1,
            notes: "$notes".to_owned(),
        },
        next,
    }
}

fn ended(error: Option<&str>) -> Next {
    Next::End(JobEnd {
        at: UnixMillis::new(9_000),
        state: EndState::Failed,
        error: error.map(str::to_owned),
    })
}

async fn end(store: &dyn JobStore, job: &str, claim: &str) {
    let report = report(job, claim, 2, ended(Some("$no connection")));
    assert_eq!(store.report(&report).await.unwrap(), Hold::Held);
}

pub(crate) async fn a_job_is_claimed_by_one_program_and_keeps_its_progress(log: &impl Readable) {
    let store = log.jobs();
    assert_eq!(store.claim("none").await.unwrap(), None);
    let new = new_job(1, &["e1/crm"]);
    assert!(store.add(&new).await.unwrap());
    assert!(store.add(&new_job(2, &[])).await.unwrap());
    let id = new.job.id.as_str();

    let claimed = store.claim("first").await.unwrap().unwrap();
    assert_eq!((&claimed.job, &claimed.order), (&new.job, &new.order));
    assert!(!claimed.is_resumed);
    let other = store.claim("second").await.unwrap().unwrap();
    assert_eq!(other.job.id, "job-002");
    assert_eq!(store.claim("third").await.unwrap(), None);

    let of_another = report(id, "second", 4, Next::Continue);
    assert_eq!(store.report(&of_another).await.unwrap(), Hold::Lost);
    let of_first = report(id, "first", 2, Next::Continue);
    assert_eq!(store.report(&of_first).await.unwrap(), Hold::Held);
    assert_eq!(store.claim("third").await.unwrap(), None);
    let released = report(id, "first", 3, Next::Release);
    assert_eq!(store.report(&released).await.unwrap(), Hold::Held);
    let again = store.claim("third").await.unwrap().unwrap();
    assert!(again.is_resumed);
    assert_eq!(again.job.progress, released.progress);
    assert_eq!(store.report(&of_first).await.unwrap(), Hold::Lost);

    end(store, id, "third").await;
    let job = store.job(id).await.unwrap().unwrap();
    assert_eq!(job.progress.done, 2);
    let end = job.end.unwrap();
    assert_eq!(
        (end.state, end.at),
        (EndState::Failed, UnixMillis::new(9_000))
    );
    assert_eq!(end.error.as_deref(), Some("$no connection"));
    assert_eq!(store.claim("fourth").await.unwrap(), None);
}

pub(crate) async fn items_are_read_from_any_position_until_the_job_ends(log: &impl Readable) {
    let store = log.jobs();
    let items: Vec<_> = (0..2_500).map(|n| format!("e{n}/crm")).collect();
    let items: Vec<_> = items.iter().map(String::as_str).collect();
    assert!(store.add(&new_job(1, &items)).await.unwrap());
    assert!(store.add(&new_job(2, &["e1"])).await.unwrap());
    for start in [0, 1, 999, 1_000, 2_499] {
        let mut read = Vec::new();
        loop {
            let position = u64::try_from(start + read.len()).unwrap();
            let part = store.items("job-001", position).await.unwrap();
            if part.is_empty() {
                break;
            }
            read.extend(part);
        }
        assert_eq!(read, items[start..], "{start}");
    }
    store.claim("claim").await.unwrap().unwrap();
    end(store, "job-001", "claim").await;
    assert!(store.items("job-001", 0).await.unwrap().is_empty());
    assert_eq!(store.items("job-002", 0).await.unwrap(), ["e1"]);
}

pub(crate) async fn a_cancelled_job_ends_at_its_next_report(log: &impl Readable) {
    let store = log.jobs();
    assert_eq!(store.cancel("job-001").await.unwrap(), None);
    assert!(store.add(&new_job(1, &["e1"])).await.unwrap());
    store.claim("claim").await.unwrap().unwrap();
    let cancelled = store.cancel("job-001").await.unwrap().unwrap();
    assert!(cancelled.is_cancelled && cancelled.end.is_none());
    let next = report("job-001", "claim", 0, Next::Continue);
    assert_eq!(store.report(&next).await.unwrap(), Hold::Cancelled);
    let end = report("job-001", "claim", 0, ended(None));
    store.report(&end).await.unwrap();
    let job = store.cancel("job-001").await.unwrap().unwrap();
    assert_eq!(job.end.unwrap().error, None);
}

pub(crate) async fn jobs_are_bounded_in_number(log: &impl Readable) {
    let store = log.jobs();
    for number in 0..MOST_RUNNING_JOBS {
        assert!(store.add(&new_job(number, &[])).await.unwrap());
    }
    assert!(!store.add(&new_job(MOST_RUNNING_JOBS, &[])).await.unwrap());
    for number in MOST_RUNNING_JOBS..MOST_RUNNING_JOBS + MOST_ENDED_JOBS + 5 {
        let claimed = store.claim("claim").await.unwrap().unwrap();
        end(store, &claimed.job.id, "claim").await;
        assert!(store.add(&new_job(number, &[])).await.unwrap());
    }
    let jobs = store.jobs().await.unwrap();
    let expected = usize::try_from(MOST_RUNNING_JOBS + MOST_ENDED_JOBS).unwrap();
    assert_eq!(jobs.len(), expected);
    assert_eq!(jobs[0].id, "job-124");
    assert_eq!(jobs.last().unwrap().id, "job-005");
}
