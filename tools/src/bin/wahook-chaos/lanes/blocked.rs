//! Other chats of a lane while the head of one chat fails, with many events behind it.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use mongodb::bson::doc;
use serde_json::json;
use wahook_tests::chats::{event_of, post_until_accepted};
use wahook_tests::http_client::http_client;
use wahook_tests::pair::{Pair, Servers};
use wahook_tests::receiver::Post;

use super::arrivals::Arrivals;
use super::figures::{Bound, Figure};
use super::load::{Event, Load, Posted, url_of};
use super::outcome::{Bounds, Outcome};
use super::ownership::idle;
use crate::until::until;

/// One lane; the retries are the default ones, after 5, 10 and 20 s.
const SETTINGS: [(&str, &str); 2] = [("WEBHOOK_ORDER", "chat"), ("WEBHOOK_LANES", "1")];
const CONSUMERS: usize = 2;
/// First event of the blocked chat, whose every attempt fails.
const HEAD: Event = (0, 0);
const ATTEMPTS: usize = 4;
/// Sum of the waits between the attempts.
const BLOCKED_FOR: Duration = Duration::from_secs(35);
/// Events behind the head.
const BEHIND: usize = 10_000;
const IN_A_BATCH: usize = 500;
const OTHERS: usize = 20;
/// Pause of another chat after each event.
const PAUSE: Duration = Duration::from_millis(100);

/// Measures the other chats from the first to the last attempt of the head.
pub(super) async fn measure(servers: &Servers) -> anyhow::Result<(Vec<Figure>, Outcome)> {
    let arrivals = Arrivals::default();
    let receiver = arrivals.receiver(is_of_head, |_| Duration::ZERO).await;
    let pair = servers.pair(receiver, &SETTINGS).await;
    for _ in 1..CONSUMERS {
        pair.add_consumer().await;
    }
    let (http, url) = (http_client()?, url_of(&pair));
    println!("one chat of a lane is blocked, with {BEHIND} events behind its head");
    let others = Load::start(&url, 1..OTHERS + 1, PAUSE)?;
    post_until_accepted(&http, &url, 0, 0).await;
    let has_begun = || async { Ok(arrivals.first(HEAD).is_some()) };
    until("the first attempt of the head", has_begun).await?;
    let begin = arrivals.first(HEAD).context("the head has no attempt")?;
    let behind = post_behind(&http, &url).await?;
    let accepted = begin.elapsed();
    let left = BLOCKED_FOR.saturating_sub(accepted);
    others.go_on("blocked", left, || arrivals.taken()).await;
    let has_ended = || async { Ok(arrivals.count(HEAD) == ATTEMPTS) };
    until("all attempts of the head", has_ended).await?;
    let end = arrivals.last(HEAD).context("the head has no attempt")?;
    ensure!(
        end - begin >= BLOCKED_FOR && begin + accepted < end,
        "the head was blocked for {:?}, and the events behind it were accepted after {accepted:?}",
        end - begin
    );
    let mut posted = others.stop().await;
    let meanwhile = posted.iter().filter(|(_, at)| (begin..=end).contains(at));
    let meanwhile: Posted = meanwhile.copied().collect();
    posted.extend(behind);
    let mut outcome = delivered(&pair, &arrivals, &posted).await?;
    let times = meanwhile.iter();
    let times = times.map(|(event, at)| Some(arrivals.first(*event)? - *at));
    let times: Option<Vec<_>> = times.collect();
    outcome.note = format!(
        "blocked for {:.1} s, all {BEHIND} events behind the head accepted after {:.1} s and \
         delivered {:.1} s after its last attempt",
        (end - begin).as_secs_f64(),
        accepted.as_secs_f64(),
        end.elapsed().as_secs_f64()
    );
    println!("    {}", outcome.note);
    let figure = Figure::new(
        format!(
            "one chat blocked for 35 s with {BEHIND} events: request to first attempt of the \
             lane's other chats"
        ),
        times.context("an event without an attempt")?,
        Bound::P99(Duration::from_secs(1)),
    );
    Ok((vec![figure], outcome))
}

fn is_of_head(post: &Post) -> bool {
    event_of(post) == HEAD
}

/// Posts the events behind the head, in batches.
async fn post_behind(http: &reqwest::Client, url: &str) -> anyhow::Result<Posted> {
    let mut posted = Posted::new();
    let numbers: Vec<_> = (1..=BEHIND).collect();
    for batch in numbers.chunks(IN_A_BATCH) {
        let begin = Instant::now();
        posted.extend(batch.iter().map(|number| ((0, *number as u64), begin)));
        let lines = batch.iter().map(|number| {
            let data = json!({"chat": 0, "n": number, "fromMe": false, "from": "15550000000@c.us"});
            format!("{}\n", json!({"event": "message_create", "data": data}))
        });
        let request = http
            .post(url)
            .header("content-type", "application/x-ndjson")
            .body(lines.collect::<String>());
        let answer = request.send().await.context("a batch")?;
        let status = answer.status();
        ensure!(status.as_u16() == 202, "a batch: {status}");
        answer.bytes().await?;
    }
    Ok(posted)
}

/// Waits until the events of the load are delivered, and the head is a dead letter.
async fn delivered(
    pair: &Pair,
    arrivals: &Arrivals,
    posted: &[(Event, Instant)],
) -> anyhow::Result<Outcome> {
    arrivals.until_taken(posted.len()).await?;
    idle(pair).await?;
    until("the head is the only dead letter", || async {
        let dead = pair.log().count_documents(doc! { "status": "failed" });
        Ok(dead.await? == 1)
    })
    .await?;
    let mut posts = pair.receiver.posts();
    posts.retain(|post| !is_of_head(post));
    // No fault, so nothing is repeated.
    let bounds = Bounds {
        repeated: 0,
        late: Some(0),
    };
    let fault = "one chat of a lane blocked for 35 s";
    Ok(Outcome::of(fault, posted, &posts, |_| false, bounds))
}
