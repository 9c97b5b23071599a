//! What does each step of a message's way cost? `make bench-micro`.
//!
//! Times are of one call; where a step reads or writes a body, the rate is of its bytes. The
//! bodies are of 400 bytes (as most events), 4,096 bytes, and 400 bytes in a form that must be
//! printed anew (`awkward`: numbers, escapes, key order). Everything runs on one thread, with
//! nothing but the step itself in the loop.

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
    AttemptNumber, AttemptResult, CanonicalBody, EventId, Outcome, QueuedEvent, ingest,
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

/// The canonical form, with checks and id, as the producer makes it; and the check of a
/// queued body, as the consumer makes it.
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
            bencher.iter(|| CanonicalBody::check(black_box(body.clone())));
        });
    }
    group.finish();
    Ok(())
}

/// Both signatures, keys prepared, with one secret.
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

/// A message of 400 bytes to and from AMQP. Reading includes the check of its body.
fn messages(criterion: &mut Criterion) -> anyhow::Result<()> {
    let event = fixed::queued(&fixed::event(1, USUAL))?;
    let carried = Carried::write(&Outgoing::event(&event))?;
    let mut group = criterion.benchmark_group("message");
    group.bench_function("write", |bencher| {
        bencher.iter(|| Carried::write(&Outgoing::event(black_box(&event))));
    });
    group.bench_function("read", |bencher| {
        bencher.iter(|| black_box(&carried).read());
    });
    group.finish();
    Ok(())
}

/// What follows from an answer 503 with `Retry-After`, and what is counted of a delivery that
/// succeeds at once.
fn decisions(criterion: &mut Criterion) -> anyhow::Result<()> {
    let delivery = Delivery::new()?;
    let busy = Outcome::Answered {
        status: 503,
        retry_after: Some(std::time::Duration::from_secs(60)),
    };
    criterion.bench_function("retry decision", |bencher| {
        bencher.iter(|| delivery.decide(AttemptNumber::FIRST, black_box(&busy)));
    });
    let delivered = Outcome::Delivered { status: 200 };
    criterion.bench_function("metrics of one delivery", |bencher| {
        bencher.iter(|| delivery.count(black_box(&delivered)));
    });
    Ok(())
}

/// The command that carries 1 and 64 records of 400-byte events; the rate is of records.
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
    let message = Carried::write(&Outgoing::event(&event))?;
    let one = |_| delivery.deliver(&message, &Answer::taken());
    (0..count).map(one).collect()
}

/// All that the programs themselves do for an event of 400 bytes; the log's command comes
/// after it, see above.
fn whole_ways(criterion: &mut Criterion) -> anyhow::Result<()> {
    let mut group = criterion.benchmark_group("whole way");
    let acceptance = Acceptance::new()?;
    acceptance
        .take(Bytes::from(fixed::event(0, USUAL)))
        .context("the first event")?;
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
    let message = Carried::write(&Outgoing::event(&event))?;
    for (name, answer) in [("deliver", Answer::taken()), ("retry", Answer::busy())] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| delivery.deliver(black_box(&message), &answer));
        });
    }
    group.finish();
    Ok(())
}
