use super::*;

const AT: UnixMillis = UnixMillis::new(1_727_784_000_000);

fn recovery() -> Recovery {
    Recovery {
        at: AT,
        rule: AutoRedrive {
            period: "6h".parse().unwrap(),
            rate: RedriveRate::new(10).unwrap(),
        },
    }
}

fn letter(reason: &str) -> DeadDelivery<'_> {
    DeadDelivery {
        died_at: AT.minus(Duration::from_secs(60)),
        is_outage: None,
        reason,
        auto_redrives: 0,
    }
}

#[test]
fn mark_of_a_letter_decides_and_not_its_reason() {
    for reason in ["answered 500", "answered 404", "of a later version"] {
        for is_outage in [true, false] {
            let marked = DeadDelivery {
                is_outage: Some(is_outage),
                ..letter(reason)
            };
            assert_eq!(recovery().selects(&marked), is_outage, "{reason}");
        }
    }
}

#[test]
fn unmarked_letters_of_outages_are_selected_and_refusals_are_not() {
    let causes = [
        FailureCause::Dns,
        FailureCause::ConnectionRefused,
        FailureCause::ConnectionReset,
        FailureCause::Connect,
        FailureCause::Tls,
        FailureCause::Protocol,
        FailureCause::Body,
        FailureCause::Blocked,
        FailureCause::Other,
    ];
    let mut outcomes = vec![Outcome::TimedOut {
        limit: Duration::from_secs(30),
    }];
    for cause in causes {
        let details = match cause {
            FailureCause::Tls => ["", "certificate expired", "TLS failed: rejected"],
            _ => ["", "hook.example", "10.0.0.1"],
        };
        for detail in details {
            let detail = detail.to_owned();
            outcomes.push(Outcome::Failed { cause, detail });
        }
    }
    for status in 400..=999 {
        outcomes.push(Outcome::Answered {
            status,
            retry_after: None,
        });
    }
    for location in [None, Some("https://example.com/login".to_owned())] {
        outcomes.push(Outcome::Redirected {
            status: 302,
            location,
            fault: None,
        });
    }
    for outcome in outcomes {
        let reason = outcome.error_message().unwrap();
        let expected = HealthSignal::of(&outcome).is_outage();
        assert_eq!(recovery().selects(&letter(&reason)), expected, "{reason}");
    }
    for (reason, expected) in [
        ("answered 503", true),
        ("answered 429", true),
        ("no answer in 30 s", true),
        ("answered 404", false),
        ("answered 410", false),
        ("answered ", false),
        ("", false),
        ("given up by an operator (anna)", false),
        ("poison: its delivery panicked 3 times", false),
        ("refused by a later version", false),
    ] {
        assert_eq!(recovery().selects(&letter(reason)), expected, "{reason}");
    }
}

#[test]
fn letters_within_the_period_before_the_recovery_are_selected() {
    let died = |died_at| DeadDelivery {
        died_at,
        ..letter("answered 500")
    };
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    assert!(recovery().selects(&died(AT)));
    assert!(recovery().selects(&died(AT.minus(hours(6)))));
    assert!(!recovery().selects(&died(AT.minus(hours(7)))));
    assert!(!recovery().selects(&died(AT.plus(Duration::from_millis(1)))));
}

#[test]
fn event_is_redriven_three_times_at_most() {
    let redriven = |auto_redrives| DeadDelivery {
        auto_redrives,
        ..letter("answered 500")
    };
    assert!(recovery().selects(&redriven(2)));
    assert!(!recovery().selects(&redriven(3)));
}

#[test]
fn period_and_rate_have_bounds() {
    for text in ["1m", "90s", "6h", "7d"] {
        let period: RedrivePeriod = text.parse().unwrap();
        assert_eq!(period.to_string(), text);
    }
    for text in ["", "6", "59s", "8d", "6 h", "1w"] {
        assert_eq!(text.parse::<RedrivePeriod>(), Err(InvalidRedrivePeriod));
    }
    assert_eq!(RedriveRate::new(0), None);
    assert_eq!(RedriveRate::new(1_001), None);
    let rate = RedriveRate::new(1_000).unwrap();
    assert_eq!(rate.per_second().get(), 1_000);
}
