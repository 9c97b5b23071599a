//! Number of series in `/metrics`.

use wahook_tests::hundred_endpoints::{
    EACH, ENDPOINTS, EVENTS, MOST_SERIES, file, receiver, series_when_all_are_busy,
};

use crate::several::Several;
use crate::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "a_hundred_busy_endpoints_with_ten_retries_have_few_series",
        counted,
    );
}

async fn counted(test: Test) {
    let receiver = receiver().await;
    let several = Several::start(&test, 1, &file(&receiver)).await;
    let metrics = async || several.consumers[0].metrics().await;
    let unused = metrics().await.iter().count();
    for event in EVENTS {
        several.batch(event, EACH).await;
    }
    let busy = series_when_all_are_busy(metrics).await;
    eprintln!("{ENDPOINTS} endpoints: {unused} series at the start, {busy} when all are busy");
    assert!(unused < 1_500, "{unused}");
    assert!(busy < MOST_SERIES, "{busy}");
}
