//! Answers to requests that the gate refuses, for the OpenAPI document.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses,
    openapi::{Content, Ref, RefOr, Response, ResponseBuilder},
};
use wahook_runtime::problem::MEDIA_TYPE;

const UNAUTHORIZED: (&str, &str) = ("401", "Missing or wrong token");

/// Refusals of a request that reads.
pub(crate) enum Reading {}

/// Refusals of an action with a body.
pub(crate) enum Acting {}

impl IntoResponses for Reading {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[UNAUTHORIZED])
    }
}

impl IntoResponses for Acting {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            UNAUTHORIZED,
            ("403", "The token can only read"),
            ("408", "The body did not arrive within 15 s"),
            ("413", "Too large"),
            ("415", "Not sent as application/json"),
        ])
    }
}

/// Returns problem documents with these status codes and descriptions.
fn problems(answers: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let answers = answers.iter().map(|(status, description)| {
        let problem = Content::new(Some(Ref::from_schema_name("Problem")));
        let answer = ResponseBuilder::new()
            .description(*description)
            .content(MEDIA_TYPE, problem);
        ((*status).to_owned(), answer.build().into())
    });
    answers.collect()
}
