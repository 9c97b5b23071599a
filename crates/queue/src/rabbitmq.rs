//! RabbitMQ: connections, and messages in their AMQP form.

#[cfg(test)]
mod hostile;
pub mod properties;
