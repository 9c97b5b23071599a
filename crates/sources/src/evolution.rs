//! STUB.

use wahook_domain::json::Node;

use crate::{Adapted, Refusal, Request, generic};

pub(crate) fn adapt<'a>(request: &Request<'_>, payload: Node<'a>) -> Result<Adapted<'a>, Refusal> {
    generic::adapt(request, payload)
}
