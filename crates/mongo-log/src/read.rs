//! Read access for commands.

use std::{collections::BTreeSet, time::Duration};

use wahook_delivery_log::{
    CountBy, Counts, EndedFilter, EndedStream, FollowFuture, LogFuture, LogReader, SurveyCursor,
    Surveyed,
};
use wahook_domain::{EndpointName, EventId, UnixMillis};

use crate::MongoLog;

impl LogReader for MongoLog {
    fn follow<'a>(
        &'a self,
        since: Option<UnixMillis>,
        filter: &'a EndedFilter,
    ) -> FollowFuture<'a, Box<dyn EndedStream>> {
        Box::pin(async move {
            let following = Self::follow(self, since, filter).await?;
            Ok(Box::new(following) as Box<dyn EndedStream>)
        })
    }

    fn count(
        &self,
        since: UnixMillis,
        until: UnixMillis,
        by: CountBy,
    ) -> LogFuture<'_, Vec<Counts>> {
        Box::pin(Self::count(self, since, until, by))
    }

    fn survey(&self, since: UnixMillis, until: UnixMillis) -> LogFuture<'_, Box<dyn SurveyCursor>> {
        Box::pin(async move {
            let survey = Self::survey(self, since, until).await?;
            Ok(Box::new(survey) as Box<dyn SurveyCursor>)
        })
    }

    fn survey_of<'a>(&'a self, ids: &'a [EventId]) -> LogFuture<'a, Vec<Surveyed>> {
        Box::pin(Self::survey_of(self, ids))
    }

    fn recent_endpoints(&self) -> LogFuture<'_, BTreeSet<EndpointName>> {
        Box::pin(Self::recent_endpoints(self))
    }

    fn lifetime(&self) -> LogFuture<'_, Option<Duration>> {
        Box::pin(Self::lifetime(self))
    }
}
