//! Cost of each step in the path of a message (`make bench-micro`).
//!
//! Times are per call. For a step that reads or writes a body, the rate counts its bytes. Bodies
//! have 400 bytes (as most events), 4,096 bytes, or about 400 bytes with a different canonical
//! form (`awkward`: numbers, escapes, key order). Everything runs on one thread, with only the
//! step itself in the loop.

use std::hint::black_box;

use anyhow::Context;
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use uuid::Uuid;
use wahook_bench::{
    accept::Acceptance,
    deliver::{Answer, BATCH, Delivery, written},
    fixed::{self, AWKWARD, LONG, NOW, USUAL},
    wire::Carried,
};
use wahook_domain::{
    AttemptNumber, AttemptResult, EventBody, EventId, Outcome, QueuedEvent, ingest,
};
use wahook_queue::Outgoing;

fn main() -> anyhow::Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    bodies(&mut criterion)?;
    signatures(&mut criterion)?;
    messages(&mut criterion)?;
    decisions(&mut criterion)?;
    log(&mut criterion)?;
    whole_ways(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

/// Canonical form with checks and id, as in the producer, and check of a queued body, as in the
/// consumer.
fn bodies(criterion: &mut Criterion) -> anyhow::Result<()> {
    let samples = [
        ("400 B", fixed::event(1, USUAL)),
        ("4 KiB", fixed::event(1, LONG)),
        ("awkward", AWKWARD.to_owned()),
    ];
    let mut group = criterion.benchmark_group("canonical body and id");
    for (name, raw) in &samples {
        group.throughput(Throughput::Bytes(raw.len() as u64));
        group.bench_function(*name, |bencher| {
            let take = || {
                let fresh_id = || EventId::from(Uuid::nil());
                ingest(black_box(raw.as_bytes()), fixed::circumstances(), fresh_id)
            };
            bencher.iter(take);
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("check of a queued body");
    for (name, raw) in &samples {
        let body = fixed::canonical(raw)?;
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(*name, |bencher| {
            bencher.iter(|| EventBody::check(black_box(body.clone())));
        });
    }
    group.finish();
    Ok(())
}

/// Both signatures with one secret and prepared keys.
fn signatures(criterion: &mut Criterion) -> anyhow::Result<()> {
    let signer = fixed::signer()?;
    let mut group = criterion.benchmark_group("signature");
    for (size, bytes) in [("400 B", USUAL), ("4 KiB", LONG)] {
        let QueuedEvent { id, body, .. } = fixed::queued(&fixed::event(1, bytes))?;
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(format!("X-Webhook-Signature, {size}"), |bencher| {
            bencher.iter(|| signer.body_signature(black_box(body.as_bytes())));
        });
        group.bench_function(format!("webhook-signature, {size}"), |bencher| {
            let bytes = body.as_bytes();
            bencher.iter(|| signer.standard_webhooks(&id, NOW.seconds(), black_box(bytes)));
        });
    }
    group.finish();
    Ok(())
}

/// Encoding and decoding of a 400-byte message. Decoding includes the check of its body.
fn messages(criterion: &mut Criterion) -> anyhow::Result<()> {
    let event = fixed::queued(&fixed::event(1, USUAL))?;
    let carried = Carried::write(Outgoing::event(&event))?;
    let mut group = criterion.benchmark_group("message");
    group.bench_function("write", |bencher| {
        bencher.iter(|| Carried::write(Outgoing::event(black_box(&event))));
    });
    group.bench_function("read", |bencher| {
        bencher.iter(|| black_box(&carried).read());
    });
    group.finish();
    Ok(())
}

/// Decision on a 503 with `Retry-After`, and metrics of a delivery that succeeds at the first
/// attempt.
fn decisions(criterion: &mut Criterion) -> anyhow::Result<()> {
    let delivery = Delivery::new()?;
    let unavailable = Outcome::Answered {
        status: 503,
        retry_after: None,
    };
    criterion.bench_function("retry decision", |bencher| {
        bencher.iter(|| delivery.decide(AttemptNumber::FIRST, black_box(&unavailable)));
    });
    let delivered = Outcome::Delivered { status: 200 };
    criterion.bench_function("metrics of one delivery", |bencher| {
        bencher.iter(|| delivery.count(black_box(&delivered)));
    });
    Ok(())
}

/// Commands that carry 1 and 64 records of 400-byte events. The rate counts records.
fn log(criterion: &mut Criterion) -> anyhow::Result<()> {
    let mut group = criterion.benchmark_group("log");
    for records in [1, BATCH] {
        let results = results(records)?;
        group.throughput(Throughput::Elements(records as u64));
        group.bench_function(format!("command of {records}"), |bencher| {
            bencher.iter(|| written(black_box(&results)));
        });
    }
    group.finish();
    Ok(())
}

fn results(count: usize) -> anyhow::Result<Vec<AttemptResult>> {
    let delivery = Delivery::new()?;
    let event = fixed::queued(&fixed::event(1, USUAL))?;
    let message = Carried::write(Outgoing::event(&event))?;
    let one = |_| delivery.deliver(&message, &Answer::taken());
    (0..count).map(one).collect()
}

/// All work of the programs themselves for an event of 400 bytes, without the log's command
/// (see above).
fn whole_ways(criterion: &mut Criterion) -> anyhow::Result<()> {
    let mut group = criterion.benchmark_group("whole path");
    let acceptance = Acceptance::new()?;
    acceptance
        .take(Bytes::from(fixed::event(0, USUAL)))
        .context("cannot send the first event")?;
    let mut number = 0;
    group.bench_function("accept", |bencher| {
        let fresh = || {
            number += 1;
            Bytes::from(fixed::event(number, USUAL))
        };
        bencher.iter_batched(fresh, |event| acceptance.take(event), BatchSize::SmallInput);
    });
    let delivery = Delivery::new()?;
    let event = fixed::queued(&fixed::event(1, USUAL))?;
    let message = Carried::write(Outgoing::event(&event))?;
    for (name, answer) in [
        ("deliver", Answer::taken()),
        ("retry", Answer::unavailable()),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| delivery.deliver(black_box(&message), &answer));
        });
    }
    group.finish();
    Ok(())
}
