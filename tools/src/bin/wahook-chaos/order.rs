//! Long run of an ordered endpoint: many chats, failing attempts, and kills of programs and
//! brokers.

mod one_process;
mod programs;
mod system;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tokio::time::sleep;
use wahook_tests::chats::{ChatOrder, Chats, event_of, fails_once};
use wahook_tests::random::Random;
use wahook_tests::receiver::Receiver;

use crate::brokers::Nodes;
use one_process::OneProcess;
use programs::Programs;
use system::{KILLS, System, always_fails, fails};

/// Time limit without a post.
const NEXT_POST_WITHIN: Duration = Duration::from_secs(180);
const RETRIES: usize = 3;

/// What a run uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Producer and three consumers, with RabbitMQ and MongoDB.
    Programs(Nodes),
    /// One process on its data file.
    OneProcess,
}

/// Delivers `events` of 2,000 chats while programs and brokers are killed. Prints the result;
/// fails if an event is lost or out of order.
pub(crate) async fn run(kind: Kind, events: usize, seed: u64) -> anyhow::Result<()> {
    match kind {
        Kind::Programs(nodes) => run_on(Programs::start(nodes).await?, events, seed).await,
        Kind::OneProcess => run_on(OneProcess::start().await?, events, seed).await,
    }
}

async fn run_on(mut system: impl System, events: usize, seed: u64) -> anyhow::Result<()> {
    let chats = Chats {
        chats: events.min(2_000),
        each: (events / 2_000).max(1),
        senders: 64,
    };
    println!(
        "{}: {} events of {} chats, seed {seed}",
        system.versions().await?,
        chats.chats * chats.each,
        chats.chats
    );
    let began = Instant::now();
    let url = system.url();
    let posting = tokio::spawn(async move {
        chats.post(&url).await;
        Instant::now()
    });
    let mut random = Random::seeded(seed);
    for kill in 1..=KILLS {
        let enough = chats.chats * chats.each * kill / (KILLS + 2);
        wait_for_posts(system.receiver(), enough).await?;
        system.kill(kill, &mut random).await?;
    }
    let posted = posting.await.context("the posting")?;
    let order = settled(&system, chats).await?;
    let repeats = order.posts - posts_without_faults(system.receiver(), chats);
    println!(
        "accepted in {:.0} s, all done in {:.0} s: {order}; {repeats} repeats, {} killed",
        (posted - began).as_secs_f64(),
        began.elapsed().as_secs_f64(),
        system.killed()
    );
    let lost = order.missing - chats.each;
    ensure!(lost == 0, "{lost} events lost");
    ensure!(
        order.inverted_attempts + order.inverted_successes == 0,
        "the order of a chat is broken"
    );
    Ok(())
}

/// Waits for this number of posts, as long as posts arrive.
async fn wait_for_posts(receiver: &Receiver, enough: usize) -> anyhow::Result<()> {
    let mut last = (receiver.count(), Instant::now());
    while last.0 < enough {
        sleep(Duration::from_millis(20)).await;
        let count = receiver.count();
        if count > last.0 {
            last = (count, Instant::now());
        } else if last.1.elapsed() > NEXT_POST_WITHIN {
            bail!("no post within {NEXT_POST_WITHIN:?}, {count} of {enough}");
        }
    }
    Ok(())
}

/// Waits until all events are delivered or dead letters.
async fn settled(system: &impl System, chats: Chats) -> anyhow::Result<ChatOrder> {
    let mut last = (0, Instant::now());
    loop {
        let letters = system.dead_letters().await?;
        let posts = system.receiver().posts();
        let order = chats.order(&posts, fails);
        if order.missing <= chats.each && letters == chats.each as u64 {
            return Ok(order);
        }
        if posts.len() > last.0 {
            last = (posts.len(), Instant::now());
        } else if last.1.elapsed() > NEXT_POST_WITHIN {
            bail!("{order}; {letters} dead letters, and no post within {NEXT_POST_WITHIN:?}");
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// Returns the number of posts of a run in which nothing is killed.
fn posts_without_faults(receiver: &Receiver, chats: Chats) -> usize {
    let posts = receiver.posts();
    let once = posts.iter().filter(|post| fails_once(post));
    let once: BTreeSet<_> = once
        .filter(|post| !always_fails(post))
        .map(|post| event_of(post))
        .collect();
    chats.chats * chats.each + once.len() + RETRIES * chats.each
}
