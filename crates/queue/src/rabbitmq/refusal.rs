//! Texts of errors of the broker, with advice where it refuses the user.

use lapin::protocol::AMQPError;

/// Code of a missing permission, and of a refused login.
pub(super) const ACCESS_REFUSED: u16 = 403;
/// Code of a virtual host that is missing, or that the user cannot enter.
const NOT_ALLOWED: u16 = 530;

/// Returns the text of an error. The broker's text names the queue or exchange and the user;
/// since RabbitMQ 4.0 also the permission.
pub(super) fn text(error: &lapin::Error) -> String {
    protocol_error(error)
        .and_then(refusal)
        .unwrap_or_else(|| error.to_string())
}

/// Returns the error that the broker sent, if it sent one.
pub(super) fn protocol_error(error: &lapin::Error) -> Option<&AMQPError> {
    match error.kind() {
        lapin::ErrorKind::ProtocolError(error) => Some(error),
        _ => None,
    }
}

fn refusal(error: &AMQPError) -> Option<String> {
    let reason = error.get_message().as_str();
    let advice = match error.get_id() {
        ACCESS_REFUSED if reason.contains("Login was refused") => {
            "check user and password of AMQP_URL"
        }
        ACCESS_REFUSED => {
            "its permission to configure, write or read does not cover this name; grant it with \
             `rabbitmqctl set_permissions`, docs/broker-users.md has the permissions of each program"
        }
        NOT_ALLOWED if reason.contains("vhost") => {
            "check the virtual host of AMQP_URL, and grant the user permissions in it with \
             `rabbitmqctl set_permissions --vhost` (docs/broker-users.md)"
        }
        _ => return None,
    };
    Some(format!("{reason}: {advice}"))
}

#[cfg(test)]
mod tests {
    use lapin::ErrorKind;

    use super::*;

    fn text_of(id: u16, reason: &str) -> String {
        let error = AMQPError::from_id(id, reason.into()).unwrap();
        text(&ErrorKind::ProtocolError(error).into())
    }

    #[test]
    fn missing_permission_is_named_with_the_document_of_all_permissions() {
        let reason = "ACCESS_REFUSED - write access to queue 'wahook.dead' in vhost '/' refused for user 'u'";
        let text = text_of(403, reason);
        assert!(text.starts_with(reason), "{text}");
        assert!(text.contains("docs/broker-users.md"), "{text}");
    }

    #[test]
    fn refused_login_and_virtual_host_have_advice_of_their_own() {
        let login = text_of(
            403,
            "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.",
        );
        assert!(
            login.ends_with("check user and password of AMQP_URL"),
            "{login}"
        );
        let vhost = text_of(
            530,
            "NOT_ALLOWED - access to vhost 'x' refused for user 'u'",
        );
        assert!(vhost.contains("virtual host of AMQP_URL"), "{vhost}");
    }

    #[test]
    fn other_errors_keep_their_text() {
        let text = text_of(406, "PRECONDITION_FAILED - timed out");
        assert!(text.ends_with("PRECONDITION_FAILED - timed out"), "{text}");
    }
}
