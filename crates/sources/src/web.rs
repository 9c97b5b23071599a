//! Objects of WhatsApp Web, as gateways post them that drive its page. Ids are texts or
//! objects with a member `_serialized`.

mod event;
mod id;
mod message;

pub(crate) use self::{
    event::{call, members, own, revoked, subject_of_chat},
    id::{MessageId, contact},
    message::{ack, message},
};
